/**
 * The `SocketServer` of `@effect/platform` over our own server: in place of `NodeSocketServer` of `@effect/platform-node`,
 * from which the servers of plain TCP are passed on as they are.
 *
 * Handlers are given a `Socket` with backpressure, order and limits. Requests that can't be accepted never reach them.
 *
 * @since 0.1.0
 */
import * as PlatformSocket from "@effect-ws/api/PlatformSocket"
import type { UpgradeExchange } from "@effect-ws/api/UpgradeExchange"
import * as WebSocket from "@effect-ws/api/WebSocket"
import * as WebSocketServer from "@effect-ws/api/WebSocketServer"
import { IncomingMessage } from "@effect/platform-node/NodeSocketServer"
import type * as Socket from "@effect/platform/Socket"
import * as SocketServer from "@effect/platform/SocketServer"
import type * as Cause from "effect/Cause"
import * as Config from "effect/Config"
import type { ConfigError } from "effect/ConfigError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as attachedListener from "./internal/attachedListener.ts"
import { fromExchange } from "./internal/incomingMessage.ts"
import * as nodeEngine from "./internal/nodeEngine.ts"
import * as nodeListener from "./internal/nodeListener.ts"
import * as reopeningListener from "./internal/reopeningListener.ts"
import { toServerOptions, type SocketServerOptions } from "./internal/socketServerOptions.ts"
import { maxHeadFields } from "./internal/upgradeEvent.ts"

// The tag of the request, and the servers of plain TCP, so that one import has all of them.
export { IncomingMessage, layer, make } from "@effect/platform-node/NodeSocketServer"

/**
 * Says where to listen, whom to accept, and how connections are bounded.
 *
 * **Details**
 *
 * All options of `NodeWebSocketServer` mean the same here. `path`, that of the requests that are served, `server`, `maxPayload`
 * and `perMessageDeflate` are those of `ws`. In place of its `verifyClient` there are `origin` and `onUpgrade`, in place of
 * `handleProtocols` there is `subprotocols`.
 *
 * A `closeCodeIsError` says which close codes fail the `run` of a socket, `concurrency` how many of its messages are handled at
 * once, and `endTimeout` how long a handler may go on when the peer has gone; see `PlatformSocket`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options extends SocketServerOptions {}

/**
 * The connection behind the socket that a handler is given: its subprotocol, its addresses, Pings, its status.
 *
 * **Details**
 *
 * It is there in every handler, and no requirement of it: `SocketServer` wouldn't know that it is given. Outside of a handler
 * it is a defect.
 *
 * @since 0.1.0
 * @category services
 */
export class CurrentWebSocket extends Context.Reference<CurrentWebSocket>()(
  "@effect-ws/platform-node/NodeSocketServer/CurrentWebSocket",
  { defaultValue: (): WebSocket.WebSocket => outside("CurrentWebSocket") }
) {}

/**
 * The request that a handler's socket came of, and who sent it. As `CurrentWebSocket` it is there in every handler.
 *
 * @since 0.1.0
 * @category services
 */
export class CurrentExchange extends Context.Reference<CurrentExchange>()(
  "@effect-ws/platform-node/NodeSocketServer/CurrentExchange",
  { defaultValue: (): UpgradeExchange => outside("CurrentExchange") }
) {}

