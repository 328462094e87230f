/**
 * Everything that is measured beside others, in one run: `npm run bench`. See README.md for the options and for what the
 * figures mean.
 */
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { install, run, tsc } from "../scripts/run.js"
import { measure } from "./measure.js"
import { bun, peers } from "./peers.js"
import { barsOf } from "./plot.js"
import { figureOf, figuresTable, targetsTable } from "./results.js"
import { rows as allRows, sets } from "./rows.js"
import { cores, stayOn } from "./servers/start.js"

/** @typedef {import("./results.js").Result} Result */
/** @typedef {import("./rows.js").Row} Row */

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    micro: { type: "boolean", default: false },
    only: { type: "string", default: "" },
    set: { type: "string", default: "" },
    peers: { type: "string", default: "" },
    rounds: { type: "string" },
    seconds: { type: "string" },
    "warm-up": { type: "string" },
    connections: { type: "string" },
    out: { type: "string" },
    profiles: { type: "string" },
    "no-build": { type: "boolean", default: false }
  }
})

/** @type {(name: string, text: string) => number} */
const number = (name, text) => {
  if (/^\d+(\.\d+)?$/.test(text) && Number(text) > 0) return Number(text)
  console.error(`--${name} must be a number above 0, and is ${text}`)
  process.exit(1)
}

const rounds = number("rounds", values.rounds ?? (values.quick ? "2" : "5"))
const seconds = number("seconds", values.seconds ?? "0.7")
const connections = values.connections === undefined ? undefined : number("connections", values.connections)
// Less than that, and what is measured of a server with much code is its compiler.
const warmUp = number("warm-up", values["warm-up"] ?? "1.5")

/** What the servers import: of ours, what was built. */
const prepare = () => {
  install({ quiet: true })
  if (values["no-build"]) return
  const code = tsc(["-b", "packages/platform-node"], { quiet: true })
  if (code !== 0) process.exit(code)
}

const quickPeers = ["floor", "ws", "ours"]
const named = values.peers.split(",").filter((name) => name !== "")

/** @type {(row: Row) => Row} with those who take part in this run */
const restricted = (row) => {
  const wanted = named.length > 0 ? named : values.quick ? quickPeers : Object.keys(peers)
  return {
    ...row,
    peers: row.peers.filter((name) => wanted.includes(name) || wanted.includes(name.replace(/-client$/, "")))
  }
}

for (const name of named) {
  if (Object.hasOwn(peers, name)) continue
  console.error(`--peers may name ${Object.keys(peers).join(", ")}, and names ${name}`)
  process.exit(1)
}

const rows = allRows
  .filter((row) => row.name.includes(values.only) && row.set.includes(values.set))
  .filter((row) => !values.quick || row.isQuick === true)
  .map(restricted)
  .filter(({ peers }) => peers.length > 0)

if (rows.length === 0) {
  console.error(`No row has a name with ${JSON.stringify(values.only)} in it`)
  process.exit(1)
}

/** @type {(row: Row, name: string) => boolean} */
const isMissing = (row, name) => name === "bun" && bun === undefined && row.peers.includes(name)

const cells = rows.reduce((sum, row) => {
  const each = row.peers.map((name) => (isMissing(row, name) ? 0 : Math.min(rounds, peers[name].rounds)))
  return sum + each.reduce((left, right) => left + right, 0)
}, 0)

let done = 0
const began = performance.now()

