/**
 * Runs one example with its arguments, in this process, after installing and building without a word on stdout:
 * `node scripts/example.js echo-server --port 9001`.
 */
import * as Path from "node:path"
import { pathToFileURL } from "node:url"
import { prepare } from "./run.js"
import { tolerateRepeatedSignals } from "./signals.js"
import { root } from "./workspace.js"

const [name] = process.argv.splice(2, 1)
if (name === undefined) {
  console.error("usage: node scripts/example.js NAME [ARGUMENTS]")
  process.exit(1)
}
prepare({ quiet: name !== "start" })
const file = Path.join(root, "examples/dist", `${name}.js`)
process.argv[1] = file
tolerateRepeatedSignals()
await import(pathToFileURL(file).href)
