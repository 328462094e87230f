/**
 * The HTTP server of `@effect/platform` on Node, with WebSockets of ours: takes the place of the module of the same name in
 * `@effect/platform-node`.
 *
 * All HTTP is that server's own, and programs need no change. `request.upgrade` gives a `Socket` on our engine, and
 * `WebSocket.acceptHttp` the connection itself.
 *
 * @since 0.1.0
 */
import * as HttpUpgrade from "@effect-ws/api/HttpUpgrade"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import type * as NodeContext from "@effect/platform-node/NodeContext"
import { layerContext } from "@effect/platform-node/NodeHttpServer"
import type * as Etag from "@effect/platform/Etag"
import type { HttpClient } from "@effect/platform/HttpClient"
import type { HttpPlatform } from "@effect/platform/HttpPlatform"
import * as HttpServer from "@effect/platform/HttpServer"
import { ServeError } from "@effect/platform/HttpServerError"
import * as Config from "effect/Config"
import type { ConfigError } from "effect/ConfigError"
import * as Effect from "effect/Effect"
import type { LazyArg } from "effect/Function"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Http from "node:http"
import type * as Net from "node:net"
import { HttpServing } from "./internal/httpServing.ts"
import * as nodeEngine from "./internal/nodeEngine.ts"
import * as upgradeEvent from "./internal/upgradeEvent.ts"

export {
  /**
   * The services that routes need, from `@effect/platform-node`: `HttpPlatform`, `Etag.Generator` and `NodeContext`.
   *
   * @since 0.1.0
   * @category layers
   */
  layerContext,
  /**
   * A listener for the `"request"` event of Node, from `@effect/platform-node`.
   *
   * @since 0.1.0
   * @category constructors
   */
  makeHandler
} from "@effect/platform-node/NodeHttpServer"

/**
 * Where to listen, as for the stock server, and how WebSockets are accepted.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options extends Net.ListenOptions {
  /** How connections are bounded and accepted unless `WebSocket.acceptHttp` says otherwise, and the limits on all of them. */
  readonly webSocket?: HttpUpgrade.Options | undefined
}

/**
 * Makes the service of a server of Node, which it takes over: it listens, and is closed with the scope.
 *
 * **Details**
 *
 * An upgrade to WebSocket goes through the application like any other request, and nobody else may take it; one that is answered
 * plainly ends the connection with the answer. One that no WebSocket can come of, by another method or with a body, is served
 * without its `Upgrade` field, and so is an upgrade to another protocol, unless somebody else listens for `"upgrade"`. One that
 * overtakes the answer to an earlier request is dropped with the connection (RFC 9112 9.3.2). Of several applications served at
 * once the oldest gets the upgrades.
 *
 * When the scope of `HttpServer.serve` closes, connections get a Close frame with 1001 and upgrades that aren't decided a
 * 503; routes may finish until the `closeTimeout`. The rest is interrupted and destroyed. Who asks while nothing is served, before
 * or after, gets a 503. The server itself waits for the answers that are under way, and for nobody who has asked nothing.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  evaluate: LazyArg<Http.Server>,
  { webSocket, ...where }: Options
): Effect.Effect<HttpServer.HttpServer, ServeError, Scope.Scope> =>
  Effect.gen(function* () {
    const server = evaluate()
    const serving = yield* Effect.acquireRelease(
      Effect.sync(() => new HttpServing(server)),
      (serving) => serving.close
    )
    const maxHeadFields = upgradeEvent.maxHeadFields(server, webSocket?.maxHeadFields)
    const makeUpgrades = yield* nodeEngine.provide(HttpUpgrade.make({ ...webSocket, maxHeadFields }))
    yield* listen(server, where)
    return HttpServer.make({
      address: addressOf(server),
      serve: (app, middleware) => Effect.suspend(() => serving.serve(makeUpgrades(), app, middleware))
    })
  })

/**
 * Provides the service alone; see `make`.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerServer = (
  evaluate: LazyArg<Http.Server>,
  options: Options
): Layer.Layer<HttpServer.HttpServer, ServeError> => Layer.scoped(HttpServer.HttpServer, make(evaluate, options))

/**
 * Provides the service, and those that routes need; see `make`.
 *
 * @example
 * import * as NodeHttpServer from "@effect-ws/platform-node/NodeHttpServer"
 * import * as Http from "node:http"
 *
 * const server = NodeHttpServer.layer(() => Http.createServer(), {
 *   port: 8080,
 *   webSocket: { maxMessageSize: 64 * 1024, origin: ["https://example.com"] }
 * })
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  evaluate: LazyArg<Http.Server>,
  options: Options
): Layer.Layer<HttpPlatform | Etag.Generator | NodeContext.NodeContext | HttpServer.HttpServer, ServeError> =>
  Layer.merge(layerServer(evaluate, options), layerContext)

/**
 * As `layer`, with the options read from the configuration.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = (
  evaluate: LazyArg<Http.Server>,
  options: Config.Config.Wrap<Options>
): Layer.Layer<
  HttpPlatform | Etag.Generator | NodeContext.NodeContext | HttpServer.HttpServer,
  ConfigError | ServeError
> =>
  Layer.merge(
    Layer.scoped(
      HttpServer.HttpServer,
      Effect.flatMap(Config.unwrap(options), (options) => make(evaluate, options))
    ),
    layerContext
  )

/**
 * For tests: a server on a free port, and an `HttpClient` whose requests go there.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerTest: Layer.Layer<
  HttpClient | HttpServer.HttpServer | HttpPlatform | Etag.Generator | NodeContext.NodeContext,
  ServeError
> = HttpServer.layerTestClient.pipe(
  Layer.provide(NodeHttpClient.layerWithoutAgent),
  Layer.provide(NodeHttpClient.makeAgentLayer({ keepAlive: false })),
  Layer.provideMerge(layer(() => Http.createServer(), { port: 0 }))
)

const listen = (server: Http.Server, where: Net.ListenOptions): Effect.Effect<void, ServeError> =>
  Effect.async<void, ServeError>((resume) => {
    const forget = () => server.off("error", onError).off("listening", onListening)
    const onError = (cause: Error) => {
      forget()
      resume(Effect.fail(new ServeError({ cause })))
    }
    const onListening = () => {
      forget()
      resume(Effect.void)
    }
    server.on("error", onError).on("listening", onListening).listen(where)
    return Effect.sync(() => {
      forget()
      // What has begun can't be called off.
      server.once("error", () => {}).once("listening", () => server.close())
    })
  })

const addressOf = (server: Http.Server): HttpServer.Address => {
  const address = server.address() as Net.AddressInfo | string
  if (typeof address === "string") return { _tag: "UnixAddress", path: address }
  // As programs know it of the stock server: what listens on all addresses is shown as one that can be asked.
  const hostname = address.address === "::" ? "0.0.0.0" : address.address
  return { _tag: "TcpAddress", hostname, port: address.port }
}
