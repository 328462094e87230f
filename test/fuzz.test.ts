/** `npm run fuzz` runs on a fixed seed, and says by which seed a failure comes again. */
import { assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import { root } from "../scripts/workspace.js"

const fuzz = (...args: ReadonlyArray<string>) =>
  spawnSync(process.execPath, ["scripts/fuzz.js", ...args], { cwd: root, encoding: "utf8" })

const broken = ["--module", "packages/core/test/fuzz/Broken.ts"]

describe("fuzz", () => {
  it("runs as many executions as it is told to, from the seed that it prints", () => {
    const { status, stderr, stdout } = fuzz("--executions", "300", "--seed", "4294967295")
    assert.deepStrictEqual([status, stderr], [0, ""])
    assert.match(stdout, /^seed 4294967295\n300 executions, \d+ per second\n$/)
  })

  it("runs for as many seconds as it is told to, from a seed of its own", () => {
    const { status, stdout } = fuzz("--seconds", "0.1")
    assert.strictEqual(status, 0)
    assert.match(stdout, /^seed \d+\n[1-9]\d* executions, \d+ per second\n$/)
  })

  it("fails on an outcome that is not documented, and its seed fails again, alone", () => {
    const first = fuzz("--executions", "2000", "--seed", "1", ...broken)
    assert.strictEqual(first.status, 1)
    const [, seed, command] = /at seed (\d+)\.\nAgain, alone: npm run fuzz -- (.*)\n/.exec(first.stderr) ?? []
    assert.match(first.stderr, /not valid for encoding utf-8/)
    assert.strictEqual(command, `--seed ${seed} --executions 1`)
    const again = fuzz(...command.split(" "), ...broken)
    assert.strictEqual(again.status, 1)
    assert.match(again.stdout, /^seed \d+\n1 executions/)
    assert.include(again.stderr, `at seed ${seed}.`)
  })

  it("refuses a seed that is no number", () => {
    const { status, stderr } = fuzz("--seed", "x")
    assert.strictEqual(status, 1)
    assert.include(stderr, "--seed must be a number, and is x")
  })
})
