/**
 * One upgrade request of an HTTP server: the transport is ours from the beginning, and the server borrows its stream when
 * it writes an answer of its own.
 *
 * Pending, then accepted, answered by the server, or lost: exactly one of them.
 */
import type { CloseReason } from "@effect-ws/core/CloseReason"
import { clientAbortFiberId } from "@effect/platform/HttpServerError"
import type { HttpServerResponse } from "@effect/platform/HttpServerResponse"
import * as HttpServerRespondable from "@effect/platform/HttpServerRespondable"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import type * as Scope from "effect/Scope"
import type { AcceptOptions } from "../../AcceptOptions.ts"
import type { HandshakeError, HandshakeReason } from "../../HandshakeError.ts"
import type { PendingUpgrade } from "../../HttpUpgrade.ts"
import type { Incoming } from "../../Listener.ts"
import * as TrustedProxies from "../../TrustedProxies.ts"
import type { WebSocket } from "../../WebSocket.ts"
import * as Accept from "../opening/accept.ts"
import { type Admission, Place } from "../opening/Admission.ts"
import * as answers from "../opening/answers.ts"
import { Decorating } from "../opening/Decorating.ts"
import type { Engine } from "../Engine.ts"
import { check, Exchange } from "../opening/Exchange.ts"
import { away } from "../serving/Guests.ts"
import * as Handle from "../connection/handle.ts"
import type { Loss } from "../opening/Opening.ts"
import { ServerOpening, type Settings } from "../opening/ServerOpening.ts"
import * as connectionIds from "../observing/connectionIds.ts"
import * as Tracing from "../observing/tracingServer.ts"

/** What all upgrades of a server share. */
export interface House {
  readonly engine: Engine
  readonly settings: Settings
  readonly trusted: TrustedProxies.TrustedProxies
  readonly admission: Admission
}

/** What a visit tells those who have let it in. */
export interface Host {
  readonly accepted: () => void
  readonly attended: (fiber: Fiber.RuntimeFiber<unknown, unknown>) => void
  /** The transport is over. */
  readonly over: () => void
}

export class HttpVisit implements PendingUpgrade {
  readonly id = connectionIds.next()
  index = away
  readonly handler = undefined

  private readonly house: House
  private readonly host: Host
  private readonly opening: ServerOpening
  private readonly place: ReturnType<Admission["enter"]>
  private readonly target: Exchange | HandshakeReason
  private readonly head: Incoming["request"]
  private state: "pending" | "accepted" | "answered" | "lost" = "pending"
  private loss: Loss | undefined = undefined
  /** What the route was told last when it wanted to accept, or how it has failed. */
  private refusal: string | undefined = undefined
  private isAdmitted: boolean
  private fiber: Fiber.RuntimeFiber<unknown, unknown> | undefined = undefined

  constructor(house: House, incoming: Incoming, host: Host) {
    this.house = house
    this.host = host
    this.place = house.admission.enter()
    this.isAdmitted = this.place instanceof Place
    this.head = incoming.request
    this.opening = new ServerOpening(incoming.transport, house.engine, house.settings)
    const { opening } = this.opening
    opening.whenDone(() => this.takenOrOver())
    this.opening.begin(incoming)
    let target: Exchange | HandshakeReason = { _tag: "PeerGone" }
    // The request is there: this is called at once.
    opening.whenRead((read) => (target = Either.isLeft(read) ? read.left : this.examine(incoming, read.right)))
    this.target = target
    opening.whenLost((loss) => this.lose(loss))
  }

  // --- what a route asks for ------------------------------------------------------------------------------------------

  get check(): Effect.Effect<void, HandshakeError> {
    return this.withExchange(Accept.checkPolicy, new Decorating(this.house.settings.accept.decorate))
  }

  accept<R>(options: AcceptOptions<R> = {}): Effect.Effect<WebSocket, HandshakeError, R | Scope.Scope> {
    const decorating = new Decorating(options.decorate ?? this.house.settings.accept.decorate)
    const all = { ...options, decorate: decorating.decorate }
    return Handle.scoped((restore) =>
      this.withExchange(
        (exchange) => Tracing.handlingHttp(exchange, Accept.accept(restore, exchange, all), this.id),
        decorating
      )
    )
  }

  // --- what the HTTP server tells and asks ----------------------------------------------------------------------------

  attend(fiber: Fiber.RuntimeFiber<unknown, unknown>): void {
    this.fiber = fiber
    this.host.attended(fiber)
    if (this.loss !== undefined) this.interrupt(this.loss)
  }

