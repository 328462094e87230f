/**
 * Layers that provide `WebSocketServer` on Node: with a listener of its own, or attached to an HTTP server.
 *
 * Releasing a Layer stops the listening and nothing else; it is `WebSocketServer.run` that ends the connections, when it is
 * interrupted.
 *
 * @since 0.1.0
 */
import type { Listener } from "@effect-ws/api/Listener"
import type { ServerError } from "@effect-ws/api/ServerError"
import * as WebSocketServer from "@effect-ws/api/WebSocketServer"
import * as Config from "effect/Config"
import type { ConfigError } from "effect/ConfigError"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type * as Http from "node:http"
import type * as Https from "node:https"
import * as attachedListener from "./internal/attachedListener.ts"
import * as nodeListener from "./internal/nodeListener.ts"
import * as nodeEngine from "./internal/nodeEngine.ts"
import * as upgradeEvent from "./internal/upgradeEvent.ts"

/**
 * Says where to listen, and how the connections are bounded by default; `accept` may say otherwise for each.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options extends nodeListener.NodeListenerOptions, WebSocketServer.Options {}

/**
 * Makes the service with a listener of its own; when the scope closes, it no longer listens.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<WebSocketServer.Service, ServerError, Scope.Scope> =>
  Effect.flatMap(nodeListener.make(options), (listener) => fromListener(listener, options))

/**
 * Provides the service with a listener of its own: TCP, TLS when `tls` is given, or a unix socket when `unixPath` is.
 *
 * **Details**
 *
 * It listens from the moment on that the Layer is built. Connections that come before `WebSocketServer.run` wait. With
 * `allowPlain` beside `tls` it takes `wss:` and `ws:` on the same port; what was agreed on is `info.tls` of each connection.
 *
 * @example
 * import * as NodeWebSocketServer from "@effect-ws/platform-node/NodeWebSocketServer"
 *
 * const server = NodeWebSocketServer.layer({ host: "0.0.0.0", port: 8080, maxMessageSize: 64 * 1024 })
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options?: Options): Layer.Layer<WebSocketServer.WebSocketServer, ServerError> =>
  Layer.scoped(WebSocketServer.WebSocketServer, make(options))

/**
 * As `layer`, with the options read from the configuration: each with a `Config` of its own, or all with one.
 *
 * @example
 * import * as ConnectionOptions from "@effect-ws/api/ConnectionOptions"
 * import * as NodeWebSocketServer from "@effect-ws/platform-node/NodeWebSocketServer"
 * import * as Config from "effect/Config"
 *
 * const server = NodeWebSocketServer.layerConfig({ port: Config.port("PORT").pipe(Config.withDefault(8080)) })
 *
 * const bounded = NodeWebSocketServer.layerConfig(
 *   Config.map(Config.all([Config.port("PORT"), Config.nested(ConnectionOptions.config, "WEBSOCKET")]), ([port, options]) => ({
 *     port,
 *     ...options
 *   }))
 * )
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = (
  options: Config.Config.Wrap<Options>
): Layer.Layer<WebSocketServer.WebSocketServer, ConfigError | ServerError> =>
  Layer.scoped(WebSocketServer.WebSocketServer, Effect.flatMap(Config.unwrap(options), make))

/**
 * Provides the service on an HTTP server that somebody else owns: takes its requests for an upgrade to WebSocket, and
 * leaves all others to it.
 *
 * **Details**
 *
 * Building the Layer waits until the server listens. Of its address, its TLS and its life the server remains the owner.
 *
 * The limits of a head are those of Node first, which answers by itself what is beyond `maxHeaderSize`; `maxHeadSize` and
 * `maxHeadFields` count once more for what Node has read. A head that reaches the server's `maxHeadersCount`, as it was when
 * the Layer was built, is refused with 431, since Node drops fields beyond it. An upgrade that was sent before the answer to
 * an earlier request on the same connection has gone out is dropped with the connection (RFC 9112 9.3.2). An upgrade to
 * another protocol is given back to the server without its `Upgrade` field unless somebody else listens for `"upgrade"`.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerAttached = (
  server: Http.Server | Https.Server,
  options?: WebSocketServer.Options
): Layer.Layer<WebSocketServer.WebSocketServer, ServerError> =>
  Layer.scoped(
    WebSocketServer.WebSocketServer,
    Effect.flatMap(attachedListener.make(server), (listener) =>
      fromListener(listener, {
        ...options,
        maxHeadFields: upgradeEvent.maxHeadFields(server, options?.maxHeadFields)
      })
    )
  )

/**
 * As `layerAttached`, with the options read from the configuration.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerAttachedConfig = (
  server: Http.Server | Https.Server,
  options: Config.Config.Wrap<WebSocketServer.Options>
): Layer.Layer<WebSocketServer.WebSocketServer, ConfigError | ServerError> =>
  Layer.unwrapEffect(Effect.map(Config.unwrap(options), (options) => layerAttached(server, options)))

const fromListener = (listener: Listener, options: WebSocketServer.Options | undefined) =>
  WebSocketServer.make(listener, options).pipe(nodeEngine.provide)
