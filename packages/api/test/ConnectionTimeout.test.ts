import { ConnectionTimeout } from "@effect-ws/api/ConnectionTimeout"
import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"

describe("ConnectionTimeout", () => {
  it("error says what was waited for, how long, and where the rule is", () => {
    const error = new ConnectionTimeout({ phase: "close", duration: Duration.millis(5000) })
    assert.strictEqual(error.message, "The peer did not finish the closing handshake within 5s (RFC 6455 7.1.1)")
  })
})
