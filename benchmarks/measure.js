/**
 * One cell of a table: one server at one work, in a process of its own.
 */
import { drive, publish } from "./load/drive.js"
import { compressedJson, contentOf } from "./load/frames.js"
import * as Idle from "./load/idle.js"
import { listen } from "./load/listen.js"
import { visits } from "./load/visits.js"
import { endAll, openAll, patience, Script } from "./load/Wire.js"
import { start } from "./servers/start.js"

/** @typedef {import("./load/drive.js").Driven} Driven */
/** @typedef {import("./peers.js").Peer} Peer */
/** @typedef {import("./rows.js").Row} Row */

/**
 * @typedef {object} Cell
 * @property {number} figure microseconds of CPU, or bytes, for each
 * @property {number} perSecond
 * @property {number} rss in bytes, at the end
 * @property {number} loadBusy share of a core
 * @property {number} [p50] in microseconds
 * @property {number} [p99] in microseconds
 */

/**
 * @typedef {object} Settings
 * @property {number} seconds
 * @property {number} warmUp in seconds
 * @property {number} [core] of the server
 * @property {number} [connections] that are idle, in place of the number of the row
 * @property {string} [profiles] the folder for CPU profiles of ours
 */

/**
 * @param {Row} row
 * @param {Peer} peer
 * @param {Settings} settings
 * @returns {Promise<Cell>}
 */
export const measure = (row, peer, settings) => {
  if (row.kind === "idle") return measureHeld(row, peer, settings)
  return row.kind === "client" ? measureClient(row, peer, settings) : measureServer(row, peer, settings)
}

/** @type {(row: Row, peer: Peer, settings: Settings, env?: Record<string, string>) => Promise<import("./servers/start.js").Server>} */
const startPeer = (row, peer, { core, profiles }, env = {}) =>
  start(peer.program, {
    core,
    runtime: peer.runtime,
    flags: profiles !== undefined && peer.isOurs === true ? ["--cpu-prof", `--cpu-prof-dir=${profiles}`] : [],
    env: { WORK: row.work, KIND: row.kind, DEFLATE: row.deflate, ...peer.env, ...env }
  })

/** @type {(row: Row) => Script} */
const scriptOf = ({ content, fragments, inFlight, kind, sizes }) => {
  const make = (/** @type {number} */ size) =>
    content === "JSON" ? compressedJson(size) : contentOf(content, size, fragments)
  return new Script(sizes.map(make), inFlight, kind !== "client")
}

/** @type {(row: Row, peer: Peer, settings: Settings) => Promise<Cell>} */
const measureServer = async (row, peer, settings) => {
  const server = await startPeer(row, peer, settings)
  const script = scriptOf(row)
  const wires = row.kind === "visits" ? [] : await openAll(server.port, row.connections, script, row.offer)
  const cell = await measureLoad(server, settings, worksOf(row, server.port, wires))
  endAll(wires)
  await server.stop()
  return cell
}

/** @type {(row: Row, peer: Peer, settings: Settings) => Promise<Cell>} */
const measureClient = async (row, peer, settings) => {
  const { accepted, close, port } = await listen(scriptOf(row), row.connections)
  const client = await startPeer(row, peer, settings, { PORT: `${port}`, CONNECTIONS: `${row.connections}` })
  const wires = await accepted
  const cell = await measureLoad(client, settings, worksOf(row, port, wires))
  endAll(wires)
  await client.stop()
  close()
  return cell
}

/** @type {(row: Row, peer: Peer, settings: Settings) => Promise<Cell>} */
const measureHeld = async (row, peer, { connections = row.connections, core }) => {
  const server = await start(peer.program, { core, runtime: peer.runtime, flags: Idle.flags, env: peer.env })
  const held = await Idle.measureIdle(server, {
    connections: Idle.possible(connections),
    before: 1000,
    compressed: false
  })
  await server.stop()
  return { figure: held.rss, perSecond: 0, rss: held.total, loadBusy: 0 }
}

/**
 * What is to be done with a server: look whether it is right, and let it work for a time.
 *
 * @typedef {{ readonly check: (isFirst: boolean) => Promise<void>, readonly run: (milliseconds: number) => Promise<Driven>, readonly times: number }} Works
 */

/** @type {(row: Row, port: number, wires: ReadonlyArray<import("./load/Wire.js").Wire>) => Works} */
const worksOf = (row, port, wires) => {
  const { times = 1 } = row
  // A visit is compared as a whole each time.
  if (row.kind === "visits") {
    return { check: async () => {}, run: (time) => visits(port, row.asBrowser === true, row.inFlight, time), times }
  }
  if (row.kind === "fanout")
    return { check: () => checkDeliveries(wires), run: (time) => publish(wires, row.inFlight, time), times }
  return {
    check: async (isFirst) => {
      await Promise.all(wires.map((wire) => wire.check(isFirst || row.deflate === "alone")))
    },
    run: (time) => drive(wires, row.inFlight, time),
    times
  }
}

/** @type {(wires: ReadonlyArray<import("./load/Wire.js").Wire>) => Promise<void>} */
const checkDeliveries = async (wires) => {
  for (const { echoes } of wires) echoes.capture()
  await publish(wires, 1, 0)
  for (const wire of wires) wire.compare(wire.script.contents[0], true)
}

/**
 * @param {import("./servers/start.js").Server} server
 * @param {Settings} settings
 * @param {Works} works
 * @returns {Promise<Cell>}
 */
const measureLoad = async (server, { seconds, warmUp }, { check, run, times }) => {
  const spend = (/** @type {number} */ seconds) => within(seconds * 1000 + patience, run(seconds * 1000))
  await within(patience, check(true))
  await warm(server, warmUp * times, spend)
  const [before, own] = [await server.ask("usage"), process.cpuUsage()]
  const { count, elapsed, latencies } = await spend(seconds * times)
  const { system, user } = process.cpuUsage(own)
  const after = await server.ask("usage")
  await within(patience, check(false))
  const at = (/** @type {number} */ share) =>
    latencies.length === 0 ? undefined : latencies[Math.floor(latencies.length * share)] * 1000
  return {
    figure: (after.cpu - before.cpu) / count,
    perSecond: (count / elapsed) * 1000,
    rss: after.rss,
    loadBusy: (user + system) / 1000 / elapsed,
    p50: at(0.5),
    p99: at(0.99)
  }
}

/**
 * Lets a server work until its code is compiled, which takes so many seconds of its own time, not of the clock: others may
 * use its core meanwhile.
 *
 * @param {import("./servers/start.js").Server} server
 * @param {number} seconds
 * @param {(seconds: number) => Promise<unknown>} spend
 */
const warm = async (server, seconds, spend) => {
  const start = await server.ask("usage")
  const used = async () => ((await server.ask("usage")).cpu - start.cpu) / 1_000_000
  for (let times = 0; times < mostTimes; times++) {
    await spend(seconds)
    if ((await used()) > seconds * enough) return
  }
}

// One that has little to do never comes to the whole of it.
const enough = 0.7
const mostTimes = 4

/**
 * A server that has lost a message would keep the run waiting for ever.
 *
 * @template A
 * @param {number} milliseconds
 * @param {Promise<A>} promise
 * @returns {Promise<A>}
 */
const within = async (milliseconds, promise) => {
  /** @type {NodeJS.Timeout | undefined} */
  let timer
  const timeout = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error("An echo has not come")), milliseconds)
  })
  try {
    return await Promise.race([promise, timeout])
  } finally {
    clearTimeout(timer)
  }
}
