/**
 * CPU time of a server per accepted handshake, beside `ws`, interleaved in one run: `node benchmarks/handshakes.js`.
 *
 * A handshake here is a whole visit: connect, upgrade, one echo of 16 bytes, closing handshake, end.
 *
 * Options: --rounds N (3), --connections N in flight (64), --count N visits in a round (10000), --only SUBSTRING.
 */
import * as Net from "node:net"
import { parseArgs } from "node:util"
import { cores, start, stayOn } from "./servers/start.js"

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    connections: { type: "string", default: "64" },
    count: { type: "string", default: "10000" },
    only: { type: "string", default: "" }
  }
})
const [rounds, connections, count] = [values.rounds, values.connections, values.count].map(Number)

const nothing = Buffer.alloc(0)

/** In milliseconds: how long an answer may take before the run fails. */
const patience = 30_000

/** What a browser sends besides. Neither server is told to take the extension. */
const browserFields = [
  "Pragma: no-cache",
  "Cache-Control: no-cache",
  "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36",
  "Origin: http://localhost",
  "Accept-Encoding: gzip, deflate, br, zstd",
  "Accept-Language: en-GB,en;q=0.9",
  `Cookie: session=${"0123456789abcdef".repeat(4)}; theme=dark`,
  "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"
]

const works = [
  { name: "5 fields", fields: [] },
  { name: "13 fields, as a browser", fields: browserFields }
]

// --- a visit, over a plain socket, with bytes made beforehand ---------------------------------------------------------

// 1.3: the key of the example, and what a server makes of it.
const key = "dGhlIHNhbXBsZSBub25jZQ=="
const acceptField = "sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n"

/** @param {ReadonlyArray<string>} fields besides those of the upgrade */
const requestOf = (fields) => {
  const own = ["Host: localhost", "Upgrade: websocket", "Connection: Upgrade", `Sec-WebSocket-Key: ${key}`]
  return Buffer.from(["GET / HTTP/1.1", ...own, "Sec-WebSocket-Version: 13", ...fields, "\r\n"].join("\r\n"), "latin1")
}

/**
 * How many bytes the 101 takes up: 0 while it isn't complete, `undefined` when it is something else.
 *
 * @param {Buffer} received
 */
const sizeOfUpgrade = (received) => {
  const end = received.indexOf("\r\n\r\n")
  if (end === -1) return received.length < 4096 ? 0 : undefined
  const head = received.toString("latin1", 0, end + 2)
  return head.startsWith("HTTP/1.1 101 ") && head.toLowerCase().includes(acceptField) ? end + 4 : undefined
}

/** @param {Buffer} expected */
const sizeOf = (expected) => (/** @type {Buffer} */ received) => {
  const length = Math.min(expected.length, received.length)
  if (received.compare(expected, 0, length, 0, length) !== 0) return undefined
  return length === expected.length ? length : 0
}

/** @param {number} first the byte with the opcode @param {Buffer} payload */
const maskedFrame = (first, payload) => {
  const masked = payload.map((byte, i) => byte ^ (i & 3))
  return Buffer.concat([Buffer.from([first, 0x80 | payload.length, 0, 1, 2, 3]), masked])
}

const text = Buffer.from("sixteen bytes it")
const normalClosure = Buffer.from([0x03, 0xe8])

/** What is awaited, and what is sent when it has come; the last is the end. */
const steps = [
  { awaits: sizeOfUpgrade, reply: maskedFrame(0x81, text) },
  { awaits: sizeOf(Buffer.concat([Buffer.from([0x81, 16]), text])), reply: maskedFrame(0x88, normalClosure) },
  { awaits: sizeOf(Buffer.concat([Buffer.from([0x88, 2]), normalClosure])), reply: undefined }
]

/**
 * @param {number} port
 * @param {Buffer} request
 * @returns {Promise<void>} that rejects at the first answer that isn't the expected one
 */
