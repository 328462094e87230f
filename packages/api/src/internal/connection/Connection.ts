/**
 * The engine of one open connection: it stands between the transport and the fibers, and knows the order of its end.
 *
 * Everything here runs to its end at once, called by the transport or by an effect: a chunk goes through the protocol in
 * one pass, its messages go to the inbox, and whoever waits there is woken once.
 */
import type { CloseReason } from "@effect-ws/core/CloseReason"
import * as Protocol from "@effect-ws/core/Protocol"
import type { PiecesReceived, ProtocolEvent } from "@effect-ws/core/ProtocolEvent"
import * as ProtocolFault from "@effect-ws/core/ProtocolFault"
import type { Message } from "@effect-ws/core/Message"
import type { Role } from "@effect-ws/core/Role"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { ConnectionClosed } from "../../ConnectionClosed.ts"
import type { ConnectionOptions } from "../../ConnectionOptions.ts"
import type { ConnectionStatus } from "../../ConnectionStatus.ts"
import { ConnectionTimeout } from "../../ConnectionTimeout.ts"
import type { Transport, TransportSink } from "../../Transport.ts"
import type { TransportError } from "../../TransportError.ts"
import type { WebSocketError } from "../../WebSocketError.ts"
import type { Deadlines } from "../Deadlines.ts"
import { type ControlListener, ControlListeners } from "./ControlListeners.ts"
import { End } from "./End.ts"
import { EndDeadlines } from "./EndDeadlines.ts"
import { errorOf } from "./errorOf.ts"
import type { Engine } from "../Engine.ts"
import { Inbox, type InboxEvents, messageCost } from "./Inbox.ts"
import { type Meter, meters } from "../observing/metrics.ts"
import { Outbox, type OutboxEvents } from "./Outbox.ts"
import { Sending } from "./Sending.ts"
import { SlicedReads } from "./SlicedReads.ts"
import { StreamReader } from "./StreamReader.ts"
import { Turns } from "./Turns.ts"
import { timeoutCodes, type WatchedPhase } from "./timeoutCodes.ts"
import { timesOf, Watch, type Watched } from "./Watch.ts"
import { withoutStack } from "./withoutStack.ts"

export class Connection implements TransportSink, InboxEvents, OutboxEvents, Watched {
  readonly role: Role
  readonly transport: Transport
  readonly protocol: Protocol.Protocol
  readonly inbox: Inbox
  readonly sending: Sending
  /** Is reached when the transport has ended. */
  readonly ended = new End()
  /** The number of the connection in this process, or 0 until somebody needs one. */
  id = 0
  /** Is called when the end begins, once or more. */
  onEnding: (() => void) | undefined = undefined
  /** What ended the connection, from the moment on that it is known; the transport may live a little longer. */
  failure: WebSocketError | undefined = undefined

  private readonly options: ConnectionOptions
  private readonly outbox: Outbox
  private readonly watch: Watch
  // Where the peer may compress.
  private readonly slicedReads: SlicedReads | undefined
  private ends: EndDeadlines | undefined = undefined
  private readonly deadlines: Deadlines
  private readonly meter: Meter
  private received = 0
  private reader: StreamReader | undefined = undefined
  private turns: Turns | undefined = undefined
  private controlListeners: ControlListeners | undefined = undefined
  private isPaused = false
  // We began to close.
  private isClosing = false
  private peerEnded = false
  // What will end the connection when the messages in front of it are handled.
  private ending: (() => WebSocketError) | undefined = undefined
  private discardedCount = 0
  private discardedBytes = 0

  constructor(
    transport: Transport,
    role: Role,
    engine: Engine,
    options: ConnectionOptions,
    deflate?: Protocol.Deflate
  ) {
    this.role = role
    this.transport = transport
    this.options = options
    this.protocol = Protocol.make({
      role,
      maskingKeys: role === "client" ? engine.entropy.maskingKey : undefined,
      byteOps: engine.byteOps,
      maxMessageSize: options.maxMessageSize,
      maxStreamedSize: options.maxStreamedSize,
      fragmentSize: options.fragmentSize,
      validateText: options.validateText,
      deflate,
      deferClose: true
    })
    this.slicedReads = deflate && new SlicedReads(transport, this)
    this.inbox = new Inbox(options.maxMessageSize, this)
    this.meter = meters[role]
    this.outbox = new Outbox(this.protocol, transport, options.sendHighWaterMark, this, deflate?.codec)
    this.sending = new Sending(this.protocol, this.outbox, options, engine.deadlines)
    this.watch = new Watch(timesOf(options), engine.deadlines, this)
    this.deadlines = engine.deadlines
  }

