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
const times = ["closeTimeout", "handshakeTimeout"] as const
const optionalTimes = [
  "idleTimeout",
  "pingInterval",
  "pongTimeout",
  "writeTimeout",
  "messageTimeout",
  "maxLifetime"
] as const
const others = ["maxStreamedSize", "fragmentSize", "validateText", "permessageDeflate", "whenFull"] as const

const roles = ["client", "server"] as const

const millis = (duration: Duration.DurationInput): number => Duration.toMillis(duration)

describe("ConnectionOptions", () => {
  for (const role of roles) {
    it(`${role} has a default for every option, and a finite one for every size`, () => {
      const defaults = ConnectionOptions.defaults[role]
      assert.deepStrictEqual(ConnectionOptions.make(role), defaults)
      for (const key of sizes) assert.isTrue(Number.isSafeInteger(defaults[key]))
      for (const key of times) assert.isTrue(Duration.isFinite(Duration.decode(defaults[key])))
      assert.deepStrictEqual(Object.keys(defaults).sort(), [...sizes, ...times, ...optionalTimes, ...others].sort())
    })
  }

  it("server looks after peers that say nothing, and client doesn't", () => {
    const { client, server } = ConnectionOptions.defaults
    assert.strictEqual(millis(server.idleTimeout), 300_000)
    assert.strictEqual(millis(server.pingInterval), 150_000)
    assert.strictEqual(millis(client.idleTimeout), Infinity)
    assert.strictEqual(millis(client.pingInterval), Infinity)
  })

  it("options ping after half of an idle timeout that is given, unless they say when", () => {
    const half = ConnectionOptions.make("client", { idleTimeout: "10 seconds" })
    assert.strictEqual(millis(half.pingInterval), 5000)
    const own = ConnectionOptions.make("client", { pingInterval: "2 seconds", idleTimeout: "10 seconds" })
    assert.strictEqual(millis(own.pingInterval), 2000)
    const off = ConnectionOptions.make("server", { idleTimeout: Infinity })
    assert.strictEqual(millis(off.pingInterval), Infinity)
  })

  it("options that come later win, and an undefined one doesn't", () => {
    const made = ConnectionOptions.make(
      "server",
      { maxMessageSize: 1, maxHeadSize: 1 },
      undefined,
      { maxMessageSize: 2, maxHeadSize: undefined },
      {}
    )
    assert.strictEqual(made.maxMessageSize, 2)
    assert.strictEqual(made.maxHeadSize, 1)
  })

  it("options take nothing but what they know", () => {
    const made = ConnectionOptions.make("server", { maxHeadFields: 1, other: 1 } as ConnectionOptions.Input)
    assert.notProperty(made, "other")
  })

  for (const key of [...sizes, "fragmentSize"] as const) {
    it(`options refuse a ${key} that is no positive integer, and name it`, () => {
      for (const value of [0, -1, 1.5, NaN, Infinity, 2 ** 53]) {
        const make = () => ConnectionOptions.make("server", { [key]: value })
        assert.throws(make, RangeError, new RegExp(`${key} .* ${value}`))
      }
      assert.strictEqual(ConnectionOptions.make("server", { [key]: 1 })[key], 1)
    })
  }

  it("options refuse a maxStreamedSize below that of whole messages, and name both", () => {
    const make = (maxStreamedSize: number) => () =>
      ConnectionOptions.make("server", { maxMessageSize: 100, maxStreamedSize })
    for (const value of [0, 99, 100.5, NaN, Infinity])
      assert.throws(make(value), RangeError, /maxStreamedSize .* 100 on/)
    assert.strictEqual(make(100)().maxStreamedSize, 100)
  })

  it("options refuse a policy that they don't know", () => {
    const make = () => ConnectionOptions.make("server", { whenFull: "block" as "drop" })
    assert.throws(make, RangeError, /whenFull .* suspend, drop, fail, and is block/)
  })

  for (const key of [...times, ...optionalTimes]) {
    it(`options refuse a ${key} that is not positive or too long to be counted, and name it`, () => {
      for (const value of [0, "0 millis", -1, "25 days"] as Array<Duration.DurationInput>) {
        assert.throws(() => ConnectionOptions.make("server", { [key]: value }), RangeError, new RegExp(key))
      }
      for (const value of [1, "24 days", Duration.seconds(3)] as Array<Duration.DurationInput>) {
        assert.strictEqual(ConnectionOptions.make("server", { [key]: value })[key], value)
      }
    })
  }

  it("options may turn off what a connection is given to live, but not what it is given to begin and to end", () => {
    for (const key of optionalTimes) {
      assert.strictEqual(ConnectionOptions.make("server", { [key]: Infinity })[key], Infinity)
    }
    for (const key of times) {
      assert.throws(() => ConnectionOptions.make("server", { [key]: Infinity }), RangeError, new RegExp(key))
    }
  })
})
