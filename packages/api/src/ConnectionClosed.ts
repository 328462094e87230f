/**
 * The connection has ended.
 *
 * @since 0.1.0
 */
import * as CloseCode from "@effect-ws/core/CloseCode"
import type { CloseReason } from "@effect-ws/core/CloseReason"
import * as Data from "effect/Data"

/**
 * Says how the connection ended: what each side said, and who said it first.
 *
 * **Details**
 *
 * It is the outcome of `close`, the value of `closed`, and the error of every operation from then on.
 *
 * @since 0.1.0
 * @category errors
 */
export class ConnectionClosed extends Data.TaggedError("ConnectionClosed")<{
  /** The Close frame of the peer; `undefined` when the transport ended without one. */
  readonly received: CloseReason | undefined
  /** Our Close frame; `undefined` when none was sent. */
  readonly sent: CloseReason | undefined
  /** Who began: the side that sent its Close frame first, or ended the transport. */
  readonly initiator: "local" | "peer"
  /** How many messages came after `close` began and found no room: they were dropped unread. */
  readonly discarded: number
}> {
  /** The close code as RFC 6455 7.1.5 defines it: the one received, 1005 for none in the frame, 1006 for no frame. */
  get code(): number {
    return this.received === undefined ? CloseCode.AbnormalClosure : this.received.code
  }
  /**
   * Whether the closing handshake completed, and either we began it or the peer said 1000, 1001 or nothing. Streams of
   * messages end normally then, and fail otherwise.
   */
  get clean(): boolean {
    return this.received !== undefined && (this.initiator === "local" || cleanCodes.has(this.received.code))
  }
  /** Who closed, with which code, and what the peer gave as the reason. */
  override get message(): string {
    if (this.received === undefined) return "The connection ended without a Close frame (1006, RFC 6455 7.1.5)"
    const reason = this.received.reason === "" ? "" : `: ${this.received.reason}`
    const who = this.initiator === "peer" ? "The peer closed" : "We closed, the peer answered"
    return `${who} with ${this.received.code}${reason}`
  }
}

const cleanCodes: ReadonlySet<number> = new Set([
  CloseCode.NormalClosure,
  CloseCode.GoingAway,
  CloseCode.NoStatusReceived
])
