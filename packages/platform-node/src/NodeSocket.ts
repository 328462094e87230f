/**
 * The `Socket` of `@effect/platform` over our own client: in place of `NodeSocket` of `@effect/platform-node`, from which the
 * sockets of plain TCP are passed on as they are.
 *
 * @since 0.1.0
 */
import * as PlatformSocket from "@effect-ws/api/PlatformSocket"
import * as WebSocketConstructor from "@effect-ws/api/WebSocketConstructor"
import * as Socket from "@effect/platform/Socket"
import * as Config from "effect/Config"
import type { ConfigError } from "effect/ConfigError"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as NodeWebSocketClient from "./NodeWebSocketClient.ts"

// The sockets of plain TCP, so that one import has all of them.
export { fromDuplex, layerNet, makeNet, makeNetChannel, NetSocket } from "@effect/platform-node/NodeSocket"

/**
 * Says how to connect and what a connection is as a socket.
 *
 * **Details**
 *
 * All options of `NodeWebSocketClient` and of `PlatformSocket`, and the name that the subprotocols have in
 * `@effect/platform`. The `openTimeout` is for everything until the connection is open, what gives the URL included.
 *
 * The `concurrency` is `"unbounded"` by default, as it is there, and not 1: handlers begin in the order of the messages, but
 * the next one doesn't wait until one is done. A client of `@effect/rpc` needs it so: it handles a piece of a stream until there
 * is room for it, and the program that would make room may wait for the answer to another call. What all of them hold is bounded
 * by `handlingHighWaterMark`: a program that leaves thousands of streams unread while it makes calls may need more.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options extends NodeWebSocketClient.Options, PlatformSocket.Options {
  /** The name of `subprotocols` in `@effect/platform`, which goes before it. */
  readonly protocols?: string | ReadonlyArray<string> | undefined
}

/**
 * Makes a socket that connects to a `ws:` or `wss:` URL when it is run, and anew each time that it is run again.
 *
 * **Details**
 *
 * An effect that gives the URL is run for each connection, for what is different each time, such as a token. Without a
 * connection `run` fails with the reason `Open` or `OpenTimeout` and a `HandshakeError` as the cause.
 *
 * @example
 * import * as NodeSocket from "@effect-ws/platform-node/NodeSocket"
 * import * as Effect from "effect/Effect"
 *
 * const program = Effect.gen(function* () {
 *   const socket = yield* NodeSocket.makeWebSocket("wss://example.com/feed", { protocols: "feed.v1", maxMessageSize: 65536 })
 *   yield* socket.runRaw((message) => Effect.log(message))
 * })
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeWebSocket = <R = never>(
  url: string | Effect.Effect<string, Socket.SocketError, R>,
  options: Options = {}
): Effect.Effect<Socket.Socket, never, Exclude<R, Scope.Scope>> =>
  Effect.suspend(() => {
    const client = NodeWebSocketClient.make({ ...options, subprotocols: subprotocolsOf(options) })
    const open = Effect.flatMap(typeof url === "string" ? Effect.succeed(url) : url, (url) => client.connect(url))
    return PlatformSocket.make(open, { concurrency: "unbounded", ...options })
  })

/**
 * Provides a socket that connects to a `ws:` or `wss:` URL; see `makeWebSocket`.
 *
 * @example
 * import * as NodeSocket from "@effect-ws/platform-node/NodeSocket"
 * import * as RpcClient from "@effect/rpc/RpcClient"
 * import * as Layer from "effect/Layer"
 *
 * const protocol = RpcClient.layerProtocolSocket().pipe(
 *   Layer.provide(NodeSocket.layerWebSocket("ws://127.0.0.1:8080/rpc"))
 * )
 *
 * @since 0.1.0
 * @category layers
 */
export const layerWebSocket = <R = never>(
  url: string | Effect.Effect<string, Socket.SocketError, R>,
  options?: Options
): Layer.Layer<Socket.Socket, never, Exclude<R, Scope.Scope>> =>
  Layer.effect(Socket.Socket, makeWebSocket(url, options))

/**
 * As `layerWebSocket`, with the URL and the options read from the configuration.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerWebSocketConfig = (
  url: Config.Config<string>,
  options: Config.Config.Wrap<Options> = {}
): Layer.Layer<Socket.Socket, ConfigError> =>
  Layer.effect(
    Socket.Socket,
    Effect.flatMap(Config.all([url, Config.unwrap(options)]), ([url, options]) => makeWebSocket(url, options))
  )

/**
 * Provides the class of the web platform over our client, for `Socket.makeWebSocket` and others that ask for a constructor; with
 * options it is `WebSocketConstructor.layerWith`. A `makeWebSocket` of this module is better off without it: its errors say
 * more, and its writer waits.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerWebSocketConstructor: Layer.Layer<Socket.WebSocketConstructor> = Layer.provide(
  WebSocketConstructor.layer,
  NodeWebSocketClient.layer
)

const subprotocolsOf = ({ protocols, subprotocols }: Options): ReadonlyArray<string> | undefined =>
  typeof protocols === "string" ? [protocols] : (protocols ?? subprotocols)
