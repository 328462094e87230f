/**
 * The transport during the opening handshake: reads what the peer says, one thing at a time, holds what comes behind it,
 * and notices when the peer goes away meanwhile.
 *
 * Reading goes on while somebody decides, since a loss shows only to those who read; but only up to a bound.
 *
 * An answer goes out piece by piece, and nothing else is read before the transport has taken it: a peer that asks again and
 * again without reading makes us hold one answer, and one that reads slowly gets all of it.
 */
import * as HandshakeFault from "@effect-ws/core/HandshakeFault"
import type { Decoded, NeedMore } from "@effect-ws/core/HttpHead"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { ConnectionOptions } from "../../ConnectionOptions.ts"
import type { PeerGone, ShuttingDown, Timeout, TransportFailed } from "../../HandshakeError.ts"
import type { Transport, TransportSink } from "../../Transport.ts"
import type { TransportError } from "../../TransportError.ts"
import type { Deadline, Deadlines } from "../Deadlines.ts"

/** Why there will be no connection, as far as the transport can tell. */
export type Loss = PeerGone | TransportFailed | Timeout | ShuttingDown

export type ReadFailure = Loss | HandshakeFault.HandshakeFault

/** What the peer is to say: a request, or a response with its body. */
export interface Reader<A> {
  /** The bytes of it so far: 0 when nothing came. */
  readonly held: number
  /** Takes the next bytes. After it has decoded something it is ready for the next. */
  readonly push: (chunk: Uint8Array) => NeedMore | Decoded<A> | HandshakeFault.HandshakeFault
  /** Tells what there is when no more will come, if that is of use; `atEnd` when the peer has ended the transport. */
  readonly finish?: (atEnd: boolean) => A | undefined
}

export class Opening<A> implements TransportSink {
  readonly transport: Transport

  private reader: Reader<A>
  private deadlines: Deadlines
  private options: ConnectionOptions
  private read: Either.Either<A, ReadFailure> | undefined = undefined
  private onRead: ((read: Either.Either<A, ReadFailure>) => void) | undefined = undefined
  private onLoss: ((loss: Loss) => void) | undefined = undefined
  private onDone: (() => void) | undefined = undefined
  private leftover: Uint8Array = nothing
  private loss: Loss | undefined = undefined
  private isDecided = false
  private isRefused = false
  private isHurried = false
  private hurriedUntil: number | undefined = undefined
  private unsent: Uint8Array = nothing
  private isSending = false
  private onSent: (() => void) | undefined = undefined
  /** Begins to read the next one: somebody wants it, and the answer to the last is still going out. */
  private onNext: (() => void) | undefined = undefined
  private isOver = false
  private dropped = 0
  private deadline: Deadline | undefined

  /** Makes it, and the deadline with it. */
  constructor(transport: Transport, reader: Reader<A>, deadlines: Deadlines, options: ConnectionOptions) {
    this.transport = transport
    this.reader = reader
    this.deadlines = deadlines
    this.options = options
    this.startDeadline()
  }

  /** The bytes that came of what is to be read. */
  get held(): number {
    return this.reader.held
  }

  /** Whether there are bytes behind what was read. */
  get hasLeftover(): boolean {
    return this.leftover.length > 0
  }

  /** Starts the transport. What was read already, or what is wrong with it, and the bytes behind it, may be given. */
  start(value?: A | HandshakeFault.HandshakeFault, leftover?: Uint8Array): void {
    this.take(value, leftover)
    this.transport.start(this)
    this.resume()
  }

  /** Reads on as somebody else wants it; while it rests. */
  renew(reader: Reader<A>, deadlines: Deadlines, options: ConnectionOptions): void {
    this.deadlines.cancel(this.deadline)
    this.reader = reader
    this.deadlines = deadlines
    this.options = options
    if (this.isSending) this.awaitPeer()
  }

  /**
   * Reads another one when the answer to the last has gone out, with a deadline of its own from then on: begins with the
   * bytes that came behind the last.
   */
  next(value?: A | HandshakeFault.HandshakeFault, leftover?: Uint8Array): void {
    this.whenNext(() => this.begin(value, leftover))
    if (!this.isSending) this.goOn()
  }

