/** Pins the channels of every public effect, Layer and Config: what they may fail with, and what they require. */
import type { HandshakeError } from "@effect-ws/api/HandshakeError"
import type { ServerError } from "@effect-ws/api/ServerError"
import type { Transport } from "@effect-ws/api/Transport"
import type * as WebSocket from "@effect-ws/api/WebSocket"
import type * as WebSocketClient from "@effect-ws/api/WebSocketClient"
import type * as WebSocketServer from "@effect-ws/api/WebSocketServer"
import * as NodeDuplex from "@effect-ws/platform-node/NodeDuplex"
import * as NodeHttpServer from "@effect-ws/platform-node/NodeHttpServer"
import * as NodeSocket from "@effect-ws/platform-node/NodeSocket"
import * as NodeSocketServer from "@effect-ws/platform-node/NodeSocketServer"
import * as NodeTransport from "@effect-ws/platform-node/NodeTransport"
import * as NodeUpgrade from "@effect-ws/platform-node/NodeUpgrade"
import * as NodeWebSocketClient from "@effect-ws/platform-node/NodeWebSocketClient"
import * as NodeWebSocketServer from "@effect-ws/platform-node/NodeWebSocketServer"
import * as Proxy from "@effect-ws/platform-node/Proxy"
import type * as NodeContext from "@effect/platform-node/NodeContext"
import type * as Etag from "@effect/platform/Etag"
import type { HttpClient } from "@effect/platform/HttpClient"
import type { HttpPlatform } from "@effect/platform/HttpPlatform"
import type * as HttpServer from "@effect/platform/HttpServer"
import type { ServeError } from "@effect/platform/HttpServerError"
import type * as Socket from "@effect/platform/Socket"
import type * as SocketServer from "@effect/platform/SocketServer"
import * as Config from "effect/Config"
import type { ConfigError } from "effect/ConfigError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type * as Http from "node:http"
import type * as Https from "node:https"
import type { Duplex } from "node:stream"

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const pinned = <_Holds extends true>(): void => {}

declare const httpServer: Http.Server
declare const httpsServer: Https.Server
declare const request: Http.IncomingMessage
declare const duplex: Duplex

class Rooms extends Context.Tag("Rooms")<Rooms, { readonly protocol: string }>() {}

// --- the server ---------------------------------------------------------------------------------------------------------

const made = NodeWebSocketServer.make({ port: 0 })
pinned<Equal<typeof made, Effect.Effect<WebSocketServer.Service, ServerError, Scope.Scope>>>()

const listening = NodeWebSocketServer.layer({ port: 0 })
pinned<Equal<typeof listening, Layer.Layer<WebSocketServer.WebSocketServer, ServerError>>>()

const configured = NodeWebSocketServer.layerConfig({ port: Config.port("PORT") })
pinned<Equal<typeof configured, Layer.Layer<WebSocketServer.WebSocketServer, ConfigError | ServerError>>>()

const attached = NodeWebSocketServer.layerAttached(httpServer)
pinned<Equal<typeof attached, Layer.Layer<WebSocketServer.WebSocketServer, ServerError>>>()

const attachedToTls = NodeWebSocketServer.layerAttached(httpsServer)
pinned<Equal<typeof attachedToTls, Layer.Layer<WebSocketServer.WebSocketServer, ServerError>>>()

const accepted = NodeUpgrade.accept(request, duplex, new Uint8Array())
pinned<Equal<typeof accepted, Effect.Effect<WebSocket.WebSocket, HandshakeError, Scope.Scope>>>()

const choosing = NodeUpgrade.accept(request, duplex, new Uint8Array(), {
  subprotocols: () => Effect.map(Rooms, ({ protocol }) => protocol)
})
pinned<Equal<typeof choosing, Effect.Effect<WebSocket.WebSocket, HandshakeError, Rooms | Scope.Scope>>>()

pinned<Equal<ReturnType<typeof NodeUpgrade.isUpgrade>, boolean>>()
pinned<Equal<ReturnType<typeof NodeTransport.make>, Transport>>()

// --- the client ---------------------------------------------------------------------------------------------------------

pinned<Equal<ReturnType<typeof NodeWebSocketClient.make>, WebSocketClient.Service>>()

const connecting = NodeWebSocketClient.make().connect("ws://example.com")
pinned<Equal<typeof connecting, Effect.Effect<WebSocket.WebSocket, HandshakeError, Scope.Scope>>>()

pinned<Equal<typeof NodeWebSocketClient.layer, Layer.Layer<WebSocketClient.WebSocketClient>>>()

