/**
 * Decompresses the messages that come in (RFC 7692 7.2.2).
 *
 * Without takeover what decompresses is shared, and so a message goes through it in one go: it is gathered until it is
 * whole. One that grows large gets an inflater of its own, so that its end costs no more than each of its chunks.
 */
import type { ByteOps } from "../ByteOps.ts"
import type { DeflateCodec, Inflated, Inflater } from "../DeflateCodec.ts"
import * as Frame from "../Frame.ts"
import { MessageAssembler } from "./MessageAssembler.ts"

export class MessageInflater {
  /** How many compressed bytes of the message have come. */
  size = 0

  private readonly codec: DeflateCodec
  private readonly windowBits: number
  private readonly takeover: boolean
  private readonly gathered: MessageAssembler
  private own: Inflater | undefined = undefined

  constructor(byteOps: ByteOps, codec: DeflateCodec, windowBits: number, takeover: boolean) {
    this.codec = codec
    this.windowBits = windowBits
    this.takeover = takeover
    this.gathered = new MessageAssembler(byteOps)
  }

  begin(): void {
    this.size = 0
    this.gathered.begin(Frame.Binary)
  }

  /** Takes a piece of the message. What comes out of it may come later. */
  push(chunk: Uint8Array, start: number, end: number, limit: number): Inflated {
    this.size += end - start
    if (this.takeover || this.own !== undefined) return this.ownInflater().inflate(chunk, start, end, limit, false)
    this.gathered.append(chunk, start, end)
    return this.size > gatheredUpTo ? this.inflateGathered(this.ownInflater(), limit) : nothing
  }

  /** Takes the last piece of the message. */
  finish(chunk: Uint8Array, start: number, end: number, limit: number): Inflated {
    const inflater = this.own ?? (this.takeover ? this.ownInflater() : this.codec.inflater(this.windowBits, false))
    const rest = this.takeover ? tail : checkedTail
    const inflated = collect(limit + rest.length - tail.length, [
      (rest) => this.inflateGathered(inflater, rest),
      (rest) => inflater.inflate(chunk, start, end, rest, false),
      (left) => inflater.inflate(rest, 0, rest.length, left, true)
    ])
    inflater.finish()
    if (this.takeover || typeof inflated === "string") return inflated
    this.discard()
    return withoutMark(inflated)
  }

  /** Lets go of the message in progress. */
  discard(): void {
    this.gathered.discard()
    if (!this.takeover) this.release()
  }

  /** Lets go of everything. */
  release(): void {
    this.own?.release()
    this.own = undefined
  }

  private ownInflater(): Inflater {
    return (this.own ??= this.codec.inflater(this.windowBits, true))
  }

  private inflateGathered(inflater: Inflater, limit: number): Inflated {
    const pieces = this.gathered.takePieces()
    return collect(
      limit,
      pieces.map((piece) => (rest) => inflater.inflate(piece, 0, piece.length, rest, false))
    )
  }
}

const collect = (limit: number, steps: ReadonlyArray<(limit: number) => Inflated>): Inflated => {
  const all: Array<Uint8Array> = []
  let rest = limit
  for (const step of steps) {
    const inflated = step(rest)
    if (typeof inflated === "string") return inflated
    for (const piece of inflated) {
      all.push(piece)
      rest -= piece.length
    }
  }
  return all
}

// What is cut off in the middle of a block swallows the mark, which comes out as it is from everything else.
const withoutMark = (inflated: ReadonlyArray<Uint8Array>): Inflated => {
  const last = inflated[inflated.length - 1]
  if (last === undefined || last[last.length - 1] !== mark) return "corrupt"
  return [...inflated.slice(0, -1), last.subarray(0, -1)]
}

const gatheredUpTo = 64 * 1024

/** 7.2.2: the sender has taken away these four bytes. */
const tail = Uint8Array.of(0, 0, 0xff, 0xff)

/** The same, and a stored block of one byte: nothing remembers it where nothing is taken over. */
const mark = 0x58
const checkedTail = Uint8Array.of(...tail, 0, 1, 0, 0xfe, 0xff, mark)
const nothing: ReadonlyArray<Uint8Array> = []
