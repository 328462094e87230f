/**
 * The connections of one `WebSocketServer.run`, from the first byte to the end of their handlers.
 *
 * Each has one fiber. Shutting down is done for all side by side: no new ones, a 503 to whom was not answered yet, a Close
 * frame with 1001 to the others; then the handlers may finish until the deadline.
 */
import type { CloseReason } from "@effect-ws/core/CloseReason"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Option from "effect/Option"
import { ConnectionClosed } from "../ConnectionClosed.ts"
import type { ConnectionOptions } from "../ConnectionOptions.ts"
import { HandshakeError } from "../HandshakeError.ts"
import type { Incoming } from "../Listener.ts"
import { SendRejected } from "../SendRejected.ts"
import { formatAddress } from "../TransportError.ts"
import * as answers from "./answers.ts"
import type { Engine } from "./Engine.ts"
import * as Exchanges from "./Exchange.ts"
import type { Restore } from "./handle.ts"

export type OnError = (cause: Cause.Cause<unknown>) => Effect.Effect<void>

export type Fork<R> = (effect: Effect.Effect<void, never, R>) => Fiber.RuntimeFiber<void>

export type Handle<R> = (exchange: Exchanges.Exchange) => Effect.Effect<unknown, unknown, R>

export class Serving<R> {
  private readonly engine: Engine
  private readonly options: ConnectionOptions
  private readonly fork: Fork<R>
  private readonly handle: Handle<R>
  private readonly onError: OnError
  private readonly openings = new Set<Exchanges.RequestOpening>()
  private readonly exchanges = new Set<Exchanges.Exchange>()
  private readonly fibers = new Set<Fiber.RuntimeFiber<void>>()
  private isShuttingDown = false
  private onIdle: () => void = () => {}

  constructor(engine: Engine, options: ConnectionOptions, fork: Fork<R>, handle: Handle<R>, onError: OnError) {
    this.engine = engine
    this.options = options
    this.fork = fork
    this.handle = handle
    this.onError = onError
  }

  /** Takes a connection and serves it in a fiber of its own. */
  readonly admit = (incoming: Incoming): void => {
    if (this.isShuttingDown) return incoming.transport.destroy()
    const opening = Exchanges.begin(incoming, this.engine, this.options)
    this.openings.add(opening)
    opening.whenDone(() => this.remove(this.openings, opening))
    const fiber = this.fork(this.serve(opening))
    this.fibers.add(fiber)
    fiber.addObserver(() => this.remove(this.fibers, fiber))
  }

  /** Ends all connections, in bounded time as far as the handlers allow it. */
  readonly shutdown: Effect.Effect<void> = Effect.suspend(() => {
    this.isShuttingDown = true
    for (const opening of this.openings) opening.lose({ _tag: "ShuttingDown" })
    // Whoever was refused, now or before, has got the answer.
    for (const opening of this.openings) opening.hurry()
    for (const { connection } of this.exchanges) connection?.shutdown(goingAway)
    // Shutting down is part of a release: without `interruptible` the timeout would wait for what it gave up.
    return Effect.interruptible(this.idle).pipe(
      Effect.timeoutOption(this.options.closeTimeout),
      Effect.andThen(Effect.suspend(() => this.interruptAll()))
    )
  })

  // Refusals are on their way when the fibers that wrote them are done already.
  private readonly idle: Effect.Effect<void> = Effect.async<void>((resume) => {
    this.onIdle = () => resume(Effect.void)
    this.tellIdle()
  })

  private tellIdle(): void {
    if (this.openings.size === 0 && this.fibers.size === 0) this.onIdle()
  }

  private remove<A>(set: Set<A>, element: A): void {
    set.delete(element)
    this.tellIdle()
  }

