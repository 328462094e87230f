/** Attack cases where it is memory that counts, measured in processes of their own (RFC 6455 10.4). */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Esbuild from "esbuild"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"
import { cases } from "./support/memory/cases.ts"
import { run } from "./support/programs.ts"

const node = { name: "node", command: process.execPath, problem: undefined }

/** What each case says of itself in the end, and the attack case it belongs to. */
const expected: Readonly<Record<keyof typeof cases, readonly [attackCase: number, finished: unknown]>> = {
  "512 KiB in chunks of 1 byte": [42, 512 * 1024],
  "100 000 empty fragments": [41, 1],
  "4 MiB in fragments of 64 bytes": [41, 4 * 1024 * 1024],
  "1 000 000 Pings, nobody reads the Pongs": [46, true],
  "1 000 000 Pongs": [47, "open"],
  "an inbox of empty messages that nobody reads": [55, 0],
  "an inbox of messages of 20 bytes that nobody reads": [55, 0],
  "an inbox of 60 KB messages that nobody reads": [55, 0],
  "2000 messages of 20 bytes, each in a read of its own": [50, 2000],
  "2000 messages of 1000 bytes, each in a read of its own": [50, 2000],
  "16 MiB announced on 500 connections": [37, 500]
}

const folder = Fs.mkdtempSync(Path.join(Os.tmpdir(), "effect-ws-memory-"))
const program = Path.join(folder, "held.mjs")

// Node 20 doesn't run it as it is.
beforeAll(() =>
  Esbuild.build({
    entryPoints: [fileURLToPath(new URL("support/memory/held.ts", import.meta.url))],
    outfile: program,
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node20",
    conditions: ["@effect-ws/source"],
    logLevel: "error"
  })
)
afterAll(() => Fs.rmSync(folder, { recursive: true, force: true }))

interface Result {
  readonly held: number
  readonly bound: number
  readonly finished: unknown
}

const measure = (name: string) =>
  Effect.map(run(node, ["--expose-gc", program, name]), ({ errors, output, status }) => {
    assert.strictEqual(status, 0, errors)
    return JSON.parse(output) as Result
  })

describe("Memory", () => {
  for (const [name, [attackCase, outcome]] of Object.entries(expected)) {
    it.live(`server holds at most three times what is documented: ${name} (attack case ${attackCase})`, () =>
      Effect.gen(function* () {
        const { bound, finished, held } = yield* measure(name)
        console.log(`${name}: ${held} bytes held, ${bound} documented`)
        assert.deepStrictEqual(finished, outcome)
        assert.isAtMost(held, 3 * bound)
      })
    )
  }

  it("every case is run", () => {
    assert.deepStrictEqual(Object.keys(expected), Object.keys(cases))
  })
})
