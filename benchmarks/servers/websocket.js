/**
 * `websocket`, with room for the largest message.
 */
import * as Http from "node:http"
import websocket from "websocket"
import { report, touch, work } from "./report.js"

const httpServer = Http.createServer()
const most = 16 * 1024 * 1024
const server = new websocket.server({
  httpServer,
  autoAcceptConnections: true,
  maxReceivedFrameSize: most,
  maxReceivedMessageSize: most
})

server.on("connect", (connection) => {
  connection.on("message", (message) => {
    if (message.type === "binary") return connection.sendBytes(message.binaryData)
    if (work === "read") touch(message.utf8Data)
    if (work === "fanout") server.broadcastUTF(message.utf8Data)
    else connection.sendUTF(message.utf8Data)
  })
})
httpServer.listen({ host: "127.0.0.1", port: 0, backlog: 1024 }, () => {
  report(/** @type {import("node:net").AddressInfo} */ (httpServer.address()).port)
})
