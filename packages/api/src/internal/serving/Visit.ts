/**
 * One connection of a server, from its first byte to the end of its handler: request after request until one is accepted.
 *
 * No fiber exists before there is a request for the handler: what is refused before that costs none.
 */
import type { RequestHead } from "@effect-ws/core/HttpHead"
import * as UpgradeRequest from "@effect-ws/core/UpgradeRequest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import { identity } from "effect/Function"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import { ConnectionClosed } from "../../ConnectionClosed.ts"
import type { IncomingRequest } from "../../Decorator.ts"
import * as Fields from "../../Fields.ts"
import { HandshakeError, type HandshakeReason } from "../../HandshakeError.ts"
import type { Incoming } from "../../Listener.ts"
import { SendRejected } from "../../SendRejected.ts"
import type { TransportInfo } from "../../Transport.ts"
import { formatAddress } from "../../TransportError.ts"
import * as TrustedProxies from "../../TrustedProxies.ts"
import type { Handlers, PlainAnswer } from "../../WebSocketServer.ts"
import type { Admission, Place } from "../opening/Admission.ts"
import * as answers from "../opening/answers.ts"
import { Attempt } from "../opening/Attempt.ts"
import { attendNow } from "./attend.ts"
import { Attendant, type House as AttendantHouse } from "./Attendant.ts"
import type { Engine } from "../Engine.ts"
import * as Exchanges from "../opening/Exchange.ts"
import type { ReadFailure } from "../opening/Opening.ts"
import { away } from "./Guests.ts"
import type { Scopes } from "./Scopes.ts"
import { quoted } from "../quoted.ts"
import { ServerOpening, type Settings } from "../opening/ServerOpening.ts"
import type { Connection } from "../connection/Connection.ts"
import * as Handle from "../connection/handle.ts"
import * as connectionIds from "../observing/connectionIds.ts"
import * as Tracing from "../observing/tracingServer.ts"

export type OnError = (cause: Cause.Cause<unknown>) => Effect.Effect<void>

/** What all connections of a server share. */
export interface House<R> {
  readonly engine: Engine
  readonly settings: Settings
  readonly trusted: TrustedProxies.TrustedProxies
  readonly admission: Admission
  readonly scopes: Scopes
  /** Lets a shutdown wait for the fiber, and interrupt it at the deadline. */
  readonly track: (fiber: Fiber.RuntimeFiber<unknown, unknown>) => void
  /** Runs what a shutdown waits for. */
  readonly fork: <A, E>(effect: Effect.Effect<A, E, R>) => Fiber.RuntimeFiber<A, E>
  /** Runs what belongs to one connection, for a handler with the scope in its context: its logs have the annotation. */
  readonly forkFor: <A, E>(
    annotation: Annotation,
    effect: Effect.Effect<A, E, R | Scope.Scope>,
    scope?: Scope.Scope
  ) => Fiber.RuntimeFiber<A, E>
  readonly handle: (exchange: Exchanges.Exchange) => Effect.Effect<unknown, unknown, R | Scope.Scope>
  /** What `handle` leaves connections to, if that is known. */
  readonly handlers: Handlers<unknown, R> | undefined
  /** Whether a trace goes on with every request. */
  readonly isTraced: boolean
  readonly fallback:
    | ((request: UpgradeRequest.PlainRequest, info: TransportInfo) => Effect.Effect<PlainAnswer, unknown, R>)
    | undefined
  readonly onError: OnError
}

/** The name of an annotation, and its value. */
export type Annotation = readonly [name: string, value: unknown]

/** What stays of a request that was accepted: all else would be held for as long as the connection lives. */
interface Accepted {
  readonly connection: Connection
  readonly request: UpgradeRequest.UpgradeRequest
}

export class Visit<R> implements AttendantHouse<R> {
  index = away
  handler: Fiber.RuntimeFiber<unknown, unknown> | undefined = undefined
  private opening: ServerOpening | undefined
  private exchange: Exchanges.Exchange | undefined = undefined
  private accepted: Accepted | undefined = undefined
  private attendant: Attendant<unknown, R> | undefined = undefined
  private readonly house: House<R>
  private readonly incoming: Incoming
  private readonly place: Place
  private readonly onOver: (visit: Visit<R>) => void
  private readonly id = connectionIds.next()
  private isGoingOn = false

  constructor(house: House<R>, incoming: Incoming, place: Place, onOver: (visit: Visit<R>) => void) {
    this.house = house
    this.incoming = incoming
    this.place = place
    this.onOver = onOver
    // Where somebody else has read the request, they would have to read the next one too.
    const settings = incoming.request === undefined ? house.settings : { ...house.settings, maxAttempts: 1 }
    this.opening = new ServerOpening(incoming.transport, house.engine, settings)
    this.opening.opening.whenDone(() => (this.exchange?.state === "accepted" ? this.open(this.exchange) : this.leave()))
  }