const client = NodeWebSocketClient.layerWith({ maxMessageSize: 1024 })
pinned<Equal<typeof client, Layer.Layer<WebSocketClient.WebSocketClient>>>()

// --- drop-in for @effect/platform-node ------------------------------------------------------------------------------------

type HttpServices = HttpServer.HttpServer | HttpPlatform | Etag.Generator | NodeContext.NodeContext

const http = NodeHttpServer.make(() => httpServer, { port: 0 })
pinned<Equal<typeof http, Effect.Effect<HttpServer.HttpServer, ServeError, Scope.Scope>>>()

const httpLayer = NodeHttpServer.layer(() => httpServer, { port: 0 })
pinned<Equal<typeof httpLayer, Layer.Layer<HttpServices, ServeError>>>()

const httpLayerServer = NodeHttpServer.layerServer(() => httpServer, { port: 0 })
pinned<Equal<typeof httpLayerServer, Layer.Layer<HttpServer.HttpServer, ServeError>>>()

const httpLayerConfig = NodeHttpServer.layerConfig(() => httpServer, { port: Config.port("PORT") })
pinned<Equal<typeof httpLayerConfig, Layer.Layer<HttpServices, ConfigError | ServeError>>>()

pinned<Equal<typeof NodeHttpServer.layerTest, Layer.Layer<HttpServices | HttpClient, ServeError>>>()

const socketServer = NodeSocketServer.makeWebSocket({ port: 0 })
pinned<
  Equal<
    typeof socketServer,
    Effect.Effect<SocketServer.SocketServer["Type"], SocketServer.SocketServerError, Scope.Scope>
  >
>()

const socketServerLayer = NodeSocketServer.layerWebSocket({ port: 0 })
pinned<Equal<typeof socketServerLayer, Layer.Layer<SocketServer.SocketServer, SocketServer.SocketServerError>>>()

const socketServerConfig = NodeSocketServer.layerWebSocketConfig({ port: Config.port("PORT") })
pinned<
  Equal<typeof socketServerConfig, Layer.Layer<SocketServer.SocketServer, ConfigError | SocketServer.SocketServerError>>
>()

pinned<Equal<Effect.Effect.Context<typeof NodeSocketServer.CurrentWebSocket>, never>>()
pinned<Equal<Effect.Effect.Context<typeof NodeSocketServer.CurrentExchange>, never>>()

const socket = NodeSocket.makeWebSocket("ws://example.com")
pinned<Equal<typeof socket, Effect.Effect<Socket.Socket>>>()

// What gives the URL may require something, but for the scope, which is that of each connection.
const url = Effect.zipRight(
  Effect.scope,
  Effect.map(Rooms, ({ protocol }) => `ws://example.com/${protocol}`)
)
const socketOfRoom = NodeSocket.makeWebSocket(url)
pinned<Equal<typeof socketOfRoom, Effect.Effect<Socket.Socket, never, Rooms>>>()

const socketLayer = NodeSocket.layerWebSocket("ws://example.com")
pinned<Equal<typeof socketLayer, Layer.Layer<Socket.Socket>>>()

const socketConfig = NodeSocket.layerWebSocketConfig(Config.string("URL"))
pinned<Equal<typeof socketConfig, Layer.Layer<Socket.Socket, ConfigError>>>()

pinned<Equal<typeof NodeSocket.layerWebSocketConstructor, Layer.Layer<Socket.WebSocketConstructor>>>()

pinned<Equal<ReturnType<typeof NodeDuplex.make>, Effect.Effect<Duplex>>>()

// --- the proxies --------------------------------------------------------------------------------------------------------

pinned<Equal<ReturnType<typeof Proxy.make>, Either.Either<Proxy.Proxy, Proxy.InvalidProxy>>>()
pinned<Equal<ReturnType<typeof Proxy.choose>, Proxy.ProxyChoice>>()
pinned<Equal<ReturnType<Proxy.ProxyChoice>, Proxy.Proxy | undefined>>()

pinned<Equal<typeof Proxy.fromConfig, Config.Config<Proxy.ProxyChoice>>>()
pinned<Equal<Effect.Effect.Success<typeof Proxy.fromConfig>, Proxy.ProxyChoice>>()
pinned<Equal<Effect.Effect.Error<typeof Proxy.fromConfig>, ConfigError>>()
pinned<Equal<Effect.Effect.Context<typeof Proxy.fromConfig>, never>>()

const fromConfig = Layer.unwrapEffect(Effect.map(Proxy.fromConfig, (proxy) => NodeWebSocketClient.layerWith({ proxy })))
pinned<Equal<typeof fromConfig, Layer.Layer<WebSocketClient.WebSocketClient, ConfigError>>>()
