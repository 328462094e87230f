/**
 * A process that opens connections, has one message echoed on each, and says nothing from then on:
 * `node holder.js PORT COUNT [compressed]`.
 */
import { once } from "node:events"
import * as Net from "node:net"
import * as Zlib from "node:zlib"
import { frameOf } from "./frames.js"

const [port, count, mode] = process.argv.slice(2)
const asksToCompress = mode === "compressed"

const request = Buffer.from(
  "GET / HTTP/1.1\r\nHost: localhost:8080\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
    (asksToCompress ? "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n" : "") +
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
  "latin1"
)

// Some compress from 1 KiB on.
const message = Buffer.from(
  asksToCompress
    ? JSON.stringify(Array.from({ length: 24 }, (_, i) => ({ id: i * 7919, price: (i * 104_729) / 100, side: "buy" })))
    : "0123456789abcdef"
)

const flush = { finishFlush: Zlib.constants.Z_SYNC_FLUSH }
const deflated = Zlib.deflateRawSync(message, flush).subarray(0, -4)
const plain = frameOf(0x82, message, true)
const compressed = frameOf(0xc2, deflated, true)

/**
 * What comes until it is complete.
 *
 * @param {Net.Socket} socket
 * @param {(bytes: Buffer) => boolean} isComplete
 */
const read = async (socket, isComplete) => {
  let bytes = Buffer.alloc(0)
  while (!isComplete(bytes)) bytes = Buffer.concat([bytes, (await once(socket, "data"))[0]])
  return bytes
}

/**
 * Where the payload of a frame of the server begins and ends; the floor sends back the mask too.
 *
 * @param {Buffer} bytes
 */
const payloadOf = (bytes) => {
  if (bytes.length < 4) return undefined
  const length = bytes[1] & 0x7f
  const start = (length < 126 ? 2 : 4) + (bytes[1] > 0x7f ? 4 : 0)
  return { start, end: start + (length < 126 ? length : bytes.readUInt16BE(2)) }
}

const open = async () => {
  const socket = Net.connect({ host: "127.0.0.1", port: Number(port), noDelay: true })
  await once(socket, "connect")
  socket.write(request)
  const head = (await read(socket, (bytes) => bytes.includes("\r\n\r\n"))).toString("latin1")
  if (!head.startsWith("HTTP/1.1 101 ") || !head.endsWith("\r\n\r\n")) {
    throw new Error(`The server has answered ${JSON.stringify(head)}`)
  }
  const compresses = /permessage-deflate/i.test(head)
  socket.write(compresses ? compressed : plain)
  check(await read(socket, (bytes) => bytes.length >= (payloadOf(bytes)?.end ?? Infinity)), compresses)
  // A connection that ends, or of which more comes, isn't idle.
  for (const event of ["data", "end", "error"]) {
    socket.on(event, () => {
      throw new Error(`There was ${event} on an idle connection`)
    })
  }
}

/** @type {(echo: Buffer, compresses: boolean) => void} */
const check = (echo, compresses) => {
  const { end = 0, start = 0 } = payloadOf(echo) ?? {}
  const payload = Buffer.from(echo.subarray(start, end))
  if (echo[1] > 0x7f) for (let i = 0; i < payload.length; i++) payload[i] ^= echo[start - 4 + (i & 3)]
  const content = compresses ? Zlib.inflateRawSync(payload, flush) : payload
  if (echo[0] === (compresses ? 0xc2 : 0x82) && end === echo.length && content.equals(message)) return
  throw new Error(`The server has echoed ${echo.toString("hex")}`)
}

process.on("disconnect", () => process.exit(0))
// A few hundred at a time, which is less than what a listener lets wait.
for (let left = Number(count); left > 0; left -= 250) {
  await Promise.all(Array.from({ length: Math.min(250, left) }, open))
}
process.send?.("ready")
