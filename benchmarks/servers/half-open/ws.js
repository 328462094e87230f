import * as Http from "node:http"
import { WebSocketServer } from "ws"
import { report } from "../report.js"

const hour = 3_600_000
const http = Http.createServer({ headersTimeout: hour, requestTimeout: hour })
const server = new WebSocketServer({ server: http })
server.on("connection", (socket) => {
  socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }))
})
http.listen({ host: "127.0.0.1", port: 0 }, () => {
  report(/** @type {import("node:net").AddressInfo} */ (http.address()).port)
})
