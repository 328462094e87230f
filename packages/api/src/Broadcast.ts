/**
 * One message to many connections: what is to happen, and what has happened.
 *
 * @since 0.1.0
 */
import type { SendRejected } from "./SendRejected.ts"
import type { WebSocket } from "./WebSocket.ts"
import type { WebSocketError } from "./WebSocketError.ts"

/**
 * How a message is sent to many.
 *
 * @since 0.1.0
 * @category models
 */
export interface BroadcastOptions {
  /**
   * What becomes of connections above their high-water mark, whose peers don't read fast enough. `"wait"` by default: the
   * broadcast completes when all have room, each for itself. `"drop"` leaves them out, and `"close"` ends them with 1008;
   * with these nobody waits for anybody. A connection below its mark on which a `sendStream` is in the middle of a message
   * isn't slow: `"drop"` and `"close"` leave it out, and close nothing.
   */
  readonly slow?: "wait" | "drop" | "close" | undefined
}

/**
 * Who got a message, in the sense of `send`: it is in the queue of the connection.
 *
 * @since 0.1.0
 * @category models
 */
export interface Broadcast {
  /** The connections that it was sent to. */
  readonly sent: ReadonlyArray<WebSocket>
  /** Those that it was not sent to. */
  readonly missed: ReadonlyArray<Missed>
}

/**
 * A connection that a message was not sent to.
 *
 * @since 0.1.0
 * @category models
 */
export interface Missed {
  /** The connection. */
  readonly socket: WebSocket
  /** Why: what ended it, or that it is closing; `undefined` when it was too slow, or in the middle of a `sendStream`. */
  readonly error: WebSocketError | SendRejected | undefined
}
