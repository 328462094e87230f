/**
 * Programs of the machine as peers: where they are, how they are run, and how it is reported that one is missing.
 */
import { describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as ChildProcess from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { createInterface } from "node:readline"
import { makeInbox } from "./inbox.ts"

/** A program that may be missing. */
export interface Program {
  readonly name: string
  /** Where it is, or would be. */
  readonly command: string
  /** Why it can't be used; `undefined` when it can. */
  readonly problem: string | undefined
}

/** Looks for a program in the folders of PATH, and in those given. */
export const find = (name: string, ...folders: ReadonlyArray<string>): Program => {
  const command = places(name, folders).find((place) => Fs.existsSync(place))
  return command === undefined
    ? { name, command: name, problem: `${name} is not installed` }
    : { name, command, problem: undefined }
}

/** The places where a program may be, in the order of PATH. */
export const places = (name: string, folders: ReadonlyArray<string> = []): ReadonlyArray<string> => {
  const file = process.platform === "win32" ? `${name}.exe` : name
  const path = (process.env["PATH"] ?? "").split(Path.delimiter)
  return [...path, ...folders].filter((folder) => folder !== "").map((folder) => Path.join(folder, file))
}

/**
 * As `describe`, for tests that talk to the program. Where it is missing they are skipped, and one test in their place
 * appends a line for them to the file named by `EFFECT_WS_SKIPPED`; with `REQUIRE_PEERS=1` that test fails.
 */
export const describeWith = (program: Program, title: string, tests: () => void): void => {
  const { name, problem } = program
  const suite = describe.skipIf(problem !== undefined)(title, tests)
  if (problem === undefined) return
  it(`reports what is not run for want of ${name}: ${title}`, () => reportSkip(name, problem, titles(suite)))
}

const reportSkip = (peer: string, reason: string, tests: ReadonlyArray<string>): void => {
  if (process.env["REQUIRE_PEERS"] === "1") throw new Error(`${peer} is required here, but ${reason}`)
  const file = process.env["EFFECT_WS_SKIPPED"]
  if (file !== undefined) Fs.appendFileSync(file, `${JSON.stringify({ peer, reason, tests })}\n`)
}

/** A program that runs. */
export interface Running {
  /** Takes the next line of its output. The test dies with what the program said last when it has ended instead. */
  readonly nextLine: Effect.Effect<string>
  /** Writes a line to its input. */
  readonly write: (line: string) => void
  /** Waits for its end. */
  readonly ended: Effect.Effect<Ended>
}

export interface Ended {
  /** The exit status; `null` when a signal ended it. */
  readonly status: number | null
  readonly output: string
  readonly errors: string
}

/** Runs a program until it ends or the scope closes, which kills it and waits until it is gone. */
export const start = ({ command }: Program, args: ReadonlyArray<string>): Effect.Effect<Running, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => watch(ChildProcess.spawn(command, args))),
    ({ ended, kill }) => Effect.zipRight(Effect.sync(kill), ended)
  )

/** Runs a program to its end. */
export const run = (program: Program, args: ReadonlyArray<string>): Effect.Effect<Ended> =>
  Effect.scoped(Effect.flatMap(start(program, args), ({ ended }) => ended))

const watch = (child: ChildProcess.ChildProcessWithoutNullStreams): Running & { readonly kill: () => void } => {
  const ended = Effect.runSync(Deferred.make<Ended>())
  const lines = makeInbox<Effect.Effect<string>>()
  const [output, errors] = [gather(child.stdout), gather(child.stderr)]
  createInterface({ input: child.stdout }).on("line", (line) => lines.push(Effect.succeed(line)))
  // What was written to a program that has ended is lost: its end is told by "close".
  child.stdin.on("error", () => {})
  child.on("error", ({ message }) => errors.push(Buffer.from(message)))
  // Not "exit": what was written is read to its end first.
  child.on("close", (status) => {
    const end = { status, output: Buffer.concat(output).toString(), errors: Buffer.concat(errors).toString() }
    Deferred.unsafeDone(ended, Effect.succeed(end))
    lines.push(noMoreLines(end, lines.push))
  })
  return {
    nextLine: Effect.flatten(lines.next),
    write: (line) => void child.stdin.write(`${line}\n`),
    ended: Deferred.await(ended),
    kill: () => void child.kill("SIGKILL")
  }
}

const gather = (stream: NodeJS.ReadableStream): Array<Buffer> => {
  const chunks: Array<Buffer> = []
  stream.on("data", (chunk) => chunks.push(chunk))
  return chunks
}

// Whoever asks again is told again.
const noMoreLines = ({ errors, status }: Ended, push: (line: Effect.Effect<string>) => void): Effect.Effect<never> =>
  Effect.suspend(() => {
    push(noMoreLines({ errors, status, output: "" }, push))
    return Effect.dieMessage(`The program has ended with ${status}\n${errors}`)
  })

interface Task {
  readonly name: string
  readonly tasks?: ReadonlyArray<Task>
}

const titles = ({ name, tasks }: Task): ReadonlyArray<string> => (tasks === undefined ? [name] : tasks.flatMap(titles))
