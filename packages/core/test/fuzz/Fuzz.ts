/**
 * Runs random executions one after the other, each from a seed of its own: the first one from the seed given, the next one
 * from the number behind it. So an execution that fails is run again, alone and first, by the seed that it prints.
 */
import { fuzzFrames } from "./frames.ts"
import { fuzzHeads } from "./heads.ts"
import { Random } from "./Random.ts"

/** One execution: throws when something comes out that isn't documented. */
export type Execution = (random: Random) => void

/** What has come of a run. */
export interface Report {
  readonly executions: number
  readonly failure: Failure | undefined
}

export interface Failure {
  /** The seed of the execution that failed. */
  readonly seed: number
  readonly cause: unknown
}

/** Frames, mostly, and heads of the opening handshake. */
export const documentedOutcomesOnly: Execution = (random) => (random.chance(5) ? fuzzHeads(random) : fuzzFrames(random))

/** Executes for as long as `goesOn` says so, up to the first failure. */
export const fuzz = (
  seed: number,
  goesOn: (executions: number) => boolean,
  execution: Execution = documentedOutcomesOnly
): Report => {
  let executions = 0
  while (goesOn(executions)) {
    const own = (seed + executions) >>> 0
    const cause = caught(execution, own)
    executions++
    if (cause !== undefined) return { executions, failure: { seed: own, cause: cause.thrown } }
  }
  return { executions, failure: undefined }
}

const caught = (execution: Execution, seed: number): { readonly thrown: unknown } | undefined => {
  try {
    execution(new Random(seed))
    return undefined
  } catch (thrown) {
    return { thrown }
  }
}

/** Says what failed, and how to see it again. */
export const describeFailure = ({ cause, seed }: Failure): string =>
  [
    `An outcome that is not documented, at seed ${seed}.`,
    `Again, alone: npm run fuzz -- --seed ${seed} --executions 1`,
    cause instanceof Error ? (cause.stack ?? cause.message) : String(cause)
  ].join("\n")
