/**
 * The service that listens, and `run`, which hands every request for a WebSocket to a handler.
 *
 * @since 0.1.0
 */
import type { Address } from "@effect/platform/SocketServer"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Runtime from "effect/Runtime"
import type * as Scope from "effect/Scope"
import * as ConnectionOptions from "./ConnectionOptions.ts"
import * as Engine from "./internal/Engine.ts"
import { Serving } from "./internal/Serving.ts"
import type { Listener } from "./Listener.ts"
import type { UpgradeExchange } from "./UpgradeExchange.ts"
import { isWebSocketError } from "./WebSocketError.ts"

/**
 * What the service does.
 *
 * @since 0.1.0
 * @category models
 */
export interface Service {
  /** Where it listens. */
  readonly address: Address
  /** Serves until it is interrupted; see the function `run`. */
  readonly run: <Handled extends Effect.Effect<unknown, unknown, unknown>>(
    handler: (exchange: UpgradeExchange) => Handled,
    options?: RunOptions
  ) => Effect.Effect<never, never, Exclude<Effect.Effect.Context<Handled>, Scope.Scope>>
}

/**
 * How handlers are run.
 *
 * @since 0.1.0
 * @category models
 */
export interface RunOptions {
  /**
   * Is told the cause when a handler fails or ends without an answer, in place of the log. The peer has got its answer, a
   * 500 or a Close frame with 1011. A `reject`, a clean end and an interruption are no failures. The log has an error, but
   * only a line for debugging where the handler let pass what ended its connection.
   */
  readonly onError?: ((cause: Cause.Cause<unknown>) => Effect.Effect<void>) | undefined
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
export const make = (
  listener: Listener,
  options: ConnectionOptions.Input = {}
): Effect.Effect<Service, never, Scope.Scope> =>
  Effect.gen(function* () {
    const engine = yield* Engine.make
    const settings = ConnectionOptions.make(options)
    yield* Effect.addFinalizer(() => listener.stop)
    return { address: listener.address, run: serve(listener, engine, settings) }
  })

/**
 * Hands every request for a WebSocket to the handler, each in a fiber and a scope of its own, until it is interrupted.
 *
 * **Details**
 *
 * A request that is no correct one for a WebSocket is answered without asking the handler. A handler that fails with
 * `WebSocket.reject` refuses; any other failure is a 500 before the 101 and a Close frame with 1011 after it, and one line
 * in the log. A peer that goes away before the 101 interrupts the handler.
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
export const run = <Handled extends Effect.Effect<unknown, unknown, unknown>>(
  handler: (exchange: UpgradeExchange) => Handled,
  options?: RunOptions
): Effect.Effect<never, never, WebSocketServer | Exclude<Effect.Effect.Context<Handled>, Scope.Scope>> =>
  Effect.flatMap(WebSocketServer, (server) => server.run(handler, options))

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

const serve =
  (listener: Listener, engine: Engine.Engine, settings: ConnectionOptions.ConnectionOptions): Service["run"] =>
  <Handled extends Effect.Effect<unknown, unknown, unknown>>(
    handler: (exchange: UpgradeExchange) => Handled,
    options: RunOptions = {}
  ) =>
    Effect.runtime<Exclude<Effect.Effect.Context<Handled>, Scope.Scope>>().pipe(
      Effect.flatMap((runtime) => {
        const onError = options.onError ?? logError
        const fork = Runtime.runFork(runtime)
        const handle = (exchange: UpgradeExchange) =>
          Effect.scoped(handler(exchange) as Effect.Effect<unknown, unknown, Effect.Effect.Context<Handled>>)
        const serving = new Serving(engine, settings, fork, handle, onError)
        return Effect.acquireUseRelease(
          Effect.sync(() => listener.start(serving.admit)),
          () => Effect.never,
          () => Effect.zipRight(listener.stop, serving.shutdown)
        )
      })
    )

// That a peer went away, or broke the protocol, is its own doing and nothing to wake an operator for.
const logError = (cause: Cause.Cause<unknown>): Effect.Effect<void> =>
  Option.exists(Cause.failureOption(cause), isWebSocketError)
    ? Effect.logDebug("A WebSocket ended", cause)
    : Effect.logError("The handler of a WebSocket failed", cause)
