/**
 * A connection for which there is no place: it gets its answer unread, and the end in bounded time and bytes.
 */
import type { Transport, TransportSink } from "../../Transport.ts"
import type { Deadline, Deadlines } from "../Deadlines.ts"

export class TurnedAway implements TransportSink {
  private readonly transport: Transport
  private readonly deadlines: Deadlines
  private readonly deadline: Deadline
  private readonly onOver: (turnedAway: TurnedAway) => void
  private dropped = 0

  constructor(
    transport: Transport,
    answer: Uint8Array,
    deadlines: Deadlines,
    onOver: (turnedAway: TurnedAway) => void
  ) {
    this.transport = transport
    this.deadlines = deadlines
    this.onOver = onOver
    this.deadline = deadlines.after(maxLingering, () => this.destroy())
    transport.start(this)
    transport.write([answer])
    transport.end()
    transport.resume()
  }

  destroy(): void {
    this.transport.destroy()
  }

  // What came unread would turn the end into a reset, which may take the answer with it.
  chunk(bytes: Uint8Array): void {
    this.dropped += bytes.length
    if (this.dropped > maxDropped) this.destroy()
  }

  end(): void {}

  drained(): void {}

  closed(): void {
    this.deadlines.cancel(this.deadline)
    this.onOver(this)
  }
}

/** In milliseconds. */
const maxLingering = 1000
/** In bytes: more than a head has. */
const maxDropped = 16 * 1024
