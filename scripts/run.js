/**
 * Runs programs of the workspace: the compiler, npm, and whatever a script needs, with honest exit codes.
 */
import { spawnSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { root } from "./workspace.js"

/**
 * Runs a program to its end and returns its exit code. Its output goes where ours goes, or, when `quiet`, nowhere unless
 * it fails: then to stderr, since stdout may belong to the program that is started afterwards.
 *
 * @param {string} command
 * @param {ReadonlyArray<string>} args
 * @param {{ readonly quiet?: boolean, readonly env?: NodeJS.ProcessEnv, readonly shell?: boolean }} [options]
 */
export const run = (command, args, { quiet = false, env = process.env, shell = false } = {}) => {
  const result = spawnSync(command, args, {
    cwd: root,
    env,
    shell,
    stdio: quiet ? ["ignore", "pipe", "pipe"] : "inherit",
    maxBuffer: Number.MAX_SAFE_INTEGER
  })
  if (result.error !== undefined) console.error(`${command}: ${result.error.message}`)
  const code = result.status ?? 1
  if (quiet && code !== 0) {
    process.stderr.write(result.stdout ?? "")
    process.stderr.write(result.stderr ?? "")
  }
  return code
}

/**
 * @param {ReadonlyArray<string>} args
 * @param {{ readonly quiet?: boolean }} [options]
 */
export const npm = (args, options) => {
  const program = process.env["npm_execpath"]
  if (program !== undefined && program.endsWith(".js")) return run(process.execPath, [program, ...args], options)
  // On Windows npm is a command file, which only a shell can start.
  return run("npm", args, { ...options, shell: process.platform === "win32" })
}

/**
 * Runs a compiler by its path: `node_modules/.bin/tsc` may be either of the two that are installed.
 *
 * @param {ReadonlyArray<string>} args
 * @param {{ readonly quiet?: boolean, readonly version?: "typescript" | "typescript-5.9" }} [options]
 */
export const tsc = (args, { version = "typescript", ...options } = {}) =>
  run(process.execPath, [Path.join(root, "node_modules", version, "bin/tsc"), ...args], options)

/** Whether every package that the lockfile demands of this machine is in `node_modules`, in the version it names. */
const isInstalled = () => {
  const marker = Path.join(root, "node_modules/.package-lock.json")
  if (!Fs.existsSync(marker)) return false
  /** @param {string} file @returns {Record<string, { version?: string, optional?: boolean, link?: boolean }>} */
  const entries = (file) => JSON.parse(Fs.readFileSync(file, "utf8")).packages
  const installed = entries(marker)
  return Object.entries(entries(Path.join(root, "package-lock.json"))).every(
    ([path, wanted]) =>
      path === "" ||
      wanted.optional === true ||
      (installed[path]?.version === wanted.version && Fs.existsSync(Path.join(root, path)))
  )
}

/**
 * Installs what the lockfile says unless it is there already. Ends this program when that fails.
 *
 * @param {{ readonly quiet?: boolean }} [options]
 */
export const install = (options) => {
  if (isInstalled()) return
  const code = npm(["ci", "--no-audit", "--no-fund"], options)
  if (code !== 0) process.exit(code)
}

/**
 * Installs when that is needed, then builds. Ends this program when either fails.
 *
 * @param {{ readonly quiet?: boolean }} [options]
 */
export const prepare = (options) => {
  install(options)
  const code = tsc(["-b"], options)
  if (code !== 0) process.exit(code)
}
