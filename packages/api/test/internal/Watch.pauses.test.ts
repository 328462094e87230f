/** A watch while reading is paused, or the transport full. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import * as Deadlines from "../../src/internal/Deadlines.ts"
import { seconds, days, makeOn, make, tellsAfter, tellsNothingFor, begin, counting } from "../support/watching.ts"

describe("Watch: pauses", () => {
  for (const phase of ["idle", "message"] as const) {
    it.scoped(`watch doesn't count ${phase} while reading is paused`, () =>
      Effect.gen(function* () {
        const made = yield* make({ [phase]: 1000 })
        begin[phase](made)
        yield* TestClock.adjust(400)
        made.watch.pause()
        yield* tellsNothingFor(made, 5000)
        // A second pause in the first is none.
        made.watch.pause()
        yield* tellsNothingFor(made, 5000)
        made.watch.resume()
        yield* tellsAfter(made, phase === "idle" ? 1000 : 600, `${phase} 1000`, 1000)
      })
    )
  }

  it.scoped("watch counts of a message only what it took outside of pauses, also when it began in one", () =>
    Effect.gen(function* () {
      const made = yield* make({ message: 1000 })
      made.watch.pause()
      yield* TestClock.adjust(5000)
      made.watch.heard(true)
      yield* TestClock.adjust(2000)
      made.watch.resume()
      yield* TestClock.adjust(300)
      made.watch.pause()
      yield* TestClock.adjust(2000)
      made.watch.resume()
      yield* tellsAfter(made, 700, "message 1000", 1000)
    })
  )

  it.scoped("watch neither lets Pings be sent nor waits for an answer while reading is paused", () =>
    Effect.gen(function* () {
      const made = yield* make({ ping: 1000, pong: 500 })
      yield* TestClock.adjust(1400)
      assert.deepStrictEqual(made.log, ["ping"])
      made.watch.pause()
      yield* tellsNothingFor(made, 10_000)
      made.watch.resume()
      yield* tellsNothingFor(made, 999)
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(made.log, ["ping", "ping"])
      yield* tellsAfter(made, 500, "pong 500")
    })
  )

  for (const phase of ["lifetime", "write"] as const) {
    it.scoped(`watch counts ${phase} while reading is paused`, () =>
      Effect.gen(function* () {
        const made = yield* make({ [phase]: 1000 })
        begin[phase](made)
        made.watch.pause()
        yield* tellsAfter(made, 1000, `${phase} 1000`)
      })
    )
  }

  it.scoped("watch takes an end of a pause that was none for nothing", () =>
    Effect.gen(function* () {
      const made = yield* make({ idle: 1000 })
      yield* TestClock.adjust(900)
      made.watch.resume()
      yield* tellsAfter(made, 100, "idle 1000", 1000)
    })
  )

  it.scoped("watch that pauses all the time sets no deadline anew each time", () =>
    Effect.gen(function* () {
      const { clock, slept } = yield* counting
      const deadlines = yield* Effect.withClock(Deadlines.current, clock)
      const { watch } = makeOn(deadlines, { ping: 1000, idle: 2000 })
      yield* TestClock.adjust(1)
      for (let i = 0; i < 100; i++) {
        watch.pause()
        watch.resume()
        yield* TestClock.adjust(1)
      }
      assert.deepStrictEqual(slept, [1000])
      watch.stop()
    })
  )
})

describe("Watch: a transport that is full", () => {
  it.scoped("watch doesn't count when it has room again, and counts anew when it is full again", () =>
    Effect.gen(function* () {
      const made = yield* make({ write: 1000 })
      made.watch.stuck()
      yield* tellsNothingFor(made, 990)
      made.watch.unstuck()
      yield* tellsNothingFor(made, 5000)
      made.watch.stuck()
      yield* tellsAfter(made, 1000, "write 1000")
    })
  )

  for (const write of [100, seconds(1), seconds(60)]) {
    it.scoped(`watch counts ${write} ms from the last that the transport took`, () =>
      Effect.gen(function* () {
        const made = yield* make({ write })
        made.watched.taken = 10
        made.watch.stuck()
        for (let i = 0; i < 5; i++) {
          yield* tellsNothingFor(made, write * 0.7)
          made.watched.taken++
        }
        yield* tellsAfter(made, write, `write ${write}`)
      })
    )

    it.scoped(`watch counts ${write} ms from what the transport took just before it was full, not after`, () =>
      Effect.gen(function* () {
        const made = yield* make({ write })
        made.watched.taken = 10
        made.watch.stuck()
        made.watch.unstuck()
        made.watched.taken = 20
        made.watch.stuck()
        yield* tellsAfter(made, write, `write ${write}`)
      })
    )
  }

  for (const write of [100, seconds(1), seconds(2)]) {
    it.scoped(`watch counts ${write} ms as exactly where others have deadlines all the time`, () =>
      Effect.gen(function* () {
        const deadlines = yield* Deadlines.current
        let isTicking = true
        // As often as they may fire, so that each of the watch has to wait until they have rested.
        const tick = (): void => void (isTicking && deadlines.after(1, tick))
        tick()
        const made = yield* make({ write })
        made.watch.stuck()
        for (const after of [1, 9, 52]) {
          yield* TestClock.adjust(after)
          made.watched.taken++
        }
        yield* tellsAfter(made, write, `write ${write}`)
        isTicking = false
        yield* TestClock.adjust(50)
      })
    )
  }

  it.scoped("watch looks at the transport in time although another deadline of its own comes earlier", () =>
    Effect.gen(function* () {
      const made = yield* make({ write: seconds(60), ping: seconds(50) })
      made.watch.stuck()
      yield* TestClock.adjust(1000)
      made.watched.taken++
      yield* TestClock.adjust(seconds(60) - 1)
      assert.deepStrictEqual(made.log, ["ping"])
      yield* TestClock.adjust(1 + seconds(3))
      assert.deepStrictEqual(made.log, ["ping", "write 60000"])
    })
  )

  it.scoped("watch looks at the transport in time although reading pauses and resumes all the while", () =>
    Effect.gen(function* () {
      const made = yield* make({ write: seconds(60), lifetime: days(1) })
      made.watch.stuck()
      yield* TestClock.adjust(1000)
      made.watched.taken++
      for (let i = 0; i < 59; i++) {
        made.watch.pause()
        made.watch.resume()
        yield* tellsNothingFor(made, 1000)
      }
      yield* TestClock.adjust(999)
      assert.deepStrictEqual(made.log, [])
      yield* TestClock.adjust(1 + seconds(3))
      assert.deepStrictEqual(made.log, ["write 60000"])
    })
  )

  it.scoped("watch lets one Ping be sent behind what is stuck, and goes on when there is room", () =>
    Effect.gen(function* () {
      for (const write of [Infinity, days(1)]) {
        const made = yield* make({ ping: 1000, write })
        made.watch.stuck()
        yield* TestClock.adjust(50_000)
        assert.deepStrictEqual(made.log, ["ping"])
        made.watch.unstuck()
        yield* TestClock.adjust(50)
        assert.deepStrictEqual(made.log, ["ping", "ping"])
        yield* TestClock.adjust(1000)
        assert.deepStrictEqual(made.log, ["ping", "ping", "ping"])
      }
    })
  )

  it.scoped("watch that finds the transport full all the time sets no deadline anew each time", () =>
    Effect.gen(function* () {
      const { clock, slept } = yield* counting
      const deadlines = yield* Effect.withClock(Deadlines.current, clock)
      const { watch } = makeOn(deadlines, { write: seconds(60), idle: seconds(300) })
      for (let i = 0; i < 100; i++) {
        watch.stuck()
        watch.unstuck()
        yield* TestClock.adjust(1)
      }
      assert.isAtMost(slept.length, 2)
      watch.stop()
    })
  )
})
