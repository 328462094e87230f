/**
 * Memory that a server holds for an open connection that compresses and says nothing, with and without takeover, beside `ws`
 * and interleaved in one run: `node benchmarks/idle.js`. For connections that don't compress see `bench.js`.
 *
 * Options: --rounds N (3), --connections N (2000, fewer where file descriptors are short).
 */
import { parseArgs } from "node:util"
import { flags, measureIdle, possible } from "./load/idle.js"
import { median } from "./results.js"
import { start } from "./servers/start.js"

const { values } = parseArgs({
  options: { rounds: { type: "string", default: "3" }, connections: { type: "string", default: "2000" } }
})
const rounds = Number(values.rounds)
const connections = possible(Number(values.connections))

/** @type {(title: string, program: string, takeover: string, contexts?: string) => { title: string, program: string, env: Record<string, string> }} */
const kind = (title, program, takeover, contexts = "256") => ({
  title,
  program,
  env: { TAKEOVER: takeover, CONTEXTS: contexts }
})

const servers = [
  kind("ws", "deflate/ws", "yes"),
  kind("ws, no takeover", "deflate/ws", "no"),
  kind("ws, not compressed", "deflate/ws", "off"),
  kind("effect-ws", "deflate/effect-ws", "no"),
  kind("effect-ws, takeover", "deflate/effect-ws", "yes"),
  kind("effect-ws, takeover, a context for each", "deflate/effect-ws", "yes", "65536"),
  kind("effect-ws, not compressed", "deflate/effect-ws", "off")
]

/** @typedef {{ readonly rss: number, readonly heap: number }} Memory in bytes for each connection */

/**
 * @param {typeof servers[number]} kind
 * @returns {Promise<Memory>}
 */
const measure = async ({ env, program }) => {
  const server = await start(program, { flags, env })
  // What a context has held isn't given back to the system.
  const memory = await measureIdle(server, { connections, before: 50, compressed: true })
  await server.stop()
  return memory
}

/** @type {(bytes: ReadonlyArray<number>) => ReadonlyArray<string>} */
const cells = (bytes) => [
  `${Math.round(median(bytes))}`,
  `${Math.round(Math.min(...bytes))} to ${Math.round(Math.max(...bytes))}`
]

console.log(`Node ${process.version}, ${rounds} rounds of ${connections} connections; bytes per connection\n`)
/** @type {Record<string, Array<Memory>>} */
const results = Object.fromEntries(servers.map(({ title }) => [title, []]))
for (let round = 0; round < rounds; round++) {
  for (const server of servers) results[server.title].push(await measure(server))
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
