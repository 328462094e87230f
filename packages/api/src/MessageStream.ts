/**
 * A message that is sent or received piece by piece, for those that are too large, or come too slowly, to be held as a whole.
 *
 * @since 0.1.0
 */
import type * as Stream from "effect/Stream"
import type { WebSocketError } from "./WebSocketError.ts"

/**
 * A message to send piece by piece, as `sendStream` takes it.
 *
 * @since 0.1.0
 * @category models
 */
export type MessageStream<E = never, R = never> = TextStream<E, R> | BinaryStream<E, R>

/**
 * The pieces of a text. A surrogate pair may be cut in two.
 *
 * @since 0.1.0
 * @category models
 */
export interface TextStream<out E = never, out R = never> {
  /** The discriminator. */
  readonly _tag: "Text"
  /** The pieces, one behind the other. */
  readonly text: Stream.Stream<string, E, R>
}

/**
 * The pieces of a message of bytes.
 *
 * @since 0.1.0
 * @category models
 */
export interface BinaryStream<out E = never, out R = never> {
  /** The discriminator. */
  readonly _tag: "Binary"
  /** The pieces, one behind the other. They are copied. */
  readonly bytes: Stream.Stream<Uint8Array, E, R>
}

/**
 * A message that is received piece by piece, as `receiveStream` gives it. It may be given to `sendStream` as it is.
 *
 * @since 0.1.0
 * @category models
 */
export type Incoming = IncomingText | IncomingBinary

/**
 * A text that is received piece by piece: run `text` or `bytes`, once.
 *
 * @since 0.1.0
 * @category models
 */
export interface IncomingText extends TextStream<WebSocketError> {
  /** The bytes of the text, checked, but cut anywhere. Read only. */
  readonly bytes: Stream.Stream<Uint8Array, WebSocketError>
}

/**
 * A message of bytes that is received piece by piece: run `bytes` once.
 *
 * @since 0.1.0
 * @category models
 */
export interface IncomingBinary extends BinaryStream<WebSocketError> {}

/**
 * Makes a message of text from its pieces.
 *
 * @since 0.1.0
 * @category constructors
 */
export const text = <E, R>(text: Stream.Stream<string, E, R>): TextStream<E, R> => ({ _tag: "Text", text })

/**
 * Makes a message of bytes from its pieces.
 *
 * @since 0.1.0
 * @category constructors
 */
export const binary = <E, R>(bytes: Stream.Stream<Uint8Array, E, R>): BinaryStream<E, R> => ({ _tag: "Binary", bytes })
