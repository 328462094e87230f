/**
 * zlib on the spot by documented calls alone, for a Node whose handles are not what we know. Each call makes a stream of its
 * own, so it is slower; what is taken over from message to message is given as a dictionary.
 */
import type { Deflater, Inflated, Inflater } from "@effect-ws/core/DeflateCodec"
import * as Either from "effect/Either"
import { constants } from "node:buffer"
import * as Zlib from "node:zlib"

/** The last bytes of what has gone through, as many as the window has. */
class Window {
  bytes: Buffer | undefined = undefined
  private readonly size: number

  constructor(windowBits: number) {
    this.size = 2 ** windowBits
  }

  add(bytes: Uint8Array): void {
    const all = this.bytes === undefined ? Buffer.from(bytes) : Buffer.concat([this.bytes, bytes])
    this.bytes = all.length > this.size ? Buffer.from(all.subarray(all.length - this.size)) : all
  }

  clear(): void {
    this.bytes = undefined
  }
}

const flush = { finishFlush: Zlib.constants.Z_SYNC_FLUSH }

export class OneShotDeflater implements Deflater {
  private readonly options: Zlib.ZlibOptions
  private readonly takeover: boolean
  private readonly window: Window

  constructor(options: Zlib.ZlibOptions, takeover: boolean) {
    this.options = { ...options, ...flush }
    this.takeover = takeover
    this.window = new Window(options.windowBits ?? 15)
  }

  deflate(bytes: Uint8Array): Uint8Array {
    const deflated = Zlib.deflateRawSync(bytes, withDictionary(this.options, this.window))
    this.window.add(bytes)
    return deflated
  }

  finish(): void {
    if (!this.takeover) this.window.clear()
  }

  release(): void {
    this.window.clear()
  }
}

export class OneShotInflater implements Inflater {
  private readonly options: Zlib.ZlibOptions
  private readonly takeover: boolean
  private readonly window: Window
  private gathered: Array<Buffer> = []

  constructor(options: Zlib.ZlibOptions, takeover: boolean) {
    this.options = { ...options, ...flush }
    this.takeover = takeover
    this.window = new Window(options.windowBits ?? 15)
  }

  // A call can't go on where the last one stopped, so all of the message has to be there.
  inflate(chunk: Uint8Array, start: number, end: number, limit: number, isLast: boolean): Inflated {
    // A copy: `slice` of a Buffer would be none.
    this.gathered.push(Buffer.from(chunk.subarray(start, end)))
    if (!isLast) return nothing
    const all = Buffer.concat(this.gathered)
    this.gathered = []
    return this.inflateAll(all, limit)
  }

  finish(): void {
    this.gathered = []
    if (!this.takeover) this.window.clear()
  }

  release(): void {
    this.finish()
    this.window.clear()
  }

  private inflateAll(bytes: Buffer, limit: number): Inflated {
    const pieces: Array<Uint8Array> = []
    let rest = limit
    for (let from = 0; from < bytes.length;) {
      if (pieces.length === maxFinalBlocks) return "corrupt"
      const step = this.inflateOnce(bytes.subarray(from), rest)
      if (typeof step === "string") return step
      pieces.push(step.output)
      rest -= step.output.length
      // RFC 7692 7.2.3.4: behind a final block the data may begin anew.
      if (step.used === 0) return "corrupt"
      from += step.used
    }
    return pieces
  }

  private inflateOnce(bytes: Buffer, limit: number) {
    // Zlib has no limit of zero, and none above what a Buffer holds.
    const maxOutputLength = Math.min(Math.max(limit, 1), constants.MAX_LENGTH)
    const options = { ...withDictionary(this.options, this.window), maxOutputLength, info: true }
    const outcome = Either.try({
      try: () => Zlib.inflateRawSync(bytes, options) as unknown as { buffer: Buffer; engine: { bytesWritten: number } },
      catch: (error) => ((error as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE" ? "oversized" : "corrupt")
    })
    if (Either.isLeft(outcome)) return outcome.left
    const { buffer: output, engine } = outcome.right
    if (output.length > limit) return "oversized"
    this.window.add(output)
    // What zlib hands out is a part of a larger output.
    return { output: new Uint8Array(output), used: engine.bytesWritten }
  }
}

const withDictionary = (options: Zlib.ZlibOptions, { bytes }: Window): Zlib.ZlibOptions =>
  bytes === undefined || bytes.length === 0 ? options : { ...options, dictionary: bytes }

// Each costs a stream, and takes two bytes of the peer: nobody needs this many in one message.
const maxFinalBlocks = 1000

const nothing: ReadonlyArray<Uint8Array> = []
