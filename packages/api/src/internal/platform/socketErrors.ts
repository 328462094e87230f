/**
 * Our errors as those of `@effect/platform`.
 */
import * as Socket from "@effect/platform/Socket"
import type { HandshakeError } from "../../HandshakeError.ts"
import type { SendRejected } from "../../SendRejected.ts"
import type { WebSocketError } from "../../WebSocketError.ts"

export const toSocketError = (
  error: HandshakeError | WebSocketError | SendRejected,
  operation: "Open" | "Read" | "Write"
): Socket.SocketError => {
  if (error._tag === "ConnectionClosed") {
    return new Socket.SocketCloseError({ reason: "Close", code: error.code, closeReason: error.received?.reason })
  }
  if (error._tag !== "HandshakeError") return new Socket.SocketGenericError({ reason: operation, cause: error })
  const reason = error.reason._tag === "Timeout" ? "OpenTimeout" : "Open"
  return new Socket.SocketGenericError({ reason, cause: error })
}
