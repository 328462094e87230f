/**
 * Checks every type of the workspace: the sources by a build, then the tests, the type tests and the tools.
 */
import * as Fs from "node:fs"
import * as Path from "node:path"
import { tsc } from "./run.js"
import { filesBelow, packages, root } from "./workspace.js"

const folders = [...packages.map(({ directory }) => directory), Path.join(root, "examples")].filter((folder) =>
  ["test", "typetest"].some((name) => filesBelow(Path.join(folder, name)).some((file) => file.endsWith(".ts")))
)

let failed = tsc(["-b"]) !== 0
for (const folder of [...folders, root]) {
  const project = Path.relative(root, Path.join(folder, "tsconfig.test.json"))
  if (!Fs.existsSync(Path.join(root, project))) throw new Error(`${project} is missing`)
  if (tsc(["-p", project]) !== 0) failed = true
}
process.exitCode = failed ? 1 : 0
