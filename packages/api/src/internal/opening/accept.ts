/**
 * How a server accepts: policy first, then the 101.
 */
import * as HandshakeFault from "@effect-ws/core/HandshakeFault"
import type { RequestHead } from "@effect-ws/core/HttpHead"
import * as Origin from "@effect-ws/core/Origin"
import * as Subprotocol from "@effect-ws/core/Subprotocol"
import type { UpgradeRequest } from "@effect-ws/core/UpgradeRequest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import { identity } from "effect/Function"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { AcceptTransportOptions } from "../../AcceptTransportOptions.ts"
import * as ConnectionOptions from "../../ConnectionOptions.ts"
import type { IncomingRequest } from "../../Decorator.ts"
import { HandshakeError, type NotReusable } from "../../HandshakeError.ts"
import type { Transport } from "../../Transport.ts"
import type { AcceptOptions, OriginPolicy, SubprotocolChoice } from "../../AcceptOptions.ts"
import * as answers from "./answers.ts"
import { Attempt } from "./Attempt.ts"
import * as Engine from "../Engine.ts"
import * as Exchanges from "./Exchange.ts"
import type { Opened, Restore } from "../connection/handle.ts"
import * as Options from "../options.ts"
import { ServerOpening, type Settings } from "./ServerOpening.ts"
import * as Tracing from "../observing/tracingServer.ts"
import * as TransportUse from "./transportUse.ts"
import { defaults as serverDefaults } from "../../ServerOptions.ts"

export const accept = <R>(
  restore: Restore,
  exchange: Exchanges.Exchange,
  given: AcceptOptions<R>
): Effect.Effect<Opened, HandshakeError, R> => acceptFor(identity, restore, exchange, given)

/** Calls `use` in the step in which the connection is opened: there is none in between, in which it could be lost. */
export const acceptFor = <A, R>(
  use: (opened: Opened) => A,
  restore: Restore,
  exchange: Exchanges.Exchange,
  given: AcceptOptions<R>
): Effect.Effect<A, HandshakeError, R> =>
  Effect.suspend(() => {
    const { request } = exchange
    const options = optionsOf(exchange, given)
    const { subprotocols } = options
    const open = (accept: () => Exit.Exit<Opened, HandshakeError>) => Tracing.counted(exchange, accept, use)
    if (typeof subprotocols !== "function") {
      return open(() => acceptAs(exchange, given, options, choose(subprotocols, request)))
    }
    const refusal = forbids(options.origin ?? "same", exchange)
    if (refusal !== undefined) return Exit.fail(refusal)
    return Effect.flatMap(restore(subprotocols(request.subprotocols, request)), (subprotocol) =>
      open(() => acceptChosen(exchange, given, options, subprotocol))
    )
  })

/** Accepts without a fiber, where no trace goes on; `undefined` where somebody has to be waited for. */
export const acceptNow = <R>(
  exchange: Exchanges.Exchange,
  given: AcceptOptions<R>
): Exit.Exit<Opened, HandshakeError> | undefined => {
  const options = optionsOf(exchange, given)
  const { subprotocols } = options
  if (typeof subprotocols === "function") return undefined
  return Tracing.countedUnseen(acceptAs(exchange, given, options, choose(subprotocols, exchange.request)))
}

const optionsOf = <R>({ opening }: Exchanges.Exchange, given: AcceptOptions<R>): AcceptOptions<R> =>
  Options.merge<AcceptOptions<R>>(opening.settings.accept, given)

const choose = (subprotocols: ReadonlyArray<string> | undefined, request: UpgradeRequest): string | undefined =>
  subprotocols && Subprotocol.select(subprotocols, request.subprotocols)

const acceptAs = <R>(
  exchange: Exchanges.Exchange,
  given: AcceptOptions<R>,
  options: AcceptOptions<R>,
  subprotocol: string | undefined
): Exit.Exit<Opened, HandshakeError> => {
  const refusal = forbids(options.origin ?? "same", exchange)
  return refusal === undefined ? acceptChosen(exchange, given, options, subprotocol) : Exit.fail(refusal)
}

const acceptChosen = <R>(
  exchange: Exchanges.Exchange,
  given: AcceptOptions<R>,
  options: AcceptOptions<R>,
  subprotocol: string | undefined
): Exit.Exit<Opened, HandshakeError> =>
  exchange.accept(subprotocol, options, Options.ofConnection(exchange.opening.settings.connection, given))

/** Says whether the origin of a request is among those that the server takes. */
export const checkPolicy = (exchange: Exchanges.Exchange): Effect.Effect<void, HandshakeError> =>
  Effect.suspend(() => {
    const refusal = forbids(exchange.opening.settings.accept.origin ?? "same", exchange)
    return refusal === undefined ? Exit.void : Exit.fail(refusal)
  })

