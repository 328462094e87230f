/**
 * The gates of the workspace can fail: each is given something bad and must name it.
 */
import { assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { describeSkips } from "../scripts/skips.js"
import { root } from "../scripts/workspace.js"

const gate = (name: string, ...args: ReadonlyArray<string>) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [`scripts/${name}.js`, ...args], {
    cwd: root,
    encoding: "utf8"
  })
  return { status, stdout: stdout.trim(), problems: stderr.trim().replaceAll("\\", "/").split("\n") }
}

describe("docs", () => {
  it("names every undocumented export and member", () => {
    const { status, problems } = gate("docs", "test/fixtures/docs/bad")
    assert.strictEqual(status, 1)
    assert.deepStrictEqual(problems, [
      "test/fixtures/docs/bad/Undocumented.ts:1 the module has no doc comment",
      "test/fixtures/docs/bad/Undocumented.ts:3 bare has no doc comment",
      "test/fixtures/docs/bad/Undocumented.ts:8 tagless lacks @since, @category",
      "test/fixtures/docs/bad/Undocumented.ts:14 Wordless lacks a first sentence",
      "test/fixtures/docs/bad/Undocumented.ts:15 Wordless.field has no doc comment",
      "test/fixtures/docs/bad/Undocumented.ts:27 Members.method has no doc comment",
      "test/fixtures/docs/bad/Undocumented.ts:25 Members.inherited has no doc comment",
      "test/fixtures/docs/bad/internal/hidden.ts:2 inner has no doc comment"
    ])
  })

  it("accepts a documented module", () => {
    assert.strictEqual(gate("docs", "test/fixtures/docs/good").status, 0)
  })

  it("fails when there is nothing to check", () => {
    assert.deepStrictEqual(gate("docs", "test/fixtures/purity/none").problems, ["no module to check"])
  })
})

describe("purity", () => {
  it("names an import of Node", () => {
    const { status, problems } = gate("purity", "test/fixtures/purity/builtin.ts")
    assert.strictEqual(status, 1)
    assert.deepStrictEqual(problems, ['test/fixtures/purity/builtin.ts imports "node:fs", a module of Node'])
  })

  it("names an import of Effect", () => {
    const { status, problems } = gate("purity", "test/fixtures/purity/effect.ts")
    assert.strictEqual(status, 1)
    assert.deepStrictEqual(problems, ['test/fixtures/purity/effect.ts imports "effect/Effect", a module of Effect'])
  })

  it("names the globals of Node", () => {
    const { status, problems } = gate("purity", "test/fixtures/purity/globals.ts")
    assert.strictEqual(status, 1)
    assert.deepStrictEqual(problems, ["the bundle uses the global `process`", "the bundle uses the global `Buffer`"])
  })

  it("accepts local names that look like globals", () => {
    assert.strictEqual(gate("purity", "test/fixtures/purity/portable.ts").status, 0)
  })
})

describe("codegen", () => {
  it("names a stale barrel", () => {
    const { status, problems } = gate("codegen", "--check", "test/fixtures/codegen")
    assert.strictEqual(status, 1)
    assert.deepStrictEqual(problems, ["test/fixtures/codegen/index.ts is stale: run `npm run codegen`"])
  })
})

describe("skips", () => {
  it("are added up by peer and reason", () => {
    const folder = Fs.mkdtempSync(Path.join(Os.tmpdir(), "effect-ws-skips-"))
    const file = Path.join(folder, "skipped.jsonl")
    assert.deepStrictEqual(describeSkips(file), [])
    const lines = [
      { peer: "nginx", reason: "not on PATH", tests: 1 },
      { peer: "chromium", reason: "not on PATH", tests: ["one", "two"] },
      { peer: "chromium", reason: "not on PATH", tests: 2 }
    ]
    Fs.writeFileSync(file, lines.map((line) => `${JSON.stringify(line)}\n`).join(""))
    assert.deepStrictEqual(describeSkips(file), ["chromium: not on PATH (4 tests)", "nginx: not on PATH (1 test)"])
    Fs.rmSync(folder, { recursive: true })
  })
})
