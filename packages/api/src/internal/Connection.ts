/**
 * The engine of one open connection: it stands between the transport and the fibers, and knows the order of its end.
 *
 * Everything here runs to its end at once, called by the transport or by an effect: a chunk goes through the protocol in
 * one pass, its messages go to the inbox, and whoever waits there is woken once.
 */
import type { CloseReason } from "@effect-ws/core/CloseReason"
import * as Frame from "@effect-ws/core/Frame"
import * as Protocol from "@effect-ws/core/Protocol"
import type { Failed, ProtocolEvent } from "@effect-ws/core/ProtocolEvent"
import type { Message } from "@effect-ws/core/Message"
import type { Role } from "@effect-ws/core/Role"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { ConnectionClosed } from "../ConnectionClosed.ts"
import type { ConnectionOptions } from "../ConnectionOptions.ts"
import { ConnectionTimeout } from "../ConnectionTimeout.ts"
import { MessageTooBig } from "../MessageTooBig.ts"
import { ProtocolError } from "../ProtocolError.ts"
import { SendRejected } from "../SendRejected.ts"
import type { Transport, TransportSink } from "../Transport.ts"
import type { TransportError } from "../TransportError.ts"
import type { WebSocketError } from "../WebSocketError.ts"
import type { Deadline } from "./Deadlines.ts"
import type { Engine } from "./Engine.ts"
import { Inbox, messageCost } from "./Inbox.ts"
import { type Data, Outbox } from "./Outbox.ts"
import { Pings } from "./Pings.ts"

export class Connection implements TransportSink {
  readonly role: Role
  readonly transport: Transport
  readonly inbox: Inbox
  /** What ended the connection, from the moment on that it is known; the transport may live a little longer. */
  failure: WebSocketError | undefined = undefined

  private readonly engine: Engine
  private readonly options: ConnectionOptions
  private readonly protocol: Protocol.Protocol
  private readonly outbox: Outbox
  private pings: Pings | undefined = undefined
  private endWaiters: Set<() => void> | undefined = undefined
  private isOver = false
  private isPaused = false
  // We began to close, or nobody will read any more: what doesn't fit into the inbox is dropped.
  private isClosing = false
  private peerEnded = false
  // What will end the connection when the messages in front of it are handled.
  private ending: (() => WebSocketError) | undefined = undefined
  private discardedCount = 0
  private discardedBytes = 0
  private deadline: Deadline | undefined = undefined
  private silence: Deadline | undefined = undefined
  private answer: Deadline | undefined = undefined
  private heardSinceCheck = false

  constructor(transport: Transport, role: Role, engine: Engine, options: ConnectionOptions) {
    this.role = role
    this.transport = transport
    this.engine = engine
    this.options = options
    this.protocol = Protocol.make({
      role,
      maskingKeys: role === "client" ? engine.entropy.maskingKey : undefined,
      byteOps: engine.byteOps,
      maxMessageSize: options.maxMessageSize,
      deferClose: true
    })
    this.inbox = new Inbox(
      () => this.resumeIfRoom(),
      () => this.conclude()
    )
    this.outbox = new Outbox(this.protocol, transport, options.sendHighWaterMark)
  }

  /** Takes over the transport, and the bytes that came behind the head of the opening handshake. */
  start(leftover: Uint8Array | undefined): void {
    this.transport.start(this)
    this.transport.resume()
    // May fill the inbox, and pause.
    if (leftover !== undefined && leftover.length > 0) this.chunk(leftover)
  }

  // --- what the transport tells -------------------------------------------------------------------------------------

  chunk(bytes: Uint8Array): void {
    this.heardSinceCheck = true
    if (!this.protocol.receives) return this.discardBytes(bytes.length)
    this.protocol.receive(bytes)
    for (const event of this.protocol.takeEvents()) this.handle(event)
    this.inbox.wake()
    this.outbox.schedule()
    if (this.inbox.held > this.options.inboxHighWaterMark && !this.isEnding) this.pause()
  }

  end(): void {
    this.peerEnded = true
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
    this.isOver = true
    this.cancelDeadlines()
    for (const wake of this.endWaiters ?? []) wake()
    this.endWaiters = undefined
  }

  // --- what the application asks for --------------------------------------------------------------------------------

  send(data: Data): Effect.Effect<void, WebSocketError | SendRejected> {
    return Effect.suspend(() => this.trySend(data) ?? this.sendLater(data))
  }

