/**
 * Makes the publishable form of every package, from what was built: a folder and a tarball in `.cache/pack`, or in the
 * folder named as the argument. It holds the outputs whose source exists, the source, and a manifest without the condition
 * that leads to the source, since npm applies no overrides of `exports` when it packs.
 */
import * as Fs from "node:fs"
import * as Path from "node:path"
import { npm } from "./run.js"
import { filesBelow, packages, root } from "./workspace.js"

const condition = "@effect-ws/source"

/** @param {unknown} value @returns {unknown} */
const withoutCondition = (value) =>
  value === null || typeof value !== "object" || Array.isArray(value)
    ? value
    : Object.fromEntries(
        Object.entries(value).flatMap(([key, inner]) => (key === condition ? [] : [[key, withoutCondition(inner)]]))
      )

/** @param {string} from @param {string} to @param {ReadonlyArray<string>} files */
const copy = (from, to, files) => {
  for (const file of files) {
    Fs.mkdirSync(Path.dirname(Path.join(to, file)), { recursive: true })
    Fs.copyFileSync(Path.join(from, file), Path.join(to, file))
  }
}

/** @param {string} directory @param {string} to */
const assemble = (directory, to) => {
  const sources = filesBelow(Path.join(directory, "src"))
  const outputs = sources
    .filter((file) => file.endsWith(".ts") && !file.endsWith(".d.ts"))
    .flatMap((file) => [".js", ".js.map", ".d.ts", ".d.ts.map"].map((suffix) => file.replace(/\.ts$/, suffix)))
  copy(Path.join(directory, "src"), Path.join(to, "src"), sources)
  copy(Path.join(directory, "dist"), Path.join(to, "dist"), outputs)
  copy(
    directory,
    to,
    ["LICENSE", "README.md"].filter((file) => Fs.existsSync(Path.join(directory, file)))
  )
  const manifest = JSON.parse(Fs.readFileSync(Path.join(directory, "package.json"), "utf8"))
  manifest.exports = withoutCondition(manifest.exports)
  Fs.writeFileSync(Path.join(to, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`)
}

const [target = Path.join(root, ".cache/pack")] = process.argv.slice(2)
Fs.rmSync(target, { recursive: true, force: true })
const folders = packages.map(({ directory }) => {
  const to = Path.join(target, Path.basename(directory))
  assemble(directory, to)
  return to
})
process.exitCode = npm(["pack", "--silent", "--ignore-scripts", "--pack-destination", target, ...folders])
