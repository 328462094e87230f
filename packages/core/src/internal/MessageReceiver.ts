/**
 * The message that is coming in (RFC 6455 5.4, 5.6): checks its size and its text, and hands it out as a whole, or piece by
 * piece to whoever asked for that.
 */
import type { ByteOps } from "../ByteOps.ts"
import * as Frame from "../Frame.ts"
import type { FrameDecoder } from "../FrameDecoder.ts"
import type { Message } from "../Message.ts"
import type { MessageStart, PiecesReceived } from "../ProtocolEvent.ts"
import * as ProtocolFault from "../ProtocolFault.ts"
import type { Inflated } from "../DeflateCodec.ts"
import * as Utf8 from "../Utf8.ts"
import { inBlock, inPieces } from "./HeldMessage.ts"
import { isWorthKeeping, MessageAssembler } from "./MessageAssembler.ts"
import * as MessageCopies from "./MessageCopies.ts"
import { largest } from "./Slab.ts"
import type { MessageInflater } from "./MessageInflater.ts"
import { copyBytes } from "./UnmaskedCopy.ts"

type DataOpcode = typeof Frame.Text | typeof Frame.Binary

/** What becomes of the message in progress: it is gathered, its pieces are handed out, or it is dropped. */
type Reception = "none" | "whole" | "pieces" | "dropped"

export interface Limits {
  readonly maxMessageSize: number
  readonly maxStreamedSize: number
  readonly validateText: boolean
}

/** In bytes: up to this size a payload needs no memory outside of its object, and the fewest steps are the fastest. */
const smallest = 64

/** In bytes: a header with a masking key and nothing more. */
const shortestHeader = 6

/** In bytes: a header without a masking key is no longer than this, and never longer than the one that was read. */
const maxHeadroom = 10

export class MessageReceiver {
  /** What is wrong with the message, when nothing was handed out for that reason. */
  fault: ProtocolFault.ProtocolFault | ProtocolFault.MessageTooBig | undefined = undefined
  /** Whether the message in progress may only be taken piece by piece, since it is too large as a whole. */
  isOversized = false
  /** Whether somebody waits to take the next message piece by piece, whatever it comes to. */
  isStreamAwaited = false
  /** Whether the chunk that is coming in may not be kept. */
  isLent = false

  private readonly byteOps: ByteOps
  private readonly limits: Limits
  private readonly copies: MessageCopies.MessageCopies
  private madeAssembler: MessageAssembler | undefined = undefined
  private madeUtf8: Utf8.Utf8Validator | undefined = undefined
  private readonly inflater: MessageInflater | undefined
  private reception: Reception = "none"
  private isCompressed = false
  private announced = 0

  constructor(byteOps: ByteOps, limits: Limits, inflater?: MessageInflater) {
    this.inflater = inflater
    this.byteOps = byteOps
    this.copies = MessageCopies.shared(byteOps)
    this.limits = limits
  }

  /** Whether a message has begun that nobody takes piece by piece. */
  get isGathering(): boolean {
    return this.reception === "whole"
  }

  /** Whether a message has begun and not ended. */
  get isInMessage(): boolean {
    return this.reception !== "none"
  }

  /** Takes the piece of a data frame at which the decoder stands. */
  receive(decoder: FrameDecoder, chunk: Uint8Array): Message | PiecesReceived | undefined {
    if (decoder.begins) {
      const opcode = decoder.opcode as DataOpcode | typeof Frame.Continuation
      if (opcode !== Frame.Continuation) this.isCompressed = decoder.compressed
      if (!this.announce(decoder)) return undefined
      if (opcode !== Frame.Continuation) {
        if (decoder.ends && decoder.fin && !this.isCompressed) return this.receiveWhole(opcode, decoder, chunk)
        this.begin(opcode)
      }
    }
    decoder.unmask(chunk)
    return this.isCompressed ? this.receiveCompressed(decoder, chunk) : this.receivePiece(decoder, chunk)
  }

  /** From here on the message in progress is handed out piece by piece. Returns how it begins. */
  stream(): MessageStart | undefined {
    if (this.reception !== "whole") return undefined
    this.reception = "pieces"
    this.isOversized = false
    const type = this.assembler.opcode === Frame.Text ? "Text" : "Binary"
    return { type, pieces: this.assembler.takePieces() }
  }

