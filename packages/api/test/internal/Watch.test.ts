import * as ConnectionOptions from "@effect-ws/api/ConnectionOptions"
import { assert, describe, it } from "@effect/vitest"
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import * as Deadlines from "../../src/internal/Deadlines.ts"
import { type Times, timesOf, Watch } from "../../src/internal/Watch.ts"
import { leavesNothing } from "../support/leaks.ts"

const off: Times = {
  idle: Infinity,
  ping: Infinity,
  pong: Infinity,
  write: Infinity,
  message: Infinity,
  lifetime: Infinity
}

const seconds = (count: number): number => count * 1000
const days = (count: number): number => seconds(count * 24 * 60 * 60)

/** How much later than its time something may be noticed, in milliseconds. */
const tolerance = (millis: number): number => Math.max(50, millis / 20)

/** A watch whose Pings nobody answers, and what it told: `ping`, or the phase that is over and its time. */
const makeOn = (deadlines: Deadlines.Deadlines, times: Partial<Times>) => {
  const log: Array<string> = []
  const watched = {
    taken: 0,
    keepAlive: () => void log.push("ping"),
    expire: (phase: string, millis: number) => void log.push(`${phase} ${millis}`)
  }
  const watch = new Watch({ ...off, ...times }, deadlines, watched)
  return { log, watch, watched }
}

const make = (times: Partial<Times>) =>
  Effect.acquireRelease(
    Effect.map(Deadlines.current, (deadlines) => makeOn(deadlines, times)),
    ({ watch }) => Effect.sync(() => watch.stop())
  )

type Made = ReturnType<typeof makeOn>

/** Nothing is told before the time has passed from here on, and `entry` within the tolerance. */
const tellsAfter = ({ log }: Made, millis: number, entry: string, time = millis) =>
  Effect.gen(function* () {
    const before = [...log]
    yield* TestClock.adjust(millis - 1)
    assert.deepStrictEqual(log, before)
    yield* TestClock.adjust(1 + tolerance(time))
    assert.deepStrictEqual(log, [...before, entry])
  })

const tellsNothingFor = ({ log }: Made, millis: number) =>
  Effect.gen(function* () {
    const before = [...log]
    yield* TestClock.adjust(millis)
    assert.deepStrictEqual(log, before)
  })

/** What makes each time begin to count. */
const begin: { readonly [P in keyof Times]: (made: Made) => void } = {
  idle: () => {},
  ping: () => {},
  pong: () => {},
  lifetime: () => {},
  message: ({ watch }) => watch.heard(true),
  write: ({ watch }) => watch.stuck()
}

const phases = ["idle", "write", "message", "lifetime"] as const

/** The clock in force, which counts how often somebody is woken, and what was asked for. */
const counting = Effect.map(Effect.clock, (clock) => {
  const slept: Array<number> = []
  const counted: Clock.Clock = Object.assign(Object.create(clock) as Clock.Clock, {
    sleep: (duration: Duration.Duration) => {
      slept.push(Duration.toMillis(duration))
      return clock.sleep(duration)
    }
  })
  return { clock: counted, slept }
})

const fiberCount = Effect.map(Fiber.roots, (fibers) => Array.from(fibers).length)

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