/** @type {(row: Row, name: string) => void} */
const progress = (row, name) => {
  const elapsed = (performance.now() - began) / 1000
  const left = done === 0 ? "" : `, ${Math.ceil((elapsed / done) * (cells - done))} s left`
  const line = `${++done} of ${cells}${left}: ${row.name}, ${peers[name].title}`
  if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${line.slice(0, (process.stderr.columns ?? 80) - 1)}`)
  // A line for each cell would fill a log.
  else if (name === row.peers[0]) process.stderr.write(`${line}\n`)
}

/**
 * Each round begins with another one, so that none always comes after the same.
 *
 * @type {(names: ReadonlyArray<string>, round: number) => ReadonlyArray<string>}
 */
const rotated = (names, round) => names.map((_, i) => names[(i + round) % names.length])

/** @type {(row: Row, settings: import("./measure.js").Settings) => Promise<Result>} */
const measureRow = async (row, settings) => {
  /** @type {Map<string, Array<import("./measure.js").Cell>>} */
  const measured = new Map(row.peers.filter((name) => !isMissing(row, name)).map((name) => [name, []]))
  for (let round = 0; round < rounds; round++) {
    for (const name of rotated([...measured.keys()], round)) {
      if (round >= peers[name].rounds) continue
      progress(row, name)
      measured.get(name)?.push(await measure(row, peers[name], settings))
    }
  }
  return { row, cells: new Map(row.peers.map((name) => [name, measured.get(name) ?? "not there"])) }
}

/** @type {(name: string) => string} */
const versionOf = (name) => {
  const file = new URL(`../node_modules/${name}/package.json`, import.meta.url)
  return `${name} ${JSON.parse(Fs.readFileSync(file, "utf8")).version}`
}

/** @type {(pinning: string) => string} */
const headline = (pinning) => {
  const packages = ["ws", "effect", "@effect/platform-node", "websocket", "faye-websocket", "undici"].map(versionOf)
  const { model } = Os.cpus()[0]
  return (
    `Node ${process.version}, ${packages.join(", ")}; ${model.trim()}, ${Os.cpus().length} cores, ${Os.type()} ` +
    `${Os.release()}, load ${Os.loadavg()[0].toFixed(1)}; ${new Date().toISOString().slice(0, 10)}; medians of ${rounds} rounds of ` +
    `${seconds} s; ${pinning}.`
  )
}

/** @type {(results: ReadonlyArray<Result>) => string} */
const tables = (results) => {
  const targets = targetsTable(results)
  return targets === undefined ? figuresTable(results) : `${figuresTable(results)}\n\n${targets}`
}

/** @type {(title: string, results: ReadonlyArray<Result>) => string} */
const plot = (title, results) =>
  barsOf({
    title: `${title}: microseconds of CPU of each, less is better`,
    groups: results.map((result) => ({
      title: result.row.kind === "idle" ? `${result.row.name}: bytes of RSS each` : result.row.name,
      bars: result.row.peers.flatMap((name) => {
        const value = figureOf(result, name)
        return value === undefined ? [] : [{ name: peers[name].title, value, isOurs: peers[name].isOurs === true }]
      })
    }))
  })

/** @type {(folder: string, head: string, results: ReadonlyArray<Result>) => void} */
const write = (folder, head, results) => {
  Fs.mkdirSync(folder, { recursive: true })
  for (const [set, title] of Object.entries(sets)) {
    const own = results.filter(({ row }) => row.set === set)
    if (own.length === 0) continue
    const note = values.quick ? "Indicative only.\n\n" : ""
    Fs.writeFileSync(Path.join(folder, `${set}.md`), `# ${title}\n\n${note}${head}\n\n${tables(own)}\n`)
    Fs.writeFileSync(Path.join(folder, `${set}.svg`), plot(title, own))
  }
}

const main = async () => {
  prepare()
  const [loadCore, core] = cores().length > 1 ? cores() : []
  if (loadCore !== undefined) stayOn(loadCore)
  const pinning = core === undefined ? "not pinned" : `server on core ${core}, load on core ${loadCore}`
  const settings = { seconds, warmUp, connections, core, profiles: values.profiles }
  const head = headline(pinning)
  /** @type {Array<Result>} */
  const results = []
  for (const row of rows) results.push(await measureRow(row, settings))
  if (process.stderr.isTTY) process.stderr.write("\r\u001b[K")
  console.log(`${values.quick ? "Indicative: few rows, few rounds.\n" : ""}${head}\n\n${tables(results)}`)
  const isFull = rows.length === allRows.length && named.length === 0
  const folder = values.out ?? (isFull ? fileURLToPath(new URL("results", import.meta.url)) : undefined)
  if (folder !== undefined) write(folder, head, results)
}

if (values.micro) {
  prepare()
  process.exitCode = run(process.execPath, [fileURLToPath(new URL("micro.js", import.meta.url))])
} else await main()
