/**
 * Copies a payload and unmasks it on the way (RFC 6455 5.3), and looks whether it is nothing but ASCII: three steps in one.
 */
import * as Words from "./Words.ts"

/** Memory with the words in it, and with its place in them, which costs a call to ask for. */
export interface Memory {
  readonly bytes: Uint8Array
  readonly buffer: ArrayBufferLike
  /** All of the buffer, from its beginning on. */
  readonly words: Int32Array
  /** Where the bytes begin in the buffer. */
  readonly offset: number
}

export const memoryOf = (bytes: Uint8Array): Memory => ({
  bytes,
  buffer: bytes.buffer,
  words: Words.wordsOf(bytes),
  offset: bytes.byteOffset
})

/** A view of `size` bytes: `subarray` would make it of whatever class the bytes are, which takes longer. */
export const view = ({ buffer, offset }: Memory, start: number, size: number): Uint8Array =>
  new Uint8Array(buffer, offset + start, size)

/**
 * Copies `source` from `start` to `end` to `target` at `to`, byte by byte. `key` is as for `ByteOps.mask`, with its first byte for
 * the byte at `start`. Returns whether there is nothing but ASCII in it.
 */
export const copyBytes = (
  target: Uint8Array,
  to: number,
  source: Uint8Array,
  start: number,
  end: number,
  key: number
): boolean => {
  const k0 = key >>> 24
  const k1 = (key >>> 16) & 0xff
  const k2 = (key >>> 8) & 0xff
  const k3 = key & 0xff
  let all = 0
  let at = to
  let i = start
  for (; i + 3 < end; i += 4, at += 4) {
    all |= target[at] = source[i]! ^ k0
    all |= target[at + 1] = source[i + 1]! ^ k1
    all |= target[at + 2] = source[i + 2]! ^ k2
    all |= target[at + 3] = source[i + 3]! ^ k3
  }
  if (i < end) all |= target[at] = source[i]! ^ k0
  if (i + 1 < end) all |= target[at + 1] = source[i + 1]! ^ k1
  if (i + 2 < end) all |= target[at + 2] = source[i + 2]! ^ k2
  return all < 0x80
}

/** The same with words. Both places have to lie alike, see `phaseOf`. */
export const copyWords = (
  target: Memory,
  to: number,
  source: Memory,
  start: number,
  end: number,
  key: number
): boolean => {
  const from = Math.min(end, start + ((4 - phaseOf(source, start)) & 3))
  const first = to + from - start
  const count = (end - from) >>> 2
  const rotated = Words.rotate(key, from - start)
  const last = from + (count << 2)
  let isAscii = copyBytes(target.bytes, to, source.bytes, start, from, key)
  isAscii = xorWords(target, first, source, from, count, Words.toWord(rotated)) && isAscii
  return copyBytes(target.bytes, first + (count << 2), source.bytes, last, end, rotated) && isAscii
}

/** Where in a word a byte lies. */
export const phaseOf = ({ offset }: Memory, at: number): number => (offset + at) & 3

const xorWords = (target: Memory, to: number, source: Memory, from: number, count: number, key: number): boolean => {
  const into = target.words
  const words = source.words
  let at = (target.offset + to) >>> 2
  let i = (source.offset + from) >>> 2
  let all = 0
  for (const last = i + count - 4; i <= last; i += 4, at += 4) {
    all |= into[at] = words[i]! ^ key
    all |= into[at + 1] = words[i + 1]! ^ key
    all |= into[at + 2] = words[i + 2]! ^ key
    all |= into[at + 3] = words[i + 3]! ^ key
  }
  for (let left = count & 3; left > 0; left--) all |= into[at++] = words[i++]! ^ key
  return (all & 0x80808080) === 0
}
