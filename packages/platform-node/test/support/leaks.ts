import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as AsyncHooks from "node:async_hooks"
import type { EventEmitter } from "node:events"
import { turn } from "./sockets.ts"

/** What a program holds: handles by name, fibers, and listeners by emitter and event. */
interface Holdings {
  readonly handles: ReadonlyMap<string, number>
  readonly fibers: ReadonlySet<unknown>
  readonly listeners: ReadonlyMap<string, number>
}

type Emitters = Readonly<Record<string, EventEmitter>>

/**
 * Runs the effect and fails when it leaves a handle, a timer or a fiber behind, or a listener on `process` or on one of
 * the emitters given, which must be older than the effect.
 *
 * What ends in a later turn is waited for. With the TestClock the fiber of its warning would count: use the live one.
 */
export const withoutLeaks = <A, E, R>(
  self: Effect.Effect<A, E, R>,
  emitters: Emitters = {},
  patience: number = ordinaryPatience
): Effect.Effect<A, E, R> =>
  Effect.gen(function* () {
    const watched = { process, ...emitters }
    const before = yield* holdings(watched)
    const timers = watchTimers()
    const result = yield* Effect.onExit(self, () => Effect.sync(timers.stopAdding))
    yield* Effect.ensuring(
      awaitNone(() => Effect.map(holdings(watched), (after) => difference(before, after, timers.count())), patience),
      Effect.sync(timers.stop)
    )
    return result
  })

const awaitNone = (leftBehind: () => Effect.Effect<Array<string>>, patience: number): Effect.Effect<void> =>
  Effect.gen(function* () {
    const giveUpAt = performance.now() + patience
    for (;;) {
      const left = yield* leftBehind()
      if (left.length === 0) return
      if (performance.now() > giveUpAt) return yield* Effect.die(new Error(`Left behind: ${left.join(", ")}`))
      yield* turn
    }
  })

const holdings = (emitters: Emitters): Effect.Effect<Holdings> =>
  Effect.map(Fiber.roots, (fibers) => ({
    handles: count(process.getActiveResourcesInfo().filter((name) => !transient.has(name))),
    fibers: new Set(fibers),
    listeners: new Map(Object.entries(emitters).flatMap(([name, emitter]) => listenersOf(name, emitter)))
  }))

const listenersOf = (name: string, emitter: EventEmitter): Array<[string, number]> =>
  emitter.eventNames().map((event) => [`listener of ${name} for ${String(event)}`, emitter.listenerCount(event)])

const difference = (before: Holdings, after: Holdings, timers: number): Array<string> => {
  const fibers = [...after.fibers].filter((fiber) => !before.fibers.has(fiber))
  return [
    ...increases(before.handles, after.handles),
    ...increases(before.listeners, after.listeners),
    ...(timers === 0 ? [] : [`${timers} timer`]),
    ...(fibers.length === 0 ? [] : [`${fibers.length} fiber`])
  ]
}

const increases = (before: ReadonlyMap<string, number>, after: ReadonlyMap<string, number>): Array<string> =>
  [...after]
    .map(([name, many]) => [name, many - (before.get(name) ?? 0)] as const)
    .filter(([, more]) => more > 0)
    .map(([name, more]) => `${more} ${name}`)

const count = (names: ReadonlyArray<string>): ReadonlyMap<string, number> => {
  const counts = new Map<string, number>()
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1)
  return counts
}

/**
 * Follows the timers that are made from here on. Their number alone would not do: the test runner has timers too, which
 * come and go, and one of those that has gone hides one of ours that has come.
 */
const watchTimers = () => {
  const live = new Map<number, NodeJS.Timeout>()
  let isAdding = true
  const hook = AsyncHooks.createHook({
    init: (id, type, _, timer) => void (isAdding && type === "Timeout" && live.set(id, timer as NodeJS.Timeout)),
    destroy: (id) => void live.delete(id)
  }).enable()
  return {
    // One that doesn't keep the process alive is no leak: undici has such a clock.
    count: () => [...live.values()].filter((timer) => timer.hasRef()).length,
    stopAdding: () => void (isAdding = false),
    stop: () => void hook.disable()
  }
}

// What comes and goes with the waiting itself and with the runner, and timers, which are followed one by one.
const transient: ReadonlySet<string> = new Set(["Immediate", "FSReqCallback", "Timeout"])

// In milliseconds: how long an end that is under way may take on a busy machine.
const ordinaryPatience = 2000
