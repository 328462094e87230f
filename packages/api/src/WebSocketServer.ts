/**
 * The service that listens, and `run`, which hands every request for a WebSocket to a handler.
 *
 * @since 0.1.0
 */
import type { Message } from "@effect-ws/core/Message"
import type { PlainRequest } from "@effect-ws/core/UpgradeRequest"
import type { Address } from "@effect/platform/SocketServer"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as ConnectionOptions from "./ConnectionOptions.ts"
import type { Fields } from "./Fields.ts"
import { Admission } from "./internal/opening/Admission.ts"
import { attending, handlersOf } from "./internal/serving/attend.ts"
import * as Engine from "./internal/Engine.ts"
import * as Tracing from "./internal/observing/tracingServer.ts"
import { Serving } from "./internal/serving/Serving.ts"
import type { House } from "./internal/serving/Visit.ts"
import type { Listener } from "./Listener.ts"
import * as ServerOptions from "./ServerOptions.ts"
import type { TransportInfo } from "./Transport.ts"
import * as TrustedProxies from "./TrustedProxies.ts"
import type { UpgradeExchange } from "./UpgradeExchange.ts"
import type { AcceptOptions } from "./AcceptOptions.ts"
import type { WebSocket } from "./WebSocket.ts"
import { isWebSocketError, type WebSocketError } from "./WebSocketError.ts"

/**
 * What the service does.
 *
 * @since 0.1.0
 * @category models
 */
export interface Service {
  /** Where it listens. */
  readonly address: Address
  /** How many connections there are, and what became of the others; see the function `counts`. */
  readonly counts: Effect.Effect<Counts>
  /** Serves until it is interrupted; see the function `run`. */
  readonly run: <Handled extends Effect.Effect<unknown, unknown, unknown>, R = never>(
    handler: (exchange: UpgradeExchange) => Handled,
    options?: RunOptions<R>
  ) => Effect.Effect<never, never, Exclude<Effect.Effect.Context<Handled>, Scope.Scope> | R>
}

/**
 * What a server is made with: its limits, and what holds for each connection unless `accept` says otherwise.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options extends ServerOptions.Input, AcceptOptions {}

/**
 * The connections of a server in numbers.
 *
 * @since 0.1.0
 * @category models
 */
export interface Counts {
  /** The connections whose opening handshake isn't done. */
  readonly handshakes: number
  /** All connections, until their handlers are done. */
  readonly connections: number
  /** The connections that were accepted so far. */
  readonly accepted: number
  /**
   * The requests that were not accepted so far, by the tag of the reason (see `HandshakeError`), for a limit by the name of
   * its option. Handlers that did not answer count as `Unanswered`, those that failed otherwise as `HandlerFailed`.
   */
  readonly refused: { readonly [reason: string]: number }
}

/**
 * The answer to a plain request.
 *
 * @since 0.1.0
 * @category models
 */
export interface PlainAnswer {
  /** The status, from 200 to 599. */
  readonly status: number
  /** Fields, besides those about the connection and the length. None by default. */
  readonly headers?: Fields | undefined
  /** The body, as plain text unless a `Content-Type` says otherwise. Empty by default. */
  readonly body?: string | Uint8Array | undefined
}

/**
 * How handlers are run.
 *
 * @since 0.1.0
 * @category models
 */
export interface RunOptions<R = never> {
  /**
   * Is told the cause when a handler fails or ends without an answer, in place of the log. The peer has got its answer, a
   * 500 or a Close frame with 1011. A `reject`, a clean end and an interruption are no failures. The log has an error, but
   * only a line for debugging where the handler let pass what ended its connection.
   */
  readonly onError?: ((cause: Cause.Cause<unknown>) => Effect.Effect<void>) | undefined
  /**
   * Answers the requests that ask for no WebSocket: those whose `Upgrade` doesn't name it, and those of HTTP/1.0, which has no
   * upgrade; of any method but `CONNECT`. By default they get a 426, or a 405 when the method isn't `GET`. For a page that tells where to go, or a health check; a body of the
   * request is not read. One that fails is answered with 500 and reported like a handler. A server that is attached to
   * an HTTP server has no use for it.
   */
  readonly fallback?:
    | ((request: PlainRequest, info: TransportInfo) => Effect.Effect<PlainAnswer, unknown, R>)
    | undefined
}

/**
 * What is to be done with the connections of `serve`. `A` is what belongs to a connection.
 *
 * @since 0.1.0
 * @category models
 */
