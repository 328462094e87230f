/** A watch, each of its times, and what the peer says. */
import * as ConnectionOptions from "@effect-ws/api/ConnectionOptions"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import { timesOf } from "../../src/internal/connection/Watch.ts"
import { leavesNothing } from "../support/leaks.ts"
import {
  off,
  seconds,
  days,
  tolerance,
  make,
  tellsAfter,
  tellsNothingFor,
  begin,
  phases,
  fiberCount
} from "../support/watching.ts"

describe("Watch: each time", () => {
  for (const phase of phases) {
    for (const millis of [1, 40, 999.5, seconds(1), seconds(60), days(24)]) {
      it.scoped(`watch tells that ${phase} of ${millis} ms is over, not before, within the tolerance, and once`, () =>
        Effect.gen(function* () {
          const made = yield* make({ [phase]: millis })
          begin[phase](made)
          yield* tellsAfter(made, millis, `${phase} ${millis}`)
          yield* tellsNothingFor(made, days(50))
        })
      )
    }
  }

  for (const millis of [1, 40, seconds(1), seconds(60)]) {
    it.scoped(`watch tells that a Ping after 1000 ms of silence has no answer for ${millis} ms`, () =>
      Effect.gen(function* () {
        const made = yield* make({ ping: 1000, pong: millis })
        yield* TestClock.adjust(999)
        assert.deepStrictEqual(made.log, [])
        yield* TestClock.adjust(1)
        assert.deepStrictEqual(made.log, ["ping"])
        yield* TestClock.adjust(millis - 1)
        assert.notInclude(made.log, `pong ${millis}`)
        yield* TestClock.adjust(1 + tolerance(millis))
        assert.strictEqual(made.log.at(-1), `pong ${millis}`)
      })
    )
  }

  it.scoped("watch counts from the first Ping without an answer, however many follow", () =>
    Effect.gen(function* () {
      const made = yield* make({ ping: 100, pong: 350 })
      yield* TestClock.adjust(449)
      assert.deepStrictEqual(made.log, ["ping", "ping", "ping", "ping"])
      yield* TestClock.adjust(51)
      assert.deepStrictEqual(made.log.slice(4), ["pong 350"])
    })
  )

  it.effect("watch without any time has no deadline, and without a fiber does nothing", () =>
    leavesNothing(
      Effect.gen(function* () {
        const fibers = yield* fiberCount
        const made = yield* make({})
        for (const phase of [...phases, "ping", "pong"] as const) begin[phase](made)
        made.watch.pause()
        made.watch.resume()
        yield* tellsNothingFor(made, days(50))
        assert.strictEqual(yield* fiberCount, fibers)
      })
    )
  )

  for (const phase of phases) {
    it.scoped(`watch tells the rest when ${phase} is off`, () =>
      Effect.gen(function* () {
        const times = { idle: 1000, write: 1000, message: 1000, lifetime: 1000, [phase]: Infinity }
        for (const other of phases.filter((other) => other !== phase)) {
          const made = yield* make({ ...off, [other]: times[other] })
          for (const each of phases) begin[each](made)
          yield* tellsAfter(made, 1000, `${other} 1000`)
        }
      })
    )
  }

  it("watch has the times of the options", () => {
    const minutes = (count: number): number => seconds(60 * count)
    const common = { pong: Infinity, write: minutes(1), message: minutes(5), lifetime: Infinity }
    assert.deepStrictEqual(timesOf(ConnectionOptions.defaults.client), { ...common, idle: Infinity, ping: Infinity })
    assert.deepStrictEqual(timesOf(ConnectionOptions.defaults.server), {
      ...common,
      idle: minutes(5),
      ping: seconds(150)
    })
    const own = ConnectionOptions.make("client", {
      idleTimeout: 1,
      pingInterval: 2,
      pongTimeout: 3,
      writeTimeout: 4,
      messageTimeout: 5,
      maxLifetime: 6
    })
    assert.deepStrictEqual(timesOf(own), { idle: 1, ping: 2, pong: 3, write: 4, message: 5, lifetime: 6 })
  })
})

