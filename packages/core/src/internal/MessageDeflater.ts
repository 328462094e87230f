/**
 * Compresses the messages that go out (RFC 7692 7.2.1).
 */
import type { DeflateCodec, Deflater } from "../DeflateCodec.ts"

export class MessageDeflater {
  /** From which size on a message is compressed, in bytes. */
  readonly threshold: number
  /** With which window; the same bytes come out for the same window where nothing is taken over. */
  readonly windowBits: number
  readonly takeover: boolean

  private readonly codec: DeflateCodec
  private own: Deflater | undefined = undefined

  constructor(codec: DeflateCodec, windowBits: number, takeover: boolean, threshold: number) {
    this.codec = codec
    this.windowBits = windowBits
    this.takeover = takeover
    this.threshold = threshold
  }

  /** Compresses a whole message. */
  deflate(bytes: Uint8Array): Uint8Array {
    const deflater = this.takeover ? this.ownDeflater() : this.codec.deflater(this.windowBits, false)
    const deflated = withoutTail(deflater.deflate(bytes))
    deflater.finish()
    return deflated
  }

  /** Compresses a fragment of a message that isn't whole yet, or the last one. */
  deflateFragment(bytes: Uint8Array, isFinal: boolean): Uint8Array {
    const deflater = this.ownDeflater()
    const deflated = deflater.deflate(bytes)
    if (!isFinal) return deflated
    deflater.finish()
    if (!this.takeover) this.release()
    return withoutTail(deflated)
  }

  /** Lets go of all memory. */
  release(): void {
    this.own?.release()
    this.own = undefined
  }

  // What is shared can't wait for the rest of a message.
  private ownDeflater(): Deflater {
    return (this.own ??= this.codec.deflater(this.windowBits, true))
  }
}

// 7.2.1: the empty block at the end is taken away but for its header, which stands alone in an empty message (7.2.3.6).
const withoutTail = (deflated: Uint8Array): Uint8Array =>
  deflated.length < 5 ? emptyBlock : deflated.subarray(0, deflated.length - 4)

const emptyBlock = Uint8Array.of(0)
