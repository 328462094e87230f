/**
 * Checks the type-level assertions in the `typetest` folder of each package: they hold when they compile. To find no
 * file at all is a failure.
 */
import * as Path from "node:path"
import { tsc } from "./run.js"
import { filesBelow, packages, root } from "./workspace.js"

const folders = packages
  .map(({ directory }) => directory)
  .filter((directory) => filesBelow(Path.join(directory, "typetest")).some((file) => file.endsWith(".ts")))

if (folders.length === 0) {
  console.error("no file in packages/*/typetest")
  process.exit(1)
}
if (tsc(["-b"]) !== 0) process.exit(1)
const failed = folders.filter(
  (directory) => tsc(["-p", Path.relative(root, Path.join(directory, "tsconfig.test.json"))]) !== 0
)
process.exitCode = failed.length === 0 ? 0 : 1
