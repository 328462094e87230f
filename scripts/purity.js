/**
 * Proves that core runs anywhere: bundles its whole barrel for a browser, from source, and fails when a module of Node or
 * of Effect is in it, when a global of Node is left in the output, or when it grows above its limit. Another entry file may
 * be named as the argument.
 */
import * as Esbuild from "esbuild"
import { isBuiltin } from "node:module"
import * as Path from "node:path"
import { gzipSync } from "node:zlib"
import { root, sourceFolders } from "./workspace.js"

// What a page pays: gzipped bytes of everything without SHA-1, and minified bytes of the protocol after its opening
// handshake, for those who need nothing else.
const wholeLimit = 24_000
const protocolLimit = 33_000

const forbiddenGlobals = ["process", "Buffer", "require", "global", "__dirname", "__filename"]
const marker = "__forbidden_global_"

/** @type {Esbuild.Plugin} */
const onlyPortable = {
  name: "only-portable",
  setup(build) {
    build.onResolve({ filter: /^[^./]/ }, ({ path, importer }) => {
      const whose = isBuiltin(path) ? "Node" : /^(effect|@effect)(\/|$)/.test(path) ? "Effect" : undefined
      if (whose === undefined) return undefined
      return { errors: [{ text: `${Path.relative(root, importer)} imports "${path}", a module of ${whose}` }] }
    })
  }
}

/** @param {string} entry @param {Array<string>} external */
const bundle = async (entry, external) => {
  const { outputFiles } = await Esbuild.build({
    entryPoints: [entry],
    bundle: true,
    minify: true,
    write: false,
    format: "esm",
    platform: "browser",
    target: "es2022",
    conditions: ["@effect-ws/source"],
    external,
    plugins: [onlyPortable],
    // Only free identifiers are replaced, so a local variable may bear such a name.
    define: {
      "process.env.NODE_ENV": `${marker}process`,
      ...Object.fromEntries(forbiddenGlobals.map((name) => [name, marker + name])),
      ...Object.fromEntries(forbiddenGlobals.map((name) => [`globalThis.${name}`, marker + name]))
    },
    logLevel: "silent"
  })
  return /** @type {Esbuild.OutputFile} */ (outputFiles[0])
}

/** @param {string} entry */
const check = async (entry) => {
  const whole = await bundle(entry, [])
  const without = await bundle(entry, ["@noble/hashes"])
  const left = forbiddenGlobals.filter((name) => whole.text.includes(marker + name))
  const gzipped = gzipSync(without.contents).length
  const protocol = (await bundle(protocolModule, [])).contents.length
  return {
    summary:
      `${whole.contents.length} bytes minified, ${without.contents.length} without SHA-1, ` +
      `${gzipped} of these gzipped (limit ${wholeLimit}); Protocol alone ${protocol} minified (limit ${protocolLimit})`,
    problems: [
      ...left.map((name) => `the bundle uses the global \`${name}\``),
      ...(gzipped < wholeLimit ? [] : [`the bundle has ${gzipped} bytes gzipped, the limit is ${wholeLimit}`]),
      ...(protocol < protocolLimit ? [] : [`Protocol has ${protocol} bytes, the limit is ${protocolLimit}`])
    ]
  }
}

const protocolModule = Path.join(/** @type {string} */ (sourceFolders([])[0]), "Protocol.ts")
const [entry = Path.join(/** @type {string} */ (sourceFolders([])[0]), "index.ts")] = process.argv.slice(2)
try {
  const { summary, problems } = await check(entry)
  for (const problem of problems) console.error(problem)
  console.log(summary)
  process.exitCode = problems.length === 0 ? 0 : 1
} catch (error) {
  const { errors = [{ text: String(error) }] } = /** @type {Partial<Esbuild.BuildFailure>} */ (error)
  for (const { text } of errors) console.error(text)
  process.exitCode = 1
}
