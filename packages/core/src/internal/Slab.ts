/**
 * Memory that small frames are written into one after the other.
 *
 * All connections with the same `ByteOps` share one slab, so an idle connection owns none. A slab that is full is
 * replaced and lives on for as long as a transport holds bytes of it. Nothing is ever written twice to the same place.
 */
import type { ByteOps } from "../ByteOps.ts"

export class Slab {
  bytes: Uint8Array
  offset = 0
  private readonly byteOps: ByteOps

  constructor(byteOps: ByteOps) {
    this.byteOps = byteOps
    this.bytes = byteOps.allocate(slabSize)
  }

  /** Makes sure that `size` bytes, at most `largest`, are free at `offset`. */
  reserve(size: number): void {
    if (this.bytes.length - this.offset >= size) return
    this.bytes = this.byteOps.allocate(slabSize)
    this.offset = 0
  }
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
