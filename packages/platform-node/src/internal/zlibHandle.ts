/**
 * zlib on the spot, by the handle below the streams of Node: they would send every message through a pool of threads, at ten
 * times the cost. The handle isn't documented, so it is tried first whether it does what is expected of it.
 */
import type { Deflater, Inflated, Inflater } from "@effect-ws/core/DeflateCodec"
import * as Either from "effect/Either"
import * as Zlib from "node:zlib"
import { nodeByteOps } from "../NodeByteOps.ts"

/** What is used of a stream of Node's zlib, though it isn't documented. */
interface Undocumented {
  readonly _handle: {
    onerror: (message: string) => void
    writeSync(
      flush: number,
      from: Uint8Array,
      fromOffset: number,
      fromSize: number,
      to: Uint8Array,
      toOffset: number,
      toSize: number
    ): void
    reset(): void
  }
  /** How much room is left in the output, and how much of the input, after a write. */
  readonly _writeState: Uint32Array
}

type Stream = (Zlib.DeflateRaw | Zlib.InflateRaw) & Undocumented

/** A handle with what it takes and gives. */
class Handle {
  private readonly stream: Stream
  private hasFailed = false

  constructor(stream: Zlib.DeflateRaw | Zlib.InflateRaw) {
    this.stream = stream as Stream
    this.stream._handle.onerror = () => {
      this.hasFailed = true
    }
  }

  /** Writes as much as fits into the scratch. Returns how many bytes that were, -1 when the data is bad. */
  write(from: Uint8Array, start: number, end: number): number {
    this.stream._handle.writeSync(Zlib.constants.Z_SYNC_FLUSH, from, start, end - start, scratch, 0, scratch.length)
    return this.hasFailed ? -1 : scratch.length - this.stream._writeState[0]!
  }

  /** What is left of the input after a write. */
  get left(): number {
    return this.stream._writeState[1]!
  }

  reset(): void {
    this.hasFailed = false
    this.stream._handle.reset()
  }

  close(): void {
    this.stream.close()
  }
}

export class HandleDeflater implements Deflater {
  private readonly handle: Handle
  private readonly takeover: boolean

  constructor(options: Zlib.ZlibOptions, takeover: boolean) {
    this.handle = new Handle(Zlib.createDeflateRaw({ ...options, ...own }))
    this.takeover = takeover
  }

  deflate(bytes: Uint8Array): Uint8Array {
    const pieces: Array<Uint8Array> = []
    let start = 0
    let written: number
    do {
      written = this.handle.write(bytes, start, bytes.length)
      pieces.push(copyOf(written))
      start = bytes.length - this.handle.left
    } while (written === scratch.length)
    return pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces)
  }

  finish(): void {
    if (!this.takeover) this.handle.reset()
  }

  release(): void {
    this.handle.close()
  }
}

export class HandleInflater implements Inflater {
  private readonly handle: Handle
  private readonly takeover: boolean

  constructor(options: Zlib.ZlibOptions, takeover: boolean) {
    this.handle = new Handle(Zlib.createInflateRaw({ ...options, ...own }))
    this.takeover = takeover
  }

  inflate(chunk: Uint8Array, start: number, end: number, limit: number): Inflated {
    const pieces: Array<Uint8Array> = []
    let size = 0
    let from = start
    for (;;) {
      const written = this.handle.write(chunk, from, end)
      if (written === -1) return "corrupt"
      size += written
      if (size > limit) return "oversized"
      if (written > 0) pieces.push(copyOf(written))
      const { left } = this.handle
      // Behind a final block (RFC 7692 7.2.3.4) the input is left alone though there is room for what comes out.
      if (left > 0 && written < scratch.length) this.handle.reset()
      else if (written < scratch.length) return pieces
      from = end - left
    }
  }

  finish(): void {
    if (!this.takeover) this.handle.reset()
  }

  release(): void {
    this.handle.close()
  }
}

/** Whether the handle is there and does what is expected of it: anything may be missing, and calling it may throw. */
export const isAvailable = (): boolean =>
  Either.getOrElse(
    Either.try(() => writes() && deflatesAgain() && inflatesAgain()),
    () => false
  )

// First: the others would go on without an end where what is left isn't told.
const writes = (): boolean => {
  const handle = new Handle(Zlib.createDeflateRaw())
  const written = handle.write(sample, 0, sample.length)
  handle.close()
  return written > 0 && written < scratch.length && handle.left === 0
}

const deflatesAgain = (): boolean => {
  const deflater = new HandleDeflater({}, false)
  const first = deflater.deflate(sample)
  deflater.finish()
  const second = deflater.deflate(sample)
  deflater.release()
  return Buffer.compare(first, second) === 0 && Buffer.compare(Zlib.inflateRawSync(first, flush), sample) === 0
}

// Bad data has to be noticed, and forgotten; what lies behind a final block has to be left alone.
const inflatesAgain = (): boolean => {
  const inflater = new HandleInflater({}, false)
  const bad = inflater.inflate(reserved, 0, reserved.length, sample.length)
  inflater.finish()
  const final = Zlib.deflateRawSync(sample)
  const twice = Buffer.concat([final, final])
  const good = inflater.inflate(twice, 0, twice.length, 2 * sample.length)
  inflater.release()
  return bad === "corrupt" && typeof good !== "string" && Buffer.concat(good).equals(Buffer.concat([sample, sample]))
}

const sample = Buffer.from("what goes in comes out, what goes in comes out")
const flush = { finishFlush: Zlib.constants.Z_SYNC_FLUSH }

// The type of this block is reserved.
const reserved = Uint8Array.of(0x06)

// A stream has an output of 16 KiB otherwise, which nobody would use.
const own = { chunkSize: Zlib.constants.Z_MIN_CHUNK }

// Everything happens on the spot, so one is enough.
const scratch = new Uint8Array(64 * 1024)

// What is small lies one behind the other: to allocate it by itself costs more than to copy it.
let pool: Uint8Array = new Uint8Array(0)
let used = 0

const copyOf = (size: number): Uint8Array => {
  if (size > poolSize / 4) return scratch.slice(0, size)
  if (pool.length - used < size) {
    pool = nodeByteOps.allocateShared(poolSize)
    used = 0
  }
  const copy = pool.subarray(used, (used += size))
  copy.set(scratch.subarray(0, size))
  return copy
}

/** In bytes: what a small message may keep alive. */
const poolSize = 4 * 1024
