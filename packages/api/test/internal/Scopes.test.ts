/** Scopes in stock. */
import { assert, describe, it } from "@effect/vitest"
import { Scopes } from "../../src/internal/serving/Scopes.ts"

describe("Scopes", () => {
  it("scopes are given to one each", () => {
    const scopes = new Scopes()
    const taken = Array.from({ length: 100 }, () => scopes.take())
    assert.strictEqual(new Set(taken).size, 100)
  })
})
