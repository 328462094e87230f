/**
 * What compression costs and saves, in one process: size, CPU time and memory against window and level, with and without
 * takeover, on payloads of four kinds. Prints tables, and writes plots and all figures to `benchmarks/results`.
 *
 * Options: --rounds N (3), --only SUBSTRING of a kind of payload, then nothing is written.
 */
import * as NodeDeflate from "@effect-ws/platform-node/NodeDeflate"
import { spawn } from "node:child_process"
import { once } from "node:events"
import * as Fs from "node:fs"
import * as Os from "node:os"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { kinds } from "./payloads.js"
import { panelsOf } from "./plot.js"

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    only: { type: "string", default: "" },
    // Given to the processes whose memory is measured.
    memory: { type: "string" }
  }
})

const kindNames = Object.keys(kinds).filter((kind) => kind.includes(values.only))

/** @type {Map<string, ReadonlyArray<Buffer>>} */
const made = new Map()

/** @type {(kind: string, size: number) => ReadonlyArray<Buffer>} */
const messagesOf = (kind, size) => {
  const key = `${kind} ${size}`
  const messages = made.get(key) ?? kinds[kind](size)
  made.set(key, messages)
  return messages
}

// --- size and CPU time ------------------------------------------------------------------------------------------------

/**
 * @typedef {object} Case
 * @property {string} kind
 * @property {number} size of a message
 * @property {number} level
 * @property {number} windowBits
 * @property {number} memoryLevel
 * @property {boolean} takeover
 * @property {"make" | "makeDocumented"} way
 */

/** @typedef {{ readonly share: number, readonly deflate: number, readonly inflate: number }} Cost share of the size, microseconds */

/** In milliseconds of CPU: less is too little to tell. */
const atLeast = 5

/** @param {Case} given */
const measure = ({ kind, level, memoryLevel, size, takeover, way, windowBits }) => {
  const messages = messagesOf(kind, size)
  const codec = NodeDeflate[way]({ level, memoryLevel })
  const [deflater, inflater] = [codec.deflater(windowBits, takeover), codec.inflater(windowBits, takeover)]
  const deflateAll = () =>
    messages.map((message) => {
      const deflated = deflater.deflate(message)
      deflater.finish()
      return deflated
    })
  const inflateAll = (/** @type {ReadonlyArray<Uint8Array>} */ all) =>
    all.map((deflated) => {
      const inflated = inflater.inflate(deflated, 0, deflated.length, size, true)
      inflater.finish()
      return inflated
    })
  // The first time fills the windows and shows that it is right.
  for (const [index, pieces] of inflateAll(deflateAll()).entries()) {
    if (typeof pieces === "string" || !Buffer.concat(pieces).equals(messages[index])) throw new Error("Not the same")
  }
  const used = { deflate: 0, inflate: 0, count: 0, bytes: 0 }
  while (Math.min(used.deflate, used.inflate) < atLeast * 1000) {
    const start = process.cpuUsage()
    const deflated = deflateAll()
    const middle = process.cpuUsage()
    inflateAll(deflated)
    const end = process.cpuUsage(middle)
    used.deflate += middle.user + middle.system - start.user - start.system
    used.inflate += end.user + end.system
    used.count += messages.length
    // 7.2.1: the last four bytes stay at home.
    used.bytes += deflated.reduce((sum, { length }) => sum + length - 4, 0)
  }
  deflater.release()
  inflater.release()
  return {
    share: used.bytes / used.count / size,
    deflate: used.deflate / used.count,
    inflate: used.inflate / used.count
  }
}

/** @type {(given: Case) => string} */
const keyOf = (given) =>
  [given.kind, given.size, given.level, given.windowBits, given.memoryLevel, given.takeover, given.way].join(",")

/** @type {Case} */
const usual = {
  kind: "JSON",
  size: 1024,
  level: 1,
  windowBits: 15,
  memoryLevel: 8,
  takeover: false,
  way: "make"
}

