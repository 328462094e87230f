/**
 * The memory of those who compress with takeover, bounded: who was longest without a message forgets what it had sent, as
 * it may at any time (RFC 7692 7.1.1.1), even within a message, since every call ends all blocks, and begins anew.
 */
import type { Deflater } from "@effect-ws/core/DeflateCodec"

export class DeflateContexts {
  private readonly maxContexts: number
  // The one that was used last is the last one.
  private readonly used = new Set<RememberingDeflater>()

  constructor(maxContexts: number) {
    this.maxContexts = maxContexts
  }

  /** How many there are. */
  get size(): number {
    return this.used.size
  }

  touch(deflater: RememberingDeflater): void {
    this.used.delete(deflater)
    this.used.add(deflater)
    for (const oldest of this.used) {
      if (this.used.size <= this.maxContexts) return
      oldest.release()
    }
  }

  delete(deflater: RememberingDeflater): void {
    this.used.delete(deflater)
  }
}

/** One of them. It has memory from its first message on, until it is released, which it may be in between. */
export class RememberingDeflater implements Deflater {
  private readonly contexts: DeflateContexts
  private readonly make: () => Deflater
  private context: Deflater | undefined = undefined

  constructor(contexts: DeflateContexts, make: () => Deflater) {
    this.contexts = contexts
    this.make = make
  }

  deflate(bytes: Uint8Array): Uint8Array {
    this.context ??= this.make()
    this.contexts.touch(this)
    return this.context.deflate(bytes)
  }

  finish(): void {
    this.context?.finish()
  }

  release(): void {
    this.contexts.delete(this)
    this.context?.release()
    this.context = undefined
  }
}
