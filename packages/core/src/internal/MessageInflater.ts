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
  private own: Inflater | undefined

  constructor(byteOps: ByteOps, codec: DeflateCodec, windowBits: number, takeover: boolean) {
    this.codec = codec
    this.windowBits = windowBits
    this.takeover = takeover
    this.gathered = new MessageAssembler(byteOps)
    // At once, so that the codec knows how many there will be.
    this.own = takeover ? codec.inflater(windowBits, true) : undefined
  }

  begin(): void {
    this.size = 0
    this.gathered.begin(Frame.Binary)
  }

  /** Takes a piece of the message. What comes out of it may come later. */
  push(chunk: Uint8Array, start: number, end: number, limit: number, isLent: boolean): Inflated {
    this.size += end - start
    if (this.own !== undefined) return this.own.inflate(chunk, start, end, limit, false)
    this.gathered.append(chunk, start, end, isLent)
    this.gathered.settle()
    if (this.size <= gatheredUpTo) return nothing
    this.own = this.codec.inflater(this.windowBits, true)
    return inflateAll(this.own, this.gathered.takePieces(), limit, false)
  }

  /** Takes the last piece of the message. */
  finish(chunk: Uint8Array, start: number, end: number, limit: number): Inflated {
    const inflater = this.own ?? this.codec.inflater(this.windowBits, false)
    const inflated = this.inflateRest(inflater, chunk, start, end, this.takeover ? limit : limit + mark.length)
    inflater.finish()
    return this.takeover || typeof inflated === "string" ? inflated : withoutMark(inflated)
  }

  // Each call of an inflater costs as much as some hundred bytes: what is small goes through it together with its tail.
  private inflateRest(inflater: Inflater, chunk: Uint8Array, start: number, end: number, limit: number): Inflated {
    const last = this.takeover ? tail : checkedTail
    const pieces = this.gathered.takePieces()
    if (pieces.length > 0 || end - start > joinedUpTo) {
      return inflateAll(inflater, [...pieces, chunk.subarray(start, end), last], limit, true)
    }
    joined.set(chunk.subarray(start, end))
    joined.set(last, end - start)
    return inflater.inflate(joined, 0, end - start + last.length, limit, true)
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
}

const inflateAll = (
  inflater: Inflater,
  chunks: ReadonlyArray<Uint8Array>,
  limit: number,
  isLast: boolean
): Inflated => {
  const all: Array<Uint8Array> = []
  let rest = limit
  for (const [index, chunk] of chunks.entries()) {
    const inflated = inflater.inflate(chunk, 0, chunk.length, rest, isLast && index === chunks.length - 1)
    if (typeof inflated === "string") return inflated
    for (const piece of inflated) {
      all.push(piece)
      rest -= piece.length
    }
  }
  return all
}

// What is cut off in the middle of a block swallows the mark, which comes out at the end of everything else.
const withoutMark = (inflated: ReadonlyArray<Uint8Array>): Inflated => {
  const [only] = inflated
  if (inflated.length === 1 && only!.length > mark.length && endsWithMark(only!)) {
    return [only!.subarray(0, only!.length - mark.length)]
  }
  const pieces = [...inflated]
  for (let left = mark.length; left > 0;) {
    const piece = pieces.pop()
    if (piece === undefined) return "corrupt"
    let end = piece.length
    while (end > 0 && left > 0) if (piece[--end] !== mark[--left]) return "corrupt"
    if (end > 0) pieces.push(piece.subarray(0, end))
  }
  return pieces
}

const endsWithMark = (piece: Uint8Array): boolean => {
  const at = piece.length - mark.length
  return piece[at] === mark[0] && piece[at + 1] === mark[1] && piece[at + 2] === mark[2] && piece[at + 3] === mark[3]
}

const gatheredUpTo = 64 * 1024

/** 7.2.2: the sender has taken away these four bytes. */
const tail = Uint8Array.of(0, 0, 0xff, 0xff)

/**
 * The same, and a block with fixed codes that stands for the mark: nothing remembers it where nothing is taken over. Its bytes
 * are others than those of the mark, since a stored block that is cut off gives back what it swallows.
 */
const mark = Uint8Array.of(0xff, 0xfe, 0xfd, 0xfc)
const checkedTail = Uint8Array.of(...tail, 0xfa, 0xff, 0xef, 0xef, 0x1f, 0)

const joinedUpTo = 16 * 1024

// Everything happens on the spot, so one is enough.
const joined = new Uint8Array(joinedUpTo + checkedTail.length)

const nothing: ReadonlyArray<Uint8Array> = []
