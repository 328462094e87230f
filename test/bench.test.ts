/** `npm run bench` measures, compares and writes what it found. What the figures are depends on the machine, and isn't looked at. */
import { assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { root } from "../scripts/workspace.js"

const bench = (...args: ReadonlyArray<string>) =>
  spawnSync(process.execPath, ["benchmarks/bench.js", "--no-build", ...args], { cwd: root, encoding: "utf8" })

const tiny = ["--rounds", "1", "--seconds", "0.1", "--warm-up", "0.1"]

const row = "16-128 B binary, 32 in flight"

/** The cells of the lines of a table that begin so. */
const linesOf = (text: string, first: string) =>
  text
    .split("\n")
    .filter((line) => line.startsWith(`| ${first} |`))
    .map((line) =>
      line
        .split("|")
        .slice(1, -1)
        .map((cell) => cell.trim())
    )

const withFolder = (use: (folder: string) => void): void => {
  const folder = Fs.mkdtempSync(Path.join(Os.tmpdir(), "effect-ws-bench-"))
  try {
    use(folder)
  } finally {
    Fs.rmSync(folder, { recursive: true, force: true })
  }
}

describe("bench", () => {
  it("measures the servers that it is asked for, prints their ratios, and writes a table and a plot", () =>
    withFolder((folder) => {
      const { status, stderr, stdout } = bench(...tiny, "--only", row, "--peers", "floor,ws,ours", "--out", folder)
      assert.strictEqual(status, 0, stderr)
      const lines = linesOf(stdout, row)
      const figures = lines.filter((cells) => cells.length === 12)
      assert.deepStrictEqual(
        figures.map(([, who]) => who),
        ["floor, `node:net`", "ws", "effect-ws"]
      )
      for (const [, who, cpu, , perSecond] of figures) {
        assert.isAbove(Number(cpu), 0, who)
        assert.isAbove(Number(perSecond), 0, who)
      }
      const [floor, ws, ours] = figures.map((cells) => cells.slice(9))
      assert.deepStrictEqual([ws![0], floor![1]], ["", ""])
      for (const ratio of [ours![0], ours![1], floor![0], ws![1]]) assert.match(ratio!, /^\d+\.\d+$/)
      // None of the stock servers was asked for.
      assert.strictEqual(ours![2], "")
      const [target, ...others] = lines.filter((cells) => cells.length === 7)
      assert.deepStrictEqual(others, [])
      assert.deepStrictEqual([target![1], target![2], target![3], target![5]], ["effect-ws", "ws", ours![0], "0.12"])
      assert.deepStrictEqual(Fs.readdirSync(folder).sort(), ["messages.md", "messages.svg"])
      assert.deepStrictEqual(linesOf(Fs.readFileSync(Path.join(folder, "messages.md"), "utf8"), row), lines)
      assert.include(Fs.readFileSync(Path.join(folder, "messages.svg"), "utf8"), `${row}</text>`)
    }))

  it("measures clients", () => {
    const client = "client: 16-128 B text, 32 in flight"
    const { status, stderr, stdout } = bench(...tiny, "--only", client, "--peers", "ours")
    assert.strictEqual(status, 0, stderr)
    const [cells] = linesOf(stdout, client)
    assert.isAbove(Number(cells![2]), 0)
  })

  it("measures what an idle connection holds", () => {
    const idle = "10 000 idle connections"
    const { status, stderr, stdout } = bench(...tiny, "--only", idle, "--peers", "ours", "--connections", "100")
    assert.strictEqual(status, 0, stderr)
    // The system may have got back more than so few connections need.
    assert.match(linesOf(stdout, idle)[0]![2]!, /^-?\d+(\.\d+)? B$/)
  })

  it("refuses a peer and a row that it doesn't know", () => {
    const peer = bench(...tiny, "--peers", "socket.io")
    assert.strictEqual(peer.status, 1)
    assert.include(peer.stderr, "--peers may name floor, ws,")
    const unknown = bench(...tiny, "--only", "17 B")
    assert.strictEqual(unknown.status, 1)
    assert.include(unknown.stderr, 'No row has a name with "17 B" in it')
  })
})