  begin(): void {
    this.read(this.opening!, this.incoming)
  }

  private open({ connection, request }: Exchanges.Exchange): void {
    this.accepted = { connection: connection!, request }
    this.exchange = this.opening = undefined
    connection!.id = this.id
    this.place.open()
  }

  /** Tells whoever waits that the server goes down. */
  shutdown(): void {
    this.opening?.opening.lose({ _tag: "ShuttingDown" })
    // Whoever was refused, now or before, has got the answer.
    this.opening?.opening.hurry()
    this.accepted?.connection.shutdown(Handle.goingAway)
  }

  destroy(): void {
    this.opening?.opening.destroy()
    this.accepted?.connection.destroy()
    this.attendant?.giveUp()
  }

  // --- what an attendant asks for -------------------------------------------------------------------------------------

  fork<A, E>(effect: Effect.Effect<A, E, R>): Fiber.RuntimeFiber<A, E> {
    return this.house.fork(effect)
  }

  forkOpening<A, E>(effect: Effect.Effect<A, E, R>): Fiber.RuntimeFiber<A, E> {
    return this.forkTracked(effect)
  }

  reportFailure(cause: Cause.Cause<unknown>): Effect.Effect<void> {
    const { connection, request } = this.accepted!
    return isExpected(cause, connection) ? Effect.void : Effect.uninterruptible(this.annotate(request, cause))
  }

  leave(): void {
    // It may still be about to end.
    if (this.handler !== undefined) this.house.track(this.handler)
    this.place.leave()
    this.onOver(this)
  }

  // ------------------------------------------------------------------------------------------------------------------

  // In a loop: any number of requests may have come one behind the other, and the stack is finite.
  private again(opening: ServerOpening): void {
    if (this.isGoingOn) return
    this.isGoingOn = true
    while (opening.isResting) this.read(opening)
    this.isGoingOn = false
  }

  private read(opening: ServerOpening, given?: Incoming): void {
    opening.begin(given)
    opening.opening.whenRead((read) => this.receive(opening, read))
  }

  private receive(opening: ServerOpening, read: Either.Either<RequestHead, ReadFailure>): void {
    if (Either.isLeft(read)) return this.decline(opening, read.left, undefined)
    const head = read.right
    const { fallback, trusted } = this.house
    if (fallback !== undefined && !UpgradeRequest.namesWebSocket(head))
      return this.receivePlain(opening, head, fallback)
    const exchange = Exchanges.check(head, opening, trusted)
    if (!(exchange instanceof Exchanges.Exchange)) return this.decline(opening, exchange, head)
    if (!this.fits(opening, exchange.request)) return
    this.exchange = exchange
    const attended = this.attendNow(exchange)
    if (attended !== undefined) return this.concludeNow(exchange, attended)
    const handling = Tracing.handling(
      exchange,
      Effect.suspend(() => this.house.handle(exchange)),
      this.id
    )
    this.attend(exchange, handling, (exit) => this.conclude(exchange, exit))
  }

  private receivePlain(opening: ServerOpening, head: RequestHead, fallback: NonNullable<House<R>["fallback"]>): void {
    const request = UpgradeRequest.validatePlain(head)
    if (request._tag !== "PlainRequest") return this.decline(opening, request, head)
    if (!this.fits(opening, request)) return
    const attempt = new Attempt(request, opening)
    const answering = Effect.suspend(() => fallback(request, attempt.info))
    this.attend(attempt, answering, (exit) => this.answerPlain(attempt, exit))
  }

  /** Answers a request that can't be accepted: nobody else needs to know. */
  private decline(opening: ServerOpening, reason: HandshakeReason, head: RequestHead | undefined): void {
    // To go without another request is the right of a peer that was refused; its answer may still be on the way.
    if (isLoss(reason) && opening.isIdle) return opening.opening.leave()
    this.house.admission.refused(countedAs(reason))
    Tracing.declined(countedAs(reason))
    const { answer } = answers.serverError(reason)
    if (answer === undefined) return opening.opening.leave()
    opening.refuse(answer, head)
    this.reportDefect(opening, head)
    this.again(opening)
  }

  private fits(
    opening: ServerOpening,
    request: { readonly host: string; readonly fields: RequestHead["fields"] }
  ): boolean {
    const { admission, trusted } = this.house
    if (admission.limits.maxConnectionsPerAddress === Infinity) return true
    const { address } = TrustedProxies.clientOf(trusted, this.incoming.transport.info, request)
    const overloaded = this.place.takeAddress(address ?? "")
    if (overloaded === undefined) return true
    this.decline(opening, overloaded, undefined)
    return false
  }

