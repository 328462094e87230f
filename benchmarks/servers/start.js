/**
 * Starts a server in a process of its own, if possible on a core of its own, and asks it questions.
 */
import { execFileSync, spawn } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"

/**
 * @typedef {object} Server
 * @property {number} port
 * @property {(question: string) => Promise<any>} ask
 * @property {() => Promise<void>} stop
 */

/**
 * The cores that this process may use, as `taskset` tells: none where there is no `taskset`.
 *
 * @returns {ReadonlyArray<number>}
 */
export const cores = () => {
  try {
    const answer = execFileSync("taskset", ["-c", "-p", `${process.pid}`], { encoding: "utf8" })
    return answer
      .slice(answer.lastIndexOf(":") + 1)
      .split(",")
      .flatMap(coresOf)
  } catch {
    return []
  }
}

/** @param {string} range as "3" or "0-3" */
const coresOf = (range) => {
  const [first, last = first] = range.split("-").map(Number)
  return Array.from({ length: last - first + 1 }, (_, i) => first + i)
}

/**
 * Keeps this process, with all its threads, on one core.
 *
 * @param {number} core
 */
export const stayOn = (core) => {
  execFileSync("taskset", ["-a", "-c", "-p", `${core}`, `${process.pid}`], { stdio: "ignore" })
}

/**
 * @typedef {object} Options
 * @property {number} [core]
 * @property {ReadonlyArray<string>} [flags]
 * @property {Readonly<Record<string, string>>} [env] besides ours
 * @property {string} [runtime] in place of this Node
 */

/**
 * @param {string} name of a file in this folder
 * @param {Options} options
 * @returns {Promise<Server>}
 */
export const start = async (name, { core, env, flags = [], runtime = process.execPath } = {}) => {
  const program = [runtime, ...flags, fileURLToPath(new URL(`${name}.js`, import.meta.url))]
  const [command, ...rest] = core === undefined ? program : ["taskset", "-c", `${core}`, ...program]
  const child = spawn(command, rest, {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
    // Bun reads no other form.
    serialization: "json",
    env: { ...process.env, NODE_ENV: "production", ...env }
  })
  const { port } = await nextMessage(child, name)
  return {
    port,
    ask: (question) => {
      child.send(question)
      return nextMessage(child, name)
    },
    stop: async () => {
      const exit = once(child, "exit")
      child.disconnect()
      await exit
    }
  }
}

/**
 * @param {import("node:child_process").ChildProcess} child
 * @param {string} name
 * @returns {Promise<any>}
 */
const nextMessage = (child, name) =>
  new Promise((resolve, reject) => {
    /** @param {number | null} code */
    const onExit = (code) => reject(new Error(`The server ${name} ended with ${code}`))
    child.once("exit", onExit)
    child.once("message", (message) => {
      child.off("exit", onExit)
      resolve(message)
    })
  })
