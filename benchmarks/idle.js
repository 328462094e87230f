/**
 * Memory that a server holds for an open connection that says nothing, beside `ws`, interleaved in one run:
 * `node benchmarks/idle.js`. Ours is measured twice: with a handler for each connection, as `WebSocketServer.run` has it, and
 * with callbacks, as `WebSocketServer.serve` has them. The floor is a server of `node:net` that keeps nothing but the socket.
 *
 * Options: --rounds N (3), --connections N (10000).
 */
import { spawn } from "node:child_process"
import { once } from "node:events"
import * as Net from "node:net"
import * as Timers from "node:timers/promises"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { start } from "./servers/start.js"

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    connections: { type: "string", default: "10000" },
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
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
  "latin1"
)

// 16 bytes, masked with a key of zeros.
const payload = Buffer.from("0123456789abcdef", "latin1")
const frame = Buffer.concat([Uint8Array.of(0x82, 0x80 | payload.length, 0, 0, 0, 0), payload])
const echoed = Buffer.concat([Uint8Array.of(0x82, payload.length), payload])

/**
 * The bytes up to those that are awaited, and nothing behind them.
 *
 * @param {Net.Socket} socket
 * @param {string} end
 */
const readUpTo = async (socket, end) => {
  let text = ""
  while (!text.endsWith(end)) {
    const [chunk] = await once(socket, "data")
    text += chunk.toString("latin1")
  }
  return text
}

/** @param {number} port */
const open = async (port) => {
  const socket = Net.connect({ host: "127.0.0.1", port, noDelay: true })
  await once(socket, "connect")
  socket.write(request)
  const head = await readUpTo(socket, "\r\n\r\n")
  if (!head.startsWith("HTTP/1.1 101 ")) throw new Error(`The server has answered ${JSON.stringify(head)}`)
  socket.write(frame)
  const echo = await readUpTo(socket, echoed.toString("latin1"))
  if (echo.length !== echoed.length) throw new Error(`The server has echoed ${JSON.stringify(echo)}`)
  // A connection that ends, or of which more comes, isn't idle.
  for (const event of ["data", "end", "error"]) {
    socket.on(event, () => {
      throw new Error(`There was ${event} on an idle connection`)
    })
  }
  return socket
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
 * @param {string} name
 * @param {number} connections
 * @param {number} limit
 * @returns {Promise<Memory>}
 */
const measure = async (name, connections, limit) => {
  const server = await start(`idle/${name}`, { flags })
  // What is made once, the code above all, belongs to no connection.
  const first = await load(server.port, Math.min(1000, connections), limit)
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
  const connections = Math.min(Number(values.connections), limit)
  console.log(
    `Node ${process.version}, ${rounds} rounds of ${connections} connections, at most ${limit} of them a process; ` +
      "bytes per connection\n"
  )
  /** @type {Record<string, Array<Memory>>} */
  const results = Object.fromEntries(names.map((name) => [name, []]))
  for (let round = 0; round < rounds; round++) {
    for (const name of names) results[name].push(await measure(name, connections, limit))
  }
  console.log("| server | RSS | spread | ratio | heap and external | spread | ratio |")
  console.log("|---|---|---|---|---|---|---|")
  for (const name of names) {
    /** @param {"rss" | "heap"} key */
    const columns = (key) => {
      const [own, theirs] = [results[name], results.ws].map((all) => all.map((memory) => memory[key]))
      return [...cells(own), (median(own) / median(theirs)).toFixed(2)]
    }
    console.log(`| ${[titles[name], ...columns("rss"), ...columns("heap")].join(" | ")} |`)
  }
}

/** In milliseconds: how long a server may take to notice that connections have come or gone. */
const patience = 60_000

const flags = ["--expose-gc", "--import", new URL("servers/holding.js", import.meta.url).href]
/** @type {Record<string, string>} */
const titles = { net: "net", ws: "ws", run: "effect-ws, `run`", serve: "effect-ws, `serve`" }
const names = Object.keys(titles)

if (values.port === undefined) await main()
else {
  process.on("disconnect", () => process.exit(0))
  await connect(Number(values.port), Number(values.count))
  process.send?.("ready")
}
