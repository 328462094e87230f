/**
 * One end of a pair of transports in memory: TCP as far as a WebSocket can tell, without a network.
 *
 * What is on its way to an end is kept at that end. Everything an end tells its sink, it tells from one task of the
 * scheduler, so no callback runs inside a call.
 */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Runtime from "effect/Runtime"
import type * as Scheduler from "effect/Scheduler"
import type { Transport, TransportInfo, TransportSink } from "../Transport.ts"
import { formatAddress, TransportError, type TransportOperation } from "../TransportError.ts"

/** What both ends of a pair share: the settings, and the count of operations that decides which one fails. */
export interface Shared {
  readonly readSize: number
  readonly highWaterMark: number
  readonly latency: number
  readonly failAt: number | undefined
  readonly clock: Clock.Clock
  readonly runtime: Runtime.Runtime<never>
  readonly scheduler: Scheduler.Scheduler
  operations: number
  failed: boolean
}

/** The counters of one end. */
export class EndLedger {
  operations = 0
  sinks = 0
  writes = 0
  bytesWritten = 0
  chunksDelivered = 0
  bytesDelivered = 0
  bytesDropped = 0
  pauses = 0
  isPaused = false
  isOpen = true
}

type Item = Uint8Array | "fin" | "reset"

/** Makes two ends that are each other's peer. */
export const makeEnds = (
  shared: Shared,
  clientInfo: TransportInfo,
  serverInfo: TransportInfo
): readonly [client: MemoryEnd, server: MemoryEnd] => {
  const client = new MemoryEnd(shared, clientInfo)
  const server = new MemoryEnd(shared, serverInfo)
  client.peer = server
  server.peer = client
  return [client, server]
}

export class MemoryEnd implements Transport {
  readonly info: TransportInfo
  readonly ledger = new EndLedger()
  /** Bytes on their way to this end, which its sink was not given yet. */
  held = 0
  peer!: MemoryEnd
  private readonly shared: Shared
  private sink: TransportSink | undefined
  private arrived: Array<Item> = []
  private travelling: Array<{ readonly due: number; readonly item: Item }> = []
  private traveller: Fiber.RuntimeFiber<void> | undefined
  private isScheduled = false
  private owesDrained = false
  /** Our writing half is over; and so is the peer's, as this end has seen. */
  private isEnding = false
  private hasEnded = false
  private wasToldEnd = false
  private wasToldClosed = false
  /** A write has met a peer that is gone: the loss shows although nothing is read. */
  private isBroken = false
  private error: TransportError | undefined

  constructor(shared: Shared, info: TransportInfo) {
    this.shared = shared
    this.info = info
  }

  get writable(): number {
    return this.peer.held
  }

  start(sink: TransportSink): void {
    this.ledger.sinks++
    this.sink = sink
    this.wasToldEnd = false
    this.wasToldClosed = false
    this.fails("start", "read")
    this.schedule()
  }

  write(chunks: ReadonlyArray<Uint8Array>): boolean {
    const bytes = concat(chunks)
    this.ledger.writes++
    if (!this.ledger.isOpen || this.isEnding || this.fails("write", "write")) {
      this.ledger.bytesDropped += bytes.length
      return true
    }
    this.ledger.bytesWritten += bytes.length
    if (this.peer.ledger.isOpen) this.peer.receive(bytes)
    else this.meetLoss(bytes.length)
    this.owesDrained = this.writable >= this.shared.highWaterMark
    return !this.owesDrained
  }

  pause(): void {
    if (!this.ledger.isPaused) this.ledger.pauses++
    this.ledger.isPaused = true
  }

  resume(): void {
    this.ledger.isPaused = false
    this.schedule()
  }

  end(): void {
    if (!this.ledger.isOpen || this.isEnding || this.fails("end", "write")) return
    this.isEnding = true
    if (this.peer.ledger.isOpen) this.peer.receive("fin")
    this.settle()
  }

  destroy(): void {
    if (!this.ledger.isOpen) return
    const isLoss = this.held > 0 || this.peer.held > 0
    this.finish(undefined)
    if (!this.peer.ledger.isOpen) return
    if (isLoss) this.peer.drop()
    if (isLoss) this.peer.receive("reset")
    else if (!this.isEnding) this.peer.receive("fin")
  }

  /** Names what of this end is not over. */
  leftovers(name: string): Array<string> {
    const left: Array<string> = []
    if (this.ledger.isOpen) left.push(`the ${name} is open`)
    if (this.held > 0) left.push(`the ${name} was not given ${this.held} bytes`)
    if (this.traveller !== undefined) left.push(`bytes travel to the ${name}`)
    if (!this.ledger.isOpen && this.sink !== undefined && !this.wasToldClosed) {
      left.push(`the ${name} was not told that it is closed`)
    }
    return left
  }

  private receive(item: Item): void {
    this.held += sizeOf(item)
    if (this.shared.latency === 0) {
      this.arrived.push(item)
      this.schedule()
      return
    }
    this.travelling.push({ due: this.shared.clock.unsafeCurrentTimeMillis() + this.shared.latency, item })
    if (this.traveller !== undefined) return
    this.traveller = Runtime.runFork(this.shared.runtime)(this.travel())
  }