/**
 * Makes the service; when the scope closes, it no longer listens.
 *
 * **Details**
 *
 * It listens at once. Connections that come while nothing runs wait, as many as the `backlog` says. `run` may be called again
 * when it has ended; a second one at the same time is a defect.
 *
 * `run` accepts each request, gives the handler its socket, and closes the connection when the handler is done: with 1000, or
 * with 1011 after a failure, which is logged at the level that Effect has for unhandled errors. When `run` is interrupted, all
 * connections are closed with 1001, and the handlers may finish until the `closeTimeout`; the rest is interrupted then.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeWebSocket = (
  options: Options = {}
): Effect.Effect<SocketServer.SocketServer["Type"], SocketServer.SocketServerError, Scope.Scope> =>
  Effect.gen(function* () {
    const listener = yield* reopeningListener.make(yield* listen(options), options.backlog ?? defaultBacklog)
    const server = yield* nodeEngine.provide(WebSocketServer.make(listener, serverOptions(options)))
    const run: SocketServer.SocketServer["Type"]["run"] = (handler) =>
      Effect.contextWithEffect((context) =>
        server.run((exchange) => attend(exchange, options, handler, context), { onError: report })
      )
    return SocketServer.SocketServer.of({ address: server.address, run })
  }).pipe(Effect.mapError((cause) => new SocketServer.SocketServerError({ reason: "Open", cause })))

/**
 * Provides the service: TCP, TLS when `tls` is given, a unix socket when `unixPath` is, or an HTTP server to attach to.
 *
 * **Details**
 *
 * See `makeWebSocket`. The layer fails when the address can't be listened on, with a `ServerError` as the cause.
 *
 * @example
 * import * as NodeSocketServer from "@effect-ws/platform-node/NodeSocketServer"
 * import * as RpcServer from "@effect/rpc/RpcServer"
 * import * as Layer from "effect/Layer"
 *
 * const protocol = RpcServer.layerProtocolSocketServer.pipe(
 *   Layer.provide(NodeSocketServer.layerWebSocket({ port: 8080, path: "/rpc" }))
 * )
 *
 * @since 0.1.0
 * @category layers
 */
export const layerWebSocket = (
  options?: Options
): Layer.Layer<SocketServer.SocketServer, SocketServer.SocketServerError> =>
  Layer.scoped(SocketServer.SocketServer, makeWebSocket(options))

/**
 * As `layerWebSocket`, with the options read from the configuration.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerWebSocketConfig = (
  options: Config.Config.Wrap<Omit<Options, "server">>
): Layer.Layer<SocketServer.SocketServer, ConfigError | SocketServer.SocketServerError> =>
  Layer.scoped(SocketServer.SocketServer, Effect.flatMap(Config.unwrap(options), makeWebSocket))

const listen = (options: Options) =>
  typeof options.server === "object" ? attachedListener.make(options.server) : nodeListener.make(options)

const serverOptions = (options: Options): WebSocketServer.Options => {
  const ours = toServerOptions(options)
  return typeof options.server === "object"
    ? { ...ours, maxHeadFields: maxHeadFields(options.server, ours.maxHeadFields) }
    : ours
}

const attend = <A, E, R>(
  exchange: UpgradeExchange,
  options: Options,
  handler: (socket: Socket.Socket) => Effect.Effect<A, E, R>,
  context: Context.Context<R>
) =>
  Effect.gen(function* () {
    if (options.path !== undefined && options.path !== exchange.request.path) return yield* notFound
    if (options.onUpgrade !== undefined) yield* options.onUpgrade(exchange)
    const socket = yield* WebSocket.accept(exchange)
    const handling = Effect.suspend(() => handler(PlatformSocket.fromWebSocket(socket, options)))
    // The context of `run` goes before that of the server: a Scope in it is the one that the program meant.
    yield* Effect.provide(handling, Context.merge(context, services(exchange, socket)))
  })

const services = (exchange: UpgradeExchange, socket: WebSocket.WebSocket) =>
  Context.make(CurrentExchange, exchange).pipe(
    Context.add(CurrentWebSocket, socket),
    Context.add(IncomingMessage, fromExchange(exchange))
  )

const report = (cause: Cause.Cause<unknown>): Effect.Effect<void> =>
  Effect.flatMap(
    FiberRef.get(FiberRef.unhandledErrorLogLevel),
    Option.match({
      onNone: () => Effect.void,
      onSome: (level) => Effect.logWithLevel(level, "The handler of a socket failed", cause)
    })
  )

const outside = (name: string): never => {
  throw new Error(`${name} is there in the handlers of a socket server of ours, and nowhere else`)
}

const notFound = WebSocket.reject({ status: 404 })

// As many as the system holds before that, as in Node.
const defaultBacklog = 511