describe("Watch: what the peer says", () => {
  it.scoped("watch counts silence from the last that was heard", () =>
    Effect.gen(function* () {
      const made = yield* make({ idle: 1000 })
      for (let i = 0; i < 5; i++) {
        yield* tellsNothingFor(made, 999)
        made.watch.heard(false)
      }
      yield* tellsAfter(made, 1000, "idle 1000")
    })
  )

  it.scoped("watch lets a Ping be sent again and again while nothing is heard, and none while something is", () =>
    Effect.gen(function* () {
      const made = yield* make({ ping: 1000 })
      for (let i = 0; i < 5; i++) {
        yield* tellsNothingFor(made, 999)
        made.watch.heard(false)
      }
      for (let i = 0; i < 5; i++) {
        yield* tellsNothingFor(made, 999)
        yield* TestClock.adjust(1)
        assert.lengthOf(made.log, i + 1)
      }
      assert.deepStrictEqual(new Set(made.log), new Set(["ping"]))
    })
  )

  it.scoped("watch lets a peer live for ever that only answers Pings", () =>
    Effect.gen(function* () {
      const made = yield* make({ idle: 1000, ping: 500, pong: 100 })
      const answered = new Array<string>()
      for (let i = 0; i < 20; i++) {
        yield* TestClock.adjust(500)
        assert.deepStrictEqual(made.log.splice(0), ["ping"])
        answered.push("pong")
        yield* TestClock.adjust(99)
        made.watch.heard(false)
      }
      yield* tellsNothingFor(made, 499)
      assert.lengthOf(answered, 20)
    })
  )

  it.scoped("watch takes what comes at the very moment of a Ping for its answer", () =>
    Effect.gen(function* () {
      const made = yield* make({ ping: 1000, pong: 500 })
      yield* TestClock.adjust(1000)
      made.watch.heard(false)
      yield* tellsNothingFor(made, 999)
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(made.log, ["ping", "ping"])
    })
  )

  for (const phase of ["idle", "pong", "message"] as const) {
    it.scoped(`watch doesn't tell of ${phase} what was over only because nobody could listen`, () =>
      Effect.gen(function* () {
        const made = yield* make({ [phase]: 1000, ...(phase === "pong" ? { ping: 1000 } : {}) })
        begin[phase](made)
        // At the end of the time what has come is not yet read, and is right after it.
        yield* TestClock.adjust(phase === "pong" ? 2000 : 1000)
        made.watch.heard(false)
        yield* TestClock.adjust(500)
        assert.notInclude(made.log, `${phase} 1000`)
      })
    )
  }

  it.scoped("watch is not quicker to believe the next silence when one was none", () =>
    Effect.gen(function* () {
      const made = yield* make({ idle: 1000 })
      for (let i = 0; i < 3; i++) {
        yield* TestClock.adjust(1000)
        made.watch.heard(false)
        yield* TestClock.adjust(20)
        made.watch.heard(false)
      }
      assert.deepStrictEqual(made.log, [])
      yield* tellsAfter(made, 1000, "idle 1000")
    })
  )
})

describe("Watch: messages", () => {
  it.scoped("watch counts a message from its first bytes, whatever comes of it", () =>
    Effect.gen(function* () {
      const made = yield* make({ message: 5000 })
      yield* tellsNothingFor(made, 10_000)
      made.watch.heard(true)
      for (let i = 0; i < 4; i++) {
        yield* TestClock.adjust(1000)
        made.watch.heard(true)
      }
      yield* tellsAfter(made, 1000, "message 5000", 5000)
    })
  )

  it.scoped("watch forgets a message that is whole", () =>
    Effect.gen(function* () {
      const made = yield* make({ message: 1000 })
      made.watch.heard(true)
      yield* TestClock.adjust(999)
      made.watch.heard(false)
      yield* tellsNothingFor(made, 5000)
      made.watch.heard(true)
      yield* tellsAfter(made, 1000, "message 1000")
    })
  )

  it.scoped("watch counts anew for a message that begins in the chunk in which another one ends", () =>
    Effect.gen(function* () {
      const made = yield* make({ message: 1000 })
      for (let i = 0; i < 10; i++) {
        made.watch.messageOver()
        made.watch.heard(true)
        yield* tellsNothingFor(made, 900)
      }
      yield* tellsAfter(made, 100, "message 1000", 1000)
    })
  )
})