export interface Handlers<A = void, R = never> {
  /**
   * Decides about a request before it is accepted, and may fail with `WebSocket.reject`. What it succeeds with belongs to the
   * connection, and is given to the other handlers. By default all are accepted.
   */
  readonly onUpgrade?: ((exchange: UpgradeExchange) => Effect.Effect<A, unknown, R>) | undefined
  /** How connections are accepted, besides what the server was made with. */
  readonly accept?: AcceptOptions<R> | undefined
  /** Is run when a connection is open, before its first message is handled. If it fails, none is. */
  readonly onOpen?: ((socket: WebSocket, data: A) => Effect.Effect<unknown, unknown, R> | void) | undefined
  /** Handles a message; the next one waits until it is done. */
  readonly onMessage: (message: Message, socket: WebSocket, data: A) => Effect.Effect<unknown, unknown, R> | void
  /**
   * Is run when a connection has ended and its messages are handled, with what has ended it: once for every connection that
   * was open, whatever its other handlers did.
   */
  readonly onClose?:
    | ((end: WebSocketError, socket: WebSocket, data: A) => Effect.Effect<unknown, unknown, R> | void)
    | undefined
}

/**
 * The service: provided by the Layers of `NodeWebSocketServer`.
 *
 * @since 0.1.0
 * @category services
 */
export class WebSocketServer extends Context.Tag("@effect-ws/api/WebSocketServer")<WebSocketServer, Service>() {}

/**
 * Makes the service from what listens, with defaults for the options of each connection. The scope is the listener's: when
 * it closes, nothing is taken any more.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (listener: Listener, options: Options = {}): Effect.Effect<Service, never, Scope.Scope> =>
  Effect.gen(function* () {
    const limits = ServerOptions.make(options)
    const admission = new Admission(limits)
    const common = {
      engine: yield* Engine.make,
      settings: {
        connection: ConnectionOptions.make("server", options),
        accept: options,
        maxAttempts: limits.maxAttempts
      },
      trusted: TrustedProxies.make(limits.trustedProxies),
      admission
    }
    yield* Effect.addFinalizer(() => listener.stop)
    const counts = Effect.sync(() => admission.counts)
    return { address: listener.address, counts, run: runOn(listener, common) }
  })

/**
 * Hands every request for a WebSocket to the handler, each in a fiber and a scope of its own, until it is interrupted.
 *
 * **Details**
 *
 * A request that is no correct one for a WebSocket is answered without asking the handler. A handler that fails with
 * `WebSocket.reject` refuses; any other failure is a 500 before the 101 and a Close frame with 1011 after it, and one line
 * in the log. A peer that goes away before the 101 interrupts the handler. One that goes later doesn't: a handler that waits for
 * something else than its socket waits for `closed` beside it, or it stays.
 * When a handler is done, the fibers that it has forked end before its scope closes, and with that its connection. What is in
 * the scope besides doesn't wait for the peer: it is released when the Close frame is on its way. The connection counts until it
 * has ended.
 *
 * When `run` is interrupted, no new connections are taken, requests that wait get a 503, all connections a Close frame with
 * 1001: nothing can be sent from then on, their messages end, and the handlers may finish until the close timeout. The rest
 * is interrupted then.
 *
 * @example
 * import * as WebSocket from "@effect-ws/api/WebSocket"
 * import * as WebSocketServer from "@effect-ws/api/WebSocketServer"
 * import * as Effect from "effect/Effect"
 *
 * const echo = WebSocketServer.run((exchange) =>
 *   Effect.flatMap(WebSocket.accept(exchange), (socket) => WebSocket.run(socket, (message) => socket.send(message)))
 * )
 *
 * @since 0.1.0
 * @category operations
 */
export const run = <Handled extends Effect.Effect<unknown, unknown, unknown>, R = never>(
  handler: (exchange: UpgradeExchange) => Handled,
  options?: RunOptions<R>
): Effect.Effect<never, never, WebSocketServer | Exclude<Effect.Effect.Context<Handled>, Scope.Scope> | R> =>
  Effect.flatMap(WebSocketServer, (server) => server.run(handler, options))

