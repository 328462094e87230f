/**
 * The error of the application for what the peer did wrong.
 */
import type { Failed } from "@effect-ws/core/ProtocolEvent"
import { MessageTooBig } from "../../MessageTooBig.ts"
import { ProtocolError } from "../../ProtocolError.ts"
import type { WebSocketError } from "../../WebSocketError.ts"

export const errorOf = (fault: Failed["fault"]): WebSocketError =>
  fault._tag === "MessageTooBig"
    ? new MessageTooBig({ limit: fault.limit, size: fault.size })
    : new ProtocolError({ reason: fault })
