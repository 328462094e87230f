import * as Entropy from "@effect-ws/api/Entropy"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"

describe("Entropy", () => {
  it.effect("reference is the generator of the platform by default, one source for all", () =>
    Effect.gen(function* () {
      const source = yield* Entropy.Entropy
      assert.strictEqual(yield* Entropy.Entropy, source)
      const bytes = [new Uint8Array(64), new Uint8Array(64)]
      for (const some of bytes) source.fill(some)
      assert.notDeepEqual(bytes[0], bytes[1])
      assert.isTrue(bytes.every((some) => new Set(some).size > 16))
    })
  )

  it.effect("reference has nothing to do with the Random of Effect, which can be foretold", () =>
    Effect.gen(function* () {
      const draw = Effect.map(Entropy.Entropy, ({ fill }) => {
        const bytes = new Uint8Array(32)
        fill(bytes)
        return bytes
      })
      const seeded = Effect.withRandom(draw, Random.make("seed"))
      assert.notDeepEqual(yield* seeded, yield* seeded)
    })
  )

  it.effect("reference can be fixed", () =>
    Effect.gen(function* () {
      const fixed: Entropy.EntropySource = { fill: (bytes) => void bytes.fill(7) }
      assert.strictEqual(yield* Effect.provideService(Entropy.Entropy, Entropy.Entropy, fixed), fixed)
    })
  )
})
