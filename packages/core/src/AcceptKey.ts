/**
 * The two values that prove both sides of an opening handshake speak WebSocket: the client's `Sec-WebSocket-Key` and the
 * server's `Sec-WebSocket-Accept`. Where the 16 bytes come from is the caller's matter: they must not be guessable.
 *
 * @see https://www.rfc-editor.org/rfc/rfc6455#section-1.3
 * @since 0.1.0
 */
import { sha1 } from "@noble/hashes/legacy.js"
import * as Base64 from "./internal/Base64.ts"
import * as Latin1 from "./internal/Latin1.ts"

/**
 * Encodes a nonce of 16 bytes as a key. The bytes are only read.
 *
 * **Gotchas**
 *
 * Throws a `RangeError` for any other length: that is a mistake in the program, never a fault of the peer.
 *
 * @see https://www.rfc-editor.org/rfc/rfc6455#section-4.1
 * @since 0.1.0
 * @category constructors
 */
export const fromNonce = (nonce: Uint8Array): string => {
  if (nonce.length !== 16) throw new RangeError(`a key needs a nonce of 16 bytes, not ${nonce.length}`)
  return Base64.encode(nonce)
}

/**
 * Says whether a key is the canonical base64 form of 16 bytes: 24 characters, the last two of them `==`, and no bits set
 * that the bytes don't use.
 *
 * @see https://www.rfc-editor.org/rfc/rfc6455#section-4.2.1
 * @since 0.1.0
 * @category guards
 */
export const isValid = (key: string): boolean => {
  if (key.length !== 24 || !key.endsWith("==")) return false
  for (let i = 0; i < 22; i++) if (Base64.sextet(key.charAt(i)) < 0) return false
  // 16 bytes are 128 bits, 22 characters carry 132: the last four must be zero, or two keys would mean the same bytes.
  return (Base64.sextet(key.charAt(21)) & 15) === 0
}

/**
 * Derives the accept value for a key.
 *
 * **Gotchas**
 *
 * The key is hashed as text and not decoded first, so a malformed one has an accept value too: see {@link isValid}.
 *
 * @example
 * import * as AcceptKey from "@effect-ws/core/AcceptKey"
 *
 * assert.strictEqual(AcceptKey.derive("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
 *
 * @see https://www.rfc-editor.org/rfc/rfc6455#section-4.2.2
 * @since 0.1.0
 * @category encoding
 */
export const derive = (key: string): string => Base64.encode(sha1(Latin1.encode(key + guid)))

// 1.3: the same for every handshake; no other protocol would use it by chance.
const guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
