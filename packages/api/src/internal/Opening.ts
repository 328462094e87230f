/**
 * The transport during the opening handshake: reads the one head of the peer, holds what comes behind it until the
 * connection takes over, and notices when the peer goes away meanwhile.
 *
 * Reading goes on while a handler decides, since a loss shows only to those who read; but only up to a bound.
 */
import type { HandshakeFault } from "@effect-ws/core/HandshakeFault"
import type { Decoder } from "@effect-ws/core/HttpHead"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { ConnectionOptions } from "../ConnectionOptions.ts"
import type { PeerGone, ShuttingDown, Timeout, TransportFailed } from "../HandshakeError.ts"
import type { Transport, TransportSink } from "../Transport.ts"
import type { TransportError } from "../TransportError.ts"
import type { Deadline, Deadlines } from "./Deadlines.ts"

/** Why there will be no connection, as far as the transport can tell. */
export type Loss = PeerGone | TransportFailed | Timeout | ShuttingDown

export type HeadFailure = Loss | HandshakeFault

export class Opening<Head> implements TransportSink {
  readonly transport: Transport

  private readonly decoder: Decoder<Head>
  private readonly deadlines: Deadlines
  private readonly options: ConnectionOptions
  private readonly isInterim: (head: Head) => boolean
  private interim = 0
  private head: Exit.Exit<Head, HeadFailure> | undefined = undefined
  private resume: ((exit: Exit.Exit<Head, HeadFailure>) => void) | undefined = undefined
  private onLoss: ((loss: Loss) => void) | undefined = undefined
  private onDone: (() => void) | undefined = undefined
  private leftover: Uint8Array = nothing
  private loss: Loss | undefined = undefined
  private isDecided = false
  private isRefused = false
  private isHurried = false
  private isOver = false
  private dropped = 0
  private deadline: Deadline | undefined

  /** Makes it, and the deadline with it. Heads for which `isInterim` holds are skipped, a few of them. */
  constructor(
    transport: Transport,
    decoder: Decoder<Head>,
    deadlines: Deadlines,
    options: ConnectionOptions,
    isInterim: (head: Head) => boolean = never
  ) {
    this.isInterim = isInterim
    this.transport = transport
    this.decoder = decoder
    this.deadlines = deadlines
    this.options = options
    const millis = Duration.toMillis(options.handshakeTimeout)
    this.deadline = deadlines.after(millis, () => this.lose(this.timeout(millis)))
  }

  /** Starts the transport. A head that was read already, and the bytes behind it, may be given. */
  start(head?: Head, leftover?: Uint8Array): void {
    if (head !== undefined) this.head = Exit.succeed(head)
    if (leftover !== undefined) this.chunk(leftover)
    this.transport.start(this)
    this.transport.resume()
  }

  /** Waits for the head. */
  readonly readHead: Effect.Effect<Head, HeadFailure> = Effect.async<Head, HeadFailure>((resume) => {
    if (this.head === undefined) this.resume = resume
    else resume(this.head)
  })

  /** Calls back when the peer is lost, or the time is up, before somebody has decided: at once if it happened already. */
  whenLost(onLoss: (loss: Loss) => void): void {
    if (this.loss === undefined) this.onLoss = onLoss
    else onLoss(this.loss)
  }

  /** Calls back once, when the transport has ended or somebody else has taken it over. */
  whenDone(onDone: () => void): void {
    this.onDone = onDone
  }

  /** Hands the transport to somebody else, with the bytes behind the head. */
  takeOver(): Uint8Array {
    this.decide()
    this.done()
    const leftover = this.leftover
    this.leftover = nothing
    return leftover
  }

  /** Writes an answer and ends the transport, in bounded time. What still comes is dropped. */
  refuse(answer: Uint8Array): void {
    this.decide()
    this.leftover = nothing
    this.isRefused = true
    if (this.isOver) return
    this.transport.write([answer])
    this.transport.end()
    this.transport.resume()
    this.awaitEnd()
  }

  /** Waits no longer than a second for the end of a transport that was refused, or will be: the server goes down. */
  hurry(): void {
    this.isHurried = true
    if (this.isRefused && !this.isOver) this.awaitEnd()
  }

  /** Ends the transport without an answer. */
  destroy(): void {
    this.decide()
    this.isRefused = true
    this.transport.destroy()
  }

  // --- what the transport tells -------------------------------------------------------------------------------------

  chunk(bytes: Uint8Array): void {
    if (this.isRefused) return this.drop(bytes.length)
    if (this.head !== undefined) return this.hold(bytes)
    const result = this.decoder.push(bytes)
    if (result._tag === "NeedMore") return
    if (result._tag !== "Decoded") return this.settle(Exit.fail(result))
    if (this.isInterim(result.head) && this.interim++ < maxInterim) return this.chunk(result.leftover)
    this.hold(result.leftover)
    this.settle(Exit.succeed(result.head))
  }

  end(): void {
    if (this.isRefused) return
    this.lose({ _tag: "PeerGone" })
  }

  drained(): void {}

  closed(error: TransportError | undefined): void {
    this.isOver = true
    this.deadlines.cancel(this.deadline)
    this.done()
    this.lose(error === undefined ? { _tag: "PeerGone" } : { _tag: "Transport", error })
  }

  // ------------------------------------------------------------------------------------------------------------------

  private settle(head: Exit.Exit<Head, HeadFailure>): void {
    this.head = head
    const resume = this.resume
    this.resume = undefined
    resume?.(head)
  }

  /** Ends the waiting, for the head or for a decision. */
  lose(loss: Loss): void {
    if (this.head === undefined) return this.settle(Exit.fail(loss))
    if (this.isDecided || this.loss !== undefined) return
    this.loss = loss
    this.onLoss?.(loss)
  }

  private timeout(millis: number): Timeout {
    const phase = this.head === undefined ? "head" : "accept"
    return { _tag: "Timeout", phase, duration: Duration.millis(millis) }
  }

  private awaitEnd(): void {
    this.deadlines.cancel(this.deadline)
    const closeTimeout = Duration.toMillis(this.options.closeTimeout)
    const millis = this.isHurried ? Math.min(closeTimeout, maxLingering) : closeTimeout
    this.deadline = this.deadlines.after(millis, () => this.transport.destroy())
  }

  private done(): void {
    const onDone = this.onDone
    this.onDone = undefined
    onDone?.()
  }

  private decide(): void {
    this.isDecided = true
    this.deadlines.cancel(this.deadline)
  }

  private hold(bytes: Uint8Array): void {
    if (bytes.length === 0) return
    const held = new Uint8Array(this.leftover.length + bytes.length)
    held.set(this.leftover)
    held.set(bytes, this.leftover.length)
    this.leftover = held
    if (held.length > maxLeftover) this.transport.pause()
  }

  private drop(count: number): void {
    this.dropped += count
    if (this.dropped > maxDropped) this.transport.destroy()
  }
}

/** In bytes: what may come behind the head before the connection is there; then reading pauses. */
const maxLeftover = 16 * 1024

/** In bytes: what is read and dropped after a refusal, so that the answer is not lost to a reset. */
const maxDropped = 256 * 1024

/** In milliseconds: how long a peer that was refused may keep its end open while the server goes down. */
const maxLingering = 1000

/** How many interim responses (1xx) are skipped before the one that counts. */
const maxInterim = 16

const never = (): boolean => false
const nothing: Uint8Array = new Uint8Array(0)
