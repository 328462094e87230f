/**
 * Reads what a peer may have compressed slice by slice: a chunk brings up to a thousand times as much, and between two slices
 * the connection can say that it has enough. What is left waits here then, as it came.
 */
import type { Transport, TransportSink } from "../../Transport.ts"
import type { TransportError } from "../../TransportError.ts"
import { atTurnEnd, type Waiting } from "./turnEnd.ts"

export class SlicedReads implements TransportSink, Waiting {
  private readonly transport: Transport
  private readonly sink: TransportSink
  private rest: Uint8Array | undefined = undefined
  private isPaused = false
  private hasEnded = false

  /** Stands between the transport and `sink`, which pauses and resumes through it. */
  constructor(transport: Transport, sink: TransportSink) {
    this.transport = transport
    this.sink = sink
  }

  get borrows(): boolean {
    return true
  }

  pause(): void {
    this.isPaused = true
    this.transport.pause()
  }

  resume(): void {
    this.isPaused = false
    // The rest comes first, and not inside of this call.
    if (this.rest === undefined) this.transport.resume()
    else atTurnEnd(this)
  }

  chunk(bytes: Uint8Array, isLent = false): void {
    if (this.rest !== undefined) this.rest = concat(this.rest, bytes)
    else if (bytes.length <= sliceSize) this.sink.chunk(bytes, isLent)
    else this.giveSlices(bytes, isLent)
  }

  end(): void {
    if (this.rest === undefined) this.sink.end()
    else this.hasEnded = true
  }

  drained(): void {
    this.sink.drained()
  }

  // What is left when a transport fails is as lost as what the system below still had. One that has ended in good order had
  // nothing more: what is left is all that will come.
  closed(error: TransportError | undefined): void {
    const { rest } = this
    this.rest = undefined
    if (rest !== undefined && error === undefined) {
      this.sink.chunk(rest, true)
      if (this.hasEnded) this.sink.end()
    }
    this.sink.closed(error)
  }

  /** Goes on with the rest. */
  flush(): void {
    const { rest } = this
    if (rest === undefined || this.isPaused) return
    this.rest = undefined
    this.giveSlices(rest, false)
    if (this.rest !== undefined) return
    if (this.hasEnded) this.sink.end()
    else if (!this.isPaused) this.transport.resume()
  }

  // Each is lent: of a large chunk nobody may keep a part.
  private giveSlices(bytes: Uint8Array, isLent: boolean): void {
    let at = 0
    for (; at < bytes.length && !this.isPaused; at += sliceSize) {
      this.sink.chunk(bytes.subarray(at, at + sliceSize), true)
    }
    if (at < bytes.length) this.rest = isLent ? bytes.slice(at) : bytes.subarray(at)
  }
}

const concat = (first: Uint8Array, second: Uint8Array): Uint8Array => {
  const both = new Uint8Array(first.length + second.length)
  both.set(first)
  both.set(second, first.length)
  return both
}

/** In bytes: some 4 MiB, if somebody has taken pains. */
export const sliceSize = 4 * 1024
