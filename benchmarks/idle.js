/**
 * Memory that a server holds for an open connection that says nothing, beside `ws`, interleaved in one run:
 * `node benchmarks/idle.js`. Ours is measured twice: with a handler for each connection, as `WebSocketServer.run` has it, and
 * with callbacks, as `WebSocketServer.serve` has them. The floor is a server of `node:net` that keeps nothing but the socket.
 *
 * With --compressed it is the memory of connections that compress, with and without takeover, and of some that don't.
 *
 * Options: --rounds N (3), --connections N (10000, and 2000 with --compressed), --compressed.
 */
import { spawn } from "node:child_process"
import { once } from "node:events"
import * as Net from "node:net"
import * as Timers from "node:timers/promises"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import * as Zlib from "node:zlib"
import { start } from "./servers/start.js"

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    connections: { type: "string" },
    compressed: { type: "boolean", default: false },
    // Given to the processes that connect.
    port: { type: "string" },
    count: { type: "string" }
  }
})

/** How many files a process may have open; the others inherit it. */
const fileLimit = () => {
  // Which would look up names.
  Object.assign(process.report, { excludeNetwork: true })
  const report = /** @type {any} */ (process.report.getReport())
  // Windows has none.
  const soft = report.userLimits?.open_files?.soft ?? "unlimited"
  return soft === "unlimited" ? Infinity : Number(soft)
}

// --- a process that connects ------------------------------------------------------------------------------------------

const request = Buffer.from(
  "GET / HTTP/1.1\r\nHost: localhost:8080\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
    (values.compressed ? "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n" : "") +
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
  "latin1"
)

// Some compress from 1 KiB on.
const message = Buffer.from(
  values.compressed
    ? JSON.stringify(Array.from({ length: 24 }, (_, i) => ({ id: i * 7919, price: (i * 104_729) / 100, side: "buy" })))
    : "0123456789abcdef"
)

/**
 * A frame with a message of less than 64 KiB, masked with a key of zeros.
 *
 * @param {number} first
 * @param {Buffer} payload
 */
const maskedFrame = (first, payload) => {
  const { length } = payload
  const size = length < 126 ? [0x80 | length] : [0x80 | 126, length >> 8, length & 0xff]
  return Buffer.concat([Uint8Array.of(first, ...size, 0, 0, 0, 0), payload])
}

const flush = { finishFlush: Zlib.constants.Z_SYNC_FLUSH }
const plain = maskedFrame(0x82, message)
const compressed = maskedFrame(0xc2, Zlib.deflateRawSync(message, flush).subarray(0, -4))

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
 * The header of a frame of the server, and where its payload begins and ends.
 *
 * @param {Buffer} bytes
 */
const frameOf = (bytes) => {
  if (bytes.length < 4) return undefined
  const start = bytes[1] < 126 ? 2 : 4
  return { first: bytes[0], start, end: start + (start === 2 ? bytes[1] : bytes.readUInt16BE(2)) }
}

/** @param {number} port */
const open = async (port) => {
  const socket = Net.connect({ host: "127.0.0.1", port, noDelay: true })
  await once(socket, "connect")
  socket.write(request)
  const head = (await read(socket, (bytes) => bytes.includes("\r\n\r\n"))).toString("latin1")
  if (!head.startsWith("HTTP/1.1 101 ") || !head.endsWith("\r\n\r\n")) {
    throw new Error(`The server has answered ${JSON.stringify(head)}`)
  }
  const compresses = /permessage-deflate/i.test(head)
  socket.write(compresses ? compressed : plain)
  const echo = await read(socket, (bytes) => bytes.length >= (frameOf(bytes)?.end ?? Infinity))
  check(echo, compresses)
  // A connection that ends, or of which more comes, isn't idle.
  for (const event of ["data", "end", "error"]) {
    socket.on(event, () => {
      throw new Error(`There was ${event} on an idle connection`)
    })
  }
  return socket
}

/**
 * @param {Buffer} echo
 * @param {boolean} compresses
 */
const check = (echo, compresses) => {
  const { end = 0, first, start } = frameOf(echo) ?? {}
  const payload = echo.subarray(start, end)
  const content = compresses ? Zlib.inflateRawSync(payload, flush) : payload
  if (first === (compresses ? 0xc2 : 0x82) && end === echo.length && content.equals(message)) return
  throw new Error(`The server has echoed ${echo.toString("hex")}`)
}

/**
 * Connects, a few hundred at a time, which is less than what a listener lets wait.
 *
 * @param {number} port
 * @param {number} count
 */
const connect = async (port, count) => {
  for (let left = count; left > 0; left -= 250) {
    await Promise.all(Array.from({ length: Math.min(250, left) }, () => open(port)))
  }
}

// --- the process that measures ----------------------------------------------------------------------------------------

/**
 * Opens connections in processes of their own, as many as the limit of files asks for, and returns how to end them.
 *
 * @param {number} port
 * @param {number} count
 * @param {number} limit
 */