  // Not assigned where it is made: such a function would keep the connection in memory, see CONTRIBUTING.
  private whenNext(onNext: () => void): void {
    this.onNext = onNext
  }

  private begin(value: A | HandshakeFault.HandshakeFault | undefined, leftover: Uint8Array | undefined): void {
    this.isDecided = false
    this.read = undefined
    this.startDeadline()
    // A peer that ended behind what it asked is gone; what it was answered before must still reach it.
    const held = this.loss === undefined ? this.leftover : nothing
    this.leftover = nothing
    // What somebody else has read, they have read before this one was the only one to read.
    this.take(value, leftover)
    if (held.length > 0) this.chunk(held)
    if (this.loss !== undefined && this.read === undefined) this.settle(Either.left(this.loss))
    this.resume()
  }

  /** Calls back once, when it was read: at once if it is there already. */
  whenRead(onRead: (read: Either.Either<A, ReadFailure>) => void): void {
    if (this.read === undefined || this.onNext !== undefined) this.onRead = onRead
    else onRead(this.read)
  }

  /** Waits until it was read. */
  get awaitRead(): Effect.Effect<A, ReadFailure> {
    return Effect.async<A, ReadFailure>((resume) => this.whenRead(resume))
  }

  /** Calls back when the peer is lost, or the time is up, before somebody has decided: at once if it happened already. */
  whenLost(onLoss: (loss: Loss) => void): void {
    if (this.loss === undefined) this.onLoss = onLoss
    else onLoss(this.loss)
  }

  /** Calls back once, when the transport has ended or somebody else has taken it over. */
  whenDone(onDone: () => void): void {
    this.onDone = onDone
  }

  /** Hands the transport to somebody else, with the bytes behind what was read. */
  takeOver(): Uint8Array {
    this.decide()
    this.done()
    const { leftover } = this
    // It may be held for as long as the connection lives, what it has read need not.
    this.leftover = nothing
    this.read = undefined
    this.reader = spent
    return leftover
  }

  /** Writes an answer, if any, leaves the transport open and holds what comes, until the next one is to be read. */
  rest(answer = nothing): void {
    this.decide()
    this.send(answer, () => this.goOn())
  }

  /** Writes an answer and ends the transport, in bounded time. What still comes is dropped. */
  refuse(answer: Uint8Array): void {
    this.send(answer)
    this.leave()
  }

  /** Ends the transport in bounded time, behind what was written before. What still comes is dropped. */
  leave(): void {
    this.decide()
    this.leftover = nothing
    this.isRefused = true
    if (this.isOver) return
    this.transport.resume()
    this.whenSent(() => this.endWriting())
    if (this.isSending) this.awaitPeer()
    else this.onSent?.()
  }

  // As `whenNext`.
  private whenSent(onSent: () => void): void {
    this.onSent = onSent
  }

  /** Waits no longer than a second for the end of a transport that was refused, or will be: the server goes down. */
  hurry(): void {
    this.isHurried = true
    if (this.isRefused && !this.isOver) this.awaitPeer()
    this.goOn()
  }

  /** Ends the transport at once, and drops what was not taken of it. */
  destroy(): void {
    this.decide()
    this.isRefused = true
    this.transport.destroy()
  }

  // --- what the transport tells -------------------------------------------------------------------------------------

  chunk(bytes: Uint8Array): void {
    if (this.isRefused) return this.drop(bytes.length)
    if (this.read !== undefined) return this.hold(bytes)
    const result = this.reader.push(bytes)
    if (result._tag === "NeedMore") return
    if (result._tag !== "Decoded") return this.settle(Either.left(result))
    this.hold(result.leftover)
    this.settle(Either.right(result.head))
  }

  end(): void {
    if (!this.isRefused) this.lose({ _tag: "PeerGone" })
  }

  drained(): void {
    if (this.isSending) this.sendOn()
  }

  closed(error: TransportError | undefined): void {
    this.isOver = true
    this.isSending = false
    this.deadlines.cancel(this.deadline)
    this.done()
    this.lose(error === undefined ? { _tag: "PeerGone" } : { _tag: "Transport", error })
    this.goOn()
  }

