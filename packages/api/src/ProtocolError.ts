/**
 * The peer broke the protocol after the opening handshake.
 *
 * @since 0.1.0
 */
import type { ProtocolFault } from "@effect-ws/core/ProtocolFault"
import * as Data from "effect/Data"

/**
 * Says which rule of RFC 6455 the peer broke. The Close frame that tells the peer was sent already (7.1.7).
 *
 * @since 0.1.0
 * @category errors
 */
export class ProtocolError extends Data.TaggedError("ProtocolError")<{
  /** The rule: inspect `reason._tag`. */
  readonly reason: ProtocolFault
}> {
  /** The code of the Close frame that was sent: 1002, or 1007 for text that isn't UTF-8. */
  get closeCode(): ProtocolFault["closeCode"] {
    return this.reason.closeCode
  }
  /** What the peer did, with the section of the RFC. */
  override get message(): string {
    return `The peer broke the protocol: ${this.reason.message}`
  }
}