  private attend<Request extends IncomingRequest>(
    attempt: Attempt<Request>,
    handling: Effect.Effect<unknown, unknown, R | Scope.Scope>,
    conclude: (exit: Exit.Exit<unknown, unknown>) => Effect.Effect<void, never, R>
  ): void {
    const { house } = this
    const scope = (attempt.scope = house.scopes.take())
    // First: what is decided in the very first steps needs no fiber to be held for it.
    attempt.whenLost(() => interrupt(this.handler))
    const fiber = (this.handler = house.forkFor(this.annotation, handling, scope))
    if (attempt.loss !== undefined) interrupt(fiber)
    fiber.addObserver((exit) => this.closeAfter(scope, exit, conclude))
  }

  // The fiber of a handler that waits is most of what an idle connection costs: what has to follow is not held in it.
  private closeAfter(
    scope: Scope.CloseableScope,
    exit: Exit.Exit<unknown, unknown>,
    conclude: (exit: Exit.Exit<unknown, unknown>) => Effect.Effect<void, never, R>
  ): void {
    this.handler = undefined
    // Nothing of an attendant belongs to the scope.
    if (isAttended<R>(exit)) return this.leaveTo(exit.value)
    const closing = Effect.uninterruptible(Scope.close(scope, exit))
    const conclusion = Effect.flatMap(Effect.exit(closing), (closed) => conclude(Exit.zipLeft(exit, closed)))
    if (this.accepted === undefined) return void this.forkTracked(Effect.uninterruptible(conclusion))
    // An observer: in the region it would stay in memory with all that it sees, see CONTRIBUTING. The scope is little by then.
    const fiber = this.house.forkFor(this.annotation, closing)
    fiber.addObserver((closed) => this.end(Exit.zipLeft(exit, closed)))
  }

  private forkTracked<A, E>(effect: Effect.Effect<A, E, R>): Fiber.RuntimeFiber<A, E> {
    const fiber = this.house.forkFor(this.annotation, effect)
    this.house.track(fiber)
    return fiber
  }

  // The handler of a connection is done, and its scope closed.
  private end(exit: Exit.Exit<unknown, unknown>): void {
    if (Exit.isFailure(exit)) this.fork(this.reportFailure(exit.cause))
    const { connection } = this.accepted!
    if (connection.isEnding) connection.ended.whenReached(() => this.leave())
    else this.leave()
  }

  private get annotation(): Annotation {
    return [idAnnotation, this.id]
  }

  private conclude(exchange: Exchanges.Exchange, exit: Exit.Exit<unknown, unknown>): Effect.Effect<void, never, R> {
    // Somebody else may have accepted meanwhile: a fiber that the handler has left behind, or a finalizer.
    if (this.accepted !== undefined) return Effect.sync(() => this.end(exit))
    return Effect.zipRight(this.answer(exchange, exit), this.goOn(exchange))
  }

  // The handler is done, and has left somebody to look after the connection.
  private leaveTo(attendant: Attendant<unknown, R>): void {
    this.attendant = attendant
    attendant.begin(this)
  }

  // What a program has given, an origin policy for instance, may throw: it dies of that as a handler would.
  private attendNow(exchange: Exchanges.Exchange): Exit.Exit<Attendant<unknown, R>, HandshakeError> | undefined {
    const { handlers, isTraced } = this.house
    if (handlers === undefined || isTraced || Tracing.namesTrace(exchange)) return undefined
    exchange.whenLost(ignore)
    return Either.getOrElse(Either.try({ try: () => attendNow(exchange, handlers), catch: identity }), Exit.die)
  }

  private concludeNow(exchange: Exchanges.Exchange, exit: Exit.Exit<Attendant<unknown, R>, HandshakeError>): void {
    if (Exit.isSuccess(exit)) return this.leaveTo(exit.value)
    // Nobody has it, if what failed did so behind the 101.
    this.accepted?.connection.shutdown(Handle.releaseReason(exit))
    this.forkTracked(Effect.suspend(() => this.conclude(exchange, exit)))
  }

