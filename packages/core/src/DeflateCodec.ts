/**
 * The port to what compresses (RFC 1951), for permessage-deflate. Works on the spot: nothing of it waits.
 *
 * @since 0.1.0
 */

/**
 * Makes what compresses and decompresses for one endpoint. Many endpoints share a codec.
 *
 * @since 0.1.0
 * @category models
 */
export interface DeflateCodec {
  /** Whether there is room for one more endpoint that remembers what the peer has sent: that can't be forgotten later. */
  readonly hasRoom: boolean
  /**
   * Calls back in a later turn of the event loop, when others have had theirs: between the slices of a large message. Whoever
   * calls it can't take it back.
   */
  readonly later: (next: () => void) => void
  /**
   * Makes what compresses with a window of `windowBits`, from 9 to 15. Without `takeover` each message begins anew, and many
   * endpoints may share what does it.
   */
  readonly deflater: (windowBits: number, takeover: boolean) => Deflater
  /**
   * Makes what decompresses what was compressed with a window of `windowBits`, from 8 to 15. With `takeover` it takes its room
   * at once, and memory when the first bytes come.
   */
  readonly inflater: (windowBits: number, takeover: boolean) => Inflater
}

/**
 * Compresses messages one after the other.
 *
 * @since 0.1.0
 * @category models
 */
export interface Deflater {
  /**
   * Compresses bytes that follow those of the last call, up to a byte boundary with an empty block at the end: what comes out
   * ends with `00 00 ff ff`, or is empty. The bytes are the caller's.
   */
  readonly deflate: (bytes: Uint8Array) => Uint8Array
  /** The message is over: without takeover it is forgotten. */
  readonly finish: () => void
  /** Lets go of all memory. Nothing else may be called afterwards. */
  readonly release: () => void
}

/**
 * Decompresses messages one after the other.
 *
 * @since 0.1.0
 * @category models
 */
export interface Inflater {
  /**
   * Decompresses the bytes from `start` to `end` of a chunk, which follow those of the last call, to at most `limit` bytes. What
   * comes out may be held back until `isLast`. Data that ends with a final block may go on with another one behind it.
   */
  readonly inflate: (chunk: Uint8Array, start: number, end: number, limit: number, isLast: boolean) => Inflated
  /** The message is over: without takeover it is forgotten. */
  readonly finish: () => void
  /** Lets go of all memory. Nothing else may be called afterwards. */
  readonly release: () => void
}

/**
 * What came out, in pieces that never change again and keep no more alive than 4 KiB or hardly more than their own size; that it
 * would have been more than the limit; or that the bytes are no compressed data.
 *
 * @since 0.1.0
 * @category models
 */
export type Inflated = ReadonlyArray<Uint8Array> | "oversized" | "corrupt"
