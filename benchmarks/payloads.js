/**
 * Messages of several kinds, the same in each run.
 */
import * as Fs from "node:fs"

/** So much of each kind: more than any window, so that it can be gone through again and nothing is found twice. */
const total = 64 * 1024

/** Numbers from 0 to 2^32 - 1 that look random and are the same in each run (mulberry32). */
const makeRandom = () => {
  let state = 7692
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return (mixed ^ (mixed >>> 14)) >>> 0
  }
}

const symbols = ["AAPL", "MSFT", "NVDA", "TSLA", "AMZN", "GOOG", "META", "INTC"]

/** Rows of a feed, no two alike. */
const json = (/** @type {number} */ size) => {
  const random = makeRandom()
  let time = 1_700_000_000_000
  const row = () =>
    JSON.stringify({
      id: random() % 1e9,
      symbol: symbols[random() % symbols.length],
      price: (random() % 1e5) / 100,
      side: random() % 2 === 0 ? "buy" : "sell",
      time: (time += random() % 1000)
    })
  return Array.from({ length: total / size }, () => {
    let rows = row()
    while (rows.length < size) rows += `,${row()}`
    return Buffer.from(`[${rows}]`.slice(0, size))
  })
}

/** The pages of our own documentation without their programs. */
const text = (/** @type {number} */ size) => {
  const names = [
    "opening-handshake",
    "sending-and-receiving",
    "closing",
    "beast-errors",
    "time-and-limits",
    "architecture"
  ]
  const pages = names.map((name) => Fs.readFileSync(new URL(`../docs/${name}.md`, import.meta.url), "utf8"))
  const bytes = Buffer.from(pages.join("\n").replace(/^```.*?^```$/gms, ""))
  if (bytes.length < total) throw new Error(`The pages have ${bytes.length} bytes only`)
  return Array.from({ length: total / size }, (_, i) => bytes.subarray(i * size, (i + 1) * size))
}

/** Records of a binary protocol with tagged fields, as protobuf has them. */
const structs = (/** @type {number} */ size) => {
  const random = makeRandom()
  let time = 1_700_000_000_000
  const varint = (/** @type {number} */ value) => {
    const bytes = []
    for (let rest = value; ; rest = Math.floor(rest / 128)) {
      if (rest < 128) return [...bytes, rest]
      bytes.push((rest % 128) | 0x80)
    }
  }
  const price = Buffer.alloc(8)
  const record = () => {
    price.writeDoubleLE((random() % 1e5) / 100)
    const symbol = Buffer.from(symbols[random() % symbols.length])
    const fields = [0x08, ...varint(random() % 1e9), 0x12, symbol.length, ...symbol, 0x19, ...price]
    return [...fields, 0x20, random() % 2, 0x28, ...varint((time += random() % 1000)), 0x30, ...varint(random() % 500)]
  }
  return Array.from({ length: total / size }, () => {
    const bytes = []
    while (bytes.length < size) bytes.push(...record())
    return Buffer.from(bytes.slice(0, size))
  })
}

/** What is compressed or encrypted already: an image, a video, an archive. */
const random = (/** @type {number} */ size) => {
  const random = makeRandom()
  return Array.from({ length: total / size }, () => Buffer.from(Array.from({ length: size }, () => random() & 0xff)))
}

/** @type {Record<string, (size: number) => ReadonlyArray<Buffer>>} */
export const kinds = { JSON: json, "English text": text, "binary records": structs, "random bytes": random }
