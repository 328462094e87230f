/**
 * Writes the barrel (`index.ts`) of every package from the modules beside it; `--check` only compares. Source folders may
 * be named as arguments. Modules in subfolders (`testing/`) are reached by deep import alone.
 */
import * as Fs from "node:fs"
import * as Path from "node:path"
import { publicModules, root, sourceFolders } from "./workspace.js"

/** @param {string} source */
const barrel = (source) => {
  const modules = publicModules(source).filter((file) => !file.includes("/"))
  const lines = modules.map((file) => `export * as ${Path.basename(file, ".ts")} from "./${file}"`)
  return ["// Generated from the modules of this folder by `npm run codegen`. Do not edit.", "", ...lines, ""].join(
    "\n"
  )
}

const check = process.argv.includes("--check")
let stale = 0
for (const source of sourceFolders(process.argv.slice(2))) {
  const file = Path.join(source, "index.ts")
  const wanted = barrel(source)
  if (Fs.existsSync(file) && Fs.readFileSync(file, "utf8") === wanted) continue
  const shown = Path.relative(root, file)
  if (check) {
    console.error(`${shown} is stale: run \`npm run codegen\``)
    stale++
  } else {
    Fs.writeFileSync(file, wanted)
    console.log(`wrote ${shown}`)
  }
}
process.exitCode = stale === 0 ? 0 : 1