  /** Completes with the time that the Pong took. */
  ping(payload: Uint8Array | undefined): Effect.Effect<Duration.Duration, WebSocketError | SendRejected> {
    // One step sends and waits: the Pong may come in any later one.
    return Effect.async((resume) => {
      const pings = (this.pings ??= new Pings())
      const chosen = payload ?? pings.nextPayload()
      const refusal = this.sendControl(Frame.Ping, chosen)
      return refusal === undefined ? pings.add(chosen.slice(), this.engine.deadlines.now(), resume) : resume(refusal)
    })
  }

  pong(payload: Uint8Array): Effect.Effect<void, WebSocketError | SendRejected> {
    return Effect.suspend(() => this.sendControl(Frame.Pong, payload) ?? Exit.void)
  }

  /** Begins the closing handshake, if nothing else has begun the end. */
  beginClose(reason: CloseReason): void {
    if (this.failure !== undefined || !this.protocol.close(reason)) return
    if (this.ending !== undefined) return this.conclude()
    this.discardFromNow()
    this.outbox.fail(closing)
    this.outbox.flush()
    this.armDeadline()
  }

  /** Waits until the transport has ended and returns why. */
  readonly awaitEnd: Effect.Effect<WebSocketError> = Effect.async<WebSocketError>((resume) => {
    const wake = (): void => resume(Exit.succeed(this.failure!))
    if (this.isOver) return wake()
    const waiters = (this.endWaiters ??= new Set())
    waiters.add(wake)
    return Effect.sync(() => waiters.delete(wake))
  })

