/**
 * The port for what a runtime may do faster than plain JavaScript: masking, UTF-8, memory.
 *
 * One implementation is chosen for each connection and never changed, so that the places that call it stay monomorphic.
 * `portable` needs nothing but the language, `TextEncoder` and `TextDecoder`; `NodeByteOps` uses Node's own functions.
 *
 * @since 0.1.0
 */
import * as Words from "./internal/Words.ts"
import * as Utf8 from "./Utf8.ts"

/**
 * Works on bytes for the codec.
 *
 * @since 0.1.0
 * @category models
 */
export interface ByteOps {
  /** Allocates `size` bytes with any content. The codec writes every byte before it hands one out. */
  readonly allocate: (size: number) => Uint8Array
  /**
   * The same for memory that several connections will use. Where a runtime can see to it, such memory can't be transferred to
   * another thread: whoever did that with one message would take the others with it.
   */
  readonly allocateShared: (size: number) => Uint8Array
  /**
   * Masks, or unmasks, `bytes` from `start` to `end` in place (RFC 6455 5.3).
   *
   * `key` holds the four bytes of the masking key, the first one in the highest bits. `phase` tells how many bytes of
   * the payload came before `start`; only its two lowest bits count. Returns `true` where it has seen on the way that what comes
   * out is nothing but ASCII; `false` says nothing.
   */
  readonly mask: (bytes: Uint8Array, start: number, end: number, key: number, phase: number) => boolean
  /** Returns whether `bytes` from `start` to `end` are well-formed UTF-8. */
  readonly isUtf8: (bytes: Uint8Array, start: number, end: number) => boolean
  /**
   * Decodes `bytes` from `start` to `end`, which are known to be well-formed UTF-8. A byte order mark is text like any other.
   */
  readonly decodeText: (bytes: Uint8Array, start: number, end: number) => string
  /** The same for bytes that are known to be nothing but ASCII. */
  readonly decodeAscii: (bytes: Uint8Array, start: number, end: number) => string
  /** Counts the bytes of `text` as UTF-8; a lone surrogate counts as U+FFFD, three bytes. */
  readonly textByteLength: (text: string) => number
  /**
   * Writes `text` as UTF-8 into `target` at `offset`, where it fits, and returns the number of bytes. Lone surrogates
   * become U+FFFD, since UTF-8 has no place for them.
   */
  readonly writeText: (text: string, target: Uint8Array, offset: number) => number
}

/**
 * Works in every JavaScript runtime.
 *
 * @since 0.1.0
 * @category instances
 */
export const portable: ByteOps = {
  allocate: (size) => new Uint8Array(size),
  allocateShared: (size) => new Uint8Array(size),
  mask: (bytes, start, end, key, phase) => mask(bytes, start, end, key, phase),
  isUtf8: Utf8.isValid,
  decodeText: (bytes, start, end) => decodeText(bytes, start, end),
  decodeAscii: (bytes, start, end) => decodeText(bytes, start, end),
  textByteLength: (text) => textByteLength(text),
  writeText: (text, target, offset) =>
    (encoder ??= new TextEncoder()).encodeInto(text, offset === 0 ? target : target.subarray(offset)).written
}

/**
 * Masks in place with 32-bit words where the length pays for the view, else byte by byte. See `ByteOps.mask`.
 *
 * @since 0.1.0
 * @category masking
 */
export const mask = (bytes: Uint8Array, start: number, end: number, key: number, phase: number): boolean => {
  const rotated = Words.rotate(key, phase)
  if (end - start < wordsPayFrom) maskBytes(bytes, start, end, rotated)
  else maskWords(bytes, start, end, rotated)
  return false
}

const maskBytes = (bytes: Uint8Array, start: number, end: number, key: number): void => {
  const k0 = key >>> 24
  const k1 = (key >>> 16) & 0xff
  const k2 = (key >>> 8) & 0xff
  const k3 = key & 0xff
  let i = start
  for (; i + 3 < end; i += 4) {
    bytes[i]! ^= k0
    bytes[i + 1]! ^= k1
    bytes[i + 2]! ^= k2
    bytes[i + 3]! ^= k3
  }
  if (i < end) bytes[i]! ^= k0
  if (i + 1 < end) bytes[i + 1]! ^= k1
  if (i + 2 < end) bytes[i + 2]! ^= k2
}

// The key is rotated instead of the data shifted: an unaligned payload costs what an aligned one does.
const maskWords = (bytes: Uint8Array, start: number, end: number, key: number): void => {
  const misaligned = (bytes.byteOffset + start) & 3
  const from = misaligned === 0 ? start : start + 4 - misaligned
  maskBytes(bytes, start, from, key)
  const rotated = Words.rotate(key, from - start)
  const count = (end - from) >>> 2
  xorWords(new Int32Array(bytes.buffer, bytes.byteOffset + from, count), count, Words.toWord(rotated))
  maskBytes(bytes, from + (count << 2), end, rotated)
}

const xorWords = (words: Int32Array, count: number, key: number): void => {
  let i = 0
  for (const last = count - 8; i <= last; i += 8) {
    words[i]! ^= key
    words[i + 1]! ^= key
    words[i + 2]! ^= key
    words[i + 3]! ^= key
    words[i + 4]! ^= key
    words[i + 5]! ^= key
    words[i + 6]! ^= key
    words[i + 7]! ^= key
  }
  for (; i < count; i++) words[i]! ^= key
}

const textByteLength = (text: string): number => {
  let size = text.length
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit >= 0x800) size += 2
    else if (unit >= 0x80) size++
    // A pair of surrogates is four bytes: three are counted for the first unit, one for the second.
    if (isHighSurrogate(unit) && isLowSurrogate(text.charCodeAt(i + 1))) i++
  }
  return size
}

const isHighSurrogate = (unit: number): boolean => (unit & 0xfc00) === 0xd800
const isLowSurrogate = (unit: number): boolean => (unit & 0xfc00) === 0xdc00

// Below this many bytes the view over the words costs more than it saves, as measured on Node 20.
const wordsPayFrom = 64

let encoder: InstanceType<typeof TextEncoder> | undefined
// Made when first needed, so that importing this module does nothing.
const decodeText = (bytes: Uint8Array, start: number, end: number): string =>
  (decoder ??= new TextDecoder("utf-8", { ignoreBOM: true })).decode(bytes.subarray(start, end))

let decoder: InstanceType<typeof TextDecoder> | undefined
