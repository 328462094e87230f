/**
 * What a server tells of its opening handshakes: spans, and how many there were.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Tracer from "effect/Tracer"
import { HandshakeError } from "../../HandshakeError.ts"
import type { Exchange } from "../opening/Exchange.ts"
import type { Opened } from "../connection/handle.ts"
import { meters } from "./metrics.ts"
import * as attributes from "./spanAttributes.ts"
import * as spanOfEnd from "./spanOfEnd.ts"
import * as tracing from "./tracing.ts"
import * as tracingContext from "./tracingContext.ts"

/**
 * Runs what decides about the exchange below a span, which ends with the answer; what is done after it belongs to the same
 * trace.
 */
export const handling = <A, E, R>(
  exchange: Exchange,
  decide: Effect.Effect<A, E, R>,
  id?: number
): Effect.Effect<A, E, R> =>
  Effect.withFiberRuntime((fiber) => {
    const parent = tracingContext.parentOf(fiber, exchange.request.fields)
    return traced(fiber, exchange, decide, { id, parent, kind: "server" })
  })

/** As `handling`, for a request that an HTTP server has made a span of already: that is the one above. */
export const handlingHttp = <A, E, R>(
  exchange: Exchange,
  decide: Effect.Effect<A, E, R>,
  id: number
): Effect.Effect<A, E, R> =>
  Effect.withFiberRuntime((fiber) => {
    const parent = fiber.currentSpan ?? tracingContext.parentOf(fiber, exchange.request.fields)
    const kind = fiber.currentSpan === undefined ? "server" : "internal"
    return Effect.onExit(traced(fiber, exchange, decide, { id, parent, kind }), (exit) =>
      Exit.isSuccess(exit) ? Effect.void : Effect.sync(() => failed(exchange, nameOf(exit), exit))
    )
  })

interface Place {
  readonly id: number | undefined
  readonly kind: Tracer.SpanKind
  readonly parent: Tracer.AnySpan | undefined
}

const traced = <A, E, R>(
  fiber: tracing.AnyFiber,
  exchange: Exchange,
  decide: Effect.Effect<A, E, R>,
  { id, kind, parent }: Place
): Effect.Effect<A, E, R> => {
  if (!tracing.isTraced(fiber, parent ?? fiber.currentSpan)) return decide
  return Effect.flatMap(
    tracing.begin(kind, { ...attributes.ofExchange(exchange), "websocket.id": id }, parent),
    (handshake) => {
      pending.set(exchange, handshake)
      return below(decide, handshake.span)
    }
  )
}

const below = <A, E, R>(effect: Effect.Effect<A, E, R>, span: Tracer.Span): Effect.Effect<A, E, R> =>
  Effect.withParentSpan(effect, span) as Effect.Effect<A, E, R>

/** Accepts, and tells that the exchange has become a connection, if it has, before it is used. */
export const counted = <A>(
  exchange: Exchange,
  accept: () => Exit.Exit<Opened, HandshakeError>,
  use: (opened: Opened) => A
): Effect.Effect<A, HandshakeError> =>
  Effect.withFiberRuntime((fiber) => {
    const exit = accept()
    if (Exit.isFailure(exit)) return Exit.failCause(exit.cause)
    accepted(fiber, exchange, exit.value)
    return Exit.succeed(use(exit.value))
  })

/** The same where no trace goes on. */
export const countedUnseen = (exit: Exit.Exit<Opened, HandshakeError>): Exit.Exit<Opened, HandshakeError> => {
  if (Exit.isSuccess(exit)) meters.server.decided("accepted")
  return exit
}

/** Whether a trace goes on with the requests of whoever runs in this fiber, whatever they say. */
export const isTraced = (fiber: tracing.AnyFiber): boolean => tracing.isTraced(fiber, fiber.currentSpan)

/** Whether the request may name a trace that is to go on. */
export const namesTrace = ({ request }: Exchange): boolean => tracingContext.namesParent(request.fields)

const accepted = (fiber: tracing.AnyFiber, exchange: Exchange, opened: Opened): void => {
  meters.server.decided("accepted")
  const handshake = take(exchange)
  handshake?.accepted(opened)
  const parent = handshake?.span ?? fiber.currentSpan
  if (parent !== undefined && tracing.isTraced(fiber, parent)) spanOfEnd.watch(opened.connection, fiber, parent)
}

/** The exchange has become none, because of how the handler has ended, or of what `name` says. */
export const refused = (exchange: Exchange, name: string, exit: Exit.Exit<unknown, unknown>): void => {
  meters.server.decided(name)
  failed(exchange, name, exit)
}

const failed = (exchange: Exchange, name: string, exit: Exit.Exit<unknown, unknown>): void =>
  take(exchange)?.failed(name, statusOf(exchange, exit), exit)

/** What `acceptTransport` has made of the exchange. */
export const concluded = (exchange: Exchange, exit: Exit.Exit<never, HandshakeError>): Effect.Effect<void> =>
  Effect.sync(() => refused(exchange, nameOf(exit), exit))

const nameOf = (exit: Exit.Exit<unknown, unknown>): string => {
  const error = Exit.isFailure(exit) ? Option.getOrUndefined(Cause.failureOption(exit.cause)) : undefined
  if (error instanceof HandshakeError) return error.reason._tag
  return Exit.isInterrupted(exit) ? "Interrupted" : "HandlerFailed"
}

/** A request has come to its end before there was an exchange. */
export const declined = (name: string): void => meters.server.decided(name)

const take = (exchange: Exchange): tracing.HandshakeSpan | undefined => {
  const handshake = pending.get(exchange)
  if (handshake !== undefined) pending.delete(exchange)
  return handshake
}

const statusOf = ({ state }: Exchange, exit: Exit.Exit<unknown, unknown>): number | undefined => {
  if (state === "lost") return undefined
  if (Exit.isSuccess(exit)) return 500
  if (Cause.isInterruptedOnly(exit.cause)) return 503
  const error = Option.getOrUndefined(Cause.failureOption(exit.cause))
  return (error instanceof HandshakeError ? error.answer?.status : undefined) ?? 500
}

const pending = new WeakMap<Exchange, tracing.HandshakeSpan>()
