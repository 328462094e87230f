/**
 * UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF.
 *
 * The validator takes a message piece by piece, split anywhere, and refuses it at the first byte that can't belong to
 * any valid text: RFC 6455 8.1 lets an endpoint fail the connection there and then.
 *
 * @see https://www.rfc-editor.org/rfc/rfc3629
 * @since 0.1.0
 */
import type { ByteOps } from "./ByteOps.ts"

/**
 * Checks a text that comes in pieces.
 *
 * @since 0.1.0
 * @category models
 */
export interface Utf8Validator {
  /**
   * Takes the next piece, `bytes` from `start` to `end`, and returns whether the text can still be valid. The bytes are
   * only read. After `false` the validator has to be reset.
   */
  readonly push: (bytes: Uint8Array, start: number, end: number) => boolean
  /** Returns whether the text may end here, which is not so inside a code point. */
  readonly isComplete: () => boolean
  /** Forgets the text, to begin another one. */
  readonly reset: () => void
}

/**
 * Makes a validator that leaves whole code points to the `isUtf8` of `byteOps` and follows only the torn ones itself.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeValidator = (byteOps: ByteOps): Utf8Validator => new Validator(byteOps)

/**
 * Returns whether `bytes` from `start` to `end` are well-formed UTF-8, in plain JavaScript and linear time.
 *
 * @since 0.1.0
 * @category predicates
 */
export const isValid = (bytes: Uint8Array, start: number, end: number): boolean => {
  const scanner = new Scanner()
  return scanner.scan(bytes, start, end) && scanner.needed === 0
}

/** The state between two bytes: how many continuation bytes are owed, and what the next one may be. */
class Scanner {
  needed = 0
  lower = 0x80
  upper = 0xbf

  scan(bytes: Uint8Array, start: number, end: number): boolean {
    for (let i = start; i < end; i++) {
      const byte = bytes[i]!
      if (this.needed === 0) {
        if (byte >= 0x80 && !this.lead(byte)) return false
      } else {
        if (byte < this.lower || byte > this.upper) return false
        this.lower = 0x80
        this.upper = 0xbf
        this.needed--
      }
    }
    return true
  }

  // RFC 3629 4: four lead bytes narrow what may follow, against overlong forms, surrogates and U+110000 upwards.
  private lead(byte: number): boolean {
    if (byte < 0xc2 || byte > 0xf4) return false
    this.needed = sequenceLength(byte) - 1
    if (byte === 0xe0) this.lower = 0xa0
    else if (byte === 0xed) this.upper = 0x9f
    else if (byte === 0xf0) this.lower = 0x90
    else if (byte === 0xf4) this.upper = 0x8f
    return true
  }
}

class Validator implements Utf8Validator {
  private readonly byteOps: ByteOps
  private readonly scanner = new Scanner()

  constructor(byteOps: ByteOps) {
    this.byteOps = byteOps
  }

  push(bytes: Uint8Array, start: number, end: number): boolean {
    const scanner = this.scanner
    let from = start
    while (scanner.needed > 0 && from < end) {
      if (!scanner.scan(bytes, from, from + 1)) return false
      from++
    }
    if (from === end) return true
    const cut = end - tornTail(bytes, from, end)
    return this.byteOps.isUtf8(bytes, from, cut) && scanner.scan(bytes, cut, end)
  }

  isComplete(): boolean {
    return this.scanner.needed === 0
  }

  reset(): void {
    this.scanner.needed = 0
    this.scanner.lower = 0x80
    this.scanner.upper = 0xbf
  }
}

/** Counts the bytes at the end that begin a code point without finishing it. */
const tornTail = (bytes: Uint8Array, start: number, end: number): number => {
  const earliest = Math.max(start, end - 3)
  for (let i = end - 1; i >= earliest; i--) {
    const byte = bytes[i]!
    if (byte < 0x80) return 0
    if (byte >= 0xc0) return sequenceLength(byte) > end - i ? end - i : 0
  }
  return 0
}

const sequenceLength = (lead: number): number => (lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4)
