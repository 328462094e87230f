/**
 * The floor: answers the request, and sends back the bytes that come as they are.
 */
import * as Crypto from "node:crypto"
import * as Net from "node:net"
import { report } from "./report.js"

const answer = (/** @type {string} */ head) => {
  const key = /Sec-WebSocket-Key: (.*)\r\n/.exec(head)?.[1]
  const accept = Crypto.createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64")
  return `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`
}

const server = Net.createServer({ noDelay: true }, (socket) => {
  socket.on("error", () => {})
  socket.once("data", (head) => {
    socket.write(answer(head.toString("latin1")))
    socket.on("data", (chunk) => socket.write(chunk))
  })
})
server.listen({ host: "127.0.0.1", port: 0, backlog: 1024 }, () => {
  report(/** @type {import("node:net").AddressInfo} */ (server.address()).port)
})
