/**
 * Something that the peer owed did not come in time.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"

/**
 * What was waited for: `close` is the closing handshake, from our Close frame to the end of the transport.
 *
 * @since 0.1.0
 * @category models
 */
export type TimeoutPhase = "close"

/**
 * Says that the peer did not do in time what it owed; the transport was destroyed.
 *
 * @since 0.1.0
 * @category errors
 */
export class ConnectionTimeout extends Data.TaggedError("ConnectionTimeout")<{
  /** What was waited for. */
  readonly phase: TimeoutPhase
  /** How long. */
  readonly duration: Duration.Duration
}> {
  /** The phase and the duration. */
  override get message(): string {
    return `The peer did not finish the closing handshake within ${Duration.format(this.duration)} (RFC 6455 7.1.1)`
  }
}
