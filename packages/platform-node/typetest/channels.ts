/** Pins the channels of the Layers and of the Config: what they may fail with, and that they require nothing. */
import type { ServerError } from "@effect-ws/api/ServerError"
import type * as WebSocketClient from "@effect-ws/api/WebSocketClient"
import type * as WebSocketServer from "@effect-ws/api/WebSocketServer"
import * as NodeWebSocketClient from "@effect-ws/platform-node/NodeWebSocketClient"
import * as NodeWebSocketServer from "@effect-ws/platform-node/NodeWebSocketServer"
import * as Proxy from "@effect-ws/platform-node/Proxy"
import * as Config from "effect/Config"
import type { ConfigError } from "effect/ConfigError"
import type * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type * as Http from "node:http"

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const pinned = <_Holds extends true>(): void => {}

declare const httpServer: Http.Server

const made = NodeWebSocketServer.make({ port: 0 })
pinned<Equal<typeof made, Effect.Effect<WebSocketServer.Service, ServerError, Scope.Scope>>>()

const listening = NodeWebSocketServer.layer({ port: 0 })
pinned<Equal<typeof listening, Layer.Layer<WebSocketServer.WebSocketServer, ServerError>>>()

const configured = NodeWebSocketServer.layerConfig({ port: Config.port("PORT") })
pinned<Equal<typeof configured, Layer.Layer<WebSocketServer.WebSocketServer, ConfigError | ServerError>>>()

const attached = NodeWebSocketServer.layerAttached(httpServer)
pinned<Equal<typeof attached, Layer.Layer<WebSocketServer.WebSocketServer, ServerError>>>()

pinned<Equal<typeof NodeWebSocketClient.layer, Layer.Layer<WebSocketClient.WebSocketClient>>>()

const client = NodeWebSocketClient.layerWith({ maxMessageSize: 1024 })
pinned<Equal<typeof client, Layer.Layer<WebSocketClient.WebSocketClient>>>()

pinned<Equal<typeof Proxy.fromConfig, Config.Config<Proxy.ProxyChoice>>>()
pinned<Equal<Effect.Effect.Success<typeof Proxy.fromConfig>, Proxy.ProxyChoice>>()
pinned<Equal<Effect.Effect.Error<typeof Proxy.fromConfig>, ConfigError>>()
pinned<Equal<Effect.Effect.Context<typeof Proxy.fromConfig>, never>>()