  beginAnswer(): boolean {
    if (this.state !== "pending") return false
    this.settle("answered")
    // From here on it is HTTP like any other, and may last.
    this.leavePlace()
    // Whatever the peer says meanwhile is held, within bounds.
    this.opening.opening.rest()
    return true
  }

  endAnswer(): void {
    this.opening.opening.leave()
  }

  // The scope of a request whose failure was turned into a response is closed as if nothing had failed.
  conclude(exit: Exit.Exit<HttpServerResponse, unknown>): void {
    if (Exit.isFailure(exit)) this.refusal = nameOf(exit.cause) ?? this.refusal
    const reason = reasonOf(exit)
    if (reason !== undefined) this.connection?.shutdown(reason)
  }

  // --- what the server's end asks for -----------------------------------------------------------------------------------

  /** Tells whoever waits that the server goes down. */
  shutdown(): void {
    this.opening.opening.lose({ _tag: "ShuttingDown" })
    this.opening.opening.hurry()
    this.connection?.shutdown(Handle.goingAway)
  }

  destroy(): void {
    this.opening.opening.destroy()
    this.connection?.destroy()
  }

  // ------------------------------------------------------------------------------------------------------------------

  private get connection() {
    return this.target instanceof Exchange ? this.target.connection : undefined
  }

  private examine(incoming: Incoming, head: NonNullable<Incoming["request"]>): Exchange | HandshakeReason {
    const { admission, trusted } = this.house
    if (!(this.place instanceof Place)) return this.place
    const exchange = check(head, this.opening, trusted)
    if (!(exchange instanceof Exchange)) return exchange
    if (admission.limits.maxConnectionsPerAddress === Infinity) return exchange
    const { address } = TrustedProxies.clientOf(trusted, incoming.transport.info, exchange.request)
    return this.place.takeAddress(address ?? "") ?? exchange
  }

  private withExchange<A, R>(
    use: (exchange: Exchange) => Effect.Effect<A, HandshakeError, R>,
    decorating: Decorating
  ): Effect.Effect<A, HandshakeError, R> {
    return Effect.suspend(() => {
      const { head, target } = this
      const using = target instanceof Exchange ? use(target) : Exit.fail(answers.serverError(target))
      return Effect.mapError(using, (error) => {
        this.refusal = countedAs(error.reason)
        return decorating.error(error, head)
      })
    })
  }

  private settle(state: "answered" | "lost"): void {
    this.state = state
    if (this.target instanceof Exchange) this.target.state = state === "lost" ? "lost" : "refused"
    // A transport that is over says why a little later.
    if (state === "answered" || this.loss !== undefined) Tracing.declined(this.loss?._tag ?? this.refusal ?? "Reject")
  }

  private takenOrOver(): void {
    const { connection } = this
    if (connection === undefined) return this.leave()
    this.state = "accepted"
    connection.id = this.id
    if (this.place instanceof Place) this.place.open()
    connection.ended.whenReached(() => this.leave())
    this.host.accepted()
  }

  private lose(loss: Loss): void {
    this.loss = loss
    if (this.target instanceof Exchange) this.target.loss = loss
    // Who can still be answered is answered by whoever was interrupted.
    if (!mayBeAnswered(loss)) {
      this.settle("lost")
      this.opening.opening.destroy()
    }
    this.interrupt(loss)
  }

  private interrupt(loss: Loss): void {
    this.fiber?.unsafeInterruptAsFork(mayBeAnswered(loss) ? FiberId.none : clientAbortFiberId)
  }

  private leave(): void {
    if (this.state === "pending") this.settle("lost")
    this.leavePlace()
    this.host.over()
  }

  private leavePlace(): void {
    if (!this.isAdmitted) return
    this.isAdmitted = false
    if (this.place instanceof Place) this.place.leave()
  }
}

const mayBeAnswered = ({ _tag }: Loss): boolean => _tag === "Timeout" || _tag === "ShuttingDown"

const countedAs = (reason: HandshakeReason): string => (reason._tag === "Overloaded" ? reason.option : reason._tag)

/** What a failure of a route is that is no answer, neither of ours nor of the application. */
const nameOf = (cause: Cause.Cause<unknown>): string | undefined => {
  if (Cause.isInterruptedOnly(cause)) return "Interrupted"
  return HttpServerRespondable.isRespondable(Cause.squash(cause)) ? undefined : "HandlerFailed"
}

const reasonOf = (exit: Exit.Exit<HttpServerResponse, unknown>): CloseReason | undefined => {
  if (Exit.isFailure(exit)) return Handle.releaseReason(exit)
  return exit.value.status >= 500 ? Handle.releaseReason(Exit.die(undefined)) : undefined
}