/** Reads the request first, and is the one who answers when it isn't accepted. */
export const acceptTransport = <R>(
  restore: Restore,
  transport: Transport,
  options: AcceptTransportOptions<R>
): Effect.Effect<Opened, HandshakeError, R | Scope.Scope> =>
  Effect.gen(function* () {
    const engine = yield* Engine.make
    const opening = yield* Effect.mapError(claim(transport, engine, settingsOf(options)), answers.serverError)
    yield* Effect.addFinalizer(() => Effect.sync(() => opening.release()))
    opening.begin({ request: options.request, leftover: copy(options.bytes ?? options.leftover) })
    const head = yield* restore(opening.opening.awaitRead).pipe(
      Effect.mapError((reason) => refuseUnread(opening, answers.serverError(reason))),
      Effect.onInterrupt(() => Effect.sync(() => opening.opening.destroy()))
    )
    return yield* acceptRead(restore, opening, head, options)
  })

/** Looks and takes in one step: of two fibers that come for the same transport, one gets it. */
const claim = (
  transport: Transport,
  engine: Engine.Engine,
  settings: Settings
): Effect.Effect<ServerOpening, NotReusable> =>
  Effect.suspend(() =>
    Either.map(TransportUse.find(transport, ServerOpening), (resting) => {
      const opening = new ServerOpening(transport, engine, settings, resting)
      TransportUse.occupy(transport, opening)
      return opening
    })
  )

const settingsOf = <R>(options: AcceptTransportOptions<R>): Settings => ({
  connection: ConnectionOptions.make("server", options),
  accept: { decorate: options.decorate, server: options.server },
  maxAttempts: options.keepAlive === false ? 1 : serverDefaults.maxAttempts
})

const acceptRead = <R>(
  restore: Restore,
  opening: ServerOpening,
  head: RequestHead,
  options: AcceptOptions<R>
): Effect.Effect<Opened, HandshakeError, R> => {
  const exchange = Exchanges.check(head, opening)
  if (!(exchange instanceof Exchanges.Exchange)) {
    Tracing.declined(exchange._tag)
    return conclude(new Attempt(head, opening), Cause.fail(answers.serverError(exchange)))
  }
  exchange.whenLost(() => {})
  const { subprotocols } = options
  const accepting =
    typeof subprotocols === "function" ? { ...options, subprotocols: untilLost(exchange, subprotocols) } : options
  return Tracing.handling(exchange, accept(restore, exchange, accepting)).pipe(
    Effect.catchAllCause((cause) => {
      const refusing = Effect.exit(conclude(exchange, cause))
      return Effect.flatMap(refusing, (exit) => Effect.zipRight(Tracing.concluded(exchange, exit), exit))
    })
  )
}

/** Interrupts the choice when there is nobody left to tell: no handler is there that would be interrupted with it. */
const untilLost =
  <R>(exchange: Exchanges.Exchange, choose: SubprotocolChoice<R>): SubprotocolChoice<R> =>
  (offers, request) =>
    Effect.uninterruptibleMask((restore) =>
      Effect.gen(function* () {
        const choosing = yield* Effect.fork(restore(Effect.suspend(() => choose(offers, request))))
        exchange.whenLost(() => choosing.unsafeInterruptAsFork(FiberId.none))
        return yield* Effect.onInterrupt(restore(Fiber.join(choosing)), () => Fiber.interrupt(choosing))
      })
    ).pipe(
      Effect.catchAllCause((cause) =>
        exchange.loss === undefined ? Effect.failCause(cause) : Effect.fail(answers.serverError(exchange.loss))
      )
    )

const copy = (bytes: Uint8Array | undefined): Uint8Array | undefined =>
  bytes === undefined ? undefined : new Uint8Array(bytes)

const refuseUnread = (opening: ServerOpening, error: HandshakeError): HandshakeError => {
  Tracing.declined(error.reason._tag)
  if (error.answer === undefined) opening.opening.destroy()
  else opening.refuse(error.answer, undefined)
  return error
}

/** Answers, unless it was done or nobody is there, and fails with what happened and whether there may be another attempt. */
const conclude = (
  attempt: Attempt<IncomingRequest>,
  cause: Cause.Cause<HandshakeError>
): Effect.Effect<never, HandshakeError> =>
  Effect.suspend(() => {
    const error = Option.getOrUndefined(Cause.failureOption(cause))
    if (Cause.isInterruptedOnly(cause)) attempt.lose()
    else attempt.refuse(error?.answer ?? answers.internalError, error !== undefined)
    const { defect, isResting } = attempt.opening
    if (defect !== undefined) return Effect.die(defect)
    if (error === undefined) return Effect.failCause(cause)
    const { answer, reason, role } = error
    return Effect.fail(new HandshakeError({ role, reason, answer, reusable: isResting }))
  })

const forbids = (policy: OriginPolicy, exchange: Exchanges.Exchange): HandshakeError | undefined => {
  const { origin } = exchange.request
  if (origin === undefined || allows(policy, origin, exchange)) return undefined
  const { host } = exchange.client
  return answers.serverError(HandshakeFault.make("ForbiddenOrigin", { origin, host }))
}

const allows = (policy: OriginPolicy, origin: string, { client, request }: Exchanges.Exchange): boolean => {
  if (policy === "any") return true
  if (policy === "same") return Origin.isSame(origin, client.host)
  return typeof policy === "function" ? policy(origin, request) : policy.includes(origin)
}
