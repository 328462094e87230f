/** What a scenario must not leave behind: fibers, and transports that are not over. */
import * as MemoryTransport from "@effect-ws/api/testing/MemoryTransport"
import { assert } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"

/** The pairs that were made since `leavesNothing` began. */
class Pairs extends Context.Reference<Pairs>()("test/Pairs", {
  defaultValue: (): { all: Array<MemoryTransport.Pair> } => ({ all: [] })
}) {}

/** Makes a pair of transports that `leavesNothing` knows of. */
export const makePair = (options: MemoryTransport.Options = {}): Effect.Effect<MemoryTransport.Pair> =>
  Effect.gen(function* () {
    const pair = yield* MemoryTransport.make(options)
    const pairs = yield* Pairs
    pairs.all.push(pair)
    return pair
  })

/** Lets everything run that can run without the clock. */
export const settled: Effect.Effect<void> = Effect.repeatN(Effect.yieldNow(), 40)

/**
 * Runs the scenario, closes its scope, and asserts that no fiber was left running and no transport open that was not
 * there before.
 */
export const leavesNothing = <A, E, R>(
  scenario: Effect.Effect<A, E, R>
): Effect.Effect<A, E, Exclude<R, Scope.Scope>> =>
  Effect.gen(function* () {
    const pairs = { all: new Array<MemoryTransport.Pair>() }
    const before = new Set(yield* Fiber.roots)
    const result = yield* Effect.scoped(scenario).pipe(Effect.provideService(Pairs, pairs))
    yield* settled
    const fibers = Array.from(yield* Fiber.roots).filter((fiber) => !before.has(fiber))
    const left = pairs.all.flatMap((pair) => pair.leftovers())
    assert.deepStrictEqual([...fibers.map((fiber) => `fiber ${fiber.id().id} runs`), ...left], [])
    return result
  })