/**
 * Serves connections by callbacks: a fiber exists only while a message is handled, so that an idle connection costs little.
 * For fleets of devices, feeds and the like.
 *
 * **Details**
 *
 * Each connection is accepted once `onUpgrade` has succeeded, with the options in `accept`. Its messages are handled one after
 * the other. It ends when either side closes it, with 1011 when a handler fails, and with 1001 when `serve` is interrupted;
 * all else is as for `run`. At the deadline of a shutdown `onClose` is still begun, but what it waits for is interrupted.
 *
 * The handlers may require services, each its own. A `Scope` among them is that of `serve`, not of a connection.
 *
 * @example
 * import * as WebSocketServer from "@effect-ws/api/WebSocketServer"
 *
 * const echo = WebSocketServer.serve({ onMessage: (message, socket) => socket.send(message) })
 *
 * @since 0.1.0
 * @category operations
 */
export const serve = <
  Handled extends Handling,
  Upgraded extends Effect.Effect<unknown, unknown, unknown> = Effect.Effect<void>,
  Opened extends Handling = void,
  Closed extends Handling = void,
  Chosen = never,
  R = never
>(
  handlers: {
    readonly onUpgrade?: ((exchange: UpgradeExchange) => Upgraded) | undefined
    readonly accept?: AcceptOptions<Chosen> | undefined
    readonly onOpen?: ((socket: WebSocket, data: Effect.Effect.Success<Upgraded>) => Opened) | undefined
    readonly onMessage: (message: Message, socket: WebSocket, data: Effect.Effect.Success<Upgraded>) => Handled
    readonly onClose?:
      | ((end: WebSocketError, socket: WebSocket, data: Effect.Effect.Success<Upgraded>) => Closed)
      | undefined
  },
  options?: RunOptions<R>
): Effect.Effect<
  never,
  never,
  WebSocketServer | ContextOf<Upgraded> | Chosen | ContextOf<Opened> | ContextOf<Handled> | ContextOf<Closed> | R
> => {
  type All = ContextOf<Upgraded> | Chosen | ContextOf<Opened> | ContextOf<Handled> | ContextOf<Closed>
  // A scope in the context is that of `serve`, for every handler; `run` would give one of its own to the first.
  return Effect.contextWithEffect((context: Context.Context<All>) =>
    run(attending(handlers as Handlers<Effect.Effect.Success<Upgraded>, All>, context), options)
  )
}

type Handling = Effect.Effect<unknown, unknown, unknown> | void

type ContextOf<Handled extends Handling> =
  Handled extends Effect.Effect<infer _A, infer _E, infer Required> ? Required : never

/**
 * Where the server in the context listens.
 *
 * @since 0.1.0
 * @category operations
 */
export const address: Effect.Effect<Address, never, WebSocketServer> = Effect.map(
  WebSocketServer,
  (server) => server.address
)

/**
 * How many connections the server in the context has, and what became of those that it refused.
 *
 * @since 0.1.0
 * @category operations
 */
export const counts: Effect.Effect<Counts, never, WebSocketServer> = Effect.flatMap(
  WebSocketServer,
  (server) => server.counts
)

type Common = Pick<House<never>, "engine" | "settings" | "trusted" | "admission">

const runOn =
  (listener: Listener, common: Common): Service["run"] =>
  <Handled extends Effect.Effect<unknown, unknown, unknown>, R = never>(
    handler: (exchange: UpgradeExchange) => Handled,
    { fallback, onError = logError }: RunOptions<R> = {}
  ) =>
    Effect.all([Effect.runtime<Exclude<Effect.Effect.Context<Handled>, Scope.Scope> | R>(), isTraced]).pipe(
      Effect.flatMap(([runtime, isTraced]) => {
        type All = Exclude<Effect.Effect.Context<Handled>, Scope.Scope> | R
        const handle = (exchange: UpgradeExchange) =>
          handler(exchange) as Effect.Effect<unknown, unknown, All | Scope.Scope>
        const house = { ...common, handle, handlers: handlersOf(handler), isTraced, fallback, onError }
        const serving = new Serving<All>(house, runtime)
        return Effect.acquireUseRelease(
          Effect.sync(() => listener.start(serving.admit)),
          () => Effect.never,
          () => Effect.zipRight(listener.stop, serving.shutdown)
        )
      })
    )

const isTraced = Effect.withFiberRuntime<boolean>((fiber) => Exit.succeed(Tracing.isTraced(fiber)))

// That a peer went away, or broke the protocol, is its own doing and nothing to wake an operator for.
const logError = (cause: Cause.Cause<unknown>): Effect.Effect<void> =>
  Option.exists(Cause.failureOption(cause), isWebSocketError)
    ? Effect.logDebug("A WebSocket ended", cause)
    : Effect.logError("The handler of a WebSocket failed", cause)
