/**
 * Memory that small frames are written into one after the other.
 *
 * All connections with the same `ByteOps` share one slab, so an idle connection owns none. A slab that is full is
 * replaced and lives on for as long as a transport holds bytes of it. Nothing is ever written twice to the same place.
 */
import type { ByteOps } from "../ByteOps.ts"
import { copyAll } from "./Copying.ts"

export class Slab {
  bytes: Uint8Array
  offset = 0
  private readonly byteOps: ByteOps
  // The last that were joined, and what came of it.
  private pieces: ReadonlyArray<Uint8Array> = []
  private joined: Uint8Array

  constructor(byteOps: ByteOps) {
    this.byteOps = byteOps
    this.bytes = byteOps.allocateShared(slabSize)
    this.joined = this.bytes.subarray(0, 0)
  }

  /** Makes sure that `size` bytes, at most `largest`, are free at `offset`. */
  reserve(size: number): void {
    if (this.bytes.length - this.offset >= size) return
    this.bytes = this.byteOps.allocateShared(slabSize)
    this.offset = 0
  }

  /**
   * Joins pieces of `size` bytes, at most `largest`, that never change again. Those that are the same as the last ones, as in a
   * broadcast, come out as the same memory.
   */
  join(pieces: ReadonlyArray<Uint8Array>, size: number): Uint8Array {
    if (areSame(pieces, this.pieces)) return this.joined
    this.reserve(size)
    const { offset } = this
    copyAll(pieces, this.bytes, offset)
    this.offset += size
    this.pieces = pieces
    return (this.joined = this.bytes.subarray(offset, offset + size))
  }
}

const areSame = (pieces: ReadonlyArray<Uint8Array>, others: ReadonlyArray<Uint8Array>): boolean => {
  if (pieces.length !== others.length) return false
  for (let i = 0; i < pieces.length; i++) if (pieces[i] !== others[i]) return false
  return true
}

export const shared = (byteOps: ByteOps): Slab => {
  const existing = slabs.get(byteOps)
  if (existing !== undefined) return existing
  const slab = new Slab(byteOps)
  slabs.set(byteOps, slab)
  return slab
}

const slabSize = 16 * 1024

/** The largest frame that goes into a slab: a quarter of it, so that little is wasted when one doesn't fit. */
export const largest: number = slabSize / 4

const slabs = new WeakMap<ByteOps, Slab>()