const levels = [1, 3, 6, 9]
const windows = [9, 10, 11, 12, 13, 14, 15]
const sizes = [64, 1024, 16_384]
const thresholds = [32, 64, 128, 256, 512, 1024]
const memoryLevels = [1, 5, 8, 9]
const sides = [false, true]

/** All that differs from the usual, once. */
const cases = () => {
  /** @type {Map<string, Case>} */
  const all = new Map()
  const add = (/** @type {Partial<Case>} */ some) => {
    for (const kind of kindNames) {
      for (const takeover of sides) {
        const given = { ...usual, kind, takeover, ...some }
        all.set(keyOf(given), given)
      }
    }
  }
  for (const size of sizes) {
    for (const level of levels) for (const windowBits of windows) add({ size, level, windowBits })
    for (const level of [1, 6]) for (const memoryLevel of memoryLevels) add({ size, level, memoryLevel })
    add({ size, way: "makeDocumented" })
  }
  for (const size of thresholds) add({ size })
  return all
}

/** @returns {Map<string, Cost>} */
const measureAll = () => {
  const all = cases()
  /** @type {Map<string, Array<Cost>>} */
  const results = new Map([...all.keys()].map((key) => [key, []]))
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const [key, given] of all) results.get(key)?.push(measure(given))
  }
  return new Map(
    [...results].map(([key, rounds]) => [
      key,
      {
        share: rounds[0].share,
        // The work is always the same, so what is more comes from others.
        deflate: Math.min(...rounds.map(({ deflate }) => deflate)),
        inflate: Math.min(...rounds.map(({ inflate }) => inflate))
      }
    ])
  )
}

// --- memory -----------------------------------------------------------------------------------------------------------

/** @typedef {{ readonly side: string, readonly windowBits: number, readonly level: number, readonly memoryLevel: number }} Kept */

const contexts = 200

/**
 * In a process of its own: what a context holds through which more has gone than its window has.
 *
 * @param {Kept} kept
 */
const measureMemory = ({ level, memoryLevel, side, windowBits }) => {
  const messages = messagesOf("JSON", 1024)
  const codec = NodeDeflate.make({ level, memoryLevel, maxContexts: contexts + 1 })
  const deflater = codec.deflater(windowBits, true)
  const deflated = messages.map((message) => deflater.deflate(message))
  const fill = () => {
    if (side === "deflater") {
      const deflater = codec.deflater(windowBits, true)
      for (const message of messages) deflater.deflate(message)
      return deflater
    }
    const inflater = codec.inflater(windowBits, true)
    for (const bytes of deflated) inflater.inflate(bytes, 0, bytes.length, 1024, false)
    return inflater
  }
  const memory = () => {
    for (let i = 0; i < 2; i++) globalThis.gc?.()
    return process.memoryUsage.rss()
  }
  // So that what becomes garbage has its room already.
  for (let i = 0; i < contexts; i++) fill().release()
  const before = memory()
  const all = Array.from({ length: contexts }, fill)
  const after = memory()
  for (const context of all) context.release()
  return (after - before) / contexts
}

/** @type {(kept: Kept) => Promise<number>} */
const memoryOf = async (kept) => {
  const args = ["--expose-gc", fileURLToPath(import.meta.url), "--memory", JSON.stringify(kept)]
  const child = spawn(process.execPath, args, { stdio: ["ignore", "inherit", "inherit", "ipc"] })
  const [answer] = await Promise.race([once(child, "message"), once(child, "exit")])
  if (child.exitCode !== null) throw new Error(`The memory wasn't measured: ${answer}`)
  return answer
}

/** The lines of the plot and the rows of the table. */
const keepers = [
  { name: "compressor, memory level 5", side: "deflater", level: 1, memoryLevel: 5 },
  { name: "compressor, memory level 8", side: "deflater", level: 1, memoryLevel: 8 },
  { name: "the same at level 9", side: "deflater", level: 9, memoryLevel: 8 },
  { name: "compressor, memory level 9", side: "deflater", level: 1, memoryLevel: 9 },
  { name: "decompressor", side: "inflater", level: 1, memoryLevel: 8 }
]

// --- tables -----------------------------------------------------------------------------------------------------------

