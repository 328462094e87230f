import * as ProtocolFault from "@effect-ws/core/ProtocolFault"
import { ProtocolError } from "@effect-ws/api/ProtocolError"
import { assert, describe, it } from "@effect/vitest"

describe("ProtocolError", () => {
  it("error says what the peer did, and has the code that the peer was told", () => {
    const reason = ProtocolFault.invalidUtf8()
    const error = new ProtocolError({ reason })
    assert.strictEqual(error.closeCode, 1007)
    assert.strictEqual(error.message, `The peer broke the protocol: ${reason.message}`)
  })
})
