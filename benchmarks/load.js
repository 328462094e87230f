/**
 * Drives an echo server over plain sockets: prebuilt frames go out, and the echoes are counted by their bytes.
 */
import * as Crypto from "node:crypto"
import { once } from "node:events"
import * as Net from "node:net"

/**
 * @typedef {object} Work
 * @property {string} name
 * @property {number} size bytes of payload
 * @property {number} connections
 * @property {number} inFlight messages that each connection has under way
 * @property {number} messages in all
 */

/** @param {number} size */
const maskedFrame = (size) => {
  const extended = size <= 125 ? 0 : size <= 0xffff ? 2 : 8
  const frame = Buffer.alloc(6 + extended + size)
  frame[0] = 0x81
  frame[1] = 0x80 | (extended === 0 ? size : extended === 2 ? 126 : 127)
  if (extended === 2) frame.writeUInt16BE(size, 2)
  if (extended === 8) frame.writeBigUInt64BE(BigInt(size), 2)
  const key = Crypto.randomBytes(4)
  key.copy(frame, 2 + extended)
  for (let i = 0; i < size; i++) frame[6 + extended + i] = 0x61 ^ key[i & 3]
  return frame
}

/** @param {number} size */
const echoSize = (size) => size + (size <= 125 ? 2 : size <= 0xffff ? 4 : 10)

/** @param {number} port */
const open = async (port) => {
  const socket = Net.connect({ host: "127.0.0.1", port, noDelay: true })
  const key = Crypto.randomBytes(16).toString("base64")
  socket.write(
    `GET / HTTP/1.1\r\nHost: localhost:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
      `Sec-WebSocket-Key: ${key}\r\nSec-WebSocket-Version: 13\r\n\r\n`
  )
  await once(socket, "data")
  return socket
}

/**
 * Sends the messages of one connection, `inFlight` at a time, and resolves when all echoes are there.
 *
 * @param {Net.Socket} socket
 * @param {Work} work
 */
const drive = (socket, { connections, inFlight, messages, size }) =>
  new Promise((resolve) => {
    const frame = maskedFrame(size)
    const total = Math.ceil(messages / connections)
    const one = echoSize(size)
    const burst = Buffer.concat(Array.from({ length: inFlight }, () => frame))
    let sent = 0
    let bytes = 0
    let answered = 0
    /** @param {number} count */
    const send = (count) => {
      const next = Math.min(count, total - sent)
      if (next > 0) socket.write(burst.subarray(0, next * frame.length))
      sent += next
    }
    socket.on("data", (chunk) => {
      bytes += chunk.length
      const done = Math.floor(bytes / one)
      if (done === answered) return
      send(done - answered)
      answered = done
      if (answered === total) resolve(socket.removeAllListeners("data"))
    })
    send(inFlight)
  })

/**
 * @param {number} port
 * @param {Work} work
 * @param {() => Promise<number>} cpu of the server, in microseconds
 */
export const measure = async (port, work, cpu) => {
  const sockets = await Promise.all(Array.from({ length: work.connections }, () => open(port)))
  await Promise.all(sockets.map((socket) => drive(socket, { ...work, messages: work.messages / 4 })))
  const before = await cpu()
  await Promise.all(sockets.map((socket) => drive(socket, work)))
  const used = (await cpu()) - before
  for (const socket of sockets) socket.destroy()
  return used / work.messages
}