  /** Takes over the transport, and the bytes that came behind the head of the opening handshake. */
  start(leftover: Uint8Array | undefined): void {
    this.meter.opened()
    const sink = this.slicedReads ?? this
    this.transport.start(sink)
    this.transport.resume()
    // May fill the inbox, and pause.
    if (leftover !== undefined && leftover.length > 0) sink.chunk(leftover)
  }

  // --- what the transport tells -------------------------------------------------------------------------------------

  get borrows(): boolean {
    return true
  }

  chunk(bytes: Uint8Array, isLent = false): void {
    this.ends?.heard()
    if (!this.protocol.receives) {
      this.meter.received(0, bytes.length)
      return this.discardBytes(bytes.length)
    }
    this.outbox.cork()
    this.protocol.receive(bytes, isLent)
    this.handleEvents()
    this.meter.received(this.received, bytes.length)
    this.received = 0
    this.watch.heard(this.protocol.isInMessage && this.reader === undefined)
    this.inbox.deliver()
    this.outbox.uncork(this.inbox.isEmpty)
    this.pauseIfFull()
  }

  end(): void {
    this.peerEnded = true
    this.watch.stop()
    if (this.ending !== undefined) return
    if (this.failure === undefined) this.settle(this.closedOutcome())
    this.protocol.receiveEnd()
    this.endTransport()
  }

  drained(): void {
    this.outbox.drained()
  }

  closed(error: TransportError | undefined): void {
    this.settle(this.ending?.() ?? error ?? this.closedOutcome())
    this.ending = undefined
    this.protocol.receiveEnd()
    this.isPaused = false
    this.watch.stop()
    this.ends?.cancel()
    this.meter.ended(this.protocol.closeReceived, this.protocol.closeSent)
    this.ended.reach(this.failure!)
    this.inbox.retire()
    this.controlListeners?.show(undefined)
  }

  // --- what the application asks for --------------------------------------------------------------------------------

  /** Begins the closing handshake, if nothing else has begun the end. */
  beginClose(reason: CloseReason): void {
    if (this.failure !== undefined) return
    this.onEnding?.()
    this.outbox.complete()
    if (!this.protocol.close(reason)) return
    if (this.ending !== undefined) return this.conclude()
    this.discardFromNow()
    this.sending.close()
    this.outbox.flush()
    this.awaitTransportEnd()
  }

