/**
 * Puts messages together from the pieces in which their fragments arrive (RFC 6455 5.4).
 *
 * What it holds is in proportion to the bytes that came, never to what a header announced: small pieces are copied into
 * blocks, so that 4 MiB in fragments of 64 bytes are an honest message, and large ones are kept where they are. A small
 * message never keeps a large chunk alive, and none keeps one that was only lent.
 *
 * The fragments of a chunk are moved together within it, over the headers between them, which have been read.
 */
import type { ByteOps } from "../ByteOps.ts"
import * as Frame from "../Frame.ts"
import type { Message } from "../Message.ts"
import { inBlock, inPieces } from "./HeldMessage.ts"
import { isWorth } from "./MessageCopies.ts"

/**
 * Holds the message that is coming in.
 */
export class MessageAssembler {
  /** The opcode of the message: text or binary. */
  opcode: typeof Frame.Text | typeof Frame.Binary = Frame.Text
  /** The bytes of payload that have come so far. */
  size = 0

  private readonly byteOps: ByteOps
  private pieces: Array<Uint8Array> = []
  // Where small pieces are copied to, one behind the other; those behind `taken` are not among the pieces yet.
  private block: Uint8Array = empty
  private taken = 0
  private used = 0
  // Counts the bytes of this message that were copied.
  private copied = 0
  // What the chunk that is coming in has brought of the message, moved together.
  private chunk: Uint8Array = empty
  private start = 0
  private end = 0
  private isLent = false
  private firstSize = 0
  // Where the first piece lies, if that was kept, and how many bytes of its own header are in front of it.
  private first: Uint8Array = empty
  private firstStart = 0
  private headroom = 0

  /** Makes an assembler that allocates and decodes with `byteOps`. */
  constructor(byteOps: ByteOps) {
    this.byteOps = byteOps
  }

  /** Begins a message. */
  begin(opcode: typeof Frame.Text | typeof Frame.Binary): void {
    this.opcode = opcode
    this.size = 0
  }

  /** Takes the next piece of the payload. Only others like it may change the chunk before `settle`. */
  append(chunk: Uint8Array, start: number, end: number, isLent: boolean): void {
    this.size += end - start
    if (chunk === this.chunk) return this.moveBehind(start, end)
    this.settle()
    this.chunk = chunk
    this.start = start
    this.end = end
    this.firstSize = end - start
    this.isLent = isLent
  }

  /** Lets go of the chunk, or keeps it if that is worth it. Unless it is lent, it must not change any more. */
  settle(): void {
    const { chunk, end, isLent, start } = this
    if (chunk === empty) return
    this.chunk = empty
    const size = end - start
    if (isLent || size < keptFrom || !isWorthKeeping(chunk, size)) return this.fillBlocks(chunk, start, end)
    this.takeCopied()
    // The header in front of the first frame is no shorter than one for what has come of it.
    if (this.pieces.length === 0) {
      this.first = chunk
      this.firstStart = start
      this.headroom = Math.min(start, Frame.headerSize(this.firstSize, false))
    }
    this.pieces.push(view(chunk, start, end))
  }

  /** Counts bytes of the payload that nobody wants. */
  skip(size: number): void {
    this.size += size
  }

  /** Ends the message and hands it out. */
  finish(): Message {
    this.settle()
    const { first, firstStart, headroom, opcode, size } = this
    const pieces = this.takePieces()
    this.discard()
    if (pieces.length === 1 && headroom > 0)
      return inBlock(opcode, first, firstStart, size, headroom, this.byteOps, false)
    return inPieces(opcode, pieces.length === 0 ? nothing : pieces, size, this.byteOps)
  }

  /** Hands out what has come since the last call. The message goes on. */
  takePieces(): ReadonlyArray<Uint8Array> {
    this.settle()
    this.takeCopied()
    const pieces = this.pieces
    this.pieces = []
    this.first = empty
    return pieces
  }

  /** Lets go of the message. */
  discard(): void {
    this.pieces = []
    this.block = this.chunk = this.first = empty
    this.taken = this.used = this.copied = 0
    this.size = this.headroom = 0
  }

  private moveBehind(start: number, end: number): void {
    if (start !== this.end) this.chunk.copyWithin(this.end, start, end)
    this.end += end - start
  }

  private fillBlocks(chunk: Uint8Array, start: number, end: number): void {
    let from = start
    while (from < end) {
      if (this.used === this.block.length) this.openBlock(end - from)
      const count = Math.min(end - from, this.block.length - this.used)
      if (count === 1) this.block[this.used] = chunk[from]!
      else this.block.set(chunk.subarray(from, from + count), this.used)
      this.used += count
      this.copied += count
      from += count
    }
  }

  // Each block is as large as all that was copied before, within bounds: their number grows with the logarithm of the
  // message at first, and no more than half of what is allocated stays empty.
  private openBlock(wanted: number): void {
    this.takeCopied()
    const size = Math.min(Math.max(wanted, this.copied, smallestBlock), Math.max(blockSize, wanted))
    this.block = this.byteOps.allocate(size)
    this.taken = this.used = 0
  }

  // The rest of the block stays in use: a peer that sends large and small fragments in turn would waste it each time.
  private takeCopied(): void {
    if (this.used > this.taken) this.pieces.push(this.block.subarray(this.taken, this.used))
    this.taken = this.used
  }
}

// A view keeps its whole chunk alive. That is fine for a chunk that is hardly more than what a message costs anyway.
export const isWorthKeeping = (chunk: Uint8Array, size: number): boolean => {
  const held = chunk.buffer.byteLength
  return held <= smallChunk || isWorth(size, held)
}

// Not `subarray`, which keeps the class: what is made of a Buffer of Node is a plain Uint8Array like any other.
const view = (chunk: Uint8Array, start: number, end: number): Uint8Array =>
  new Uint8Array(chunk.buffer, chunk.byteOffset + start, end - start)

const smallChunk = 512
const smallestBlock = 128
const blockSize = 64 * 1024
const keptFrom = 4 * 1024
const empty: Uint8Array = new Uint8Array(0)
const nothing: ReadonlyArray<Uint8Array> = [empty]
