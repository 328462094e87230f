/**
 * Our own server and client, as the tests use them.
 */
import type { Address } from "@effect/platform/SocketServer"
import type { ServerError } from "@effect-ws/api/ServerError"
import { formatAddress } from "@effect-ws/api/TransportError"
import type { UpgradeExchange } from "@effect-ws/api/UpgradeExchange"
import type { AcceptOptions } from "@effect-ws/api/AcceptOptions"
import type { ConnectOptions } from "@effect-ws/api/ConnectOptions"
import * as WebSocket from "@effect-ws/api/WebSocket"
import * as WebSocketServer from "@effect-ws/api/WebSocketServer"
import * as NodeWebSocketClient from "@effect-ws/platform-node/NodeWebSocketClient"
import * as NodeWebSocketServer from "@effect-ws/platform-node/NodeWebSocketServer"
import type * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import type * as Scope from "effect/Scope"
import * as Http from "node:http"
import type { AddressInfo } from "node:net"
import { makeInbox } from "./inbox.ts"
import { event } from "./sockets.ts"

export interface Server {
  readonly address: Address
  readonly port: number
  readonly url: string
  /** The fiber of `run`. */
  readonly running: Fiber.RuntimeFiber<never>
  /** Takes what `onError` was told. */
  readonly nextFailure: Effect.Effect<Cause.Cause<unknown>>
  /** What was logged, which the console isn't told. */
  readonly logged: ReadonlyArray<string>
}

type ServerLayer = Layer.Layer<WebSocketServer.WebSocketServer, ServerError>

/** Serves until the scope closes. */
export const serve = (
  layer: ServerLayer,
  handler: (exchange: UpgradeExchange) => Effect.Effect<unknown, unknown, Scope.Scope>
): Effect.Effect<Server, never, Scope.Scope> =>
  Effect.gen(function* () {
    const failures = makeInbox<Cause.Cause<unknown>>()
    const server = Context.get(yield* Layer.build(Layer.orDie(layer)), WebSocketServer.WebSocketServer)
    const onError = (cause: Cause.Cause<unknown>) => Effect.sync(() => failures.push(cause))
    const logged: Array<string> = []
    const logger = Logger.make(({ message }) => void logged.push(String(message)))
    const running = yield* Effect.forkScoped(
      Effect.provide(server.run(handler, { onError }), Logger.replace(Logger.defaultLogger, logger))
    )
    const { address } = server
    const port = address._tag === "TcpAddress" ? address.port : 0
    return { address, port, url: `ws://${formatAddress(address)}`, running, nextFailure: failures.next, logged }
  })

/** Serves, accepts every request, and leaves the connections to the test until they end. */
export const serveSockets = (layer: ServerLayer, options?: AcceptOptions) =>
  Effect.gen(function* () {
    const sockets = makeInbox<WebSocket.WebSocket>()
    const server = yield* serve(layer, (exchange) =>
      Effect.gen(function* () {
        const socket = yield* WebSocket.accept(exchange, options)
        sockets.push(socket)
        yield* socket.closed
      })
    )
    return { ...server, nextSocket: sockets.next }
  })

/** Serves and sends every message back. */
export const serveEcho = (layer: ServerLayer) =>
  serve(layer, (exchange) =>
    Effect.flatMap(WebSocket.accept(exchange), (socket) => WebSocket.run(socket, (message) => socket.send(message)))
  )

/** A `node:http` server on a free port that answers every request with its path. */
export const httpServer = Effect.acquireRelease(
  Effect.sync(() => Http.createServer((request, response) => response.end(`page of ${request.url}`))),
  (server) =>
    Effect.sync(() => {
      server.close()
      server.closeAllConnections()
    })
).pipe(Effect.tap((server) => event(server.listen(0, "127.0.0.1"), "listening")))

export const httpPort = (server: Http.Server) => (server.address() as AddressInfo).port

/** The two ways to get a server: with a listener of its own, and attached to a `node:http` server. */
export const listeners: Readonly<
  Record<string, (options?: Parameters<typeof NodeWebSocketServer.layerAttached>[1]) => ServerLayer>
> = {
  "with its own listener": (options) => NodeWebSocketServer.layer(options),
  "attached to node:http": (options) =>
    Layer.unwrapScoped(Effect.map(httpServer, (server) => NodeWebSocketServer.layerAttached(server, options)))
}

/** Connects as a program does. */
export const connect = (url: string, options?: ConnectOptions, clientOptions: NodeWebSocketClient.Options = {}) =>
  Effect.provide(WebSocket.connect(url, options), NodeWebSocketClient.layerWith(clientOptions))
