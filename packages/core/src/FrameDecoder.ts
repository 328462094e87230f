/**
 * Decodes frames from chunks that may be cut anywhere (RFC 6455 5.2 to 5.5).
 *
 * The decoder is a cursor: `push` gives it a chunk, and each `next` moves to the following piece of a frame and leaves
 * the facts of it in the fields, so that a frame costs no object. It checks a header as soon as its first two bytes are
 * there, unmasks in place, and retains nothing of a chunk but up to 14 bytes of an unfinished header.
 *
 * What the frames mean, whole messages and closing, is `Protocol`'s.
 *
 * @since 0.1.0
 */
import type { ByteOps } from "./ByteOps.ts"
import * as Frame from "./Frame.ts"
import * as Words from "./internal/Words.ts"
import * as ProtocolFault from "./ProtocolFault.ts"
import { peerOf, type Role } from "./Role.ts"

/**
 * What `next` found: nothing more in this chunk, a piece of a frame, or a fault that ends the decoding.
 *
 * @since 0.1.0
 * @category models
 */
export type Step = typeof NeedMore | typeof Piece | typeof Fault

/**
 * The chunk is used up.
 *
 * @since 0.1.0
 * @category steps
 */
export const NeedMore = 0

/**
 * The fields describe a piece of a frame, from its header up to all of it.
 *
 * @since 0.1.0
 * @category steps
 */
export const Piece = 1

/**
 * The peer broke a rule, `fault` says which. The rest of the chunk is not looked at.
 *
 * @since 0.1.0
 * @category steps
 */
export const Fault = 2

/**
 * A cursor over the frames that a peer sends.
 *
 * @since 0.1.0
 * @category models
 */
export class FrameDecoder {
  /** Whether the frame is the last one of its message. */
  fin = false
  /** The opcode of the frame, never a reserved one. */
  opcode = 0
  /** Whether the frame begins a compressed message (RFC 7692 7.2.2). */
  compressed = false
  /** The length of the whole payload in bytes, as the header announces it. */
  payloadLength = 0
  /** Whether this piece begins its frame: the header has just been read. */
  begins = false
  /** Whether this piece ends its frame. */
  ends = false
  /** Where the payload of this piece begins in the chunk that was pushed. */
  start = 0
  /** Where the payload of this piece ends in the chunk. */
  end = 0
  /** Whether the payload of this piece is still masked, for a decoder that leaves that to its caller. */
  isMasked = false
  /** The fault, after `next` returned `Fault`. */
  fault: ProtocolFault.ProtocolFault | ProtocolFault.MessageTooBig | undefined = undefined

  private readonly expectsMask: boolean
  private readonly allowsCompressed: boolean
  private readonly leavesMasked: boolean
  private readonly byteOps: ByteOps
  private chunk: Uint8Array = empty
  private offset = 0
  private remaining = 0
  private key = 0
  // Of the masking key, in bytes: at the beginning of this piece and of the next.
  private phase = 0
  private nextPhase = 0
  private inMessage = false
  // The bytes of a header that was cut off, and how many there are.
  private cut: Uint8Array | undefined = undefined
  private carried = 0

  /**
   * Makes a decoder for an endpoint in this role: a server decodes masked frames, a client unmasked ones. Compressed messages
   * are only allowed where permessage-deflate was agreed on. With `leavesMasked` the caller unmasks each piece: by `unmask`, or in a copy.
   */
  constructor(role: Role, byteOps: ByteOps, allowsCompressed = false, leavesMasked = false) {
    this.allowsCompressed = allowsCompressed
    this.leavesMasked = leavesMasked
    this.expectsMask = peerOf(role) === "client"
    this.byteOps = byteOps
  }

  /**
   * Takes the next chunk, which must stay as it is until `next` has returned `NeedMore`; the payload in it is unmasked
   * in place, by `next` unless the decoder leaves that to its caller. Only then the chunk after it may be pushed.
   */
  push(chunk: Uint8Array): void {
    this.chunk = chunk
    this.offset = 0
  }

  /** Lets go of the chunk, whose rest is not looked at: an idle or ended connection holds no memory of the last one. */
  stop(): void {
    this.chunk = empty
    this.offset = 0
  }

  /** Moves on to the next piece. */
  next(): Step {
    if (this.fault !== undefined) return Fault
    if (this.remaining > 0) return this.takePayload(false)
    if (this.offset === this.chunk.length) return this.done()
    return this.carried === 0 ? this.readHeader() : this.finishHeader()
  }

  /** Unmasks this piece in place, unless that was done. `chunk` is the one that was pushed. */
  unmask(chunk: Uint8Array): void {
    if (!this.isMasked) return
    this.isMasked = false
    this.byteOps.mask(chunk, this.start, this.end, this.key, this.phase)
  }

  /** The masking key of this piece, its first byte for the first of these bytes; 0 unless it is still masked. */
  get maskingKey(): number {
    return this.isMasked ? Words.rotate(this.key, this.phase) : 0
  }

  // The common case: the header lies in this chunk as a whole.
  private readHeader(): Step {
    const available = this.chunk.length - this.offset
    if (available === 1) return this.carry(1)
    if (!this.checkStart(this.chunk[this.offset]!, this.chunk[this.offset + 1]!)) return Fault
    const size = announcedHeaderSize(this.chunk[this.offset + 1]!)
    if (available < size) return this.carry(available)
    if (!this.readLengthAndKey(this.chunk, this.offset)) return Fault
    this.offset += size
    return this.takePayload(true)
  }

