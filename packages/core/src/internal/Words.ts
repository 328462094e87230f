/**
 * Masking keys over words of 32 bits, as they lie in memory (RFC 6455 5.3).
 */

/** Gives the key that begins with the byte which comes after `phase` others. */
export const rotate = (key: number, phase: number): number => {
  const shift = (phase & 3) << 3
  return (key << shift) | (key >>> (32 - shift))
}

/** Gives the key as a word that is read from memory: a key has its first byte in the highest bits. */
export const toWord = (key: number): number => (littleEndian ? swap(key) : key)

/** All the words in the memory of `bytes`, from its beginning on. */
export const wordsOf = ({ buffer }: Uint8Array): Int32Array => new Int32Array(buffer, 0, buffer.byteLength >>> 2)

const swap = (word: number): number => (word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24)

const littleEndian = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1
