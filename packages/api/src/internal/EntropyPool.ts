/**
 * Draws from Entropy in pools, since a call of the generator costs more than the bytes of it. No byte is handed out twice.
 */
import type { EntropySource } from "../Entropy.ts"

export class EntropyPool {
  private readonly source: EntropySource
  private pool: Uint8Array | undefined = undefined
  private offset = 0

  constructor(source: EntropySource) {
    this.source = source
  }

  /** Returns `size` bytes of their own, at most 1024. */
  readonly bytes = (size: number): Uint8Array => {
    const pool = this.reserve(size)
    const bytes = pool.slice(this.offset, this.offset + size)
    pool.fill(0, this.offset, this.offset + size)
    this.offset += size
    return bytes
  }

  /** Returns the 32 bits of a masking key. */
  readonly maskingKey = (): number => {
    const pool = this.reserve(4)
    const at = this.offset
    this.offset += 4
    return (pool[at]! << 24) | (pool[at + 1]! << 16) | (pool[at + 2]! << 8) | pool[at + 3]!
  }

  private reserve(size: number): Uint8Array {
    if (this.pool !== undefined && this.offset + size <= poolSize) return this.pool
    const pool = this.pool ?? new Uint8Array(poolSize)
    // A source that throws leaves the pool used up: what was in it must not be handed out again.
    this.source.fill(pool)
    this.pool = pool
    this.offset = 0
    return pool
  }
}

/** One pool for each source: all clients with the same Entropy share it. */
export const shared = (source: EntropySource): EntropyPool => {
  const existing = pools.get(source)
  if (existing !== undefined) return existing
  const pool = new EntropyPool(source)
  pools.set(source, pool)
  return pool
}

const poolSize = 1024
const pools = new WeakMap<EntropySource, EntropyPool>()