  // The handler has ended without accepting: what it failed with is the answer, or it has made a mistake.
  private answer(exchange: Exchanges.Exchange, exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> {
    const name = nameOf(exchange, exit)
    this.house.admission.refused(name)
    Tracing.refused(exchange, name, exit)
    if (exchange.state !== "pending") return Effect.void
    if (Exit.isSuccess(exit)) {
      exchange.refuse(answers.internalError)
      return this.report(exchange, Cause.die(unanswered))
    }
    if (Cause.isInterruptedOnly(exit.cause)) {
      exchange.refuse(answers.unavailable, false)
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

  private answerPlain(
    attempt: Attempt<UpgradeRequest.PlainRequest>,
    exit: Exit.Exit<unknown, unknown>
  ): Effect.Effect<void> {
    if (Exit.isSuccess(exit)) {
      const { body = "", headers, status } = exit.value as PlainAnswer
      attempt.refuse(answers.make(status, Fields.toHeaders(headers), body))
      return this.goOn(attempt)
    }
    if (Cause.isInterruptedOnly(exit.cause)) return Effect.sync(() => attempt.refuse(answers.unavailable, false))
    attempt.refuse(answers.internalError)
    return Effect.zipRight(this.report(attempt, exit.cause), this.goOn(attempt))
  }

  private goOn(attempt: Attempt<IncomingRequest>): Effect.Effect<void> {
    return Effect.sync(() => {
      this.reportDefect(attempt.opening, attempt.request)
      this.again(attempt.opening)
    })
  }

  private reportDefect(opening: ServerOpening, request: IncomingRequest | undefined): void {
    const { defect } = opening
    if (defect === undefined) return
    opening.defect = undefined
    this.house.fork(this.annotate(request, Cause.die(defect)))
  }

  private report(attempt: Attempt<IncomingRequest>, cause: Cause.Cause<unknown>): Effect.Effect<void> {
    return this.annotate(attempt.request, cause)
  }

  // The path without its query, which may hold a secret.
  private annotate(request: IncomingRequest | undefined, cause: Cause.Cause<unknown>): Effect.Effect<void> {
    const { remoteAddress } = this.incoming.transport.info
    const reporting = Effect.suspend(() => this.house.onError(cause))
    return Effect.annotateLogs(reporting, {
      [idAnnotation]: this.id,
      "websocket.path": request?.target.split("?", 1)[0] ?? "unknown",
      "websocket.peer": remoteAddress === undefined ? "unknown" : formatAddress(remoteAddress)
    })
  }
}

const isAttended = <R>(exit: Exit.Exit<unknown, unknown>): exit is Exit.Success<Attendant<unknown, R>, never> =>
  Exit.isSuccess(exit) && exit.value instanceof Attendant

const interrupt = (fiber: Fiber.RuntimeFiber<unknown, unknown> | undefined): void =>
  fiber?.unsafeInterruptAsFork(FiberId.none)

// An end that the handler let through is no failure of the handler when it is a clean one, nor is an interruption, nor that
// it had something to say when we had closed already.
const isExpected = (cause: Cause.Cause<unknown>, connection: Connection): boolean => {
  if (Cause.isInterruptedOnly(cause)) return true
  const error = Option.getOrUndefined(Cause.failureOption(cause))
  if (error instanceof SendRejected) return error.reason._tag === "Closing"
  return error instanceof ConnectionClosed && error === connection.failure && error.clean
}

// Options that can't be sent are a mistake of this program, all else was asked for or is the doing of the peer.
const isOurs = ({ answer, reason }: HandshakeError): boolean => answer?.status === 500 && reason._tag !== "Reject"

// A foreign origin is often a proxy that changes the Host, and then somebody looks for the reason.
const noteRefusal = ({ reason }: HandshakeError): Effect.Effect<void> =>
  reason._tag === "ForbiddenOrigin"
    ? Effect.logWarning(
        `Refused a WebSocket: its Origin ${quoted(reason.origin)} is not the Host ${quoted(reason.host)} (option "origin" of accept)`
      )
    : Effect.void

const isLoss = ({ _tag }: HandshakeReason): boolean =>
  _tag === "PeerGone" || _tag === "Transport" || _tag === "Timeout" || _tag === "ShuttingDown"

const countedAs = (reason: HandshakeReason): string => (reason._tag === "Overloaded" ? reason.option : reason._tag)

const nameOf = (exchange: Exchanges.Exchange, exit: Exit.Exit<unknown, unknown>): string => {
  if (exchange.loss !== undefined) return exchange.loss._tag
  if (Exit.isSuccess(exit)) return "Unanswered"
  const error = Option.getOrUndefined(Cause.failureOption(exit.cause))
  if (error instanceof HandshakeError) return error.reason._tag
  return Cause.isInterruptedOnly(exit.cause) ? "Interrupted" : "HandlerFailed"
}

const idAnnotation = "websocket.id"

const unanswered = new Error(
  "The handler ended without an answer: it must accept the exchange with WebSocket.accept or fail with WebSocket.reject"
)

const ignore = (): void => {}
