/**
 * A transport whose bytes are carried by fibers: what somebody else's socket or channel is turned into.
 *
 * What is written waits here until a fiber takes it, and what comes while reading is paused waits too, together with the fiber
 * that brought it, as far as that lets itself be held up. All bytes are copied: what others hand out, they may still want.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Option from "effect/Option"
import * as Runtime from "effect/Runtime"
import type * as Scope from "effect/Scope"
import * as Transport from "../../Transport.ts"
import { formatAddress, TransportError, type TransportOperation } from "../../TransportError.ts"

export interface Options {
  readonly info?: Partial<Transport.TransportInfo> | undefined
  /** In bytes: what may be held while reading is paused. One chunk of any size is, when nothing else is. */
  readonly maxHeld?: number
}

/** What carries the bytes. */
interface Carriers<R> {
  /** Delivers what comes. When it ends, both halves have. */
  readonly read: Effect.Effect<void, TransportError, R>
  /** Takes what is to be written, if `read` doesn't. */
  readonly write?: Effect.Effect<void, TransportError, R>
  /** Ends both halves at once, as far as it can before `read` and `write` are interrupted. */
  readonly abort?: Effect.Effect<void, never, R>
}

type Carrier<E = TransportError> = Fiber.RuntimeFiber<void, E>

interface Started {
  readonly reading: Carrier
  readonly writing: Carrier | undefined
  readonly abort: () => Carrier<never>
}

export const make = <R>(
  carry: (transport: FiberTransport) => Carriers<R>,
  options: Options
): Effect.Effect<Transport.Transport, never, R | Scope.Scope> =>
  Effect.flatMap(Effect.runtime<R>(), (runtime) => {
    // Whoever makes it may be in a region that can't be interrupted, and then the runtime is so too.
    const fork = <E>(effect: Effect.Effect<void, E, R>): Carrier<E> =>
      Runtime.runFork(runtime)(Effect.interruptible(effect), { immediate: false })
    const begin = (transport: FiberTransport): Started => {
      const { abort = Effect.void, read, write } = carry(transport)
      const writing = write === undefined ? undefined : fork(write)
      return { reading: fork(read), writing, abort: () => fork(abort) }
    }
    return Effect.acquireRelease(
      Effect.sync(() => new FiberTransport(begin, options)),
      (transport) => transport.release
    )
  })

export class FiberTransport implements Transport.Transport {
  readonly info: Transport.TransportInfo
  writable = 0

  private readonly begin: (transport: FiberTransport) => Started
  private readonly maxHeld: number
  private started: Started | undefined = undefined
  private aborting: Carrier<never> | undefined = undefined
  private running = 0
  private sink: Transport.TransportSink | undefined = undefined
  private incoming: Array<Uint8Array> = []
  private held = 0
  private readonly onRoom = new Set<() => void>()
  private outgoing: Array<Uint8Array> = []
  private onOutgoing = ignore
  private isPaused = false
  private isEnding = false
  private isDestroyed = false
  private owesDrained = false
  private hasEnded = false
  private wasToldEnd = false
  private isOver = false
  private wasToldClosed = false
  private error: TransportError | undefined = undefined
  private isTellingLater = false

  constructor(begin: (transport: FiberTransport) => Started, { info, maxHeld = Infinity }: Options) {
    this.begin = begin
    this.info = { ...Transport.emptyInfo, ...info }
    this.maxHeld = maxHeld
  }

  // --- what a connection asks for -----------------------------------------------------------------------------------

  start(sink: Transport.TransportSink): void {
    this.sink = sink
    this.wasToldEnd = false
    this.wasToldClosed = false
    this.tellLater()
    if (this.started !== undefined || this.isOver) return
    this.started = this.begin(this)
    const { reading, writing } = this.started
    this.running = writing === undefined ? 1 : 2
    reading.addObserver((exit) => this.endReading(exit))
    writing?.addObserver((exit) => this.endWriting(exit))
  }

