/**
 * The close codes of connections whose time is over.
 */
import * as CloseCode from "@effect-ws/core/CloseCode"
import type { Watched } from "./Watch.ts"

export type WatchedPhase = Parameters<Watched["expire"]>[0]

// Policy is what a peer violates that dribbles; we go away from a connection that is idle or old; the rest is a fault.
export const timeoutCodes: { readonly [P in WatchedPhase]: number } = {
  idle: CloseCode.GoingAway,
  lifetime: CloseCode.GoingAway,
  message: CloseCode.PolicyViolation,
  pong: CloseCode.InternalError,
  write: CloseCode.InternalError
}