  // The header began in an earlier chunk: its bytes are gathered one by one, at most 14 of them.
  private finishHeader(): Step {
    const header = this.cut!
    while (this.offset < this.chunk.length) {
      header[this.carried++] = this.chunk[this.offset++]!
      if (this.carried === 2 && !this.checkStart(header[0]!, header[1]!)) return Fault
      if (this.carried >= 2 && this.carried === announcedHeaderSize(header[1]!)) {
        this.carried = 0
        return this.readLengthAndKey(header, 0) ? this.takePayload(true) : Fault
      }
    }
    return this.done()
  }

  private carry(count: number): Step {
    const header = (this.cut ??= new Uint8Array(Frame.maxHeaderSize))
    for (let i = 0; i < count; i++) header[i] = this.chunk[this.offset + i]!
    this.carried = count
    this.offset = this.chunk.length
    return this.done()
  }

  // All that two bytes can break is refused at once, before the rest of the header has come.
  private checkStart(first: number, second: number): boolean {
    const opcode = first & 0x0f
    const fin = first >= 0x80
    if (Frame.isReserved(opcode)) return this.refuse(ProtocolFault.reservedOpcode(opcode))
    if ((first & 0x70) !== 0 && !this.allowsBits(first, opcode)) {
      return this.refuse(ProtocolFault.reservedBits((first & 0x70) >> 4))
    }
    this.compressed = (first & Frame.Compressed) !== 0
    if (second >= 0x80 !== this.expectsMask) {
      return this.refuse(this.expectsMask ? ProtocolFault.unmaskedFrame() : ProtocolFault.maskedFrame())
    }
    return Frame.isControl(opcode) ? this.checkControl(opcode, fin, second & 0x7f) : this.checkData(opcode, fin)
  }

  // RFC 7692 6, 7.2.2: RSV1 is for the first frame of a message alone.
  private allowsBits(first: number, opcode: number): boolean {
    return this.allowsCompressed && (first & 0x70) === Frame.Compressed && opcode !== 0 && !Frame.isControl(opcode)
  }

  private checkControl(opcode: number, fin: boolean, length: number): boolean {
    if (!fin) return this.refuse(ProtocolFault.fragmentedControlFrame(opcode))
    if (length > Frame.maxControlPayload) return this.refuse(ProtocolFault.controlFrameTooLong(opcode))
    return this.describe(opcode, fin)
  }

  // 5.4: the fragments of one message come one after the other, with nothing but control frames between them.
  private checkData(opcode: number, fin: boolean): boolean {
    if (opcode === Frame.Continuation && !this.inMessage) return this.refuse(ProtocolFault.unexpectedContinuation())
    if (opcode !== Frame.Continuation && this.inMessage) return this.refuse(ProtocolFault.expectedContinuation(opcode))
    this.inMessage = !fin
    return this.describe(opcode, fin)
  }

  private describe(opcode: number, fin: boolean): boolean {
    this.opcode = opcode
    this.fin = fin
    return true
  }

  private readLengthAndKey(bytes: Uint8Array, at: number): boolean {
    const short = bytes[at + 1]! & 0x7f
    let next = at + 2
    if (short <= 125) {
      this.payloadLength = short
    } else {
      next += short === 126 ? 2 : 8
      if (!(short === 126 ? this.readLength16(bytes, at + 2) : this.readLength64(bytes, at + 2))) return false
    }
    this.remaining = this.payloadLength
    this.nextPhase = 0
    if (this.expectsMask) this.key = readWord(bytes, next)
    return true
  }

  private readLength16(bytes: Uint8Array, at: number): boolean {
    this.payloadLength = (bytes[at]! << 8) | bytes[at + 1]!
    return this.payloadLength > 125 || this.refuse(ProtocolFault.nonMinimalLength(this.payloadLength))
  }

  private readLength64(bytes: Uint8Array, at: number): boolean {
    if (bytes[at]! >= 0x80) return this.refuse(ProtocolFault.lengthOutOfRange())
    const length = (readWord(bytes, at) >>> 0) * 0x1_0000_0000 + (readWord(bytes, at + 4) >>> 0)
    if (length <= 0xffff) return this.refuse(ProtocolFault.nonMinimalLength(length))
    // Legal for the RFC, but a number can't count it exactly: framing would be lost.
    if (length > Number.MAX_SAFE_INTEGER) {
      return this.refuse(ProtocolFault.messageTooBig(length, Number.MAX_SAFE_INTEGER))
    }
    this.payloadLength = length
    return true
  }

  private takePayload(begins: boolean): Step {
    const size = Math.min(this.remaining, this.chunk.length - this.offset)
    if (size === 0 && !begins) return this.done()
    this.begins = begins
    this.start = this.offset
    this.end = this.offset + size
    this.offset = this.end
    this.remaining -= size
    this.ends = this.remaining === 0
    // A masking key of zero changes nothing.
    this.isMasked = this.expectsMask && size > 0 && this.key !== 0
    this.phase = this.nextPhase
    this.nextPhase = (this.phase + size) & 3
    if (this.isMasked && !this.leavesMasked) this.unmask(this.chunk)
    return Piece
  }

  private refuse(fault: ProtocolFault.ProtocolFault | ProtocolFault.MessageTooBig): false {
    this.fault = fault
    this.stop()
    return false
  }

  private done(): Step {
    this.stop()
    return NeedMore
  }
}

const announcedHeaderSize = (second: number): number => {
  const length = second & 0x7f
  return (length <= 125 ? 2 : length === 126 ? 4 : 10) + (second >= 0x80 ? 4 : 0)
}

const readWord = (bytes: Uint8Array, at: number): number =>
  (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!

const empty: Uint8Array = new Uint8Array(0)
