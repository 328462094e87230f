/**
 * The memory of those who compress or decompress with takeover. That of those who compress is bounded here: who was longest
 * without a message forgets what it had sent, as it may at any time (RFC 7692 7.1.1.1), even within a message, since every
 * call ends all blocks, and begins anew.
 */
import type { Deflater, Inflated, Inflater } from "@effect-ws/core/DeflateCodec"

export class DeflateContexts {
  private readonly maxContexts: number
  // The one that was used last is the last one.
  private readonly used = new Set<RememberingDeflater>()

  constructor(maxContexts: number) {
    this.maxContexts = maxContexts
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
    const deflated = this.context.deflate(bytes)
    // Not before: where nobody may remember anything, this is who forgets.
    this.contexts.touch(this)
    return deflated
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

/** What remembers what a peer has sent. It takes its room at once, and has memory from the first bytes on. */
export class RememberingInflater implements Inflater {
  private readonly make: () => Inflater
  private readonly onRelease: () => void
  private context: Inflater | undefined = undefined

  constructor(make: () => Inflater, onRelease: () => void) {
    this.make = make
    this.onRelease = onRelease
  }

  inflate(chunk: Uint8Array, start: number, end: number, limit: number, isLast: boolean): Inflated {
    this.context ??= this.make()
    return this.context.inflate(chunk, start, end, limit, isLast)
  }

  finish(): void {
    this.context?.finish()
  }

  release(): void {
    this.onRelease()
    this.context?.release()
  }
}
