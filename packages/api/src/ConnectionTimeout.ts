/**
 * Something that the peer owed did not come in time.
 *
 * @since 0.1.0
 */
import type { CloseReason } from "@effect-ws/core/CloseReason"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"

/**
 * What took too long, each bounded by an option of the connection.
 *
 * - `idle`: the peer said nothing at all (`idleTimeout`).
 * - `pong`: the peer said nothing at all after a Ping that was to keep the connection alive (`pongTimeout`).
 * - `close`: the closing handshake, from our Close frame to the end of the transport (`closeTimeout`).
 * - `write`: the transport took nothing of what waits to be sent (`writeTimeout`).
 * - `message`: a message, from its first frame to its last (`messageTimeout`).
 * - `lifetime`: the connection itself (`maxLifetime`).
 *
 * @since 0.1.0
 * @category models
 */
export type TimeoutPhase = "idle" | "pong" | "close" | "write" | "message" | "lifetime"

/**
 * Says that the peer did not do in time what it owed. But for `close`, a Close frame was tried before the transport was
 * destroyed.
 *
 * @since 0.1.0
 * @category errors
 */
export class ConnectionTimeout extends Data.TaggedError("ConnectionTimeout")<{
  /** What was waited for. */
  readonly phase: TimeoutPhase
  /** How long. */
  readonly duration: Duration.Duration
  /** Our Close frame, when that is what the peer didn't answer: why the connection was to end. */
  readonly sent?: CloseReason | undefined
}> {
  /** The phase and the duration. */
  override get message(): string {
    return `${texts[this.phase]} ${Duration.format(this.duration)}${sections[this.phase] ?? ""}`
  }
}

const texts: { readonly [P in TimeoutPhase]: string } = {
  idle: "The peer said nothing for",
  pong: "The peer did not answer a Ping within",
  close: "The peer did not finish the closing handshake within",
  write: "The peer took nothing of what waits to be sent for",
  message: "The peer did not finish a message within",
  lifetime: "The connection has lasted its maximum of"
}

const sections: { readonly [P in TimeoutPhase]?: string } = {
  pong: " (RFC 6455 5.5.2)",
  close: " (RFC 6455 7.1.1)"
}
