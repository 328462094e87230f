/**
 * Fuzzes the protocol and the opening handshake: `npm run fuzz -- --seconds 10 --seed 1`. Runs for so many seconds, 10 by
 * default, or so many `--executions`, from a seed that is drawn and printed unless it is given. Ends with 1 and the seed of
 * the execution that failed when an outcome is not documented.
 */
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { pathToFileURL } from "node:url"
import { parseArgs } from "node:util"
import { install } from "./run.js"
import { root } from "./workspace.js"

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "10" },
    executions: { type: "string" },
    seed: { type: "string" },
    // What is run instead, for the test of this script.
    module: { type: "string", default: "packages/core/test/fuzz/Fuzz.ts" }
  }
})

/** @param {string} name @param {string} text */
const number = (name, text) => {
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text)
  console.error(`--${name} must be a number, and is ${text}`)
  process.exit(1)
}

const seconds = number("seconds", values.seconds)
const most = values.executions === undefined ? Infinity : number("executions", values.executions)
const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 32) : number("seed", values.seed)

/** Bundles the TypeScript, which Node 20 does not run, and imports it. On a fresh clone the bundler is installed first. */
const load = async () => {
  install({ quiet: true })
  const Esbuild = await import("esbuild")
  const folder = Fs.mkdtempSync(Path.join(Os.tmpdir(), "effect-ws-fuzz-"))
  const outfile = Path.join(folder, "fuzz.mjs")
  await Esbuild.build({
    entryPoints: [Path.resolve(root, values.module)],
    absWorkingDir: root,
    outfile,
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node20",
    conditions: ["@effect-ws/source"],
    sourcemap: "inline",
    logLevel: "error"
  })
  const loaded = await import(pathToFileURL(outfile).href)
  Fs.rmSync(folder, { recursive: true, force: true })
  return loaded
}

process.setSourceMapsEnabled(true)
const { describeFailure, documentedOutcomesOnly, fuzz } = await load()
console.log(`seed ${seed}`)
const start = performance.now()
const elapsed = () => (performance.now() - start) / 1000
/** @param {number} executions */
const goesOn = (executions) =>
  executions < most && (values.executions !== undefined || executions % 16 !== 0 || elapsed() < seconds)
const { executions, failure } = fuzz(seed, goesOn, documentedOutcomesOnly)
console.log(`${executions} executions, ${Math.round(executions / elapsed())} per second`)
if (failure !== undefined) {
  console.error(describeFailure(failure))
  process.exitCode = 1
}
