/** The tables of a page of the documentation, to be compared with what the code says. */
import * as Fs from "node:fs"
import * as Path from "node:path"
import { assert } from "vitest"

export type Row = ReadonlyArray<string>

/**
 * Reads a page of `docs/`. What is returned gives the rows of the table under a heading, without its two head lines, the marks
 * of code taken away.
 */
export const tablesOf = (name: string): ((heading: string) => Array<Row>) => {
  const page = Fs.readFileSync(Path.resolve(import.meta.dirname, `../../docs/${name}`), "utf8")
  return (heading) => {
    const start = page.indexOf(`\n${heading}\n`)
    assert(start >= 0, `the page has no heading ${heading}`)
    const section = page.slice(start + 1).split(/\n##+ /)[0]!
    const lines = section.split("\n").filter((line) => line.startsWith("| "))
    return lines.slice(1).map(cellsOf)
  }
}

const cellsOf = (line: string): Row =>
  line
    .slice(2, -2)
    .split(" | ")
    .map((cell) => cell.replaceAll("`", "").trim())
