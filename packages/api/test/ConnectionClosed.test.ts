import type { CloseReason } from "@effect-ws/core/CloseReason"
import { ConnectionClosed } from "@effect-ws/api/ConnectionClosed"
import { assert, describe, it } from "@effect/vitest"

const make = (received: CloseReason | undefined, initiator: "local" | "peer") =>
  new ConnectionClosed({ received, sent: { code: 1000, reason: "" }, initiator, discarded: 0 })

describe("ConnectionClosed", () => {
  it("error is clean when the closing handshake was done and either we began it or the peer was content", () => {
    for (const code of [1000, 1001, 1005, 1002, 1011, 3000, 4999]) {
      assert.isTrue(make({ code, reason: "" }, "local").clean, `${code}`)
      assert.strictEqual(make({ code, reason: "" }, "peer").clean, [1000, 1001, 1005].includes(code), `${code}`)
    }
    assert.isFalse(make(undefined, "local").clean)
    assert.isFalse(make(undefined, "peer").clean)
  })

  it("error has the code of RFC 6455 7.1.5", () => {
    assert.strictEqual(make({ code: 4000, reason: "" }, "peer").code, 4000)
    assert.strictEqual(make({ code: 1005, reason: "" }, "peer").code, 1005)
    assert.strictEqual(make(undefined, "peer").code, 1006)
  })

  it("error says who closed, with what", () => {
    assert.strictEqual(make({ code: 1000, reason: "bye" }, "peer").message, "The peer closed with 1000: bye")
    assert.strictEqual(make({ code: 1000, reason: "" }, "local").message, "We closed, the peer answered with 1000")
    assert.include(make(undefined, "peer").message, "1006, RFC 6455 7.1.5")
  })
})
