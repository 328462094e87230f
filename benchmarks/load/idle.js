/**
 * Connections that say nothing: what a server holds for each of them.
 */
import { spawn } from "node:child_process"
import { once } from "node:events"
import * as Timers from "node:timers/promises"
import { fileURLToPath } from "node:url"

/** How many files a process may have open; its children inherit it. */
const fileLimit = () => {
  // Which would look up names.
  Object.assign(process.report, { excludeNetwork: true })
  const report = /** @type {any} */ (process.report.getReport())
  // Windows has none.
  const soft = report.userLimits?.open_files?.soft ?? "unlimited"
  return soft === "unlimited" ? Infinity : Number(soft)
}

// A process has some files open besides.
const limit = fileLimit() - 100

/** @type {(connections: number) => number} as many of them as one server can have */
export const possible = (connections) => Math.min(connections, limit)

/** Loaded before a server, so that it tells what it holds. */
export const flags = ["--expose-gc", "--import", new URL("../servers/holding.js", import.meta.url).href]

/**
 * Opens connections in processes of their own, as many as the limit of files asks for, and returns how to end them.
 *
 * @param {number} port
 * @param {number} count
 * @param {boolean} compressed
 */
const open = async (port, count, compressed) => {
  const children = []
  for (let left = count; left > 0; left -= limit) {
    const args = [fileURLToPath(new URL("holder.js", import.meta.url)), `${port}`, `${Math.min(limit, left)}`]
    const child = spawn(process.execPath, compressed ? [...args, "compressed"] : args, {
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
 * @param {import("../servers/start.js").Server} server
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

/** In milliseconds: how long a server may take to notice that connections have come or gone. */
const patience = 60_000

/**
 * Measures a server that was started with `flags`, in bytes for each connection.
 *
 * @param {import("../servers/start.js").Server} server
 * @param {{ readonly connections: number, readonly before: number, readonly compressed: boolean }} options how many come and go before
 */
export const measureIdle = async (server, { before, compressed, connections }) => {
  // What is made once, the code above all, belongs to no connection.
  const first = await open(server.port, Math.min(before, connections), compressed)
  await first()
  await settle(server, 0)
  const empty = await server.ask("memory")
  const end = await open(server.port, connections, compressed)
  await settle(server, connections)
  const full = await server.ask("memory")
  // None has ended while it was measured.
  await settle(server, connections)
  await end()
  return {
    total: full.rss,
    rss: (full.rss - empty.rss) / connections,
    heap: (full.heap - empty.heap) / connections
  }
}
