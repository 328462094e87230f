import * as ConnectionOptions from "@effect-ws/api/ConnectionOptions"
import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"

const sizes = [
  "maxMessageSize",
  "inboxHighWaterMark",
  "sendHighWaterMark",
  "maxHeadSize",
  "maxHeadFields",
  "maxBodySize"
] as const
const durations = ["closeTimeout", "handshakeTimeout"] as const

describe("ConnectionOptions", () => {
  it("options have a finite default each", () => {
    assert.deepStrictEqual(ConnectionOptions.make(), ConnectionOptions.defaults)
    for (const key of sizes) assert.isTrue(Number.isSafeInteger(ConnectionOptions.defaults[key]))
    for (const key of durations) assert.isTrue(Duration.isFinite(Duration.decode(ConnectionOptions.defaults[key])))
    assert.deepStrictEqual(Object.keys(ConnectionOptions.defaults).sort(), [...sizes, ...durations].sort())
  })

  it("options that come later win, and an undefined one doesn't", () => {
    const made = ConnectionOptions.make(
      { maxMessageSize: 1, maxHeadSize: 1 },
      undefined,
      { maxMessageSize: 2, maxHeadSize: undefined },
      {}
    )
    assert.strictEqual(made.maxMessageSize, 2)
    assert.strictEqual(made.maxHeadSize, 1)
  })

  it("options take nothing but what they know", () => {
    const made = ConnectionOptions.make({ maxHeadFields: 1, other: 1 } as ConnectionOptions.Input)
    assert.notProperty(made, "other")
  })

  for (const key of sizes) {
    it(`options refuse a ${key} that is no positive integer, and name it`, () => {
      for (const value of [0, -1, 1.5, NaN, Infinity, 2 ** 53]) {
        assert.throws(() => ConnectionOptions.make({ [key]: value }), RangeError, new RegExp(`${key} .* ${value}`))
      }
      assert.strictEqual(ConnectionOptions.make({ [key]: 1 })[key], 1)
    })
  }

  for (const key of durations) {
    it(`options refuse a ${key} that is not positive or too long to be counted, and name it`, () => {
      for (const value of [0, "0 millis", -1, Infinity, "25 days"] as Array<Duration.DurationInput>) {
        assert.throws(() => ConnectionOptions.make({ [key]: value }), RangeError, new RegExp(key))
      }
      for (const value of [1, "24 days", Duration.seconds(3)] as Array<Duration.DurationInput>) {
        assert.strictEqual(ConnectionOptions.make({ [key]: value })[key], value)
      }
    })
  }
})
