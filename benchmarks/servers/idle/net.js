/**
 * The floor: answers the request, sends the frame back, and keeps nothing but the socket.
 */
import * as Crypto from "node:crypto"
import * as Net from "node:net"
import { report } from "../report.js"

const answer = (/** @type {string} */ head) => {
  const key = /Sec-WebSocket-Key: (.*)\r\n/.exec(head)?.[1]
  const accept = Crypto.createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64")
  return `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`
}

// The load masks with a key of zeros.
const echo = (/** @type {Buffer} */ frame) =>
  Buffer.concat([Uint8Array.of(frame[0], frame[1] & 0x7f), frame.subarray(6)])

const server = Net.createServer({ noDelay: true }, (socket) => {
  socket.on("error", () => {})
  socket.on("data", (chunk) => {
    const isRequest = chunk.subarray(0, 4).toString("latin1") === "GET "
    socket.write(isRequest ? answer(chunk.toString("latin1")) : echo(chunk))
  })
})
server.listen({ host: "127.0.0.1", port: 0 }, () => {
  report(/** @type {import("node:net").AddressInfo} */ (server.address()).port)
})
