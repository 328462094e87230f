/**
 * The shape of the workspace: where it is, which packages it holds, and which of their modules are public.
 */
import * as Fs from "node:fs"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"

/** The folder that holds the workspace. */
export const root = Path.resolve(fileURLToPath(import.meta.url), "../..")

/** The published packages in the order of their dependencies. */
export const packages = ["core", "api", "platform-node"].map((name) => ({
  name: `@effect-ws/${name}`,
  directory: Path.join(root, "packages", name)
}))

/**
 * Lists the files below a folder, sorted, with `/` as the separator; a missing folder has none.
 *
 * @param {string} directory
 * @returns {Array<string>}
 */
export const filesBelow = (directory) => {
  if (!Fs.existsSync(directory)) return []
  return Fs.readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => Path.relative(directory, Path.join(entry.parentPath, entry.name)).replaceAll(Path.sep, "/"))
    .sort()
}

/**
 * Lists the public modules of a package's source folder: everything but the barrel, declarations and `internal/`.
 *
 * @param {string} source
 * @returns {Array<string>} paths relative to the folder, such as `Frame.ts` and `testing/MemoryTransport.ts`
 */
export const publicModules = (source) =>
  filesBelow(source).filter(
    (file) =>
      file.endsWith(".ts") && !file.endsWith(".d.ts") && file !== "index.ts" && !file.split("/").includes("internal")
  )

/**
 * Gives the source folders that the arguments of a gate name, or those of all packages when they name none.
 *
 * @param {ReadonlyArray<string>} args
 */
export const sourceFolders = (args) => {
  const named = args.filter((arg) => !arg.startsWith("--")).map((arg) => Path.resolve(arg))
  return named.length > 0 ? named : packages.map(({ directory }) => Path.join(directory, "src"))
}
