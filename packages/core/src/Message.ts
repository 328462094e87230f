/**
 * The message, the unit of the application (RFC 6455 5.4, 5.6): text or bytes.
 *
 * A message is immutable by contract: whoever changes its bytes changes what others receive. That is what lets an echo,
 * a relay or a broadcast pass it on without a copy and without decoding and encoding its text.
 *
 * @since 0.1.0
 */
import { type ByteOps, portable } from "./ByteOps.ts"
import * as Frame from "./Frame.ts"
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
  /** The payload, well-formed UTF-8. Joined when first asked for, if the message came in pieces. Read only. */
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
  /** The payload. Joined when first asked for, if the message came in pieces. Read only. */
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
  return new Text([bytes], bytes.length, portable, 0)
}

/**
 * Makes a message of text from bytes that must be well-formed UTF-8, or says that they are not. The bytes belong to the
 * message from here on.
 *
 * @since 0.1.0
 * @category constructors
 */
export const textFromBytes = (bytes: Uint8Array): TextMessage | ProtocolFault.InvalidUtf8 =>
  portable.isUtf8(bytes, 0, bytes.length) ? new Text([bytes], bytes.length, portable, 0) : ProtocolFault.invalidUtf8()

/**
 * Makes a message of bytes, which belong to the message from here on.
 *
 * @since 0.1.0
 * @category constructors
 */
export const binary = (bytes: Uint8Array): BinaryMessage => new Binary([bytes], bytes.length, 0)

/**
 * Makes a message from pieces of a payload that was checked already, as a decoder has them.
 *
 * Of a single piece `headroom` may tell how many bytes in front of it, in its memory, belong to nobody any more: there the
 * header of the frame goes in which the message is passed on. None by default.
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromPieces = (
  opcode: typeof Frame.Text | typeof Frame.Binary,
  pieces: ReadonlyArray<Uint8Array>,
  byteLength: number,
  byteOps: ByteOps,
  headroom = 0
): Message =>
  opcode === Frame.Text ? new Text(pieces, byteLength, byteOps, headroom) : new Binary(pieces, byteLength, headroom)

/**
 * How many bytes in front of the only piece of a message belong to nobody; see `fromPieces`.
 *
 * @since 0.1.0
 * @category getters
 */
export const headroomOf = (message: Message): number =>
  message instanceof Text || message instanceof Binary ? message.headroom : 0

/**
 * Returns whether a value is a message.
 *
 * @since 0.1.0
 * @category predicates
 */
export const isMessage = (value: unknown): value is Message => value instanceof Text || value instanceof Binary

// What Node's console and Effect's logger ask for, so that they show what a message says and not how it is held.
const inspect: unique symbol = Symbol.for("nodejs.util.inspect.custom")

class Text implements TextMessage {
  readonly _tag = "Text"
  readonly byteLength: number
  readonly headroom: number
  pieces: ReadonlyArray<Uint8Array>
  private readonly byteOps: ByteOps
  private decoded: string | undefined = undefined

  constructor(pieces: ReadonlyArray<Uint8Array>, byteLength: number, byteOps: ByteOps, headroom: number) {
    this.headroom = headroom
    this.pieces = pieces
    this.byteLength = byteLength
    this.byteOps = byteOps
  }

  get bytes(): Uint8Array {
    if (this.pieces.length !== 1) this.pieces = [join(this.pieces, this.byteLength)]
    return this.pieces[0]!
  }

  get text(): string {
    return (this.decoded ??= this.byteOps.decodeText(this.bytes))
  }

  toJSON(): unknown {
    return { _tag: this._tag, text: this.text }
  }

  toString(): string {
    return this.text
  }

  [inspect](): unknown {
    return this.toJSON()
  }
}

class Binary implements BinaryMessage {
  readonly _tag = "Binary"
  readonly byteLength: number
  readonly headroom: number
  pieces: ReadonlyArray<Uint8Array>

  constructor(pieces: ReadonlyArray<Uint8Array>, byteLength: number, headroom: number) {
    this.headroom = headroom
    this.pieces = pieces
    this.byteLength = byteLength
  }

  get bytes(): Uint8Array {
    if (this.pieces.length !== 1) this.pieces = [join(this.pieces, this.byteLength)]
    return this.pieces[0]!
  }

  toJSON(): unknown {
    return { _tag: this._tag, byteLength: this.byteLength }
  }

  toString(): string {
    return `${this.byteLength} bytes`
  }

  [inspect](): unknown {
    return this.toJSON()
  }
}

const join = (pieces: ReadonlyArray<Uint8Array>, byteLength: number): Uint8Array => {
  const whole = new Uint8Array(byteLength)
  let at = 0
  for (const piece of pieces) {
    whole.set(piece, at)
    at += piece.length
  }
  return whole
}