/** @param {ReadonlyArray<ReadonlyArray<string | number>>} rows the first is the head */
const table = ([head, ...rows]) => {
  const lines = [head, head.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`)
  console.log(`${lines.join("\n")}\n`)
}

/** @type {(size: number) => string} */
const sizeName = (size) => (size < 1024 ? `${size} B` : `${size / 1024} KiB`)

const percent = (/** @type {number} */ share) => `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`
const micros = (/** @type {number} */ value) => value.toFixed(value < 10 ? 1 : 0)

/** @param {Map<string, Cost>} costs */
const printTables = (costs) => {
  const cost = (/** @type {Partial<Case>} */ some) => /** @type {Cost} */ (costs.get(keyOf({ ...usual, ...some })))
  const both = (/** @type {Partial<Case>} */ some) => {
    const { deflate, share } = cost(some)
    return `${percent(share)}, ${micros(deflate)}`
  }
  const pairs = (/** @type {ReadonlyArray<number>} */ of) =>
    kindNames.flatMap((kind) => of.map((size) => ({ kind, size })))

  console.log("### Size, and microseconds of CPU to compress and to decompress a message: level 1, window 15\n")
  table([
    ["payload", "message", "alone", "compress", "decompress", "takeover", "compress", "decompress"],
    ...pairs(sizes).map((pair) => [
      pair.kind,
      sizeName(pair.size),
      ...sides.flatMap((takeover) => {
        const { deflate, inflate, share } = cost({ ...pair, takeover })
        return [percent(share), micros(deflate), micros(inflate)]
      })
    ])
  ])

  for (const takeover of sides) {
    console.log(
      `### Size, and microseconds to compress, by level: window 15, ${takeover ? "with" : "without"} takeover\n`
    )
    table([
      ["payload", "message", ...levels.map((level) => `level ${level}`)],
      ...pairs(sizes).map((pair) => [
        pair.kind,
        sizeName(pair.size),
        ...levels.map((level) => both({ ...pair, level, takeover }))
      ])
    ])
  }

  for (const [takeover, size] of /** @type {const} */ ([
    [true, 1024],
    [false, 16_384]
  ])) {
    console.log(`### Size by window: level 1, ${sizeName(size)}, ${takeover ? "with" : "without"} takeover\n`)
    table([
      ["payload", ...windows],
      ...kindNames.map((kind) => [
        kind,
        ...windows.map((windowBits) => percent(cost({ kind, size, takeover, windowBits }).share))
      ])
    ])
  }

  console.log("### Size, and microseconds to compress, by memory level: window 15\n")
  table([
    ["payload", "message", "level", "takeover", ...memoryLevels],
    ...pairs(sizes)
      .filter(({ kind }) => kind !== "random bytes")
      .flatMap((pair) =>
        [1, 6].flatMap((level) =>
          sides.map((takeover) => [
            pair.kind,
            sizeName(pair.size),
            level,
            takeover ? "yes" : "no",
            ...memoryLevels.map((memoryLevel) => both({ ...pair, level, memoryLevel, takeover }))
          ])
        )
      )
  ])

  console.log("### Bytes saved, and microseconds for both sides, of short messages: level 1, window 15\n")
  table([
    ["payload", "takeover", ...thresholds.map(sizeName)],
    ...kindNames.flatMap((kind) =>
      sides.map((takeover) => [
        kind,
        takeover ? "yes" : "no",
        ...thresholds.map((size) => {
          const { deflate, inflate, share } = cost({ kind, size, takeover })
          return `${Math.round(size * (1 - share))}, ${micros(deflate + inflate)}`
        })
      ])
    )
  ])

  console.log(
    "### Microseconds to compress and to decompress: the handle and, behind the stroke, documented calls alone\n"
  )
  table([
    ["payload", "message", "alone", "takeover"],
    ...pairs(sizes).map((pair) => [
      pair.kind,
      sizeName(pair.size),
      ...sides.map((takeover) => {
        const ways = /** @type {const} */ (["make", "makeDocumented"])
        return ways
          .map((way) => cost({ ...pair, takeover, way }))
          .map(({ deflate, inflate }) => `${micros(deflate)} + ${micros(inflate)}`)
          .join(" / ")
      })
    ])
  ])
}

