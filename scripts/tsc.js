/**
 * The compiler of the workspace: `node scripts/tsc.js -b`.
 */
import { tsc } from "./run.js"

process.exitCode = tsc(process.argv.slice(2))
