/**
 * A message that is encoded once, to be sent to any number of peers.
 *
 * @since 0.1.0
 */
import { portable } from "./ByteOps.ts"
import * as Frame from "./Frame.ts"
import * as FrameEncoder from "./FrameEncoder.ts"
import * as Message from "./Message.ts"

/**
 * A message and the frame that a server sends for it. A client masks each frame with a key of its own (RFC 6455 5.3), and so
 * only saves the encoding of the text.
 *
 * @since 0.1.0
 * @category models
 */
export interface PreparedMessage {
  /** The discriminator. */
  readonly _tag: "Prepared"
  /** The message. */
  readonly message: Message.Message
  /** The frame without a mask, header and payload, in pieces. Read only. */
  readonly frame: ReadonlyArray<Uint8Array>
  /** The length of the payload in bytes. */
  readonly byteLength: number
  /** Whether it is compressed for those with whom permessage-deflate was agreed on. */
  readonly isCompressible: boolean
  /** The compressed payload, by the bits of its window, for those that were needed so far. */
  readonly compressed: Map<number, Uint8Array>
}

/**
 * Encodes a message: text for a string, binary for bytes, and a `Message` as what it is. The bytes belong to it from here on
 * and must not change. One that isn't compressible goes as it is to everybody (RFC 7692 6).
 *
 * @see https://www.rfc-editor.org/rfc/rfc6455#section-5.2
 * @since 0.1.0
 * @category constructors
 */
export const make = (data: string | Uint8Array | Message.Message, isCompressible = true): PreparedMessage => {
  const message = typeof data === "string" ? Message.text(data) : "_tag" in data ? data : Message.binary(data)
  const { byteLength, pieces } = message
  const opcode = message._tag === "Text" ? Frame.Text : Frame.Binary
  return {
    _tag: "Prepared",
    message,
    frame: FrameEncoder.encodeUnmasked(opcode, pieces, byteLength, portable),
    byteLength,
    isCompressible,
    compressed: new Map()
  }
}

/**
 * Returns the compressed payload for a window, which `compress` makes once.
 *
 * @since 0.1.0
 * @category getters
 */
export const compressedFor = (
  { compressed }: PreparedMessage,
  windowBits: number,
  compress: () => Uint8Array
): Uint8Array => {
  const existing = compressed.get(windowBits)
  if (existing !== undefined) return existing
  const made = new Uint8Array(compress())
  compressed.set(windowBits, made)
  return made
}
