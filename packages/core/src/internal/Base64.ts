/**
 * Base64 of RFC 4648 4, with padding: just enough for a key and its accept value.
 */

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

const group = (bytes: Uint8Array, at: number): string => {
  const left = bytes.length - at
  const bits = (bytes[at] << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0)
  return (
    alphabet.charAt(bits >> 18) +
    alphabet.charAt((bits >> 12) & 63) +
    (left > 1 ? alphabet.charAt((bits >> 6) & 63) : "=") +
    (left > 2 ? alphabet.charAt(bits & 63) : "=")
  )
}

export const encode = (bytes: Uint8Array): string => {
  let text = ""
  for (let at = 0; at < bytes.length; at += 3) text += group(bytes, at)
  return text
}

/** The six bits of a character, or -1 when it is not in the alphabet. */
export const sextet = (character: string): number => (character === "" ? -1 : alphabet.indexOf(character))
