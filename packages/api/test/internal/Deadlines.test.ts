import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import * as TestContext from "effect/TestContext"
import * as Deadlines from "../../src/internal/Deadlines.ts"
import { leavesNothing, settled } from "../support/leaks.ts"

/** Counts the fibers that were not there before. */
const countFibers = Effect.map(Fiber.roots, (before) => {
  const known = new Set(before)
  return Effect.map(Fiber.roots, (now) => Array.from(now).filter((fiber) => !known.has(fiber)).length)
})

describe("Deadlines", () => {
  for (const millis of [1, 50, 1000, 5000, 300_000]) {
    it.effect(`deadline of ${millis} ms fires not before, and within the tolerance`, () =>
      leavesNothing(
        Effect.gen(function* () {
          const deadlines = yield* Deadlines.current
          let fired = 0
          deadlines.after(millis, () => fired++)
          yield* TestClock.adjust(millis - 1)
          assert.strictEqual(fired, 0)
          yield* TestClock.adjust(1 + Math.max(50, millis / 20))
          assert.strictEqual(fired, 1)
          yield* TestClock.adjust(millis)
          assert.strictEqual(fired, 1)
        })
      )
    )
  }

  it.effect("deadline that was cancelled doesn't hold what it would have called", () =>
    leavesNothing(
      Effect.gen(function* () {
        const deadlines = yield* Deadlines.current
        const other = deadlines.after(1000, () => {})
        const expired = () => {}
        const deadline = deadlines.after(5000, expired)
        assert.strictEqual(deadline.expired, expired)
        deadlines.cancel(deadline)
        assert.notStrictEqual(deadline.expired, expired)
        deadlines.cancel(other)
      })
    )
  )

  it.effect("deadlines of one clock are shared, and cost one fiber while there are any", () =>
    leavesNothing(
      Effect.gen(function* () {
        const deadlines = yield* Deadlines.current
        assert.strictEqual(yield* Deadlines.current, deadlines)
        const fibers = yield* countFibers
        assert.strictEqual(yield* fibers, 0)
        const all = Array.from({ length: 1000 }, (_, i) => deadlines.after(5000 - i, () => {}))
        yield* settled
        assert.strictEqual(yield* fibers, 1)
        for (const deadline of all) deadlines.cancel(deadline)
        yield* settled
        assert.strictEqual(yield* fibers, 0)
      })
    )
  )

  it.effect("deadlines go by the clock in force", () =>
    Effect.gen(function* () {
      const ours = yield* Deadlines.current
      const others = yield* Effect.provide(Deadlines.current, TestContext.TestContext)
      assert.notStrictEqual(others, ours)
      const live = yield* Effect.withClock(Deadlines.current, Clock.make())
      assert.notStrictEqual(live, ours)
    })
  )

  it.effect("deadlines fire in order, whatever order they were set in", () =>
    leavesNothing(
      Effect.gen(function* () {
        const deadlines = yield* Deadlines.current
        const fired: Array<number> = []
        for (const at of [300, 100, 500, 200, 400, 100]) deadlines.after(at, () => fired.push(at))
        for (let at = 100; at <= 500; at += 100) {
          yield* TestClock.adjust(100)
          yield* TestClock.adjust(50)
          yield* TestClock.adjust(-50)
        }
        yield* TestClock.adjust(50)
        assert.deepStrictEqual(fired, [100, 100, 200, 300, 400, 500])
      })
    )
  )

  it.effect("deadline that was cancelled doesn't fire, neither alone nor among others", () =>
    leavesNothing(
      Effect.gen(function* () {
        const deadlines = yield* Deadlines.current
        const fired: Array<string> = []
        deadlines.cancel(deadlines.after(100, () => fired.push("alone")))
        const first = deadlines.after(100, () => fired.push("first"))
        deadlines.after(200, () => fired.push("second"))
        deadlines.cancel(first)
        deadlines.cancel(first)
        deadlines.cancel(undefined)
        yield* TestClock.adjust(149)
        assert.deepStrictEqual(fired, [])
        yield* TestClock.adjust(101)
        assert.deepStrictEqual(fired, ["second"])
        deadlines.cancel(first)
      })
    )
  )

  it.effect("deadlines may be set and cancelled by one that fires", () =>
    leavesNothing(
      Effect.gen(function* () {
        const deadlines = yield* Deadlines.current
        const fired: Array<string> = []
        deadlines.after(100, () => {
          fired.push("first")
          deadlines.cancel(same)
          deadlines.after(100, () => fired.push("next"))
        })
        const same = deadlines.after(100, () => fired.push("cancelled"))
        deadlines.after(400, () => fired.push("last"))
        yield* TestClock.adjust(150)
        assert.deepStrictEqual(fired, ["first"])
        yield* TestClock.adjust(150)
        assert.deepStrictEqual(fired, ["first", "next"])
        yield* TestClock.adjust(150)
        assert.deepStrictEqual(fired, ["first", "next", "last"])
      })
    )
  )

  it.effect("deadlines that are set and cancelled many times over are not kept", () =>
    leavesNothing(
      Effect.gen(function* () {
        const deadlines = yield* Deadlines.current
        const lasting = deadlines.after(1_000_000, () => {})
        for (let i = 0; i < 10_000; i++) deadlines.cancel(deadlines.after(5000, () => {}))
        const lists = Object.values(deadlines).filter((value) => Array.isArray(value))
        assert.isTrue(lists.every((list) => list.length < 100))
        deadlines.cancel(lasting)
      })
    )
  )

  it.effect("deadlines by the hundred thousand are forgotten when they are cancelled, and the others stay", () =>
    leavesNothing(
      Effect.gen(function* () {
        const deadlines = yield* Deadlines.current
        let fired = 0
        const set = () => deadlines.after(1000, () => fired++)
        const kept = Array.from({ length: 150_000 }, set)
        for (const deadline of Array.from({ length: 150_200 }, set)) deadlines.cancel(deadline)
        for (const deadline of kept.slice(1)) deadlines.cancel(deadline)
        yield* TestClock.adjust(1050)
        assert.strictEqual(fired, 1)
      })
    )
  )
})