  /** Ends the connection as a closing scope does: a closing handshake that ends within its deadline, whatever happens. */
  release(reason: CloseReason): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.shutdown(reason)
      return Effect.asVoid(this.ended.await)
    })
  }

  /** Begins what `release` waits for. */
  shutdown(reason: CloseReason): void {
    this.beginClose(reason)
    this.discardFromNow()
    if (!this.ended.isReached) this.endDeadlines.endSilence()
  }

  /** Ends both directions at once, without a word. */
  destroy(): void {
    if (!this.ended.isReached && this.failure === undefined) this.isClosing = true
    this.settle(this.closedOutcome())
    this.transport.destroy()
  }

  /** Lets one fiber alone read, message by message, each piece by piece. */
  holdReading(): StreamReader {
    this.watch.messageOver()
    return (this.reader = new StreamReader(this.inbox, this.protocol, () => this.onIdle()))
  }

  /** Lets others read again. Does nothing the second time. */
  releaseReading(reader: StreamReader): void {
    if (this.reader !== reader) return
    this.reader = undefined
    reader.release()
  }

  /** The turn to hold the reading: one at a time, in order of arrival. */
  get readers(): Turns {
    return (this.turns ??= new Turns())
  }

  /**
   * Shows the control frames that come to `listener`, and `undefined` at the end of the connection, until the function that is
   * returned is called.
   */
  listenToControl(listener: ControlListener): () => void {
    if (this.ended.isReached) listener(undefined)
    return (this.controlListeners ??= new ControlListeners()).add(listener)
  }

  get fragmentSize(): number | undefined {
    return this.options.fragmentSize
  }

  get status(): ConnectionStatus {
    const state = this.ended.isReached ? "closed" : this.isEnding ? "closing" : "open"
    const { inbox, isPaused, outbox, sending } = this
    return { state, incoming: inbox.held, outgoing: outbox.held, dropped: sending.dropped, isPaused }
  }

  // --- what the inbox, the outbox and the watch tell -------------------------------------------------------------------

  onTaken(): void {
    this.resumeIfRoom()
  }

  // Whoever comes for a whole message can't have the one that is coming in.
  onIdle(): void {
    if (this.protocol.isOversized && this.reader === undefined) this.refuseOversized()
    if (this.inbox.handling === 0) this.conclude()
  }

  onOversized(size: number): void {
    this.failWith(ProtocolFault.messageTooBig(size, this.options.maxMessageSize))
  }

  onFull(): void {
    this.watch.stuck()
  }

  onRoom(): void {
    this.watch.unstuck()
  }

  onWritten(messages: number, bytes: number): void {
    this.meter.sent(messages, bytes)
  }

  get taken(): number {
    return this.outbox.taken
  }

  keepAlive(): void {
    if (!this.protocol.ping(empty)) return
    this.outbox.flush()
  }

  /** A time is over: the peer is told, if it can still be told something, and then the transport ends. */
  expire(phase: WatchedPhase, millis: number): void {
    this.settle(new ConnectionTimeout({ phase, duration: Duration.millis(millis) }))
    this.protocol.close({ code: timeoutCodes[phase], reason: `${phase} timeout` })
    this.ending = undefined
    this.discardFromNow()
    this.endTransport()
    if (!this.ended.isReached) this.endDeadlines.endSilence()
  }

  // --- events -------------------------------------------------------------------------------------------------------

  private handleEvents(): void {
    for (const event of this.protocol.takeEvents()) this.handle(event)
  }

  private handle(event: ProtocolEvent): void {
    switch (event._tag) {
      case "Text":
      case "Binary":
        return this.deliver(event)
      case "Pieces":
        return this.reader && this.deliverPieces(this.reader, event)
      case "Ping":
        return this.controlListeners?.show(event)
      case "Pong":
        this.controlListeners?.show(event)
        return this.sending.answer(event.payload)
      case "Close":
        this.controlListeners?.show(event)
        return this.endWhenHandled(() => this.closedOutcome())
      case "Failed":
        return this.endWhenHandled(() => errorOf(event.fault))
    }
  }

  private refuseOversized(): void {
    this.protocol.refuseOversized()
    this.handleEvents()
    this.outbox.schedule()
  }

  private failWith(fault: ProtocolFault.MessageTooBig): void {
    if (!this.protocol.receives) {
      this.settle(errorOf(fault))
      return this.conclude()
    }
    this.protocol.fail(fault)
    this.handleEvents()
    this.outbox.schedule()
  }

  private deliver(message: Message): void {
    this.received++
    this.watch.messageOver()
    if (this.mayKeep) return this.inbox.push(message)
    this.discardedCount++
    this.discardBytes(message.byteLength + messageCost)
  }

  // Nobody makes anything of a message with a hole in it: of one whose reader is too slow nothing more is delivered.
  private deliverPieces(reader: StreamReader, event: PiecesReceived): void {
    if (event.ends) this.received++
    if (this.mayKeep && !reader.isTorn) return reader.push(event)
    if (!reader.isTorn) this.discardedCount++
    reader.isTorn = true
    this.discardBytes(event.pieces.reduce((size, piece) => size + piece.length, 0))
  }

  // 5.5.1: our Close frame waits until the messages in front of it are handled, so that the replies to them go first. That
  // is when somebody comes back for more; whoever doesn't is not waited for long.
  private endWhenHandled(ending: () => WebSocketError): void {
    this.ending = ending
    this.onEnding?.()
    this.watch.stop()
    if (!this.protocol.owesClose || this.inbox.isIdle) return this.conclude()
    this.endDeadlines.awaitHandling(() => this.conclude())
  }

  private conclude(): void {
    const ending = this.ending
    if (ending === undefined) return
    this.ending = undefined
    this.ends?.handled()
    this.outbox.complete()
    this.protocol.answerClose()
    this.endAfter(ending())
  }

  // 7.1.1: nothing more is owed but the end of the transport, which the server begins and the client waits for. Whoever
  // fails the connection doesn't wait (7.1.7).
  private endAfter(failure: WebSocketError): void {
    this.settle(failure)
    this.discardFromNow()
    this.outbox.flush()
    this.awaitTransportEnd()
    if (this.role === "server" || this.protocol.state === "Failed" || this.peerEnded) this.endTransport()
  }

  private endTransport(): void {
    this.outbox.flush()
    this.awaitTransportEnd()
    this.transport.end()
  }

  private settle(failure: WebSocketError): void {
    if (this.failure !== undefined) return
    this.failure = failure
    this.onEnding?.()
    this.inbox.finish(failure)
    this.sending.fail(failure)
  }

  private awaitTransportEnd(): void {
    if (!this.ended.isReached) this.endDeadlines.awaitEnd(this.options.closeTimeout)
  }

  private get endDeadlines(): EndDeadlines {
    return (this.ends ??= new EndDeadlines(this.deadlines, (duration) => this.giveUp(duration)))
  }

  private giveUp(duration: Duration.Duration): void {
    this.settle(new ConnectionTimeout({ phase: "close", duration, sent: this.protocol.closeSent }))
    this.transport.destroy()
  }

  private closedOutcome(): ConnectionClosed {
    const { closeReceived: received, closeSent: sent } = this.protocol
    const initiator = this.isClosing ? "local" : "peer"
    return withoutStack(() => new ConnectionClosed({ received, sent, initiator, discarded: this.discardedCount }))
  }

  // --- reading and not reading ----------------------------------------------------------------------------------------

  /** Whether the end has begun. Whoever awaits it has to read on. */
  get isEnding(): boolean {
    return this.isClosing || this.ending !== undefined || this.failure !== undefined
  }

  // What comes when the end is known is behind it. While we close, the peer isn't paused any more: what has no room is dropped.
  private get mayKeep(): boolean {
    if (this.failure !== undefined) return false
    return !this.isClosing || this.inbox.held <= this.options.inboxHighWaterMark
  }

  private pauseIfFull(): void {
    if (this.protocol.isOversized) return this.decideOnOversized()
    if (this.inbox.held > this.options.inboxHighWaterMark && !this.isEnding) this.pause()
  }

  // It goes on when somebody takes it piece by piece, and ends as soon as somebody wants it as a whole, or nobody at all.
  private decideOnOversized(): void {
    if (this.isEnding || this.inbox.isAwaited) this.refuseOversized()
    else this.pause()
  }

  private pause(): void {
    if (this.isPaused) return
    this.isPaused = true
    this.meter.paused()
    this.watch.pause()
    const reads = this.slicedReads ?? this.transport
    reads.pause()
  }

  private resumeIfRoom(): void {
    if (!this.isPaused || this.protocol.isOversized) return
    if (this.inbox.held <= this.options.inboxHighWaterMark / 2) this.resume()
  }

  private resume(): void {
    if (!this.isPaused) return
    this.isPaused = false
    this.watch.resume()
    const reads = this.slicedReads ?? this.transport
    reads.resume()
  }

  // The Close frame of the peer may be behind anything: reading goes on, whether somebody takes the messages or not.
  private discardFromNow(): void {
    if (this.failure === undefined) this.isClosing = true
    this.watch.stop()
    this.resume()
    if (this.protocol.isOversized) this.refuseOversized()
  }

  private discardBytes(count: number): void {
    this.discardedBytes += count
    if (this.discardedBytes > maxDiscarded) this.destroy()
  }
}

const empty = new Uint8Array(0)

/** In bytes: what is read and dropped while the end is awaited, before the transport is destroyed. */
const maxDiscarded = 1024 * 1024
