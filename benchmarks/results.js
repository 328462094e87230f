/**
 * What the cells of a row say together: medians, spreads, ratios, and the tables that show them.
 */
import { peers } from "./peers.js"

/** @typedef {import("./measure.js").Cell} Cell */
/** @typedef {import("./rows.js").Row} Row */

/**
 * The cells of a row: of each peer, those of its rounds; `undefined` where it could not be measured.
 *
 * @typedef {{ readonly row: Row, readonly cells: ReadonlyMap<string, ReadonlyArray<Cell> | string> }} Result
 */

/** @param {ReadonlyArray<number>} numbers */
export const median = (numbers) => {
  const sorted = numbers.toSorted((left, right) => left - right)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/** @type {(result: Result, name: string) => ReadonlyArray<Cell>} */
const cellsOf = ({ cells }, name) => {
  const own = cells.get(name)
  return own === undefined || typeof own === "string" ? [] : own
}

/** @type {(result: Result, name: string) => ReadonlyArray<number>} */
const figuresOf = (result, name) => cellsOf(result, name).map(({ figure }) => figure)

/** @type {(result: Result, name: string) => number | undefined} */
export const figureOf = (result, name) => {
  const figures = figuresOf(result, name)
  return figures.length === 0 ? undefined : median(figures)
}

/** @typedef {{ readonly middle: number, readonly least: number, readonly most: number, readonly rounds: number }} Ratio */

/**
 * The ratios of the rounds that both have.
 *
 * @type {(result: Result, name: string, other: string | undefined) => Ratio | undefined}
 */
const ratioOf = (result, name, other) => {
  if (other === undefined) return undefined
  const theirs = figuresOf(result, other)
  const ratios = figuresOf(result, name)
    .slice(0, theirs.length)
    .map((figure, i) => figure / theirs[i])
  if (ratios.length === 0) return undefined
  return { middle: median(ratios), least: Math.min(...ratios), most: Math.max(...ratios), rounds: ratios.length }
}

/** @type {(result: Result) => { ws: string | undefined, floor: string | undefined, stock: string | undefined }} */
const comparedWith = (result) => {
  const { kind, peers: names } = result.row
  const isThere = (/** @type {string} */ name) => (names.includes(name) ? name : undefined)
  const stock = names.filter((name) => peers[name].isStock === true && figureOf(result, name) !== undefined)
  const byFigure = stock.sort((left, right) => (figureOf(result, left) ?? 0) - (figureOf(result, right) ?? 0))
  const suffix = kind === "client" ? "-client" : ""
  return { ws: isThere(`ws${suffix}`), floor: isThere(`floor${suffix}`), stock: byFigure[0] }
}

/** @type {(ratio: number) => string} */
const shortRatio = (ratio) => ratio.toFixed(ratio < 0.1 ? 3 : 2)

/** @type {(value: number | undefined, digits?: number) => string} */
const short = (value, digits = 1) =>
  value === undefined ? "" : value >= 100 ? `${Math.round(value)}` : value.toFixed(digits)

/** @type {(rows: ReadonlyArray<ReadonlyArray<string>>) => string} the first is the head */
const table = ([head, ...rows]) =>
  [head, head.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n")

/** Above this share of its core the load may be what limits. */
const busy = 0.9

/** @type {(result: Result, name: string) => ReadonlyArray<string>} */
const lineOf = (result, name) => {
  const { row } = result
  const own = result.cells.get(name)
  const { title } = peers[name]
  if (own === undefined || typeof own === "string" || own.length === 0) {
    return [row.name, title, typeof own === "string" ? own : "not measured", ...Array.from({ length: 9 }, () => "")]
  }
  const middle = (/** @type {(cell: Cell) => number | undefined} */ of) =>
    own.some((cell) => of(cell) === undefined) ? undefined : median(own.map((cell) => of(cell) ?? 0))
  const figures = own.map(({ figure }) => figure)
  const isIdle = row.kind === "idle"
  const load = middle(({ loadBusy }) => loadBusy) ?? 0
  const others = comparedWith(result)
  const ratio = (/** @type {string | undefined} */ other) => {
    const found = name === other ? undefined : ratioOf(result, name, other)
    return found === undefined ? "" : shortRatio(found.middle)
  }
  return [
    row.name,
    title,
    `${short(median(figures), 2)}${isIdle ? " B" : ""}`,
    `${short(Math.min(...figures), 2)} to ${short(Math.max(...figures), 2)}`,
    isIdle ? "" : `${Math.round(middle(({ perSecond }) => perSecond) ?? 0)}`,
    short(middle(({ p50 }) => p50)),
    short(middle(({ p99 }) => p99)),
    short((middle(({ rss }) => rss) ?? 0) / 1024 / 1024),
    isIdle ? "" : `${Math.round(load * 100)} %${load > busy ? " (!)" : ""}`,
    ratio(others.ws),
    ratio(others.floor),
    ratio(others.stock)
  ]
}

/** @type {(results: ReadonlyArray<Result>) => string} */
export const figuresTable = (results) =>
  table([
    [
      "work",
      "who",
      results.some(({ row }) => row.kind === "idle") ? "µs of CPU, or bytes of RSS, each" : "µs of CPU each",
      "spread",
      "per second",
      "p50, µs",
      "p99, µs",
      "RSS, MiB",
      "load busy",
      "to ws",
      "to the floor",
      "to the best stock"
    ],
    ...results.flatMap((result) => result.row.peers.map((name) => lineOf(result, name)))
  ])

const titles = { ws: "ws", floor: "the floor", stock: "the best stock Effect socket" }

/** @type {(result: Result) => ReadonlyArray<ReadonlyArray<string>>} */
const targetLines = (result) =>
  Object.entries(result.row.targets).flatMap(([name, target]) =>
    Object.entries(target).flatMap(([key, wanted]) => {
      const against = /** @type {keyof typeof titles} */ (key)
      const ratio = ratioOf(result, name, comparedWith(result)[against])
      if (ratio === undefined) return []
      const spread = `${shortRatio(ratio.least)} to ${shortRatio(ratio.most)}`
      const isMet = ratio.middle <= wanted
      return [
        [result.row.name, peers[name].title, titles[against], shortRatio(ratio.middle), spread, `${wanted}`].concat(
          isMet ? "yes" : "**no**"
        )
      ]
    })
  )

/** @type {(results: ReadonlyArray<Result>) => string | undefined} */
export const targetsTable = (results) => {
  const lines = results.flatMap(targetLines)
  if (lines.length === 0) return undefined
  return table([["work", "ours", "ratio to", "median", "spread", "at most", "met"], ...lines])
}
