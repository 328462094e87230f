/**
 * Memory for messages whose chunk can't be kept: they are copied, unmasked, one behind the other, with room between them for
 * the headers of the frames in which they may be passed on. So what a chunk brought can leave as it lies there, in one piece.
 *
 * All connections with the same `ByteOps` share it, since allocating each copy by itself costs more than the copy. A block
 * lives on for as long as a message in it does: 4 KiB are what one small message can keep alive at most. Nothing is ever
 * written twice to the same place.
 */
import type { ByteOps } from "../ByteOps.ts"
import * as Frame from "../Frame.ts"
import * as UnmaskedCopy from "./UnmaskedCopy.ts"
import * as Words from "./Words.ts"

export class Block implements UnmaskedCopy.Memory {
  readonly bytes: Uint8Array
  readonly buffer: ArrayBufferLike
  readonly words: Int32Array
  readonly offset: number
  used = 0

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
    this.buffer = bytes.buffer
    this.words = Words.wordsOf(bytes)
    this.offset = bytes.byteOffset
  }

  hasRoom(size: number): boolean {
    return this.bytes.length - this.used >= size
  }
}

export class MessageCopies {
  /** The memory of the last copy. */
  block: Block
  /** Where the last copy begins. */
  at = 0

  private readonly byteOps: ByteOps
  private pool: Block
  // For what is large in a large chunk.
  private large: Block = noBlock
  // The chunk that is coming in, as far as something of it was copied there.
  private largeChunk: Uint8Array = noBytes
  private source: UnmaskedCopy.Memory = noBlock

  constructor(byteOps: ByteOps) {
    this.byteOps = byteOps
    this.block = this.pool = new Block(byteOps.allocateShared(poolSize))
  }

  /** Copies a payload to `at` in `block`, and may unmask the chunk for that. Returns whether it is known to be nothing but ASCII. */
  copy(chunk: Uint8Array, start: number, end: number, key: number): boolean {
    const size = end - start
    const source = this.sourceOf(chunk)
    this.place(Frame.headerSize(size, false), size, source, start)
    const { at, block } = this
    if (size < wordsPayFrom) return UnmaskedCopy.copyBytes(block.bytes, at, chunk, start, end, key)
    if (size < setPaysFrom) return UnmaskedCopy.copyWords(block, at, source, start, end, key)
    const isAscii = key !== 0 && this.byteOps.mask(chunk, start, end, key, 0)
    block.bytes.set(UnmaskedCopy.view(source, start, size), at)
    return isAscii
  }

  /** Lets go of the chunk. */
  leave(): void {
    this.source = noBlock
    if (this.block !== this.pool) this.block = this.pool
    if (this.largeChunk !== noBytes) this.largeChunk = noBytes
  }

  // Where the last copy lies like its chunk, this one does so without padding: it has as much less in front of it as a masking
  // key takes up.
  private place(headerSize: number, size: number, source: UnmaskedCopy.Memory, start: number): void {
    const chunk = source.bytes
    const needed = headerSize + size + maxPadding
    const block = this.blockFor(needed, chunk, chunk.length - start + headerSize + maxPadding)
    // To write what is there already would cost the collector as much as all else here.
    if (this.block !== block) this.block = block
    const first = block.used + headerSize
    const padding = (UnmaskedCopy.phaseOf(source, start) - UnmaskedCopy.phaseOf(block, first)) & 3
    this.at = first + padding
    block.used = this.at + size
  }

  // What a large chunk still brings goes into one block, if that isn't too much for this message to keep alive, and what the next
  // one brings too, if there is room for all of it: what comes together leaves in one piece.
  private blockFor(needed: number, chunk: Uint8Array, rest: number): Block {
    const { large } = this
    const mayUseLarge = isWorth(needed, large.bytes.length)
    if (chunk === this.largeChunk && large.hasRoom(needed) && mayUseLarge) return large
    if (rest <= poolSize) return this.poolFor(needed)
    if (!isWorth(needed, rest)) return needed > poolSize / 4 ? this.allocate(needed) : this.poolFor(needed)
    this.largeChunk = chunk
    if (large.hasRoom(rest) && mayUseLarge) return large
    // Where one has come with others, the next chunk may bring as many.
    return (this.large = this.allocate(rest < 2 * needed ? rest : Math.max(rest, largestFor(needed))))
  }

  private poolFor(size: number): Block {
    return this.pool.hasRoom(size) ? this.pool : (this.pool = this.allocate(poolSize))
  }

  private allocate(size: number): Block {
    return new Block(this.byteOps.allocateShared(size))
  }

  private sourceOf(chunk: Uint8Array): UnmaskedCopy.Memory {
    if (this.source.bytes === chunk) return this.source
    return (this.source = UnmaskedCopy.memoryOf(chunk))
  }
}

/** The copies of all connections with the same `ByteOps`. */
export const shared = (byteOps: ByteOps): MessageCopies => {
  const existing = all.get(byteOps)
  if (existing !== undefined) return existing
  const copies = new MessageCopies(byteOps)
  all.set(byteOps, copies)
  return copies
}

/**
 * Whether a message of `size` bytes may keep so much alive: a quarter of it at least, or a sixteenth of what is common. It costs
 * about as much anyway.
 */
export const isWorth = (size: number, held: number): boolean => size * (held <= commonSize ? 16 : 4) >= held

const largestFor = (size: number): number => Math.min(16 * size, commonSize)

// Sixteen messages of a kilobyte, with the headers of their frames and padding.
const commonSize = 16 * 1024 + 256
const poolSize = 4 * 1024
const maxPadding = 3

// In bytes: as measured on Node 20. Below the first a word costs more than its bytes, from the second on the runtime is faster.
const wordsPayFrom = 32
const setPaysFrom = 1024

const noBytes = new Uint8Array(0)
const noBlock = new Block(noBytes)

const all = new WeakMap<ByteOps, MessageCopies>()
