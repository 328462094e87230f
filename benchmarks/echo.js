/**
 * CPU time of an echo server per message, beside `ws`, interleaved in one run: `npm run bench`.
 *
 * Options: --rounds N (5), --only SUBSTRING.
 */
import { fork } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { measure } from "./load.js"

const { values } = parseArgs({
  options: { rounds: { type: "string", default: "5" }, only: { type: "string", default: "" } }
})

/** @type {ReadonlyArray<import("./load.js").Work>} */
const works = [
  { name: "16 B text, 1 in flight, 64 connections", size: 16, connections: 64, inFlight: 1, messages: 64_000 },
  { name: "64 B text, 32 in flight, 1 connection", size: 64, connections: 1, inFlight: 32, messages: 256_000 },
  { name: "1 KiB text, 8 in flight, 1 connection", size: 1024, connections: 1, inFlight: 8, messages: 64_000 },
  { name: "16 KiB text, 1 in flight, 8 connections", size: 16384, connections: 8, inFlight: 1, messages: 16_000 }
]

/** @param {string} name */
const start = async (name) => {
  const child = fork(fileURLToPath(new URL(`servers/${name}.js`, import.meta.url)))
  const [{ port }] = await once(child, "message")
  const cpu = async () => {
    child.send("cpu")
    const [message] = await once(child, "message")
    return message.cpu
  }
  return { child, cpu, port }
}

/** @param {ReadonlyArray<number>} numbers */
const median = (numbers) => numbers.toSorted((left, right) => left - right)[Math.floor(numbers.length / 2)]

const names = ["ws", "effect-ws"]
console.log(`Node ${process.version}, microseconds of CPU (user and system) per message, medians of ${values.rounds}\n`)
console.log("| work | ws | effect-ws | ratio |\n|---|---|---|---|")
for (const work of works.filter(({ name }) => name.includes(values.only))) {
  /** @type {Record<string, Array<number>>} */
  const results = Object.fromEntries(names.map((name) => [name, []]))
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const name of names) {
      const server = await start(name)
      results[name].push(await measure(server.port, work, server.cpu))
      server.child.disconnect()
    }
  }
  const [ws, ours] = names.map((name) => median(results[name]))
  console.log(`| ${work.name} | ${ws.toFixed(2)} | ${ours.toFixed(2)} | ${(ours / ws).toFixed(2)} |`)
}