  private serve(opening: Exchanges.RequestOpening): Effect.Effect<void, never, R> {
    return Effect.uninterruptibleMask((restore) =>
      Effect.matchEffect(Exchanges.open(restore, opening, this.engine, this.options), {
        // A request that can't be accepted has got its answer, and nobody else needs to know.
        onFailure: () => Effect.void,
        onSuccess: (exchange) => this.attend(restore, exchange)
      })
    )
  }

  private attend(restore: Restore, exchange: Exchanges.Exchange): Effect.Effect<void, never, R> {
    return Effect.withFiberRuntime<void, never, R>((fiber) => {
      exchange.whenLost(() => fiber.unsafeInterruptAsFork(FiberId.none))
      this.exchanges.add(exchange)
      return restore(Effect.suspend(() => this.handle(exchange))).pipe(
        Effect.onExit((exit) => this.conclude(exchange, exit)),
        Effect.exit,
        Effect.asVoid
      )
    })
  }

  private conclude(exchange: Exchanges.Exchange, exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> {
    this.exchanges.delete(exchange)
    if (exchange.state === "pending") return this.answer(exchange, exit)
    return Exit.isFailure(exit) && !isExpected(exit.cause, exchange) ? this.report(exchange, exit.cause) : Effect.void
  }

  // The handler has ended without accepting: what it failed with is the answer, or it has made a mistake.
  private answer(exchange: Exchanges.Exchange, exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> {
    if (Exit.isSuccess(exit)) {
      exchange.refuse(answers.internalError)
      return this.report(exchange, Cause.die(unanswered))
    }
    if (Cause.isInterruptedOnly(exit.cause)) {
      exchange.refuse(answers.unavailable)
      return Effect.void
    }
    const error = Option.getOrUndefined(Cause.failureOption(exit.cause))
    if (error instanceof HandshakeError && error.answer !== undefined) {
      exchange.refuse(error.answer)
      return isOurs(error) ? this.report(exchange, exit.cause) : noteRefusal(error)
    }
    exchange.refuse(answers.internalError)
    return this.report(exchange, exit.cause)
  }

  // The path without its query, which may hold a secret.
  private report(exchange: Exchanges.Exchange, cause: Cause.Cause<unknown>): Effect.Effect<void> {
    const { remoteAddress } = exchange.info
    const peer = remoteAddress === undefined ? "unknown" : formatAddress(remoteAddress)
    return Effect.annotateLogs(this.onError(cause), { "websocket.path": exchange.request.path, "websocket.peer": peer })
  }

  private interruptAll(): Effect.Effect<void> {
    for (const opening of this.openings) opening.destroy()
    for (const { connection } of this.exchanges) connection?.destroy()
    return Fiber.interruptAll(Array.from(this.fibers))
  }
}

// An end that the handler let through is no failure of the handler when it is a clean one, nor is an interruption, nor that
// it had something to say when we had closed already.
const isExpected = (cause: Cause.Cause<unknown>, exchange: Exchanges.Exchange): boolean => {
  if (Cause.isInterruptedOnly(cause)) return true
  const error = Option.getOrUndefined(Cause.failureOption(cause))
  if (error instanceof SendRejected) return error.reason._tag === "Closing"
  return error instanceof ConnectionClosed && error === exchange.connection?.failure && error.clean
}

// Options that can't be sent are a mistake of this program, all else was asked for or is the doing of the peer.
const isOurs = ({ answer, reason }: HandshakeError): boolean => answer?.status === 500 && reason._tag !== "Reject"

// A foreign origin is often a proxy that changes the Host, and then somebody looks for the reason.
const noteRefusal = ({ reason }: HandshakeError): Effect.Effect<void> =>
  reason._tag === "ForbiddenOrigin"
    ? Effect.logWarning(
        `Refused a WebSocket: its Origin ${reason.origin} is not the Host ${reason.host} (option "origin" of accept)`
      )
    : Effect.void

const goingAway: CloseReason = { code: 1001, reason: "" }

const unanswered = new Error(
  "The handler ended without an answer: it must accept the exchange with WebSocket.accept or fail with WebSocket.reject"
)