// --- plots ------------------------------------------------------------------------------------------------------------

const colors = ["#1b6ca8", "#2a9d5c", "#d98a00", "#b3261e", "#6b4fa0"]

/** @type {(costs: Map<string, Cost>, title: string, unit: string, most: number | undefined, of: (cost: Cost) => number) => string} */
const plotByLevel = (costs, title, unit, most, of) =>
  panelsOf({
    title,
    columns: sizes.length,
    legend: levels.flatMap((level, i) => sides.map((takeover) => legendOf(level, i, takeover))),
    panels: kindNames.flatMap((kind) =>
      sizes.map((size) => ({
        title: `${kind}, ${sizeName(size)}`,
        unit,
        most,
        xs: windows,
        lines: levels.flatMap((level, i) =>
          sides.map((takeover) => ({
            ...legendOf(level, i, takeover),
            ys: windows.map((windowBits) =>
              of(/** @type {Cost} */ (costs.get(keyOf({ ...usual, kind, size, level, takeover, windowBits }))))
            )
          }))
        )
      }))
    )
  })

/** @type {(level: number, index: number, takeover: boolean) => { name: string, color: string, dashed: boolean }} */
const legendOf = (level, index, takeover) => ({
  name: `level ${level}${takeover ? ", takeover" : ""}`,
  color: colors[index],
  dashed: !takeover
})

/** @param {ReadonlyArray<ReadonlyArray<number>>} memories */
const plotMemory = (memories) => {
  const legend = keepers.map(({ name }, i) => ({ name, color: colors[i], dashed: name.startsWith("the same") }))
  const lines = memories.map((row, i) => ({ ...legend[i], ys: row.map((bytes) => bytes / 1024) }))
  const panel = { title: "RSS", unit: "KiB", most: undefined, xs: windows, lines }
  return panelsOf({ title: "Memory of a context with takeover, by window bits", columns: 1, legend, panels: [panel] })
}

const write = (/** @type {string} */ name, /** @type {string} */ content) =>
  Fs.writeFileSync(new URL(`results/${name}`, import.meta.url), content)

const main = async () => {
  const load = () => Os.loadavg()[0].toFixed(1)
  const before = load()
  const costs = measureAll()
  /** @type {Array<Array<number>>} */
  const memories = []
  for (const keeper of keepers) {
    const row = []
    for (const windowBits of windows) row.push(await memoryOf({ ...keeper, windowBits }))
    memories.push(row)
  }
  const { model } = Os.cpus()[0]
  console.log(
    `Node ${process.version}, zlib ${process.versions.zlib}, ${model.trim()}, ${Os.cpus().length} cores, load ${before} to ` +
      `${load()}, ${new Date().toISOString().slice(0, 10)}; the least of ${values.rounds} rounds\n`
  )
  printTables(costs)
  console.log("### KiB of RSS that a context holds, by window bits\n")
  table([
    ["", ...windows],
    ...keepers.map(({ name }, i) => [name, ...memories[i].map((bytes) => Math.round(bytes / 1024))])
  ])
  if (values.only !== "") return
  write(
    "compression-size.svg",
    plotByLevel(costs, "Size after compression, by window bits", "%", 110, (cost) => 100 * cost.share)
  )
  write(
    "compression-cpu.svg",
    plotByLevel(costs, "CPU time to compress a message, by window bits", "µs", undefined, (cost) => cost.deflate)
  )
  write("compression-memory.svg", plotMemory(memories))
  const rows = [...costs].map(([key, { deflate, inflate, share }]) =>
    [key, share.toFixed(4), deflate.toFixed(2), inflate.toFixed(2)].join(",")
  )
  const head = "kind,size,level,windowBits,memoryLevel,takeover,way,share,deflateMicros,inflateMicros"
  write("compression.csv", `${[head, ...rows].join("\n")}\n`)
}

if (values.memory === undefined) await main()
else process.send?.(measureMemory(JSON.parse(values.memory)), () => process.disconnect())
