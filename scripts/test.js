/**
 * Runs every test on a fresh clone: installs, builds, runs Vitest with the arguments given, and ends with the list of
 * what was not run for want of a program on this machine. With `REQUIRE_PEERS=1` such a skip is a failure.
 */
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { prepare, run } from "./run.js"
import { describeSkips } from "./skips.js"
import { root } from "./workspace.js"

prepare()
const folder = Fs.mkdtempSync(Path.join(Os.tmpdir(), "effect-ws-test-"))
const file = Path.join(folder, "skipped.jsonl")
const vitest = Path.join(root, "node_modules/vitest/vitest.mjs")
let code = run(process.execPath, [vitest, "run", ...process.argv.slice(2)], {
  env: { ...process.env, EFFECT_WS_SKIPPED: file }
})
const skips = describeSkips(file)
Fs.rmSync(folder, { recursive: true, force: true })
if (skips.length > 0) {
  console.log(`Not run on this machine:\n${skips.map((skip) => `  ${skip}`).join("\n")}`)
  if (process.env["REQUIRE_PEERS"] === "1") {
    console.error("With REQUIRE_PEERS=1 nothing may be skipped.")
    code ||= 1
  }
} else {
  console.log("No peer program was missing on this machine.")
}
process.exitCode = code
