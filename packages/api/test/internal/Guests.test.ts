/** Who is at a server. */
import { assert, describe, it } from "@effect/vitest"
import { away, type Guest, Guests } from "../../src/internal/serving/Guests.ts"
import { Scopes } from "../../src/internal/serving/Scopes.ts"

const make = (): Guest => ({ place: away, handler: undefined, shutdown: () => {}, destroy: () => {} })

const placesOf = (all: ReadonlyArray<Guest>) => all.map(({ place }) => place)

describe("Guests", () => {
  it("guests keep their places when others leave, and one that leaves twice takes nobody else with it", () => {
    const guests = new Guests<Guest>()
    const [a, b, c] = [make(), make(), make()]
    for (const guest of [a, b, c]) guests.add(guest)
    assert.deepStrictEqual(placesOf([a, b, c]), [0, 1, 2])
    guests.remove(a)
    guests.remove(a)
    assert.deepStrictEqual(placesOf([a, b, c]), [away, 1, 0])
    guests.remove(b)
    guests.remove(c)
    assert.deepStrictEqual(placesOf([a, b, c]), [away, away, away])
    guests.add(a)
    assert.strictEqual(a.place, 0)
  })
})

describe("Scopes", () => {
  it("scopes are given to one each", () => {
    const scopes = new Scopes()
    const taken = Array.from({ length: 100 }, () => scopes.take())
    assert.strictEqual(new Set(taken).size, 100)
  })
})
