/**
 * What the application sends over a connection: messages, fragments of a message, Pings and Pongs.
 */
import * as Frame from "@effect-ws/core/Frame"
import type { Protocol } from "@effect-ws/core/Protocol"
import * as Cause from "effect/Cause"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { ConnectionOptions } from "../../ConnectionOptions.ts"
import { SendRejected } from "../../SendRejected.ts"
import type { WebSocketError } from "../../WebSocketError.ts"
import type { Deadlines } from "../Deadlines.ts"
import type { Fragment } from "./OutgoingStream.ts"
import type { Data, Outbox } from "./Outbox.ts"
import { Pings } from "./Pings.ts"

type SendError = WebSocketError | SendRejected

type RefusalListener = (error: SendError) => void

export class Sending {
  /** How many messages were dropped because there was no room for them. */
  dropped = 0

  private readonly protocol: Protocol
  private readonly outbox: Outbox
  private readonly options: ConnectionOptions
  private readonly deadlines: Deadlines
  private pings: Pings | undefined = undefined
  private failure: WebSocketError | undefined = undefined
  private refusalListeners: Set<RefusalListener> | undefined = undefined

  constructor(protocol: Protocol, outbox: Outbox, options: ConnectionOptions, deadlines: Deadlines) {
    this.protocol = protocol
    this.outbox = outbox
    this.options = options
    this.deadlines = deadlines
  }

  /** Sends now if there is room. What is returned waits for it, unless the options say otherwise. */
  send(data: Data): Effect.Effect<void, SendError> {
    return this.trySend(data) ?? this.sendAbove(data)
  }

  /** Sends the next fragment of a message, as soon as there is room. */
  sendFragment(fragment: Fragment): Effect.Effect<void, SendError> {
    return Effect.suspend(() => this.trySend(fragment) ?? this.sendLater(fragment))
  }

  /** Sends now, or says why that can't be; `undefined` when there is no room. */
  trySend(item: Data | Fragment): Exit.Exit<void, SendError> | undefined {
    const { refusal } = this
    if (refusal !== undefined) return Exit.fail(refusal)
    return this.outbox.offer(item) ? Exit.void : undefined
  }

  /** Sends as soon as there is room. */
  sendLater(item: Data | Fragment): Effect.Effect<void, SendError> {
    // Tries again in the step that parks: the fiber may have had to yield in between, and nobody would wake it.
    return Effect.async((resume) => this.sendAndTell(item, resume))
  }

  /** Sends as soon as there is room, and tells then. Returns how to give that up, unless it was told already. */
  sendAndTell(
    item: Data | Fragment,
    tell: (exit: Exit.Exit<void, SendError>) => void
  ): Effect.Effect<void> | undefined {
    const exit = this.trySend(item)
    if (exit === undefined) return this.outbox.park(item, tell)
    tell(exit)
    return undefined
  }

  /** Whether there is room for the message, and only one that is sent piece by piece is in its way. */
  awaitsTurn(data: Data): boolean {
    return this.outbox.awaitsTurn(data)
  }

  /** Tells `listener` when nothing can be sent any more, until the function that is returned is called. */
  onRefusal(listener: RefusalListener): () => void {
    const listeners = (this.refusalListeners ??= new Set())
    listeners.add(listener)
    return () => void listeners.delete(listener)
  }

  /** Completes with the time that the Pong took. */
  ping(payload: Uint8Array | undefined): Effect.Effect<Duration.Duration, SendError> {
    // One step sends and waits: the Pong may come in any later one.
    return Effect.async((resume) => {
      const pings = (this.pings ??= new Pings())
      const chosen = payload ?? pings.nextPayload()
      const refusal = this.sendControl(Frame.Ping, chosen)
      return refusal === undefined ? pings.add(new Uint8Array(chosen), this.deadlines.now(), resume) : resume(refusal)
    })
  }

  /** Sends a Ping and doesn't wait for its Pong. */
  sendPing(payload: Uint8Array): Effect.Effect<void, SendError> {
    return Effect.suspend(() => this.sendControl(Frame.Ping, payload) ?? Exit.void)
  }

  pong(payload: Uint8Array): Effect.Effect<void, SendError> {
    return Effect.suspend(() => this.sendControl(Frame.Pong, payload) ?? Exit.void)
  }

  /** Takes a Pong. */
  answer(payload: Uint8Array): void {
    this.pings?.answer(payload, () => this.deadlines.now())
  }

  /** The connection has ended. */
  fail(failure: WebSocketError): void {
    this.failure = failure
    this.refuse(failure)
    this.pings?.fail(failure)
  }

  /** Our Close frame was sent: nothing more can be. */
  close(): void {
    this.refuse(closing)
  }

  /** Why nothing can be sent, if that is so. */
  get refusal(): SendError | undefined {
    return this.failure ?? (this.protocol.sends ? undefined : closing)
  }

  /** Whether it is because of `error` that nothing can be sent any more. */
  isRefusal(error: unknown): boolean {
    // Inside of a span an error that was failed with is a proxy of itself.
    const original = Cause.originalError(error)
    return (this.failure !== undefined && original === this.failure) || (original === closing && !this.protocol.sends)
  }

  private refuse(error: SendError): void {
    this.outbox.fail(error)
    for (const listener of this.refusalListeners ?? []) listener(error)
  }

  private sendAbove(data: Data): Effect.Effect<void, SendError> {
    const { whenFull } = this.options
    if (whenFull === "suspend" || this.awaitsTurn(data)) return this.sendLater(data)
    if (whenFull === "fail") return Exit.fail(this.full(this.options.sendHighWaterMark))
    this.dropped++
    return Exit.void
  }

  private sendControl(
    opcode: typeof Frame.Ping | typeof Frame.Pong,
    payload: Uint8Array
  ): Exit.Exit<never, SendError> | undefined {
    const refusal = this.refusal ?? this.controlOverflow()
    if (refusal !== undefined) return Exit.fail(refusal)
    if (payload.length > Frame.maxControlPayload) return Exit.die(tooLong(payload.length))
    if (opcode === Frame.Ping) this.protocol.ping(payload)
    else this.protocol.pong(payload)
    this.outbox.schedule()
    return undefined
  }

  // Control frames don't wait behind messages, so they need a bound of their own.
  private controlOverflow(): SendRejected | undefined {
    const limit = this.options.sendHighWaterMark * 2
    return this.outbox.held > limit ? this.full(limit) : undefined
  }

  private full(limit: number): SendRejected {
    return new SendRejected({ reason: { _tag: "QueueFull", bytes: this.outbox.held, limit } })
  }
}

const closing = new SendRejected({ reason: { _tag: "Closing" } })

const tooLong = (length: number): RangeError =>
  new RangeError(`The payload of a Ping or Pong is at most 125 bytes (RFC 6455 5.5), and was ${length}`)
