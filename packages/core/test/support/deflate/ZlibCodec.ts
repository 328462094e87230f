/**
 * A codec of zlib's one-shot calls, as slow and as plain as can be: an inflater begins anew with all that has come for each
 * piece, and hands out what is new of it. Counts what it is asked for, and what is alive of it.
 */
import * as Zlib from "node:zlib"
import type { DeflateCodec, Deflater, Inflated, Inflater } from "../../../src/DeflateCodec.ts"
import { concat } from "../Hex.ts"

export class ZlibCodec implements DeflateCodec {
  readonly hasRoom = true
  readonly later = (next: () => void): void => void setImmediate(next)
  /** Those with takeover that are not released: the others are shared. */
  inflaters = 0
  deflaters = 0
  /** How many times something was compressed. */
  deflations = 0
  /** How many bytes that were. */
  taken = 0
  /** How many bytes came out when decompressing, those of a piece that was over its limit included. */
  inflated = 0
  /** The windows that were asked for, each with whether it is taken over, in order. */
  readonly asked: Array<string> = []
  // Shared, by the bits of their windows.
  private readonly forgettingDeflaters: Array<Deflater> = []
  private readonly forgettingInflaters: Array<Inflater> = []

  deflater(windowBits: number, takeover: boolean): Deflater {
    this.asked.push(`deflater ${windowBits}${takeover ? " takeover" : ""}`)
    if (takeover) this.deflaters++
    else return (this.forgettingDeflaters[windowBits] ??= new OneDeflater(this, windowBits, false))
    return new OneDeflater(this, windowBits, true)
  }

  inflater(windowBits: number, takeover: boolean): Inflater {
    this.asked.push(`inflater ${windowBits}${takeover ? " takeover" : ""}`)
    if (takeover) this.inflaters++
    else return (this.forgettingInflaters[windowBits] ??= new OneInflater(this, windowBits, false))
    return new OneInflater(this, windowBits, true)
  }
}

const finishFlush = Zlib.constants.Z_SYNC_FLUSH

class OneDeflater implements Deflater {
  private readonly codec: ZlibCodec
  private readonly windowBits: number
  private readonly takeover: boolean
  private before: Uint8Array = new Uint8Array(0)
  private isReleased = false

  constructor(codec: ZlibCodec, windowBits: number, takeover: boolean) {
    if (windowBits < 9 || windowBits > 15) throw new RangeError(`no window of ${windowBits} bits`)
    this.codec = codec
    this.windowBits = windowBits
    this.takeover = takeover
  }

  deflate(bytes: Uint8Array): Uint8Array {
    if (this.isReleased) throw new Error("compresses after the release")
    this.codec.deflations++
    this.codec.taken += bytes.length
    // As a stream does that has nothing new to end.
    if (bytes.length === 0 && this.before.length > 0) return new Uint8Array(0)
    const options = { finishFlush, windowBits: this.windowBits }
    const deflated = Zlib.deflateRawSync(
      bytes,
      this.before.length === 0 ? options : { ...options, dictionary: this.before }
    )
    this.before = concat([this.before, bytes])
    return deflated
  }

  finish(): void {
    if (!this.takeover) this.before = new Uint8Array(0)
  }

  release(): void {
    if (this.isReleased) throw new Error("released twice")
    this.isReleased = true
    if (this.takeover) this.codec.deflaters--
  }
}

class OneInflater implements Inflater {
  private readonly codec: ZlibCodec
  private readonly windowBits: number
  private readonly takeover: boolean
  private bytes: Uint8Array = new Uint8Array(0)
  private handedOut = 0
  private isReleased = false

  constructor(codec: ZlibCodec, windowBits: number, takeover: boolean) {
    if (windowBits < 8 || windowBits > 15) throw new RangeError(`no window of ${windowBits} bits`)
    this.codec = codec
    this.windowBits = windowBits
    this.takeover = takeover
  }

  inflate(chunk: Uint8Array, start: number, end: number, limit: number): Inflated {
    if (this.isReleased) throw new Error("decompresses after the release")
    this.bytes = concat([this.bytes, chunk.slice(start, end)])
    const pieces: Array<Uint8Array> = []
    let left = limit
    for (;;) {
      const step = this.step(left)
      if (typeof step === "string") return step
      // Torn, since it may come in any pieces.
      const middle = step.output.length >> 1
      pieces.push(step.output.subarray(0, middle), step.output.subarray(middle))
      left -= step.output.length
      if (step.used === this.bytes.length) return pieces
      this.begin(this.bytes.subarray(step.used))
    }
  }

  finish(): void {
    if (!this.takeover) this.begin(new Uint8Array(0))
  }

  release(): void {
    if (this.isReleased) throw new Error("released twice")
    this.isReleased = true
    if (this.takeover) this.codec.inflaters--
  }

  private begin(bytes: Uint8Array): void {
    this.bytes = bytes
    this.handedOut = 0
  }

  private step(limit: number): { readonly output: Uint8Array; readonly used: number } | "oversized" | "corrupt" {
    const maxOutputLength = Math.max(1, this.handedOut + limit)
    const options = { finishFlush, windowBits: this.windowBits, maxOutputLength, info: true }
    try {
      const { buffer, engine } = Zlib.inflateRawSync(this.bytes, options) as unknown as {
        readonly buffer: Buffer
        readonly engine: { readonly bytesWritten: number }
      }
      const output = new Uint8Array(buffer.subarray(this.handedOut))
      this.codec.inflated += output.length
      if (output.length > limit) return "oversized"
      this.handedOut = buffer.length
      return { output, used: engine.bytesWritten }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ERR_BUFFER_TOO_LARGE") return "corrupt"
      this.codec.inflated += limit + 1
      return "oversized"
    }
  }
}