  /** Ends the connection as a closing scope does: a closing handshake that ends within its deadline, whatever happens. */
  release(reason: CloseReason): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.shutdown(reason)
      return Effect.asVoid(this.awaitEnd)
    })
  }

  /** Begins what `release` waits for. */
  shutdown(reason: CloseReason): void {
    this.beginClose(reason)
    this.discardFromNow()
    if (!this.isOver && this.silence === undefined) this.armSilence()
  }

  destroy(): void {
    this.transport.destroy()
  }

  // --- events -------------------------------------------------------------------------------------------------------

  private handle(event: ProtocolEvent): void {
    switch (event._tag) {
      case "Text":
      case "Binary":
        return this.deliver(event)
      case "Pong":
        return this.pings?.answer(event.payload, () => this.engine.deadlines.now())
      case "Close":
        return this.endWhenHandled(() => this.closedOutcome())
      case "Failed":
        return this.endWhenHandled(() => errorOf(event.fault))
    }
  }

  private deliver(message: Message): void {
    if (!this.isClosing || this.inbox.held <= this.options.inboxHighWaterMark) return this.inbox.push(message)
    this.discardedCount++
    this.discardBytes(message.byteLength + messageCost)
  }

  // 5.5.1: our Close frame waits until the messages in front of it are handled, so that the replies to them go first. That
  // is when somebody comes back for more; whoever doesn't is not waited for long.
  private endWhenHandled(ending: () => WebSocketError): void {
    this.ending = ending
    if (!this.protocol.owesClose || this.inbox.isIdle) return this.conclude()
    this.answer = this.engine.deadlines.after(maxHandling, () => this.conclude())
  }

  private conclude(): void {
    const ending = this.ending
    if (ending === undefined) return
    this.ending = undefined
    this.engine.deadlines.cancel(this.answer)
    this.protocol.answerClose()
    this.endAfter(ending())
  }

  // 7.1.1: nothing more is owed but the end of the transport, which the server begins and the client waits for. Whoever
  // fails the connection doesn't wait (7.1.7).
  private endAfter(failure: WebSocketError): void {
    this.settle(failure)
    this.discardFromNow()
    this.outbox.flush()
    this.armDeadline()
    if (this.role === "server" || this.protocol.state === "Failed" || this.peerEnded) this.endTransport()
  }

  private endTransport(): void {
    this.outbox.flush()
    this.armDeadline()
    this.transport.end()
  }

  private settle(failure: WebSocketError): void {
    if (this.failure !== undefined) return
    this.failure = failure
    this.inbox.finish(failure)
    this.outbox.fail(failure)
    this.pings?.fail(failure)
  }

  private closedOutcome(): ConnectionClosed {
    return new ConnectionClosed({
      received: this.protocol.closeReceived,
      sent: this.protocol.closeSent,
      initiator: this.isClosing ? "local" : "peer",
      discarded: this.discardedCount
    })
  }

  // --- sending ------------------------------------------------------------------------------------------------------

  private trySend(data: Data): Exit.Exit<void, WebSocketError | SendRejected> | undefined {
    const refusal = this.refusal()
    if (refusal !== undefined) return Exit.fail(refusal)
    return this.outbox.offer(data) ? Exit.void : undefined
  }

  // Tries again in the step that parks: the fiber may have had to yield in between, and nobody would wake it.
  private sendLater(data: Data): Effect.Effect<void, WebSocketError | SendRejected> {
    return Effect.async((resume) => {
      const exit = this.trySend(data)
      return exit === undefined ? this.outbox.park(data, resume) : resume(exit)
    })
  }

  private refusal(): WebSocketError | SendRejected | undefined {
    return this.failure ?? (this.protocol.sends ? undefined : closing)
  }

  private sendControl(
    opcode: typeof Frame.Ping | typeof Frame.Pong,
    payload: Uint8Array
  ): Exit.Exit<never, WebSocketError | SendRejected> | undefined {
    const refusal = this.refusal() ?? this.controlOverflow()
    if (refusal !== undefined) return Exit.fail(refusal)
    if (payload.length > Frame.maxControlPayload) return Exit.die(tooLong(payload.length))
    if (opcode === Frame.Ping) this.protocol.ping(payload)
    else this.protocol.pong(payload)
    this.outbox.schedule()
    return undefined
  }

  // Control frames don't wait behind messages, so they need a bound of their own.
  private controlOverflow(): SendRejected | undefined {
    const bytes = this.outbox.held
    const limit = this.options.sendHighWaterMark * 2
    return bytes > limit ? new SendRejected({ reason: { _tag: "QueueFull", bytes, limit } }) : undefined
  }

  // --- reading and not reading ----------------------------------------------------------------------------------------

  // Whoever awaits the end has to read on.
  private get isEnding(): boolean {
    return this.isClosing || this.ending !== undefined || this.failure !== undefined
  }

  private pause(): void {
    if (this.isPaused) return
    this.isPaused = true
    this.transport.pause()
  }

  private resumeIfRoom(): void {
    if (this.isPaused && this.inbox.held <= this.options.inboxHighWaterMark / 2) this.resume()
  }

  private resume(): void {
    if (!this.isPaused) return
    this.isPaused = false
    this.transport.resume()
  }

  // The Close frame of the peer may be behind anything: reading goes on, whether somebody takes the messages or not.
  private discardFromNow(): void {
    if (this.failure === undefined) this.isClosing = true
    this.resume()
  }

  private discardBytes(count: number): void {
    this.discardedBytes += count
    if (this.discardedBytes > maxDiscarded) this.destroy()
  }

  // --- deadlines ----------------------------------------------------------------------------------------------------

  private armDeadline(): void {
    if (this.deadline !== undefined || this.isOver) return
    const { closeTimeout } = this.options
    this.deadline = this.engine.deadlines.after(Duration.toMillis(closeTimeout), () => {
      this.settle(new ConnectionTimeout({ phase: "close", duration: Duration.decode(closeTimeout) }))
      this.destroy()
    })
  }

  // Whoever is being released has no interest in a peer that says nothing.
  private armSilence(): void {
    this.heardSinceCheck = false
    this.silence = this.engine.deadlines.after(maxSilence, () => {
      if (this.heardSinceCheck) return this.armSilence()
      this.settle(new ConnectionTimeout({ phase: "close", duration: Duration.millis(maxSilence) }))
      this.destroy()
    })
  }

  private cancelDeadlines(): void {
    this.engine.deadlines.cancel(this.deadline)
    this.engine.deadlines.cancel(this.silence)
    this.engine.deadlines.cancel(this.answer)
  }
}

/** In bytes: what is read and dropped while the end is awaited, before the transport is destroyed. */
const maxDiscarded = 1024 * 1024

/** In milliseconds: how long a peer may say nothing at all while its connection is released. */
const maxSilence = 1000

/** In milliseconds: how long the answer to a Close frame waits for the messages in front of it to be handled. */
const maxHandling = 1000

const closing = new SendRejected({ reason: { _tag: "Closing" } })

const errorOf = (fault: Failed["fault"]): WebSocketError =>
  fault._tag === "MessageTooBig"
    ? new MessageTooBig({ limit: fault.limit, size: fault.size })
    : new ProtocolError({ reason: fault })

const tooLong = (length: number): RangeError =>
  new RangeError(`The payload of a Ping or Pong is at most 125 bytes (RFC 6455 5.5), and was ${length}`)
