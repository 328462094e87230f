import { MessageTooBig } from "@effect-ws/api/MessageTooBig"
import { assert, describe, it } from "@effect/vitest"

describe("MessageTooBig", () => {
  it("error says both sizes, and which option sets the limit", () => {
    assert.strictEqual(
      new MessageTooBig({ limit: 10, size: 11 }).message,
      "A message of 11 bytes is over the limit of 10 (maxMessageSize, RFC 6455 7.4.1)"
    )
  })
})
