/**
 * The messages that go out (RFC 6455 5.4, 5.6): as one frame, in fragments, compressed or not.
 */
import type { ByteOps } from "../ByteOps.ts"
import * as Frame from "../Frame.ts"
import type { FrameEncoder } from "../FrameEncoder.ts"
import type * as Message from "../Message.ts"
import { compressedFor, type PreparedMessage } from "../PreparedMessage.ts"
import { isHeld } from "./HeldMessage.ts"
import type { MessageDeflater } from "./MessageDeflater.ts"

export class MessageSender {
  /** Whether a message has begun that is sent in fragments, and not ended. */
  isInMessage = false

  private readonly encoder: FrameEncoder
  private readonly byteOps: ByteOps
  private readonly masks: boolean
  private readonly fragmentSize: number
  private readonly deflater: MessageDeflater | undefined
  // Up to this size nothing has to be decided.
  private readonly plainUpTo: number

  constructor(
    encoder: FrameEncoder,
    byteOps: ByteOps,
    masks: boolean,
    fragmentSize: number,
    deflater: MessageDeflater | undefined
  ) {
    this.encoder = encoder
    this.byteOps = byteOps
    this.masks = masks
    this.fragmentSize = fragmentSize
    this.deflater = deflater
    this.plainUpTo = deflater === undefined ? fragmentSize : Math.min(fragmentSize, deflater.threshold - 1)
  }

  sendText(text: string): void {
    if (text.length * 3 <= this.plainUpTo) return this.encoder.encodeText(text)
    const bytes = this.byteOps.allocate(this.byteOps.textByteLength(text))
    this.byteOps.writeText(text, bytes, 0)
    this.sendBytes(Frame.Text, bytes)
  }

  sendBinary(bytes: Uint8Array): void {
    this.sendBytes(Frame.Binary, bytes)
  }

  sendMessage(message: Message.Message): void {
    const { byteLength } = message
    const opcode = opcodeOf(message._tag)
    if (byteLength > this.plainUpTo) return this.sendBytes(opcode, message.bytes)
    if (isHeld(message) && message.block !== undefined)
      this.encoder.encodeInBlock(opcode, message.block, message.start, byteLength, message.headroom)
    else this.encoder.encodeImmutable(true, opcode, message.pieces, byteLength)
  }

  sendPrepared(prepared: PreparedMessage): void {
    const { byteLength, frame, isCompressible, message } = prepared
    if (isCompressible && this.compresses(byteLength)) return this.sendPreparedCompressed(prepared)
    if (!this.masks && byteLength <= this.fragmentSize) return this.encoder.passEncoded(frame)
    this.encodeFragments(opcodeOf(message._tag), message.bytes, true)
  }

  sendFragment(type: Message.Message["_tag"], payload: Uint8Array, final: boolean): void {
    const compressed = this.deflater === undefined ? 0 : Frame.Compressed
    const bytes = this.deflater?.deflateFragment(payload, final) ?? payload
    this.encodeFragments(this.isInMessage ? Frame.Continuation : opcodeOf(type) | compressed, bytes, final)
    this.isInMessage = !final
  }

  private sendBytes(opcode: number, bytes: Uint8Array): void {
    if (this.compresses(bytes.length)) this.encodeCompressed(opcode, bytes, this.deflater!.deflate(bytes))
    else this.encodeFragments(opcode, bytes, true)
  }

  /** Whether a message of `size` bytes is compressed. */
  compresses(size: number): boolean {
    return this.deflater !== undefined && size >= this.deflater.threshold
  }

  // For the same window the same bytes come out, whoever sends them.
  private sendPreparedCompressed(prepared: PreparedMessage): void {
    const { takeover, windowBits } = this.deflater!
    const { _tag, bytes } = prepared.message
    if (takeover) return this.sendBytes(opcodeOf(_tag), bytes)
    const deflated = compressedFor(prepared, windowBits, () => this.deflater!.deflate(bytes))
    this.encodeCompressed(opcodeOf(_tag), bytes, deflated)
  }

  // RFC 7692 6: a message may always go uncompressed. Where the peer needs it for what follows, it has to go as it is.
  private encodeCompressed(opcode: number, bytes: Uint8Array, deflated: Uint8Array): void {
    const helps = deflated.length < bytes.length || this.deflater!.takeover
    this.encodeFragments(helps ? opcode | Frame.Compressed : opcode, helps ? deflated : bytes, true)
  }

  private encodeFragments(opcode: number, payload: Uint8Array, final: boolean): void {
    if (payload.length <= this.fragmentSize) return this.encoder.encode(final, opcode, payload)
    let at = 0
    do {
      const end = Math.min(at + this.fragmentSize, payload.length)
      const fin = final && end === payload.length
      this.encoder.encode(fin, at === 0 ? opcode : Frame.Continuation, payload.subarray(at, end))
      at = end
    } while (at < payload.length)
  }
}

const opcodeOf = (type: Message.Message["_tag"]): typeof Frame.Text | typeof Frame.Binary =>
  type === "Text" ? Frame.Text : Frame.Binary