const visit = (port, request) =>
  new Promise((resolve, reject) => {
    const socket = Net.connect({ host: "127.0.0.1", port, noDelay: true })
    let at = 0
    let received = nothing
    /** @param {string} problem */
    const fail = (problem) => {
      socket.destroy()
      reject(new Error(`${problem} in step ${at} of a visit, after ${JSON.stringify(received.toString("latin1"))}`))
    }
    socket.setTimeout(patience, () => fail("Nothing came"))
    socket.on("error", (error) => fail(error.message))
    // The server has ended its half when this comes; ours ends by itself.
    socket.on("close", () => (at === steps.length && received.length === 0 ? resolve() : fail("An early end")))
    socket.on("data", (chunk) => {
      received = received.length === 0 ? chunk : Buffer.concat([received, chunk])
      const size = steps[at]?.awaits(received)
      if (size === undefined) return fail("A wrong answer")
      if (size === 0) return
      received = received.subarray(size)
      const { reply } = steps[at++]
      if (reply !== undefined) socket.write(reply)
    })
    socket.write(request)
  })

/**
 * @param {number} port
 * @param {Buffer} request
 * @param {number} count of visits
 */
const visits = async (port, request, count) => {
  let left = count
  const visitor = async () => {
    while (left-- > 0) await visit(port, request)
  }
  await Promise.all(Array.from({ length: connections }, visitor))
}

// --- what it costs ----------------------------------------------------------------------------------------------------

/**
 * @typedef {object} Result
 * @property {number} server microseconds of CPU per visit
 * @property {number} load microseconds of CPU per visit
 * @property {number} serverShare of one core
 * @property {number} loadShare of one core
 */

/**
 * @param {string} name
 * @param {Buffer} request
 * @returns {Promise<Result>}
 */
const measure = async (name, request) => {
  const server = await start(name, { core: serverCore })
  await visits(server.port, request, Math.ceil(count / 2))
  const [before, own, began] = [await server.ask("cpu"), process.cpuUsage(), performance.now()]
  await visits(server.port, request, count)
  const { system, user } = process.cpuUsage(own)
  const elapsed = (performance.now() - began) * 1000
  const used = (await server.ask("cpu")).cpu - before.cpu
  await server.stop()
  const load = user + system
  return { server: used / count, load: load / count, serverShare: used / elapsed, loadShare: load / elapsed }
}

/** @param {ReadonlyArray<number>} numbers */
const median = (numbers) => numbers.toSorted((left, right) => left - right)[Math.floor(numbers.length / 2)]

/** @param {number} share */
const percent = (share) => `${Math.round(share * 100)} %`

/**
 * @param {string} work
 * @param {string} name
 * @param {ReadonlyArray<Result>} results
 * @param {number} base the median of `ws`
 */
const row = (work, name, results, base) => {
  const micros = results.map(({ server }) => server)
  const middle = median(micros)
  const spread = `${Math.min(...micros).toFixed(1)} to ${Math.max(...micros).toFixed(1)}`
  const load = median(results.map(({ load }) => load)).toFixed(1)
  const shares = [median(results.map((one) => one.serverShare)), median(results.map((one) => one.loadShare))].map(
    percent
  )
  const perSecond = Math.round(1_000_000 / middle)
  const ratio = (middle / base).toFixed(2)
  return `| ${[work, name, middle.toFixed(1), spread, perSecond, ratio, load, ...shares].join(" | ")} |`
}

const [loadCore, serverCore] = cores().length > 1 ? cores() : []
if (loadCore !== undefined) stayOn(loadCore)
const names = ["ws", "effect-ws"]
console.log(
  `Node ${process.version}, ${rounds} rounds of ${count} handshakes, ${connections} in flight; ` +
    (serverCore === undefined ? "not pinned\n" : `server on core ${serverCore}, load on core ${loadCore}\n`)
)
console.log(
  "| request | server | µs of CPU each | spread | per second of CPU | ratio | load, µs each | server busy | load busy |"
)
console.log("|---|---|---|---|---|---|---|---|---|")
for (const { fields, name: work } of works.filter(({ name }) => name.includes(values.only))) {
  /** @type {Record<string, Array<Result>>} */
  const results = Object.fromEntries(names.map((name) => [name, []]))
  for (let round = 0; round < rounds; round++) {
    for (const name of names) results[name].push(await measure(name, requestOf(fields)))
  }
  const base = median(results.ws.map(({ server }) => server))
  for (const name of names) console.log(row(work, name, results[name], base))
}
