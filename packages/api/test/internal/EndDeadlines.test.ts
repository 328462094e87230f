import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import * as Deadlines from "../../src/internal/Deadlines.ts"
import { EndDeadlines } from "../../src/internal/connection/EndDeadlines.ts"
import { leavesNothing, settled } from "../support/leaks.ts"

const make = Effect.map(Deadlines.current, (deadlines) => {
  const log: Array<string> = []
  const note = (duration: Duration.Duration) => void log.push(`close ${Duration.toMillis(duration)}`)
  return { log, end: new EndDeadlines(deadlines, note) }
})

/** Nothing is told before the time has passed from here on, and `entry` within the tolerance. */
const tellsAfter = (log: ReadonlyArray<string>, millis: number, entry: string) =>
  Effect.gen(function* () {
    const before = [...log]
    yield* TestClock.adjust(millis - 1)
    assert.deepStrictEqual(log, before)
    yield* TestClock.adjust(1 + Math.max(50, millis / 20))
    assert.deepStrictEqual(log, [...before, entry])
  })

const fiberCount = Effect.map(Fiber.roots, (fibers) => Array.from(fibers).length)

describe("EndDeadlines", () => {
  for (const [input, millis] of [
    [1, 1],
    ["300 millis", 300],
    [Duration.seconds(5), 5000],
    ["2 minutes", 120_000]
  ] as const) {
    it.effect(`end is over ${millis} ms after it was first awaited, and says so once`, () =>
      leavesNothing(
        Effect.gen(function* () {
          const { end, log } = yield* make
          end.awaitEnd(input)
          yield* TestClock.adjust(Math.floor(millis / 2))
          end.awaitEnd(input)
          yield* tellsAfter(log, Math.ceil(millis / 2), `close ${millis}`)
          yield* TestClock.adjust(millis * 2)
          assert.deepStrictEqual(log, [`close ${millis}`])
          end.cancel()
        })
      )
    )
  }

  it.effect("peer may say nothing for a second", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { end, log } = yield* make
        // What came before doesn't count.
        end.heard()
        end.endSilence()
        yield* tellsAfter(log, 1000, "close 1000")
        yield* TestClock.adjust(10_000)
        assert.lengthOf(log, 1)
      })
    )
  )

  it.effect("peer that says something each second is heard until the end is over", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { end, log } = yield* make
        end.awaitEnd("5 seconds")
        end.endSilence()
        for (let i = 0; i < 9; i++) {
          end.heard()
          yield* TestClock.adjust(500)
        }
        // Asking again doesn't begin anew.
        end.endSilence()
        assert.deepStrictEqual(log, [])
        yield* tellsAfter(log, 500, "close 5000")
        end.cancel()
      })
    )
  )

  it.effect("peer that has fallen silent is noticed in the second after", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { end, log } = yield* make
        end.endSilence()
        yield* TestClock.adjust(500)
        end.heard()
        yield* TestClock.adjust(1499)
        assert.deepStrictEqual(log, [])
        yield* TestClock.adjust(51)
        assert.deepStrictEqual(log, ["close 1000"])
      })
    )
  )

  it.effect("messages may be handled for a second", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { end, log } = yield* make
        end.awaitHandling(() => void log.push("handling"))
        yield* tellsAfter(log, 1000, "handling")
      })
    )
  )

  it.effect("messages that are handled in time are not told of", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { end, log } = yield* make
        // Nobody waits yet.
        end.handled()
        end.awaitHandling(() => void log.push("handling"))
        yield* TestClock.adjust(999)
        end.handled()
        yield* TestClock.adjust(5000)
        assert.deepStrictEqual(log, [])
      })
    )
  )

  it.effect("nothing is told, and no fiber is left, when all of it is cancelled", () =>
    leavesNothing(
      Effect.gen(function* () {
        const fibers = yield* fiberCount
        const { end, log } = yield* make
        end.cancel()
        end.awaitEnd("5 seconds")
        end.endSilence()
        end.awaitHandling(() => void log.push("handling"))
        yield* settled
        assert.strictEqual(yield* fiberCount, fibers + 1)
        end.cancel()
        end.cancel()
        yield* settled
        assert.strictEqual(yield* fiberCount, fibers)
        yield* TestClock.adjust(10_000)
        assert.deepStrictEqual(log, [])
      })
    )
  )

  for (const begin of ["awaitEnd", "endSilence", "awaitHandling"] as const) {
    it.effect(`nothing is told of ${begin} alone when it is cancelled`, () =>
      leavesNothing(
        Effect.gen(function* () {
          const { end, log } = yield* make
          if (begin === "awaitEnd") end.awaitEnd("1 second")
          else if (begin === "endSilence") end.endSilence()
          else end.awaitHandling(() => void log.push("handling"))
          end.cancel()
          yield* TestClock.adjust(10_000)
          assert.deepStrictEqual(log, [])
        })
      )
    )
  }

  it.effect("silence is not awaited any longer when it is cancelled after something was heard", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { end, log } = yield* make
        end.endSilence()
        end.heard()
        yield* TestClock.adjust(1500)
        end.cancel()
        yield* TestClock.adjust(10_000)
        assert.deepStrictEqual(log, [])
      })
    )
  )
})
