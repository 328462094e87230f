/**
 * A program of the examples as a child process. What it says is waited for line by line: nothing here asks the clock.
 */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process"
import * as Fs from "node:fs"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"

/** How a program ended. */
export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

interface Waiter {
  readonly pattern: RegExp
  readonly resolve: (match: RegExpExecArray) => void
  readonly reject: (error: Error) => void
}

/** Starts `examples/dist/NAME.js`, which `tsc -b` has built before. */
export const start = (
  name: string,
  args: ReadonlyArray<string> = [],
  env: Readonly<Record<string, string>> = {}
): Program => {
  const file = fileURLToPath(new URL(`../../dist/${name}.js`, import.meta.url))
  if (!Fs.existsSync(file)) throw new Error(`${file} is missing: run npm run build, or the tests by npm test`)
  const { NO_COLOR: _, PORT: __, ...inherited } = process.env
  return new Program(spawn(process.execPath, [file, ...args], { env: { ...inherited, ...env } }))
}

export class Program implements AsyncDisposable {
  readonly exit: Promise<Exit>
  /** The lines of stdout so far. */
  readonly lines: Array<string> = []
  private errors = ""
  private read = 0
  private waiter: Waiter | undefined
  private isOver = false
  private readonly child: ChildProcessWithoutNullStreams

  constructor(child: ChildProcessWithoutNullStreams) {
    this.child = child
    createInterface({ input: child.stdout }).on("line", (line) => {
      this.lines.push(line)
      this.look()
    })
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.errors += text
    })
    child.stdin.on("error", () => {})
    this.exit = new Promise((resolve) => {
      // Not "exit": what was written is read to its end first.
      child.on("close", (code, signal) => {
        this.isOver = true
        this.look()
        resolve({ code, signal })
      })
    })
  }

  /** All of stderr so far; once the program has ended, all of it. */
  get stderr(): string {
    return this.errors
  }

  /** Waits for the next line that matches, from the last one waited for on. */
  line(pattern: RegExp): Promise<RegExpExecArray> {
    return new Promise((resolve, reject) => {
      this.waiter = { pattern, resolve, reject }
      this.look()
    })
  }

  /** Waits for the line that says where the program serves, and returns the address behind the scheme. */
  async address(): Promise<string> {
    const [, address] = await this.line(/^(?:listening on ws|open http):\/\/(\S+)/)
    return address!
  }

  write(text: string): void {
    this.child.stdin.write(text)
  }

  endInput(): void {
    this.child.stdin.end()
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.isOver) this.child.kill("SIGKILL")
    await this.exit
  }

  private look(): void {
    const waiter = this.waiter
    if (waiter === undefined) return
    while (this.read < this.lines.length) {
      const match = waiter.pattern.exec(this.lines[this.read++]!)
      if (match !== null) return this.settle(() => waiter.resolve(match))
    }
    if (this.isOver) this.settle(() => waiter.reject(new Error(this.describeMissing(waiter.pattern))))
  }

  private settle(how: () => void): void {
    this.waiter = undefined
    how()
  }

  private describeMissing(pattern: RegExp): string {
    return `the program ended without a line like ${pattern}\n${this.lines.join("\n")}\n${this.errors}`
  }
}
