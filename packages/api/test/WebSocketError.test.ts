import * as ProtocolFault from "@effect-ws/core/ProtocolFault"
import { ConnectionClosed } from "@effect-ws/api/ConnectionClosed"
import { ConnectionTimeout } from "@effect-ws/api/ConnectionTimeout"
import { HandshakeError } from "@effect-ws/api/HandshakeError"
import { MessageTooBig } from "@effect-ws/api/MessageTooBig"
import { ProtocolError } from "@effect-ws/api/ProtocolError"
import { SendRejected } from "@effect-ws/api/SendRejected"
import { TransportError } from "@effect-ws/api/TransportError"
import { isWebSocketError } from "@effect-ws/api/WebSocketError"
import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"

describe("WebSocketError", () => {
  it("guard knows the errors that end a connection, and no others", () => {
    const ending = [
      new ConnectionClosed({ received: undefined, sent: undefined, initiator: "peer", discarded: 0 }),
      new ConnectionTimeout({ phase: "close", duration: Duration.zero }),
      new MessageTooBig({ limit: 1, size: 2 }),
      new ProtocolError({ reason: ProtocolFault.invalidUtf8() }),
      new TransportError({ operation: "read", address: undefined, cause: undefined })
    ]
    for (const error of ending) assert.isTrue(isWebSocketError(error), error._tag)
    const others = [
      new SendRejected({ reason: { _tag: "Closing" } }),
      new HandshakeError({ role: "client", reason: { _tag: "PeerGone" }, answer: undefined, reusable: false }),
      new Error("ConnectionClosed"),
      { _tag: "ConnectionClosed" },
      undefined,
      "ConnectionClosed"
    ]
    for (const other of others) assert.isFalse(isWebSocketError(other))
  })
})
