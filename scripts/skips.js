/**
 * What the tests did not run for want of a program on this machine.
 *
 * A test that skips appends one JSON line `{ "peer", "reason", "tests" }` to the file named by `EFFECT_WS_SKIPPED`, where
 * `tests` is how many were skipped, or their names.
 */
import * as Fs from "node:fs"

/**
 * Reads such a file and gives one line for each peer and reason; a missing file has none.
 *
 * @param {string} file
 */
export const describeSkips = (file) => {
  /** @type {Map<string, number>} */
  const counts = new Map()
  for (const line of Fs.existsSync(file) ? Fs.readFileSync(file, "utf8").split("\n") : []) {
    if (line.trim() === "") continue
    const { peer, reason, tests } = JSON.parse(line)
    const key = `${peer}: ${reason}`
    counts.set(key, (counts.get(key) ?? 0) + (Array.isArray(tests) ? tests.length : Number(tests ?? 1)))
  }
  return [...counts].sort().map(([key, count]) => `${key} (${count} ${count === 1 ? "test" : "tests"})`)
}
