/**
 * Removes what the build and the tests leave behind.
 */
import * as Fs from "node:fs"
import * as Path from "node:path"
import { packages, root } from "./workspace.js"

const folders = [...packages.map(({ directory }) => directory), Path.join(root, "examples")]
for (const path of [...folders.map((folder) => Path.join(folder, "dist")), Path.join(root, ".cache")]) {
  Fs.rmSync(path, { recursive: true, force: true })
}