  // ------------------------------------------------------------------------------------------------------------------

  private take(value: A | HandshakeFault.HandshakeFault | undefined, leftover: Uint8Array | undefined): void {
    if (value !== undefined) this.settle(HandshakeFault.is(value) ? Either.left(value) : Either.right(value))
    if (leftover !== undefined) this.chunk(leftover)
  }

  private resume(): void {
    if (this.leftover.length <= maxLeftover) this.transport.resume()
  }

  private settle(read: Either.Either<A, ReadFailure>): void {
    this.read = read
    const onRead = this.onRead
    this.onRead = undefined
    onRead?.(read)
  }

  /** Ends the waiting, for the peer or for a decision. */
  lose(loss: Loss): void {
    if (this.loss !== undefined) return
    // A deadline says nothing about the transport, which may take another attempt.
    if (loss._tag !== "Timeout" || this.read !== undefined) this.loss = loss
    if (this.read === undefined) return this.settle(this.conclude(loss))
    if (!this.isDecided) this.onLoss?.(loss)
  }

  private conclude(loss: Loss): Either.Either<A, ReadFailure> {
    const value = this.reader.finish?.(loss._tag === "PeerGone")
    return value === undefined ? Either.left(loss) : Either.right(value)
  }

  private startDeadline(): void {
    this.deadlines.cancel(this.deadline)
    const millis = Duration.toMillis(this.options.handshakeTimeout)
    this.deadline = this.deadlines.after(millis, () => this.lose(this.timeout(millis)))
  }

  private timeout(millis: number): Timeout {
    const phase = this.read === undefined ? "head" : "accept"
    return { _tag: "Timeout", phase, duration: Duration.millis(millis) }
  }

  /** Writes what is to be sent as far as the transport takes it, and calls back when that is all. */
  private send(bytes: Uint8Array, onSent?: () => void): void {
    this.unsent = bytes
    this.onSent = onSent
    this.sendOn()
  }

  private sendOn(): void {
    this.isSending = false
    while (this.unsent.length > 0 && !this.isOver && !this.isSending) {
      this.isSending = !this.transport.write([this.unsent.subarray(0, maxPiece)])
      this.unsent = this.unsent.subarray(maxPiece)
    }
    if (this.isSending) return this.awaitPeer()
    this.deadlines.cancel(this.deadline)
    this.onSent?.()
  }

  /** Begins to read the next one, if somebody wants it. */
  private goOn(): void {
    const onNext = this.onNext
    this.onNext = undefined
    onNext?.()
  }

  private endWriting(): void {
    this.transport.end()
    this.awaitPeer()
  }

  /** Gives the peer its time to take the next piece of an answer, or to end its side when there is none. */
  private awaitPeer(): void {
    this.deadlines.cancel(this.deadline)
    const now = this.deadlines.now()
    if (this.isHurried && this.isRefused) this.hurriedUntil ??= now + maxLingering
    const left = (this.hurriedUntil ?? Infinity) - now
    const millis = Math.max(0, Math.min(Duration.toMillis(this.options.closeTimeout), left))
    this.deadline = this.deadlines.after(millis, () => this.transport.destroy())
  }

  private done(): void {
    const onDone = this.onDone
    this.onDone = undefined
    onDone?.()
  }

  private decide(): void {
    this.isDecided = true
    this.onLoss = undefined
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

/** In bytes: what of an answer is written at once. A peer that reads takes one within any sensible timeout. */
const maxPiece = 64 * 1024

/** In bytes: what may come behind the head before the connection is there; then reading pauses. */
const maxLeftover = 16 * 1024

/** In bytes: what is read and dropped after a refusal, so that the answer is not lost to a reset. */
const maxDropped = 256 * 1024

/** In milliseconds: how long a peer that was refused may keep its end open while the server goes down. */
const maxLingering = 1000

const nothing: Uint8Array = new Uint8Array(0)

const spent: Reader<never> = { held: 0, push: () => ({ _tag: "NeedMore" }) }
