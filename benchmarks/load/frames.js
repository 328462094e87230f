/**
 * What the load sends, prepared: payloads of several kinds, and frames around them.
 */
import * as Crypto from "node:crypto"
import * as Zlib from "node:zlib"

export const Text = 1
export const Binary = 2
const Fin = 0x80
const Compressed = 0x40

/**
 * @typedef {object} Content
 * @property {number} opcode
 * @property {Buffer} payload
 * @property {ReadonlyArray<Buffer>} fragments of the payload as it goes over the wire; one of them unless told otherwise
 * @property {boolean} compressed
 */

const ascii = (/** @type {number} */ size) =>
  Buffer.alloc(size, "The quick brown fox jumps over the lazy dog. ", "latin1")

// Of one to four bytes each, as in a chat of many languages.
const letters = "Zażółć gęślą jaźń, съешь ещё этих мягких булок, 敏捷的棕色狐狸跳过懒狗 🦊, いろはにほへと. "

const multibyte = (/** @type {number} */ size) => {
  const bytes = Buffer.alloc(size, ".")
  const text = letters.repeat(Math.ceil(size / letters.length))
  // It writes whole characters only; what is left of the rest is full stops.
  bytes.write(text, "utf8")
  return bytes
}

/** @type {Record<string, { readonly opcode: number, readonly make: (size: number) => Buffer }>} */
const kinds = {
  text: { opcode: Text, make: ascii },
  "multibyte text": { opcode: Text, make: multibyte },
  binary: { opcode: Binary, make: (size) => Crypto.randomBytes(size) }
}

/**
 * @param {string} kind
 * @param {number} size
 * @param {number} [fragments]
 * @returns {Content}
 */
export const contentOf = (kind, size, fragments = 1) => {
  const { make, opcode } = kinds[kind]
  const payload = make(size)
  const piece = Math.ceil(size / fragments)
  const pieces = Array.from({ length: fragments }, (_, i) => payload.subarray(i * piece, (i + 1) * piece))
  return { opcode, payload, fragments: pieces, compressed: false }
}

const flush = { finishFlush: Zlib.constants.Z_SYNC_FLUSH }

/**
 * Rows of a feed: about of the given size, and no two alike.
 *
 * @param {number} size
 */
const json = (size) => {
  const rows = []
  let length = 2
  while (length < size) {
    const row = JSON.stringify({
      id: Crypto.randomInt(1e9),
      symbol: ["AAPL", "MSFT", "NVDA", "TSLA"][rows.length % 4],
      price: Crypto.randomInt(1e5) / 100,
      side: rows.length % 2 === 0 ? "buy" : "sell"
    })
    rows.push(row)
    length += row.length + 1
  }
  return Buffer.from(`[${rows.join(",")}]`.slice(0, size))
}

/**
 * A message of JSON, compressed without the ones before it, which is allowed whatever was agreed on.
 *
 * @param {number} size
 * @returns {Content}
 */
export const compressedJson = (size) => {
  const payload = json(size)
  const deflated = Zlib.deflateRawSync(payload, flush).subarray(0, -4)
  return { opcode: Text, payload, fragments: [deflated], compressed: true }
}

/**
 * Decompresses what a server has compressed first of all on its connection.
 *
 * @param {Buffer} payload
 */
export const inflated = (payload) => Zlib.inflateRawSync(payload, flush)

/**
 * The frames of a message, masked by a client with a key of its own for each.
 *
 * @param {Content} content
 * @param {boolean} masked
 */
export const framesOf = ({ compressed, fragments, opcode }, masked) =>
  Buffer.concat(
    fragments.map((payload, i) => {
      const begins = i === 0 ? opcode | (compressed ? Compressed : 0) : 0
      return frameOf(begins | (i === fragments.length - 1 ? Fin : 0), payload, masked)
    })
  )

/**
 * @param {number} first the byte with the opcode
 * @param {Buffer} payload
 * @param {boolean} masked
 */
export const frameOf = (first, payload, masked) => {
  const { length } = payload
  const extended = length <= 125 ? 0 : length <= 0xffff ? 2 : 8
  const frame = Buffer.alloc(2 + extended + (masked ? 4 : 0) + length)
  frame[0] = first
  frame[1] = (masked ? 0x80 : 0) | (extended === 0 ? length : extended === 2 ? 126 : 127)
  if (extended === 2) frame.writeUInt16BE(length, 2)
  if (extended === 8) frame.writeBigUInt64BE(BigInt(length), 2)
  payload.copy(frame, frame.length - length)
  if (masked) maskInPlace(frame, 2 + extended, length)
  return frame
}

/** @type {(frame: Buffer, keyAt: number, length: number) => void} */
const maskInPlace = (frame, keyAt, length) => {
  // A key of zeros would spare the server its work.
  do Crypto.randomFillSync(frame, keyAt, 4)
  while (frame.readUInt32BE(keyAt) === 0)
  for (let i = 0; i < length; i++) frame[keyAt + 4 + i] ^= frame[keyAt + (i & 3)]
}
