/** Programs for the HTTP server of `@effect/platform` run on ours as they are: the stock server is the measure. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { httpPrograms } from "./support/httpPrograms.ts"
import { ours, stock } from "./support/httpServers.ts"

describe("program written against the stock HTTP server", () => {
  for (const [name, program] of Object.entries(httpPrograms)) {
    it.live(`server gives ${name} what the stock one gives`, () =>
      Effect.gen(function* () {
        const expected = yield* Effect.scoped(program(stock()))
        assert.deepStrictEqual(yield* Effect.scoped(program(ours())), expected)
      })
    )
  }
})
