/** Bytes as tests write them: spaced hex. */

/** Parses spaced hex. A literal that isn't one is a mistake of the test, and throws. */
export const hex = (text: string): Uint8Array => {
  const pairs = text.split(/\s+/).filter((pair) => pair !== "")
  const wrong = pairs.find((pair) => !/^[0-9a-f]{2}$/.test(pair))
  if (wrong !== undefined) throw new Error(`Not a byte in spaced hex: ${wrong}`)
  return Uint8Array.from(pairs, (pair) => Number.parseInt(pair, 16))
}

/** Prints bytes as spaced hex. */
export const toHex = (bytes: Uint8Array): string => {
  let text = ""
  for (const byte of bytes) text += pairs[byte]!
  return text.slice(1)
}

/** Joins pieces into bytes of their own. */
export const concat = (pieces: Iterable<Uint8Array>): Uint8Array => {
  const all = [...pieces]
  const whole = new Uint8Array(all.reduce((size, piece) => size + piece.length, 0))
  let at = 0
  for (const piece of all) {
    whole.set(piece, at)
    at += piece.length
  }
  return whole
}

/** Encodes text as UTF-8. */
export const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)

/** Makes `length` bytes that differ from their neighbours. */
export const sequence = (length: number): Uint8Array =>
  Uint8Array.from({ length }, (_, index) => (index * 31 + 7) & 0xff)

const pairs = Array.from({ length: 256 }, (_, byte) => ` ${byte.toString(16).padStart(2, "0")}`)
