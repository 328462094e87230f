/**
 * Memory that a server holds for a peer that has begun its request and says no more, beside `ws`, interleaved in one run:
 * `node benchmarks/half-open.js`. The floor is a server of `node:net` that reads and keeps nothing.
 *
 * Options: --rounds N (3), --connections N (5000, fewer where file descriptors are short).
 */
import { once } from "node:events"
import * as Net from "node:net"
import * as Timers from "node:timers/promises"
import { parseArgs } from "node:util"
import { start } from "./servers/start.js"

const { values } = parseArgs({
  options: { rounds: { type: "string", default: "3" }, connections: { type: "string", default: "5000" } }
})
const rounds = Number(values.rounds)

/** How many files a process may have open; the servers inherit it. */
const fileLimit = () => {
  // Which would look up names.
  Object.assign(process.report, { excludeNetwork: true })
  const report = /** @type {any} */ (process.report.getReport())
  // Windows has none.
  const soft = report.userLimits?.open_files?.soft ?? "unlimited"
  return soft === "unlimited" ? Infinity : Number(soft)
}

const limit = fileLimit()
// A process has some files open besides.
const connections = Math.min(Number(values.connections), limit - 100)

const head = Buffer.from(
  "GET / HTTP/1.1\r\nHost: localhost:8080\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
    `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nCookie: ${"a".repeat(4096)}`,
  "latin1"
)
const sizes = [100, 4096]

/**
 * A server that answers or ends a connection has given it up, and what it holds then isn't what is measured.
 *
 * @param {Buffer} [answer]
 */
const unexpected = (answer) => {
  throw new Error(`The server has ended a connection, with ${JSON.stringify(answer?.toString("latin1") ?? "")}`)
}

/**
 * Connects, a few hundred at a time, which is less than what a listener lets wait.
 *
 * @param {number} port
 * @param {Buffer} bytes that each connection sends
 * @param {number} count
 */
const connect = async (port, bytes, count) => {
  /** @type {Array<Net.Socket>} */
  const sockets = []
  while (sockets.length < count) {
    const batch = Array.from({ length: Math.min(250, count - sockets.length) }, () => {
      const socket = Net.connect({ host: "127.0.0.1", port, noDelay: true })
      socket.on("data", unexpected)
      socket.on("end", unexpected)
      socket.write(bytes)
      return socket
    })
    await Promise.all(batch.map((socket) => once(socket, "connect")))
    sockets.push(...batch)
  }
  return sockets
}

/**
 * Waits until the server holds what was sent to it, and nothing else.
 *
 * @param {import("./servers/start.js").Server} server
 * @param {number} count
 * @param {number} size
 */
const settle = async (server, count, size) => {
  const began = performance.now()
  for (;;) {
    const holding = await server.ask("holding")
    if (holding.connections === count && holding.bytesRead === count * size) return
    if (performance.now() - began > patience) {
      throw new Error(`Instead of ${count} connections of ${size} bytes the server holds ${JSON.stringify(holding)}`)
    }
    await Timers.setTimeout(20)
  }
}

/** @typedef {{ readonly rss: number, readonly heap: number }} Memory in bytes for each connection */

/**
 * @param {string} name
 * @param {number} size
 * @returns {Promise<Memory>}
 */
const measure = async (name, size) => {
  const server = await start(`half-open/${name}`, { flags })
  const bytes = head.subarray(0, size)
  // What is made once, the code above all, belongs to no connection.
  const first = await connect(server.port, bytes, Math.min(500, connections))
  await settle(server, first.length, size)
  for (const socket of first) socket.destroy()
  await settle(server, 0, size)
  const before = await server.ask("memory")
  const sockets = await connect(server.port, bytes, connections)
  await settle(server, connections, size)
  const after = await server.ask("memory")
  // None was answered or ended while it was measured.
  await settle(server, connections, size)
  for (const socket of sockets) socket.destroy()
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

/** @param {ReadonlyArray<Memory>} results */
const rss = (results) => results.map(({ rss }) => rss)

/** @param {ReadonlyArray<Memory>} results */
const heap = (results) => results.map(({ heap }) => heap)

/** In milliseconds: how long a server may take to read what it was sent. */
const patience = 60_000

const flags = ["--expose-gc", "--import", new URL("servers/holding.js", import.meta.url).href]
const names = ["net", "ws", "effect-ws"]
console.log(
  `Node ${process.version}, ${rounds} rounds of ${connections} connections, at most ${limit} open files a process; ` +
    "bytes per connection\n"
)
console.log("| head sent | server | RSS | spread | ratio | heap and external | spread | ratio |")
console.log("|---|---|---|---|---|---|---|---|")
for (const size of sizes) {
  /** @type {Record<string, Array<Memory>>} */
  const results = Object.fromEntries(names.map((name) => [name, []]))
  for (let round = 0; round < rounds; round++) {
    for (const name of names) results[name].push(await measure(name, size))
  }
  for (const name of names) {
    const ratios = [rss, heap].map((of) => (median(of(results[name])) / median(of(results.ws))).toFixed(2))
    const row = [`${size} B`, name, ...cells(rss(results[name])), ratios[0], ...cells(heap(results[name])), ratios[1]]
    console.log(`| ${row.join(" | ")} |`)
  }
}
