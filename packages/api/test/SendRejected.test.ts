import { SendRejected } from "@effect-ws/api/SendRejected"
import { assert, describe, it } from "@effect/vitest"

describe("SendRejected", () => {
  it("error says why nothing was sent", () => {
    const closing = new SendRejected({ reason: { _tag: "Closing" } })
    assert.strictEqual(closing.message, "Nothing can be sent after the Close frame (RFC 6455 5.5.1)")
    const full = new SendRejected({ reason: { _tag: "QueueFull", bytes: 30, limit: 20 } })
    assert.strictEqual(full.message, "30 bytes wait to be sent already, and the limit is 20")
  })
})
