/**
 * The floor: answers the request, and sends back the bytes that come as they are, or sends them to all. In a visit each chunk is
 * taken for what it should be.
 */
import * as Crypto from "node:crypto"
import * as Net from "node:net"
import { kind, report, work } from "./report.js"

const answer = (/** @type {string} */ head) => {
  const key = /Sec-WebSocket-Key: (.*)\r\n/.exec(head)?.[1]
  const accept = Crypto.createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64")
  return `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`
}

/** @type {Set<Net.Socket>} */
const all = new Set()

const closeFrame = Buffer.from([0x88, 2, 0x03, 0xe8])

/** @type {(socket: Net.Socket) => void} echoes one message and ends with a Close frame */
const visit = (socket) => {
  socket.once("data", (message) => {
    socket.write(Buffer.concat([Buffer.of(message[0], message.length - 6), unmasked(message)]))
    socket.once("data", () => socket.end(closeFrame))
  })
}

const unmasked = (/** @type {Buffer} */ message) => message.subarray(6).map((byte, i) => byte ^ message[2 + (i & 3)])

const server = Net.createServer({ noDelay: true }, (socket) => {
  socket.on("error", () => {})
  socket.once("data", (head) => {
    socket.write(answer(head.toString("latin1")))
    if (kind === "visits") return visit(socket)
    all.add(socket)
    socket.on("close", () => all.delete(socket))
    socket.on("data", (chunk) => {
      if (work === "fanout") for (const other of all) other.write(chunk)
      else socket.write(chunk)
    })
  })
})
server.listen({ host: "127.0.0.1", port: 0, backlog: 1024 }, () => {
  report(/** @type {import("node:net").AddressInfo} */ (server.address()).port)
})