  /** Drops what is still to come of the message that is handed out piece by piece. */
  drop(): void {
    if (this.reception === "pieces") this.reception = "dropped"
  }

  /** Lets go of the chunk. Returns what it has brought of a message that is handed out piece by piece. */
  takePieces(): PiecesReceived | undefined {
    this.copies.leave()
    if (this.reception === "whole") this.assembler.settle()
    if (this.reception !== "pieces") return undefined
    const pieces = this.assembler.takePieces()
    return pieces.length === 0 ? undefined : { _tag: "Pieces", pieces, ends: false }
  }

  /** Says that the message in progress is too large as a whole. */
  tooBig(): ProtocolFault.MessageTooBig {
    return ProtocolFault.messageTooBig(this.announced, this.limits.maxMessageSize)
  }

  /** Lets go of the message in progress. */
  discard(): void {
    this.madeAssembler?.discard()
    this.inflater?.discard()
    this.reception = "none"
    this.isOversized = false
  }

  // Not before they are needed: the messages of most connections come whole and small.
  private get assembler(): MessageAssembler {
    return (this.madeAssembler ??= new MessageAssembler(this.byteOps))
  }

  private get utf8(): Utf8.Utf8Validator {
    return (this.madeUtf8 ??= Utf8.makeValidator(this.byteOps))
  }

  // 7.4.1, 10.4: a size that is announced over the limit is refused before anything of it is kept.
  private announce(decoder: FrameDecoder): boolean {
    const before = decoder.opcode === Frame.Continuation ? this.received : 0
    this.announced = before + decoder.payloadLength
    const { maxMessageSize, maxStreamedSize } = this.limits
    if (this.announced <= this.onTheWire(maxMessageSize)) return true
    if (this.announced > this.onTheWire(maxStreamedSize)) {
      this.fault = ProtocolFault.messageTooBig(this.announced, maxStreamedSize)
      return false
    }
    this.isOversized = this.reception === "none" || this.reception === "whole"
    return true
  }

  // On the wire: what is compressed is larger later.
  private get received(): number {
    return this.isCompressed ? this.inflater!.size : this.assembler.size
  }

  // What can't be compressed gets a little longer by that, and is within the limit all the same.
  private onTheWire(size: number): number {
    return this.isCompressed ? size * 1.125 + 64 : size
  }

  private begin(opcode: DataOpcode): void {
    if (this.isCompressed) this.inflater!.begin()
    this.assembler.begin(opcode)
    this.utf8.reset()
    this.reception = "whole"
  }

  // The common case: a message of one frame that lies in one chunk.
  private receiveWhole(opcode: DataOpcode, decoder: FrameDecoder, chunk: Uint8Array): Message | undefined {
    this.isOversized = false
    const { end, start } = decoder
    const size = end - start
    // What is alone in its chunk has nothing to leave together with.
    if (size <= smallest && start <= shortestHeader && end === chunk.length)
      return this.receiveAlone(opcode, decoder, chunk)
    const isKept = size > smallest && !this.isLent && isWorthKeeping(chunk, size)
    return isKept ? this.keep(opcode, decoder, chunk) : this.copy(opcode, decoder, chunk)
  }

  private receiveAlone(opcode: DataOpcode, decoder: FrameDecoder, chunk: Uint8Array): Message | undefined {
    const size = decoder.end - decoder.start
    const bytes = this.byteOps.allocate(size)
    const isAscii = copyBytes(bytes, 0, chunk, decoder.start, decoder.end, decoder.maskingKey)
    return this.accepts(opcode, isAscii, bytes, 0, size)
      ? inBlock(opcode, bytes, 0, size, 0, this.byteOps, isAscii)
      : this.refuseText()
  }

  private copy(opcode: DataOpcode, decoder: FrameDecoder, chunk: Uint8Array): Message | undefined {
    const { copies } = this
    const size = decoder.end - decoder.start
    const isAscii = copies.copy(chunk, decoder.start, decoder.end, decoder.maskingKey)
    const { at } = copies
    const { bytes } = copies.block
    return this.accepts(opcode, isAscii, bytes, at, size)
      ? inBlock(opcode, bytes, at, size, Frame.headerSize(size, false), this.byteOps, isAscii)
      : this.refuseText()
  }