  private travel(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const first = this.travelling[0]
      if (first === undefined) return Effect.void
      const wait = first.due - this.shared.clock.unsafeCurrentTimeMillis()
      return wait > 0 ? Effect.zipRight(Effect.sleep(wait), this.arrive()) : this.arrive()
    })
  }

  private arrive(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const next = this.travelling.shift()
      if (next !== undefined) this.arrived.push(next.item)
      if (this.travelling.length === 0) this.traveller = undefined
      this.schedule()
      return this.travel()
    })
  }

  private schedule(): void {
    if (this.isScheduled) return
    this.isScheduled = true
    this.shared.scheduler.scheduleTask(() => this.run(), 0)
  }

  /** Tells the sink all there is to tell; what a new sink has to know waits for the next task. */
  private run(): void {
    this.isScheduled = false
    const sink = this.sink
    if (sink === undefined) return
    while (this.sink === sink && this.mayRead()) this.deliver(sink, this.arrived.shift()!)
    if (this.sink === sink) this.tellRest(sink)
  }

  private mayRead(): boolean {
    return this.ledger.isOpen && this.arrived.length > 0 && (!this.ledger.isPaused || this.isBroken)
  }

  private deliver(sink: TransportSink, item: Item): void {
    if (item === "reset") return this.finish(this.failure("read", resetError()))
    if (item === "fin") {
      this.hasEnded = true
      this.tellEnd(sink)
      this.settle()
      return
    }
    const chunk = this.cut(item)
    if (this.fails("chunk", "read")) return
    this.held -= chunk.length
    this.ledger.chunksDelivered++
    this.ledger.bytesDelivered += chunk.length
    if (this.held === 0) this.peer.taken()
    if (sink.borrows === true && this.ledger.chunksDelivered % 2 === 0) lend(sink, chunk)
    else sink.chunk(chunk)
  }

  private cut(bytes: Uint8Array): Uint8Array {
    const { readSize } = this.shared
    if (bytes.length <= readSize) return bytes
    this.arrived.unshift(bytes.subarray(readSize))
    return bytes.subarray(0, readSize)
  }

  private tellRest(sink: TransportSink): void {
    if (this.ledger.isOpen && this.owesDrained && this.writable === 0) {
      this.owesDrained = false
      sink.drained()
    }
    // Each callback may have handed delivery over to another sink, which is told by a task of its own.
    if (this.sink === sink && this.hasEnded) this.tellEnd(sink)
    if (this.sink === sink && !this.ledger.isOpen && !this.wasToldClosed) {
      this.wasToldClosed = true
      sink.closed(this.error)
    }
  }

  private tellEnd(sink: TransportSink): void {
    if (this.wasToldEnd || (!this.ledger.isOpen && this.error !== undefined)) return
    this.wasToldEnd = true
    sink.end()
  }

  /** All that this end wrote was given to the peer's sink. */
  private taken(): void {
    if (this.owesDrained) this.schedule()
    this.settle()
  }

  /** Both halves are over once the peer's end was seen and what went before ours was taken. */
  private settle(): void {
    if (this.hasEnded && this.isEnding && this.writable === 0) this.finish(undefined)
  }

  private finish(error: TransportError | undefined): void {
    if (!this.ledger.isOpen) return
    this.ledger.isOpen = false
    this.error = error
    this.owesDrained = false
    this.drop()
    this.schedule()
    this.peer.settle()
  }

  private drop(): void {
    this.ledger.bytesDropped += this.held
    this.held = 0
    this.arrived = []
    this.travelling = []
    this.traveller?.unsafeInterruptAsFork(FiberId.none)
    this.traveller = undefined
  }

  private meetLoss(size: number): void {
    this.ledger.bytesDropped += size
    if (this.isBroken) return
    this.isBroken = true
    this.receive("reset")
  }

  /** Counts an operation, and fails it if it is the one that has to; then both ends are over. */
  private fails(name: string, operation: TransportOperation): boolean {
    this.ledger.operations++
    this.shared.operations++
    if (this.shared.operations !== this.shared.failAt) return false
    this.shared.failed = true
    const cause = new Error(`operation ${this.shared.operations}, ${name}, was made to fail`)
    this.finish(this.failure(operation, cause))
    this.peer.finish(this.peer.failure("read", resetError()))
    return true
  }

  private failure(operation: TransportOperation, cause: unknown): TransportError {
    const { remoteAddress } = this.info
    const address = remoteAddress === undefined ? undefined : formatAddress(remoteAddress)
    return new TransportError({ operation, address, cause })
  }
}

const sizeOf = (item: Item): number => (typeof item === "string" ? 0 : item.length)

const resetError = (): Error => Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET", syscall: "read" })

/** Copies, always: what one side alters in place must not change what the other side wrote. */
export const concat = (chunks: ReadonlyArray<Uint8Array>): Uint8Array => {
  const bytes = new Uint8Array(chunks.reduce((size, chunk) => size + chunk.length, 0))
  let offset = 0
  for (const chunk of chunks) {
    bytes.set(chunk, offset)
    offset += chunk.length
  }
  return bytes
}

// So that it shows when something is kept that was only lent.
const lend = (sink: TransportSink, chunk: Uint8Array): void => {
  const lent = new Uint8Array(chunk)
  sink.chunk(lent, true)
  lent.fill(0xa5)
}