  write(chunks: ReadonlyArray<Uint8Array>): boolean {
    if (this.isOver || this.isEnding || this.isDestroyed) return true
    for (const chunk of chunks) this.writable += chunk.length
    this.outgoing.push(...chunks.filter((chunk) => chunk.length > 0))
    this.onOutgoing()
    this.owesDrained ||= this.writable >= highWaterMark
    return this.writable < highWaterMark
  }

  pause(): void {
    this.isPaused = true
  }

  resume(): void {
    this.isPaused = false
    this.tellLater()
  }

  end(): void {
    this.isEnding = true
    this.onOutgoing()
  }

  destroy(): void {
    if (this.isDestroyed) return
    this.isDestroyed = true
    this.hasEnded = false
    this.incoming = []
    if (this.isOver) this.tellLater()
    else this.stop()
  }

  /** Ends it and waits for that. What was ended before gets a moment for its last bytes. */
  get release(): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (!this.isEnding) this.destroy()
      if (this.started === undefined) return Effect.sync(() => this.destroy())
      const { reading, writing } = this.started
      const over = Effect.zipRight(Fiber.await(reading), writing === undefined ? Effect.void : Fiber.await(writing))
      const lingering = Effect.map(Effect.sleep(maxLingering), () => this.destroy())
      return Effect.flatMap(Effect.fork(Effect.interruptible(lingering)), (timer) =>
        Effect.zipRight(over, Fiber.interrupt(timer))
      )
    })
  }

  // --- what the carriers do -------------------------------------------------------------------------------------------

  /** Takes a chunk from the other side. What it returns is done when there is room for more. */
  deliver(chunk: Uint8Array): Effect.Effect<void> | undefined {
    if (chunk.length === 0 || this.isDestroyed || this.error !== undefined) return undefined
    const cost = costOf(chunk)
    if (this.incoming.length > 0 && this.held + cost > this.maxHeld) return this.overflow()
    this.held += cost
    this.incoming.push(new Uint8Array(chunk))
    this.tell()
    return this.incoming.length === 0 ? undefined : this.awaitRoom
  }

  /** Waits for what was written, and takes as much as makes one piece; `undefined` when no more will come. */
  readonly take: Effect.Effect<Uint8Array | undefined> = Effect.suspend(() => {
    if (this.outgoing.length > 0) return Exit.succeed(this.takePiece())
    return this.isEnding ? Exit.succeed(undefined) : this.takeLater
  })

  /** So many bytes were taken by what is below. */
  taken(count: number): void {
    this.writable -= count
    if (this.writable === 0 && this.owesDrained) this.tell()
  }

  failure(operation: TransportOperation, cause: unknown): TransportError {
    const { remoteAddress } = this.info
    const address = remoteAddress === undefined ? undefined : formatAddress(remoteAddress)
    return new TransportError({ operation, address, cause })
  }

  private takePiece(): Uint8Array {
    const piece = new Uint8Array(Math.min(this.outgoing.reduce(addLength, 0), maxPiece))
    let size = 0
    while (size < piece.length) {
      const chunk = this.outgoing[0]!
      const part = chunk.subarray(0, piece.length - size)
      piece.set(part, size)
      size += part.length
      if (part.length === chunk.length) this.outgoing.shift()
      else this.outgoing[0] = chunk.subarray(part.length)
    }
    return piece
  }

  private readonly takeLater = Effect.async<Uint8Array | undefined>((resume) => {
    this.onOutgoing = () => {
      this.onOutgoing = ignore
      resume(this.take)
    }
    if (this.outgoing.length > 0 || this.isEnding) this.onOutgoing()
  })

  private readonly awaitRoom = Effect.async<void>((resume) => {
    if (this.incoming.length === 0) return resume(Exit.void)
    const wake = (): void => resume(Exit.void)
    this.onRoom.add(wake)
    return Effect.sync(() => void this.onRoom.delete(wake))
  })

  private overflow(): undefined {
    const cause = new Error(`More than ${this.maxHeld} bytes came from a socket that can't be held up`)
    this.error = this.failure("read", cause)
    this.stop()
  }

  // --- what is told, in order, and never inside a call ------------------------------------------------------------------

  private tellLater(): void {
    if (this.isTellingLater) return
    this.isTellingLater = true
    queueMicrotask(() => {
      this.isTellingLater = false
      this.tell()
    })
  }

  // Each callback may pause, destroy, or hand over to another sink, which is told in a turn of its own.
  private tell(): void {
    const { sink } = this
    if (sink === undefined) return
    this.tellDrained(sink)
    while (this.sink === sink && this.incoming.length > 0 && !this.isPaused) sink.chunk(this.shift())
    if (this.incoming.length > 0) return
    for (const wake of this.onRoom) wake()
    this.onRoom.clear()
    if (this.sink === sink && this.hasEnded && !this.wasToldEnd) this.tellEnd(sink)
    if (this.sink === sink && this.isOver && !this.wasToldClosed) this.tellClosed(sink)
  }

  private shift(): Uint8Array {
    const chunk = this.incoming.shift()!
    this.held -= costOf(chunk)
    return chunk
  }

  private tellDrained(sink: Transport.TransportSink): void {
    if (!this.owesDrained || this.writable > 0 || this.isOver) return
    this.owesDrained = false
    sink.drained()
  }

  private tellEnd(sink: Transport.TransportSink): void {
    this.wasToldEnd = true
    sink.end()
  }

  private tellClosed(sink: Transport.TransportSink): void {
    this.wasToldClosed = true
    sink.closed(this.error)
  }

  // --- the end ----------------------------------------------------------------------------------------------------------

  private endReading(exit: Exit.Exit<void, TransportError>): void {
    this.hasEnded = Exit.isSuccess(exit) && !this.isDestroyed
    this.note(exit)
    this.started!.writing?.unsafeInterruptAsFork(FiberId.none)
    // What it has not done by now it waits for in vain.
    this.aborting?.unsafeInterruptAsFork(FiberId.none)
    this.endOne()
  }

  private endWriting(exit: Exit.Exit<void, TransportError>): void {
    this.isEnding = true
    this.dropOutgoing()
    if (Exit.isFailure(exit) && !Exit.isInterrupted(exit)) {
      this.note(exit)
      this.started!.reading.unsafeInterruptAsFork(FiberId.none)
    }
    this.endOne()
  }

  private note(exit: Exit.Exit<void, TransportError>): void {
    if (Exit.isSuccess(exit) || this.isDestroyed) return
    this.error ??= Option.getOrElse(Cause.failureOption(exit.cause), () =>
      this.failure("read", Cause.squash(exit.cause))
    )
  }

  private stop(): void {
    if (this.started === undefined) return this.finish()
    this.aborting ??= this.started.abort()
    this.started.reading.unsafeInterruptAsFork(FiberId.none)
    this.started.writing?.unsafeInterruptAsFork(FiberId.none)
  }

  private endOne(): void {
    this.running--
    if (this.running === 0) this.finish()
  }

  private finish(): void {
    this.isOver = true
    this.dropOutgoing()
    this.tellLater()
  }

  private dropOutgoing(): void {
    this.outgoing = []
    this.writable = 0
  }
}

const addLength = (sum: number, { length }: Uint8Array): number => sum + length

const costOf = ({ length }: Uint8Array): number => length + chunkCost

/** In bytes: what may wait for the fiber before `write` returns `false`; what a socket of Node 20 has. */
const highWaterMark = 16 * 1024

/** In bytes: what is written in one go. More would be a message that is too big for some peers, where messages carry it. */
const maxPiece = 64 * 1024

/** In bytes: what a chunk costs besides its own, since a fiber may wait with it. */
const chunkCost = 1024

/** In milliseconds: how long an end may take once nobody is interested any more. */
const maxLingering = 1000

const ignore = (): void => {}
