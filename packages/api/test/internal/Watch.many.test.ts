/** A watch with several times, and many watches. */
import { assert, describe, it } from "@effect/vitest"
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import * as Deadlines from "../../src/internal/Deadlines.ts"
import { type Times, Watch } from "../../src/internal/connection/Watch.ts"
import { leavesNothing } from "../support/leaks.ts"
import {
  off,
  seconds,
  days,
  makeOn,
  make,
  tellsAfter,
  tellsNothingFor,
  begin,
  counting,
  fiberCount
} from "../support/watching.ts"

describe("Watch: several times", () => {
  const orders = [
    { times: { lifetime: 1000, idle: 1001 }, first: "lifetime 1000" },
    { times: { idle: 1000, message: 1001 }, first: "idle 1000" },
    { times: { message: 1000, idle: 1001 }, first: "message 1000" },
    { times: { write: 1000, lifetime: 1001, idle: 1002 }, first: "write 1000" }
  ]
  for (const { first, times } of orders) {
    it.scoped(`watch tells ${first} when others are over right after it`, () =>
      Effect.gen(function* () {
        const deadlines = yield* Deadlines.current
        // The rest behind this one makes all of them be noticed at once.
        deadlines.after(999, () => {})
        const made = yield* make(times)
        begin.message(made)
        begin.write(made)
        yield* tellsAfter(made, 1000, first)
        yield* tellsNothingFor(made, 5000)
      })
    )
  }

  it.scoped("watch tells that the lifetime is over when something else is at the very same time", () =>
    Effect.gen(function* () {
      const made = yield* make({ idle: 1000, message: 1000, write: 1000, lifetime: 1000, ping: 1000 })
      begin.message(made)
      begin.write(made)
      yield* tellsAfter(made, 1000, "lifetime 1000")
    })
  )

  it.effect("watch that was stopped tells nothing, whatever comes, and has no deadline", () =>
    leavesNothing(
      Effect.gen(function* () {
        const fibers = yield* fiberCount
        const all = { idle: 1000, ping: 500, pong: 100, write: 1000, message: 1000, lifetime: 1000 }
        const made = yield* make(all)
        yield* TestClock.adjust(400)
        assert.strictEqual(yield* fiberCount, fibers + 1)
        made.watch.pause()
        made.watch.stop()
        yield* TestClock.adjust(0)
        assert.strictEqual(yield* fiberCount, fibers)
        made.watch.resume()
        made.watch.heard(true)
        made.watch.stuck()
        made.watch.unstuck()
        made.watch.stop()
        yield* tellsNothingFor(made, 10_000)
        assert.strictEqual(yield* fiberCount, fibers)
      })
    )
  )

  it.effect("watch that is stopped by what it tells has no deadline", () =>
    leavesNothing(
      Effect.gen(function* () {
        const deadlines = yield* Deadlines.current
        const told: Array<string> = []
        const watch: Watch = new Watch({ ...off, ping: 100, lifetime: 1000 }, deadlines, {
          taken: 0,
          keepAlive: () => (told.push("ping"), watch.stop()),
          expire: (phase) => told.push(phase)
        })
        yield* TestClock.adjust(5000)
        assert.deepStrictEqual(told, ["ping"])
      })
    )
  )
})

describe("Watch: many", () => {
  const many = 10_000

  /** So many watches, begun in groups that lie 100 ms apart, and how often their deadlines slept in the hour after that. */
  const hour = (times: Partial<Times>, groups: number, answers: boolean) =>
    Effect.gen(function* () {
      const { clock, slept } = yield* counting
      const deadlines = yield* Effect.withClock(Deadlines.current, clock)
      const fibers = yield* fiberCount
      let pings = 0
      const expired: Array<string> = []
      const watches: Array<Watch> = []
      for (let group = 0; group < groups; group++) {
        for (let i = 0; i < many; i += groups) {
          const watch: Watch = new Watch({ ...off, ...times }, deadlines, {
            taken: 0,
            keepAlive: () => {
              pings++
              if (answers) watch.heard(false)
            },
            expire: (phase) => expired.push(phase)
          })
          watches.push(watch)
        }
        yield* TestClock.adjust(100)
      }
      assert.strictEqual(yield* fiberCount, fibers + 1)
      slept.length = 0
      yield* TestClock.adjust("1 hour")
      for (const watch of watches) watch.stop()
      yield* TestClock.adjust(0)
      assert.strictEqual(yield* fiberCount, fibers)
      return { expired, pings, wakeUps: slept.length }
    })

  it.effect(
    "10 000 watches of peers that only answer Pings are woken for once for each group, in an hour",
    () =>
      Effect.gen(function* () {
        const { expired, pings, wakeUps } = yield* hour({ idle: seconds(300), ping: seconds(150) }, 4, true)
        assert.deepStrictEqual(expired, [])
        assert.strictEqual(pings, 24 * many)
        assert.isAtMost(wakeUps, 24 * 4 + 1)
      }),
    30_000
  )

  it.effect("10 000 watches with nothing but lifetimes are not woken for before them", () =>
    Effect.gen(function* () {
      const { expired, wakeUps } = yield* hour({ lifetime: days(1) }, 2, false)
      assert.deepStrictEqual(expired, [])
      assert.strictEqual(wakeUps, 0)
    })
  )

  it.effect("10 000 watches whose deadlines lie anywhere in a second are woken for 50 times at most", () =>
    Effect.gen(function* () {
      const { clock, slept } = yield* counting
      const deadlines = yield* Effect.withClock(Deadlines.current, clock)
      let expired = 0
      const watched = { taken: 0, keepAlive: () => {}, expire: () => void expired++ }
      const watches = Array.from(
        { length: many },
        (_, i) => new Watch({ ...off, lifetime: seconds(10) + i / 10 }, deadlines, watched)
      )
      yield* TestClock.adjust(seconds(11.05))
      assert.strictEqual(expired, many)
      assert.isAtMost(slept.length, 1 + 51)
      for (const watch of watches) watch.stop()
    })
  )

  it.effect("watch fires in time although its clock cuts off fractions of a millisecond", () =>
    Effect.gen(function* () {
      const clock = yield* Effect.clock
      const slept: Array<number> = []
      const coarse: Clock.Clock = Object.assign(Object.create(clock) as Clock.Clock, {
        sleep: (duration: Duration.Duration) => {
          slept.push(Duration.toMillis(duration))
          return clock.sleep(Duration.millis(Math.max(1, Math.trunc(Duration.toMillis(duration)))))
        }
      })
      const deadlines = yield* Effect.withClock(Deadlines.current, coarse)
      const made = makeOn(deadlines, { lifetime: 1000.5 })
      yield* TestClock.adjust(1001)
      assert.deepStrictEqual(made.log, ["lifetime 1000.5"])
      assert.lengthOf(slept, 1)
    })
  )
})
