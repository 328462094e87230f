/**
 * `ws`: its two native addons are used unless the environment says otherwise.
 */
import { WebSocketServer } from "ws"
import { deflate, report, touch, work } from "./report.js"

const alone = { threshold: 0, serverNoContextTakeover: true, clientNoContextTakeover: true }
const perMessageDeflate = deflate === "off" ? false : deflate === "alone" ? alone : { threshold: 0 }

const server = new WebSocketServer({ host: "127.0.0.1", port: 0, backlog: 1024, perMessageDeflate }, () => {
  report(/** @type {import("node:net").AddressInfo} */ (server.address()).port)
})

/** @type {Record<string, (socket: import("ws").WebSocket) => void>} */
const handlers = {
  echo: (socket) => socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary })),
  read: (socket) =>
    socket.on("message", (data, isBinary) => {
      touch(data.toString())
      socket.send(data, { binary: isBinary })
    }),
  fanout: (socket) =>
    socket.on("message", (data, isBinary) => {
      for (const client of server.clients) client.send(data, { binary: isBinary })
    })
}

server.on("connection", handlers[work])
