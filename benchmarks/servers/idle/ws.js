import { WebSocketServer } from "ws"
import { report } from "../report.js"

const server = new WebSocketServer({ host: "127.0.0.1", port: 0 }, () => {
  report(/** @type {import("node:net").AddressInfo} */ (server.address()).port)
})
server.on("connection", (socket) => {
  socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }))
})
