/**
 * CPU time of an echo server per compressed message, beside `ws`, interleaved in one run.
 *
 * Options: --rounds N (5), --only SUBSTRING.
 */
import * as Crypto from "node:crypto"
import { once } from "node:events"
import * as Net from "node:net"
import * as Os from "node:os"
import { parseArgs } from "node:util"
import * as Zlib from "node:zlib"
import { cores, start, stayOn } from "./servers/start.js"

const { values } = parseArgs({
  options: { rounds: { type: "string", default: "5" }, only: { type: "string", default: "" } }
})

/**
 * @typedef {object} Work
 * @property {string} name
 * @property {number} size about how many bytes of JSON
 * @property {number} connections
 * @property {number} inFlight messages that each connection has under way
 * @property {number} messages in all
 */

/** @type {ReadonlyArray<Work>} */
const works = [
  { name: "64 B", size: 64, connections: 8, inFlight: 8, messages: 48_000 },
  { name: "1 KiB", size: 1024, connections: 8, inFlight: 8, messages: 32_000 },
  { name: "16 KiB", size: 16_384, connections: 8, inFlight: 1, messages: 4_000 },
  { name: "1 MiB", size: 1_048_576, connections: 2, inFlight: 1, messages: 96 }
]

/** What a client offers, and whether the servers are to take over contexts where they may. */
const modes = [
  { name: "no takeover", offer: "server_no_context_takeover; client_no_context_takeover", takeover: "no", ours: "no" },
  { name: "as a browser offers it", offer: "client_max_window_bits", takeover: "yes", ours: "no" },
  { name: "takeover both ways", offer: "client_max_window_bits", takeover: "yes", ours: "yes" }
]

/**
 * Rows of a feed: of the given size, and no two alike.
 *
 * @param {number} size
 */
const json = (size) => {
  const rows = []
  let length = 2
  while (length < size) {
    const row = JSON.stringify({
      id: Crypto.randomInt(1e9),
      symbol: ["AAPL", "MSFT", "NVDA", "TSLA"][rows.length % 4],
      price: Crypto.randomInt(1e5) / 100,
      side: rows.length % 2 === 0 ? "buy" : "sell"
    })
    rows.push(row)
    length += row.length + 1
  }
  return `[${rows.join(",")}]`.slice(0, size)
}

/** @param {Buffer} payload compressed */
const maskedFrame = (payload) => {
  const extended = payload.length <= 125 ? 0 : payload.length <= 0xffff ? 2 : 8
  const frame = Buffer.alloc(6 + extended + payload.length)
  frame[0] = 0xc1
  frame[1] = 0x80 | (extended === 0 ? payload.length : extended === 2 ? 126 : 127)
  if (extended === 2) frame.writeUInt16BE(payload.length, 2)
  if (extended === 8) frame.writeBigUInt64BE(BigInt(payload.length), 2)
  const key = Crypto.randomBytes(4)
  key.copy(frame, 2 + extended)
  for (let i = 0; i < payload.length; i++) frame[6 + extended + i] = payload[i] ^ key[i & 3]
  return frame
}

/** @param {string} text */
const compressed = (text) => Zlib.deflateRawSync(text, flush).subarray(0, -4)

const flush = { finishFlush: Zlib.constants.Z_SYNC_FLUSH }

/**
 * Opens a connection, and looks at one echo: later ones are counted only.
 *
 * @param {number} port
 * @param {string} offer
 */
