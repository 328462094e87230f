/**
 * Bytes as text and back, one character per byte (U+0000 to U+00FF). A head is defined in bytes, and this is the one
 * reading that loses nothing and can't fail.
 */

/** Reads the first `length` bytes. */
export const decode = (bytes: Uint8Array, length: number): string => {
  let text = ""
  for (let at = 0; at < length; at += step) text += decodePiece(bytes.subarray(at, Math.min(at + step, length)))
  return text
}

// Any array-like will do, whatever its type says; a spread would walk it by an iterator, at ten times the cost.
const decodePiece = (bytes: Uint8Array): string =>
  String.fromCharCode.apply(undefined, bytes as unknown as Array<number>)

/** Writes text whose characters are all below U+0100. */
export const encode = (text: string): Uint8Array => {
  const bytes = new Uint8Array(text.length)
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i)
  return bytes
}

// Arguments of one call: engines bound them, most at 65 536 and more.
const step = 4096
