/**
 * Encodes frames into as few pieces of memory as possible (RFC 6455 5.2, 5.3).
 *
 * Small frames are written one behind the other, so that many of them leave as one piece. A large payload that nobody
 * changes any more is passed on as it is; every other one is copied, and masked in the copy: the caller's bytes are never
 * altered.
 *
 * @since 0.1.0
 */
import type { ByteOps } from "./ByteOps.ts"
import * as Frame from "./Frame.ts"
import { copy, copyAll, copyRange } from "./internal/Copying.ts"
import * as Slab from "./internal/Slab.ts"

/**
 * Draws a masking key that nobody can guess: 32 bits, fresh for every frame (5.3, 10.3).
 *
 * @since 0.1.0
 * @category models
 */
export type MaskingKeys = () => number

/**
 * Encodes the frames of one endpoint, in order.
 *
 * @since 0.1.0
 * @category models
 */
export class FrameEncoder {
  /** Counts the bytes that were encoded since the last `take`. */
  pending = 0

  private readonly byteOps: ByteOps
  private readonly maskingKeys: MaskingKeys | undefined
  private readonly slab: Slab.Slab
  private pieces: Array<Uint8Array> = []
  // The piece that is still growing inside a slab; `openIn` is undefined when there is none.
  private openIn: Uint8Array | undefined = undefined
  private openStart = 0
  private openEnd = 0
  // Where the frame begins that is being written.
  private at = 0

  /** Makes an encoder. A client gives the source of its masking keys, a server gives none and doesn't mask. */
  constructor(byteOps: ByteOps, maskingKeys: MaskingKeys | undefined) {
    this.byteOps = byteOps
    this.maskingKeys = maskingKeys
    this.slab = Slab.shared(byteOps)
  }

  /**
   * Encodes a frame with a copy of `payload`. The opcode may have `Frame.Compressed` beside it.
   */
  encode(fin: boolean, opcode: number, payload: Uint8Array): void {
    const headerSize = Frame.headerSize(payload.length, this.masked)
    const size = headerSize + payload.length
    const target = this.begin(size)
    copy(payload, target, this.at + headerSize)
    this.finishFrame(target, this.at, fin, opcode, payload.length)
    this.end(target, size)
  }

  /**
   * Encodes a frame with a payload in pieces that never change again, `length` bytes in all. When the endpoint doesn't
   * mask, a large payload is passed on without a copy.
   */
  encodeImmutable(fin: boolean, opcode: number, payload: ReadonlyArray<Uint8Array>, length: number): void {
    if (!this.masked && length > Slab.largest) return this.passOn(fin, opcode, payload, length)
    if (payload.length === 1) return this.encode(fin, opcode, payload[0]!)
    const headerSize = Frame.headerSize(length, this.masked)
    const target = this.begin(headerSize + length)
    copyAll(payload, target, this.at + headerSize)
    this.finishFrame(target, this.at, fin, opcode, length)
    this.end(target, headerSize + length)
  }

  /**
   * Encodes a message of `length` bytes as one frame. It lies in `block` from `start` on, which never changes again but in the
   * `headroom` bytes in front of it, which belong to nobody. When the endpoint doesn't mask it leaves as it lies there, behind its
   * header, if that makes no piece more than a copy of it would.
   */
  encodeInBlock(opcode: number, block: Uint8Array, start: number, length: number, headroom: number): void {
    const headerSize = Frame.headerSize(length, this.masked)
    if (!this.masked && headroom >= headerSize && this.goesOnIn(block, start - headerSize, length)) {
      writeHeader(block, start - headerSize, true, opcode, length, false, 0)
      this.openEnd = start + length
      this.pending += headerSize + length
      return
    }
    const isPassedOn = !this.masked && length > Slab.largest
    if (isPassedOn) return this.passOn(true, opcode, [block.subarray(start, start + length)], length)
    const target = this.begin(headerSize + length)
    copyRange(block, start, start + length, target, this.at + headerSize)
    this.finishFrame(target, this.at, true, opcode, length)
    this.end(target, headerSize + length)
  }

  /**
   * Takes a frame as `encodeUnmasked` gives it. A small one leaves in one piece with what waits already.
   */
  passEncoded(frame: ReadonlyArray<Uint8Array>): void {
    const [first] = frame
    const waits = this.pending > 0 && this.pending + first!.length > Slab.largest
    if (frame.length === 1 && waits && first!.length <= joinedUpTo) {
      copy(first!, this.reserve(first!.length), this.slab.offset)
      return this.commit(first!.length)
    }
    this.closePiece()
    for (const piece of frame) {
      this.pieces.push(piece)
      this.pending += piece.length
    }
  }

  /**
   * Encodes a message of text as one frame. A lone surrogate is sent as U+FFFD.
   */
  encodeText(text: string): void {
    // Up to 41 units take at most 123 bytes: the size of the header is known before the text is written.
    if (text.length <= 41) return this.encodeShortText(text)
    const length = this.byteOps.textByteLength(text)
    const headerSize = Frame.headerSize(length, this.masked)
    const target = this.begin(headerSize + length)
    this.byteOps.writeText(text, target, this.at + headerSize)
    this.finishFrame(target, this.at, true, Frame.Text, length)
    this.end(target, headerSize + length)
  }