const open = async (port, offer) => {
  const socket = Net.connect({ host: "127.0.0.1", port, noDelay: true })
  socket.write(
    `GET / HTTP/1.1\r\nHost: localhost:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
      `Sec-WebSocket-Key: ${Crypto.randomBytes(16).toString("base64")}\r\nSec-WebSocket-Version: 13\r\n` +
      `Sec-WebSocket-Extensions: permessage-deflate; ${offer}\r\n\r\n`
  )
  const [head] = await once(socket, "data")
  if (!/permessage-deflate/i.test(head.toString("latin1"))) throw new Error(`The server does without: ${head}`)
  socket.write(maskedFrame(compressed(sample)))
  const [echo] = await once(socket, "data")
  const content = echo[0] === 0xc1 && Zlib.inflateRawSync(echo.subarray(echo[1] < 126 ? 2 : 4), flush).toString()
  if (content !== sample) throw new Error(`The server has echoed ${echo.toString("hex")}`)
  return socket
}

const sample = json(1024)

/** Counts the frames of a server, which come cut anywhere. */
class Frames {
  count = 0
  skip = 0
  rest = Buffer.alloc(0)

  /** @param {Buffer} chunk */
  push(chunk) {
    let bytes = this.rest.length === 0 ? chunk : Buffer.concat([this.rest, chunk])
    for (;;) {
      const passed = Math.min(this.skip, bytes.length)
      this.skip -= passed
      bytes = bytes.subarray(passed)
      if (this.skip > 0 || bytes.length < 2) break
      const short = bytes[1] & 0x7f
      const header = short < 126 ? 2 : short === 126 ? 4 : 10
      if (bytes.length < header) break
      if ((bytes[0] & 0x80) !== 0) this.count++
      this.skip =
        header + (short < 126 ? short : short === 126 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2)))
    }
    this.rest = bytes
  }
}

/**
 * @param {Net.Socket} socket
 * @param {ReadonlyArray<Buffer>} frames
 * @param {number} total
 * @param {number} inFlight
 */
const drive = (socket, frames, total, inFlight) =>
  new Promise((resolve) => {
    const seen = new Frames()
    let sent = 0
    /** @param {number} count */
    const send = (count) => {
      const next = []
      for (; next.length < count && sent < total; sent++) next.push(frames[sent % frames.length])
      if (next.length > 0) socket.write(next.length === 1 ? next[0] : Buffer.concat(next))
    }
    socket.on("data", (chunk) => {
      const before = seen.count
      seen.push(chunk)
      send(seen.count - before)
      if (seen.count === total && seen.skip === 0) resolve(socket.removeAllListeners("data"))
    })
    send(inFlight)
  })

/**
 * @param {string} name
 * @param {Work} work
 * @param {typeof modes[number]} mode
 */
const measure = async (name, work, mode) => {
  process.env.TAKEOVER = name === "ws" ? mode.takeover : mode.ours
  const server = await start(`deflate/${name}`, pinned ? { core: available[0] } : {})
  // More than a window, so that who remembers doesn't find the same messages again.
  const count = Math.max(4, Math.ceil(65_536 / work.size))
  const frames = Array.from({ length: count }, () => maskedFrame(compressed(json(work.size))))
  const sockets = await Promise.all(Array.from({ length: work.connections }, () => open(server.port, mode.offer)))
  const each = Math.ceil(work.messages / work.connections)
  /** @param {number} count */
  const run = (count) => Promise.all(sockets.map((socket) => drive(socket, frames, count, work.inFlight)))
  await run(Math.ceil(each / 4))
  const before = (await server.ask("cpu")).cpu
  await run(each)
  const used = (await server.ask("cpu")).cpu - before
  for (const socket of sockets) socket.destroy()
  await server.stop()
  return used / (each * work.connections)
}

/** @param {ReadonlyArray<number>} numbers */
const median = (numbers) => numbers.toSorted((left, right) => left - right)[Math.floor(numbers.length / 2)]

const available = cores()
const pinned = available.length > 1
if (pinned) stayOn(available[1])

console.log(
  `Node ${process.version}, ${Os.cpus()[0].model.trim()}, load ${Os.loadavg()[0].toFixed(1)}; microseconds of CPU (user and ` +
    `system) per message, medians of ${values.rounds}\n`
)
console.log("| JSON | mode | ws | effect-ws | ratio | spread |\n|---|---|---|---|---|---|")
for (const work of works) {
  for (const mode of modes) {
    if (!`${work.name} ${mode.name}`.includes(values.only)) continue
    const rounds = []
    for (let round = 0; round < Number(values.rounds); round++) {
      rounds.push({ ws: await measure("ws", work, mode), ours: await measure("effect-ws", work, mode) })
    }
    const ratios = rounds.map(({ ours, ws }) => ours / ws)
    const spread = `${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)}`
    const [ws, ours] = [median(rounds.map(({ ws }) => ws)), median(rounds.map(({ ours }) => ours))]
    console.log(
      `| ${work.name} | ${mode.name} | ${ws.toFixed(1)} | ${ours.toFixed(1)} | ${median(ratios).toFixed(2)} | ${spread} |`
    )
  }
}
