/** Who is at a server. */
import { assert, describe, it } from "@effect/vitest"
import { away, type Guest, Guests } from "../../src/internal/serving/Guests.ts"

const make = (): Guest => ({ index: away, handler: undefined, shutdown: () => {}, destroy: () => {} })

const indicesOf = (all: ReadonlyArray<Guest>) => all.map(({ index }) => index)

describe("Guests", () => {
  it("guests keep their places when others leave, and one that leaves twice takes nobody else with it", () => {
    const guests = new Guests<Guest>()
    const [a, b, c] = [make(), make(), make()]
    for (const guest of [a, b, c]) guests.add(guest)
    assert.deepStrictEqual(indicesOf([a, b, c]), [0, 1, 2])
    guests.remove(a)
    guests.remove(a)
    assert.deepStrictEqual(indicesOf([a, b, c]), [away, 1, 0])
    guests.remove(b)
    guests.remove(c)
    assert.deepStrictEqual(indicesOf([a, b, c]), [away, away, away])
    guests.add(a)
    assert.strictEqual(a.index, 0)
  })
})
