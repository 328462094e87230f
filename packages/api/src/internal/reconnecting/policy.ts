/**
 * After which errors a client comes back.
 */
import * as CloseCode from "@effect-ws/core/CloseCode"
import { ConnectionClosed } from "../../ConnectionClosed.ts"
import { HandshakeError, type HandshakeReason } from "../../HandshakeError.ts"
import { MessageTooBig } from "../../MessageTooBig.ts"

/** Whether time may heal it. */
export const isTransient = (error: unknown): boolean => {
  if (error instanceof HandshakeError) return isTransientReason(error.reason)
  if (error instanceof ConnectionClosed) return error.initiator === "local" || !finalCodes.has(error.code)
  return !(error instanceof MessageTooBig)
}

const isTransientReason = (reason: HandshakeReason): boolean =>
  reason._tag === "Declined" ? isTransientStatus(reason.status) : transientReasons.has(reason._tag)

// RFC 9110 15.5, 15.6: what the client has done wrong, and what the server can't do at all, stays so.
const isTransientStatus = (status: number): boolean =>
  transientStatuses.has(status) || (status >= 500 && !finalStatuses.has(status))

const transientReasons: ReadonlySet<HandshakeReason["_tag"]> = new Set([
  "Timeout",
  "Transport",
  "PeerGone",
  "Overloaded",
  "ShuttingDown"
] as const)

// Request Timeout, Too Early (RFC 8470 5.2), Too Many Requests (RFC 6585 4).
const transientStatuses: ReadonlySet<number> = new Set([408, 425, 429])

// Not Implemented, HTTP Version Not Supported.
const finalStatuses: ReadonlySet<number> = new Set([501, 505])

// IANA, WebSocket Close Code Number Registry: 3000 is Unauthorized, 3003 Forbidden.
const finalCodes: ReadonlySet<number> = new Set([CloseCode.NormalClosure, 3000, 3003])