  /**
   * Hands out what was encoded, in order, if it is little in one piece; the pieces never change again.
   */
  take(): Array<Uint8Array> {
    this.closePiece()
    const { pending, pieces } = this
    this.pieces = []
    this.pending = 0
    // A copy costs less than a piece more in the system call does.
    return pieces.length > 1 && pending <= Slab.largest ? [this.slab.join(pieces, pending)] : pieces
  }

  // Whoever passes the same message on writes the same header to the same place.
  private goesOnIn(block: Uint8Array, at: number, length: number): boolean {
    if (this.openIn === block && this.openEnd === at) return true
    if (this.pending > 0 && length <= Slab.largest) return false
    this.closePiece()
    this.openIn = block
    this.openStart = at
    return true
  }

  private get masked(): boolean {
    return this.maskingKeys !== undefined
  }

  private encodeShortText(text: string): void {
    const headerSize = this.masked ? 6 : 2
    const target = this.reserve(headerSize + 3 * text.length)
    const at = this.slab.offset
    const length = this.byteOps.writeText(text, target, at + headerSize)
    this.finishFrame(target, at, true, Frame.Text, length)
    this.commit(headerSize + length)
  }

  private passOn(fin: boolean, opcode: number, payload: ReadonlyArray<Uint8Array>, length: number): void {
    const headerSize = Frame.headerSize(length, false)
    writeHeader(this.reserve(headerSize), this.slab.offset, fin, opcode, length, false, 0)
    this.commit(headerSize)
    this.closePiece()
    for (const piece of payload) this.pieces.push(piece)
    this.pending += length
  }

  // Finds the place for a frame of `size` bytes, which begins at `at`: small ones in the slab, large ones alone.
  private begin(size: number): Uint8Array {
    if (size > Slab.largest) {
      this.at = 0
      return this.byteOps.allocate(size)
    }
    const target = this.reserve(size)
    this.at = this.slab.offset
    return target
  }

  private end(target: Uint8Array, size: number): void {
    if (size <= Slab.largest) return this.commit(size)
    this.closePiece()
    this.pieces.push(target)
    this.pending += size
  }

  // The payload is in its place already: the header goes before it, and the mask over it.
  private finishFrame(target: Uint8Array, at: number, fin: boolean, opcode: number, length: number): void {
    const keys = this.maskingKeys
    const key = keys === undefined ? 0 : keys()
    const start = writeHeader(target, at, fin, opcode, length, keys !== undefined, key)
    if (keys !== undefined) this.byteOps.mask(target, start, start + length, key, 0)
  }

  private reserve(size: number): Uint8Array {
    this.slab.reserve(size)
    // Another connection may have written to the slab in between, then a new piece begins.
    if (this.openIn !== this.slab.bytes || this.openEnd !== this.slab.offset) {
      this.closePiece()
      this.openIn = this.slab.bytes
      this.openStart = this.openEnd = this.slab.offset
    }
    return this.slab.bytes
  }

  private commit(size: number): void {
    this.slab.offset += size
    this.openEnd += size
    this.pending += size
  }

  private closePiece(): void {
    if (this.openIn !== undefined) this.pieces.push(this.openIn.subarray(this.openStart, this.openEnd))
    this.openIn = undefined
  }
}

/**
 * Encodes a message as one frame without a mask, in pieces of which none is memory of others: a small payload is copied behind
 * the header, a large one is passed on.
 *
 * @since 0.1.0
 * @category encoding
 */
export const encodeUnmasked = (
  opcode: typeof Frame.Text | typeof Frame.Binary,
  payload: ReadonlyArray<Uint8Array>,
  length: number,
  byteOps: ByteOps
): ReadonlyArray<Uint8Array> => {
  const headerSize = Frame.headerSize(length, false)
  const isSmall = length <= Slab.largest
  const target = byteOps.allocate(isSmall ? headerSize + length : headerSize)
  writeHeader(target, 0, true, opcode, length, false, 0)
  if (!isSmall) return [target, ...payload]
  copyAll(payload, target, headerSize)
  return [target]
}

/** Writes a header and returns where the payload begins. */
const writeHeader = (
  target: Uint8Array,
  at: number,
  fin: boolean,
  opcode: number,
  length: number,
  masked: boolean,
  key: number
): number => {
  target[at] = fin ? 0x80 | opcode : opcode
  const next = writeLength(target, at + 1, length)
  if (!masked) return next
  target[at + 1]! |= 0x80
  writeWord(target, next, key)
  return next + 4
}

// 5.2: the fewest bytes that hold the length.
const writeLength = (target: Uint8Array, at: number, length: number): number => {
  if (length <= 125) {
    target[at] = length
    return at + 1
  }
  if (length <= 0xffff) {
    target[at] = 126
    target[at + 1] = length >> 8
    target[at + 2] = length & 0xff
    return at + 3
  }
  target[at] = 127
  writeWord(target, at + 1, Math.floor(length / 0x1_0000_0000))
  writeWord(target, at + 5, length)
  return at + 9
}

const writeWord = (target: Uint8Array, at: number, word: number): void => {
  target[at] = word >>> 24
  target[at + 1] = (word >>> 16) & 0xff
  target[at + 2] = (word >>> 8) & 0xff
  target[at + 3] = word & 0xff
}

// A copy of this many bytes costs less than a piece of its own does in the system call.
const joinedUpTo = 1024