  // Of several in a chunk each would be a piece by itself, with what is left of its header between them.
  private keep(opcode: DataOpcode, decoder: FrameDecoder, chunk: Uint8Array): Message | undefined {
    const { end, start } = decoder
    const size = end - start
    decoder.unmask(chunk)
    const headroom = size > largest || end === chunk.length ? Math.min(start, maxHeadroom) : 0
    return this.accepts(opcode, false, chunk, start, size)
      ? inBlock(opcode, chunk, start, size, headroom, this.byteOps, false)
      : this.refuseText()
  }

  private accepts(opcode: DataOpcode, isAscii: boolean, bytes: Uint8Array, start: number, size: number): boolean {
    if (opcode !== Frame.Text || isAscii || !this.limits.validateText) return true
    return this.byteOps.isUtf8(bytes, start, start + size)
  }

  private receivePiece(decoder: FrameDecoder, chunk: Uint8Array): Message | PiecesReceived | undefined {
    const { end, ends, fin, start } = decoder
    if (!this.take(chunk, start, end, this.isLent)) return this.refuseText()
    return ends && fin ? this.finish() : undefined
  }

  private receiveCompressed(decoder: FrameDecoder, chunk: Uint8Array): Message | PiecesReceived | undefined {
    const { end, ends, fin, start } = decoder
    const isLast = ends && fin
    const limit = this.limit - this.assembler.size
    const inflated = isLast
      ? this.inflater!.finish(chunk, start, end, limit)
      : this.inflater!.push(chunk, start, end, limit, this.isLent)
    if (typeof inflated === "string") return this.refuseInflated(inflated)
    if (isLast && inflated.length === 1 && this.isWholeSoFar) return this.finishWhole(inflated)
    for (const piece of inflated) if (!this.take(piece, 0, piece.length, false)) return this.refuseText()
    if (isLast) return this.finish()
    this.isOversized ||= this.reception === "whole" && this.assembler.size > this.limits.maxMessageSize
    return undefined
  }

  // The common case: a message of which nothing was taken yet comes out in one piece.
  private get isWholeSoFar(): boolean {
    return this.reception === "whole" && this.assembler.size === 0
  }

  private finishWhole(pieces: ReadonlyArray<Uint8Array>): Message | undefined {
    const { opcode } = this.assembler
    const [piece] = pieces
    if (this.isText && !this.byteOps.isUtf8(piece!, 0, piece!.length)) return this.refuseText()
    this.discard()
    return inPieces(opcode, pieces, piece!.length, this.byteOps)
  }

  /** Takes a piece of the payload, unless it is text and can't be part of it. */
  private take(chunk: Uint8Array, start: number, end: number, isLent: boolean): boolean {
    // 8.1: text is refused at the first byte that can't be part of it, in the middle of a frame too.
    if (this.isText && !this.utf8.push(chunk, start, end)) return false
    if (this.reception === "dropped") this.assembler.skip(end - start)
    else if (start < end) this.assembler.append(chunk, start, end, isLent)
    return true
  }

  private get isText(): boolean {
    return this.limits.validateText && this.assembler.opcode === Frame.Text
  }

  // How large a compressed message gets is known when it has come out, so it isn't kept for who might want it in pieces later.
  private get limit(): number {
    const { maxMessageSize, maxStreamedSize } = this.limits
    return this.reception === "whole" && !this.isStreamAwaited ? maxMessageSize : maxStreamedSize
  }

  private refuseInflated(inflated: Exclude<Inflated, ReadonlyArray<Uint8Array>>): undefined {
    const { limit } = this
    this.fault =
      inflated === "corrupt" ? ProtocolFault.invalidCompressedData() : ProtocolFault.messageTooBig(limit + 1, limit)
    return undefined
  }

  private finish(): Message | PiecesReceived | undefined {
    if (this.isText && !this.utf8.isComplete()) return this.refuseText()
    const { reception } = this
    const message = reception === "whole" ? this.assembler.finish() : undefined
    const pieces = reception === "pieces" ? this.assembler.takePieces() : undefined
    this.discard()
    return pieces === undefined ? message : { _tag: "Pieces", pieces, ends: true }
  }

  private refuseText(): undefined {
    this.fault = ProtocolFault.invalidUtf8()
    return undefined
  }
}
