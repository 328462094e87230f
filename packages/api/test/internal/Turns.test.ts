import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { Turns } from "../../src/internal/connection/Turns.ts"
import { settled } from "../support/leaks.ts"
import { isDone } from "../support/receiving.ts"

describe("Turns", () => {
  it.effect("turns go in order of arrival, past those who have left, and leaving twice takes nobody's turn", () =>
    Effect.gen(function* () {
      const turns = new Turns()
      const places = [turns.enter(), turns.enter(), turns.enter(), turns.enter()]
      yield* turns.await(places[0]!)
      const fibers = yield* Effect.forEach(places.slice(1), (place) => Effect.fork(turns.await(place)))
      yield* settled
      yield* Fiber.interrupt(fibers[0]!)
      turns.leave(places[1]!)
      turns.leave(places[1]!)
      yield* settled
      for (const fiber of fibers.slice(1)) assert.isFalse(yield* isDone(fiber))
      turns.leave(places[0]!)
      turns.leave(places[0]!)
      yield* Fiber.join(fibers[1]!)
      assert.isFalse(yield* isDone(fibers[2]!))
      turns.leave(places[2]!)
      yield* Fiber.join(fibers[2]!)
    })
  )
})
