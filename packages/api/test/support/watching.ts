/** Watches without a connection, and what they tell. */
import { assert } from "@effect/vitest"
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import * as Deadlines from "../../src/internal/Deadlines.ts"
import { type Times, Watch } from "../../src/internal/connection/Watch.ts"

export const off: Times = {
  idle: Infinity,
  ping: Infinity,
  pong: Infinity,
  write: Infinity,
  message: Infinity,
  lifetime: Infinity
}

export const seconds = (count: number): number => count * 1000
export const days = (count: number): number => seconds(count * 24 * 60 * 60)

/** How much later than its time something may be noticed, in milliseconds. */
export const tolerance = (millis: number): number => Math.max(50, millis / 20)

/** A watch whose Pings nobody answers, and what it told: `ping`, or the phase that is over and its time. */
export const makeOn = (deadlines: Deadlines.Deadlines, times: Partial<Times>) => {
  const log: Array<string> = []
  const watched = {
    taken: 0,
    keepAlive: () => void log.push("ping"),
    expire: (phase: string, millis: number) => void log.push(`${phase} ${millis}`)
  }
  const watch = new Watch({ ...off, ...times }, deadlines, watched)
  return { log, watch, watched }
}

export const make = (times: Partial<Times>) =>
  Effect.acquireRelease(
    Effect.map(Deadlines.current, (deadlines) => makeOn(deadlines, times)),
    ({ watch }) => Effect.sync(() => watch.stop())
  )

export type Made = ReturnType<typeof makeOn>

/** Nothing is told before the time has passed from here on, and `entry` within the tolerance. */
export const tellsAfter = ({ log }: Made, millis: number, entry: string, time = millis) =>
  Effect.gen(function* () {
    const before = [...log]
    yield* TestClock.adjust(millis - 1)
    assert.deepStrictEqual(log, before)
    yield* TestClock.adjust(1 + tolerance(time))
    assert.deepStrictEqual(log, [...before, entry])
  })

export const tellsNothingFor = ({ log }: Made, millis: number) =>
  Effect.gen(function* () {
    const before = [...log]
    yield* TestClock.adjust(millis)
    assert.deepStrictEqual(log, before)
  })

/** What makes each time begin to count. */
export const begin: { readonly [P in keyof Times]: (made: Made) => void } = {
  idle: () => {},
  ping: () => {},
  pong: () => {},
  lifetime: () => {},
  message: ({ watch }) => watch.heard(true),
  write: ({ watch }) => watch.stuck()
}

export const phases = ["idle", "write", "message", "lifetime"] as const

/** The clock in force, which counts how often somebody is woken, and what was asked for. */
export const counting = Effect.map(Effect.clock, (clock) => {
  const slept: Array<number> = []
  const counted: Clock.Clock = Object.assign(Object.create(clock) as Clock.Clock, {
    sleep: (duration: Duration.Duration) => {
      slept.push(Duration.toMillis(duration))
      return clock.sleep(duration)
    }
  })
  return { clock: counted, slept }
})

export const fiberCount = Effect.map(Fiber.roots, (fibers) => Array.from(fibers).length)
