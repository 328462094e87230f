/**
 * What the programs have in common: their arguments, a line for the person when something goes wrong, and the exit code.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import { parseArgs, type ParseArgsConfig } from "node:util"

/** Ends a program: the message is all that the person gets to see. */
export class CliError extends Data.TaggedError("CliError")<{ readonly message: string }> {}

/** Fails with a line for the person. */
export const fail = (message: string): Effect.Effect<never, CliError> => Effect.fail(new CliError({ message }))

/** Reads the arguments, or fails with what is wrong with them and how to call the program. */
export const parse = <const T extends ParseArgsConfig>(
  usage: string,
  config: T
): Effect.Effect<ReturnType<typeof parseArgs<T>>, CliError> =>
  Effect.try({
    try: () => parseArgs(config),
    catch: (cause) => new CliError({ message: `${cause instanceof Error ? cause.message : String(cause)}\n${usage}` })
  })

/** Reads a port, 0 for one that the system chooses. */
export const port = (text: string): Effect.Effect<number, CliError> =>
  /^\d{1,5}$/.test(text) && Number(text) <= 65535
    ? Effect.succeed(Number(text))
    : fail(`a port is a number from 0 to 65535, and not ${JSON.stringify(text)}`)

/**
 * Runs a program whose failures are all meant for a person: the message on stderr and the exit code 1. A defect is logged
 * with its trace. Ctrl-C interrupts the program, which may close what it holds, and exits with 0.
 */
export const run = (program: Effect.Effect<unknown, CliError>): void =>
  program.pipe(
    Effect.tapErrorTag("CliError", (error) => Console.error(error.message)),
    Effect.tapDefect((cause) => Effect.logFatal(cause)),
    NodeRuntime.runMain({ disableErrorReporting: true })
  )
