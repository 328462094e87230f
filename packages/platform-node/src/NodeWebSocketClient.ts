/**
 * Layers that provide `WebSocketClient` on Node: TCP, TLS and unix sockets.
 *
 * @since 0.1.0
 */
import type { ConnectOptions } from "@effect-ws/api/ConnectOptions"
import * as WebSocketClient from "@effect-ws/api/WebSocketClient"
import * as Config from "effect/Config"
import type { ConfigError } from "effect/ConfigError"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as nodeConnector from "./internal/nodeConnector.ts"
import * as nodeEngine from "./internal/nodeEngine.ts"

/**
 * Says how to connect, and what every connection has in common; `connect` may say otherwise for each.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options extends nodeConnector.NodeConnectorOptions, ConnectOptions {}

/**
 * Makes the service.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): WebSocketClient.Service => {
  const client = WebSocketClient.make(nodeConnector.make(options), options)
  return { connect: (url, more) => nodeEngine.provide(client.connect(url, more)) }
}

/**
 * Provides the service as it is by default: `wss:` checks the certificate and the host name, all addresses of a host are
 * tried (RFC 8305), and nothing is taken from the environment.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: Layer.Layer<WebSocketClient.WebSocketClient> = Layer.sync(WebSocketClient.WebSocketClient, () =>
  make()
)

/**
 * Provides the service with options: TLS material, the local address, fields for every request, limits.
 *
 * @example
 * import * as NodeWebSocketClient from "@effect-ws/platform-node/NodeWebSocketClient"
 *
 * const client = NodeWebSocketClient.layerWith({ headers: { Authorization: "Bearer ..." }, maxMessageSize: 1024 })
 *
 * @since 0.1.0
 * @category layers
 */
export const layerWith = (options: Options): Layer.Layer<WebSocketClient.WebSocketClient> =>
  Layer.sync(WebSocketClient.WebSocketClient, () => make(options))

/**
 * As `layerWith`, with the options read from the configuration.
 *
 * @example
 * import * as ConnectionOptions from "@effect-ws/api/ConnectionOptions"
 * import * as NodeWebSocketClient from "@effect-ws/platform-node/NodeWebSocketClient"
 * import * as Config from "effect/Config"
 *
 * const client = NodeWebSocketClient.layerConfig(Config.nested(ConnectionOptions.config, "WEBSOCKET"))
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = (
  options: Config.Config.Wrap<Options>
): Layer.Layer<WebSocketClient.WebSocketClient, ConfigError> =>
  Layer.effect(WebSocketClient.WebSocketClient, Effect.map(Config.unwrap(options), make))
