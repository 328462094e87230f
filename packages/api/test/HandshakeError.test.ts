import * as HandshakeFault from "@effect-ws/core/HandshakeFault"
import { HandshakeError, type HandshakeReason } from "@effect-ws/api/HandshakeError"
import { TransportError } from "@effect-ws/api/TransportError"
import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"

const duration = Duration.seconds(10)
const error = new TransportError({ operation: "connect", address: "a:80", cause: new Error("refused") })
const fault = HandshakeFault.make("MissingKey", {})

const body = new Uint8Array(0)

const messages: ReadonlyArray<readonly [HandshakeReason, string]> = [
  [{ _tag: "Reject", status: 401 }, "the handler rejected it with status 401"],
  [
    { _tag: "Declined", status: 401, headers: [], body, isComplete: true },
    "the server declined with status 401 (RFC 6455 4.1)"
  ],
  [{ _tag: "InvalidUrl", detail: "The URL has no host" }, "The URL has no host (RFC 6455 3)"],
  [{ _tag: "Timeout", phase: "connect", duration }, "the transport took longer than 10s"],
  [{ _tag: "Timeout", phase: "head", duration }, "the peer's head took longer than 10s"],
  [{ _tag: "Timeout", phase: "accept", duration }, "the handler's decision took longer than 10s"],
  [{ _tag: "Transport", error }, "The transport failed to connect to a:80: refused"],
  [{ _tag: "PeerGone" }, "the peer ended the transport"],
  [{ _tag: "NotReusable" }, "the transport is in use, or can't be used for another attempt (RFC 9112 9.3)"],
  [
    { _tag: "Overloaded", option: "maxHandshakes", limit: 9 },
    "the server has as many as it takes (option maxHandshakes, 9)"
  ],
  [{ _tag: "ShuttingDown" }, "the server goes down"],
  [fault, fault.message]
]

describe("HandshakeError", () => {
  for (const [reason, message] of messages) {
    it(`error says that ${message}`, () => {
      const made = new HandshakeError({ role: "client", reason, answer: undefined, reusable: false })
      assert.strictEqual(made.message, `The opening handshake failed: ${message}`)
      assert.strictEqual(made._tag, "HandshakeError")
    })
  }
})
