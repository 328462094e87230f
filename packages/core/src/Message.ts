/**
 * The message, the unit of the application (RFC 6455 5.4, 5.6): text or bytes.
 *
 * A message is immutable by contract: whoever changes its bytes changes what others receive. That is what lets an echo,
 * a relay or a broadcast pass it on without a copy and without decoding and encoding its text.
 *
 * @since 0.1.0
 */
import { type ByteOps, portable } from "./ByteOps.ts"
import type * as Frame from "./Frame.ts"
import * as HeldMessage from "./internal/HeldMessage.ts"
import * as ProtocolFault from "./ProtocolFault.ts"

/**
 * A message of either type.
 *
 * @since 0.1.0
 * @category models
 */
export type Message = TextMessage | BinaryMessage

/**
 * A message of text.
 *
 * @since 0.1.0
 * @category models
 */
export interface TextMessage {
  /** The discriminator. */
  readonly _tag: "Text"
  /** The length of the payload in bytes. */
  readonly byteLength: number
  /**
   * The payload, well-formed UTF-8. Joined when first asked for, if the message came in pieces. Read only, and its memory may
   * have others in it.
   */
  readonly bytes: Uint8Array
  /** The payload in the pieces that it is held in, one after the other. Read only. */
  readonly pieces: ReadonlyArray<Uint8Array>
  /** The text, decoded when first asked for. */
  readonly text: string
}

/**
 * A message of bytes.
 *
 * @since 0.1.0
 * @category models
 */
export interface BinaryMessage {
  /** The discriminator. */
  readonly _tag: "Binary"
  /** The length of the payload in bytes. */
  readonly byteLength: number
  /** The payload. Joined when first asked for, if the message came in pieces. Read only; its memory may have others in it. */
  readonly bytes: Uint8Array
  /** The payload in the pieces that it is held in, one after the other. Read only. */
  readonly pieces: ReadonlyArray<Uint8Array>
}

/**
 * Makes a message of text. A lone surrogate becomes U+FFFD.
 *
 * @since 0.1.0
 * @category constructors
 */
export const text = (text: string): TextMessage => {
  const bytes = portable.allocate(portable.textByteLength(text))
  portable.writeText(text, bytes, 0)
  return HeldMessage.text(bytes, portable)
}

/**
 * Makes a message of text from bytes that must be well-formed UTF-8, or says that they are not. The bytes belong to the
 * message from here on.
 *
 * @since 0.1.0
 * @category constructors
 */
export const textFromBytes = (bytes: Uint8Array): TextMessage | ProtocolFault.InvalidUtf8 =>
  portable.isUtf8(bytes, 0, bytes.length) ? HeldMessage.text(bytes, portable) : ProtocolFault.invalidUtf8()

/**
 * Makes a message of bytes, which belong to the message from here on.
 *
 * @since 0.1.0
 * @category constructors
 */
export const binary = (bytes: Uint8Array): BinaryMessage => HeldMessage.binary(bytes)

/**
 * Makes a message from pieces of a payload that was checked already, as a decoder has them.
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromPieces = (
  opcode: typeof Frame.Text | typeof Frame.Binary,
  pieces: ReadonlyArray<Uint8Array>,
  byteLength: number,
  byteOps: ByteOps
): Message => HeldMessage.inPieces(opcode, pieces, byteLength, byteOps)

/**
 * Returns whether a value is a message.
 *
 * @since 0.1.0
 * @category predicates
 */
export const isMessage = (value: unknown): value is Message => HeldMessage.isHeld(value)
