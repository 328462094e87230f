/**
 * What the peer did, as `Protocol` tells it.
 *
 * @since 0.1.0
 */
import type { CloseReason } from "./CloseReason.ts"
import type { Message } from "./Message.ts"
import type { MessageTooBig, ProtocolFault } from "./ProtocolFault.ts"

/**
 * What the peer did: a message came, a control frame, or a fault that has failed the connection.
 *
 * @since 0.1.0
 * @category models
 */
export type ProtocolEvent = Message | PiecesReceived | PingReceived | PongReceived | CloseReceived | Failed

/**
 * More has come of the message that is taken piece by piece. Text is checked, but may be cut inside a character.
 *
 * @since 0.1.0
 * @category models
 */
export interface PiecesReceived {
  /** The discriminator. */
  readonly _tag: "Pieces"
  /** The bytes, one piece behind the other. */
  readonly pieces: ReadonlyArray<Uint8Array>
  /** Whether the message ends here. */
  readonly ends: boolean
}

/**
 * The beginning of a message that is taken piece by piece.
 *
 * @since 0.1.0
 * @category models
 */
export interface MessageStart {
  /** Whether it is of text or of bytes. */
  readonly type: Message["_tag"]
  /** What has come of it. */
  readonly pieces: ReadonlyArray<Uint8Array>
}

/**
 * A Ping came. The Pong that answers it is in the output already.
 *
 * @since 0.1.0
 * @category models
 */
export interface PingReceived {
  /** The discriminator. */
  readonly _tag: "Ping"
  /** The application data, at most 125 bytes. */
  readonly payload: Uint8Array
}

/**
 * A Pong came, asked for or not.
 *
 * @since 0.1.0
 * @category models
 */
export interface PongReceived {
  /** The discriminator. */
  readonly _tag: "Pong"
  /** The application data, at most 125 bytes. */
  readonly payload: Uint8Array
}

/**
 * A Close frame came. If it was the first one, the Close frame that answers it is in the output already, or owed when
 * `deferClose` says so.
 *
 * @since 0.1.0
 * @category models
 */
export interface CloseReceived {
  /** The discriminator. */
  readonly _tag: "Close"
  /** What the peer said. */
  readonly reason: CloseReason
}

/**
 * The connection has failed (7.1.7). A Close frame that says so is in the output, or owed when `deferClose` says so,
 * unless one was sent before.
 *
 * @since 0.1.0
 * @category models
 */
export interface Failed {
  /** The discriminator. */
  readonly _tag: "Failed"
  /** What the peer did wrong. */
  readonly fault: ProtocolFault | MessageTooBig
}
