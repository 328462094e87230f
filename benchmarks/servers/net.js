/**
 * The floor: answers the request, and sends back the bytes that come as they are, or sends them to all.
 */
import * as Crypto from "node:crypto"
import * as Net from "node:net"
import { report, work } from "./report.js"

const answer = (/** @type {string} */ head) => {
  const key = /Sec-WebSocket-Key: (.*)\r\n/.exec(head)?.[1]
  const accept = Crypto.createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64")
  return `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`
}

/** @type {Set<Net.Socket>} */
const all = new Set()

const server = Net.createServer({ noDelay: true }, (socket) => {
  socket.on("error", () => {})
  socket.once("data", (head) => {
    socket.write(answer(head.toString("latin1")))
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
