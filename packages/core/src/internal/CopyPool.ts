/**
 * Memory for copies of small messages: blocks of 4 KiB that all connections with the same `ByteOps` share.
 *
 * Allocating each copy by itself costs more than the copy. A block lives on for as long as a message in it does, so that is
 * what one small message can keep alive at most. Nothing is ever written twice to the same place.
 */
import type { ByteOps } from "../ByteOps.ts"

export class CopyPool {
  private readonly byteOps: ByteOps
  private block: Uint8Array | undefined = undefined
  private used = 0

  constructor(byteOps: ByteOps) {
    this.byteOps = byteOps
  }

  copy(chunk: Uint8Array, start: number, end: number): Uint8Array {
    const size = end - start
    // The smallest ones need no memory outside of their object, the large ones would fill a block too soon.
    if (size <= inlineUpTo || size > largest) return fill(this.byteOps.allocate(size), chunk, start, end)
    if (this.block === undefined || this.used + size > blockSize) {
      this.block = this.byteOps.allocate(blockSize)
      this.used = 0
    }
    const copy = new Uint8Array(this.block.buffer, this.block.byteOffset + this.used, size)
    this.used += size
    return fill(copy, chunk, start, end)
  }
}

export const shared = (byteOps: ByteOps): CopyPool => {
  const existing = pools.get(byteOps)
  if (existing !== undefined) return existing
  const pool = new CopyPool(byteOps)
  pools.set(byteOps, pool)
  return pool
}

const fill = (copy: Uint8Array, chunk: Uint8Array, start: number, end: number): Uint8Array => {
  if (end - start > loopCopiesUpTo) copy.set(chunk.subarray(start, end))
  else for (let i = start; i < end; i++) copy[i - start] = chunk[i]!
  return copy
}

const blockSize = 4 * 1024
const largest = blockSize / 4

// V8 keeps the bytes of arrays up to this size in the array itself.
const inlineUpTo = 64

// Below this many bytes a loop beats the call into the runtime.
const loopCopiesUpTo = 32

const pools = new WeakMap<ByteOps, CopyPool>()