const load = async (port, count, limit) => {
  const children = []
  for (let left = count; left > 0; left -= limit) {
    const args = ["--port", `${port}`, "--count", `${Math.min(limit, left)}`]
    if (values.compressed) args.push("--compressed")
    const child = spawn(process.execPath, [fileURLToPath(import.meta.url), ...args], {
      stdio: ["ignore", "inherit", "inherit", "ipc"]
    })
    const answer = await Promise.race([once(child, "message"), once(child, "exit")])
    if (answer[0] !== "ready") throw new Error(`The load has ended with ${answer[0]}`)
    children.push(child)
  }
  return async () => {
    await Promise.all(
      children.map((child) => {
        const exit = once(child, "exit")
        child.kill()
        return exit
      })
    )
  }
}

/**
 * Waits until the server holds so many connections.
 *
 * @param {import("./servers/start.js").Server} server
 * @param {number} count
 */
const settle = async (server, count) => {
  const began = performance.now()
  for (;;) {
    const { connections } = await server.ask("holding")
    if (connections === count) return
    if (performance.now() - began > patience) {
      throw new Error(`Instead of ${count} connections the server holds ${connections}`)
    }
    await Timers.setTimeout(20)
  }
}

/** @typedef {{ readonly rss: number, readonly heap: number }} Memory in bytes for each connection */

/**
 * @param {typeof servers[number]} kind
 * @param {number} connections
 * @param {number} limit
 * @returns {Promise<Memory>}
 */
const measure = async ({ env, program }, connections, limit) => {
  Object.assign(process.env, env)
  const server = await start(program, { flags })
  // What is made once, the code above all, belongs to no connection. What a context has held isn't given back to the system.
  const first = await load(server.port, Math.min(values.compressed ? 50 : 1000, connections), limit)
  await first()
  await settle(server, 0)
  const before = await server.ask("memory")
  const end = await load(server.port, connections, limit)
  await settle(server, connections)
  const after = await server.ask("memory")
  // None has ended while it was measured.
  await settle(server, connections)
  await end()
  await server.stop()
  return { rss: (after.rss - before.rss) / connections, heap: (after.heap - before.heap) / connections }
}

/** @param {ReadonlyArray<number>} numbers */
const median = (numbers) => numbers.toSorted((left, right) => left - right)[Math.floor(numbers.length / 2)]

/** @param {ReadonlyArray<number>} bytes */
const cells = (bytes) => [
  Math.round(median(bytes)),
  `${Math.round(Math.min(...bytes))} to ${Math.round(Math.max(...bytes))}`
]

const main = async () => {
  const limit = fileLimit() - 100
  const rounds = Number(values.rounds)
  // The server is one process.
  const connections = Math.min(Number(values.connections ?? (values.compressed ? 2000 : 10_000)), limit)
  console.log(
    `Node ${process.version}, ${rounds} rounds of ${connections} connections, at most ${limit} of them a process; ` +
      "bytes per connection\n"
  )
  /** @type {Record<string, Array<Memory>>} */
  const results = Object.fromEntries(servers.map(({ title }) => [title, []]))
  for (let round = 0; round < rounds; round++) {
    for (const server of servers) results[server.title].push(await measure(server, connections, limit))
  }
  console.log("| server | RSS | spread | ratio | heap and external | spread | ratio |")
  console.log("|---|---|---|---|---|---|---|")
  for (const { title } of servers) {
    /** @param {"rss" | "heap"} key */
    const columns = (key) => {
      const [own, theirs] = [results[title], results.ws].map((all) => all.map((memory) => memory[key]))
      return [...cells(own), (median(own) / median(theirs)).toFixed(2)]
    }
    console.log(`| ${[title, ...columns("rss"), ...columns("heap")].join(" | ")} |`)
  }
}

/** In milliseconds: how long a server may take to notice that connections have come or gone. */
const patience = 60_000

const flags = ["--expose-gc", "--import", new URL("servers/holding.js", import.meta.url).href]

/** @type {(title: string, program: string, takeover: string, contexts?: string) => { title: string, program: string, env: Record<string, string> }} */
const kind = (title, program, takeover, contexts = "256") => ({
  title,
  program,
  env: { TAKEOVER: takeover, CONTEXTS: contexts }
})

const servers = values.compressed
  ? [
      kind("ws", "deflate/ws", "yes"),
      kind("ws, no takeover", "deflate/ws", "no"),
      kind("ws, not compressed", "deflate/ws", "off"),
      kind("effect-ws", "deflate/effect-ws", "no"),
      kind("effect-ws, takeover", "deflate/effect-ws", "yes"),
      kind("effect-ws, takeover, a context for each", "deflate/effect-ws", "yes", "65536"),
      kind("effect-ws, not compressed", "deflate/effect-ws", "off")
    ]
  : [
      kind("net", "idle/net", "off"),
      kind("ws", "idle/ws", "off"),
      kind("effect-ws, `run`", "idle/run", "off"),
      kind("effect-ws, `serve`", "idle/serve", "off")
    ]

if (values.port === undefined) await main()
else {
  process.on("disconnect", () => process.exit(0))
  await connect(Number(values.port), Number(values.count))
  process.send?.("ready")
}
