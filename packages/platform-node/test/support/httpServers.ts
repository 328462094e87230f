/**
 * The stock HTTP server and ours, one in the place of the other.
 */
import * as StockHttpServer from "@effect/platform-node/NodeHttpServer"
import type * as HttpApp from "@effect/platform/HttpApp"
import type { HttpMiddleware } from "@effect/platform/HttpMiddleware"
import * as HttpServer from "@effect/platform/HttpServer"
import * as NodeHttpServer from "@effect-ws/platform-node/NodeHttpServer"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Http from "node:http"
import type * as Net from "node:net"

export type Options = NodeHttpServer.Options["webSocket"]

export type App = HttpApp.Default<unknown, Scope.Scope>

export interface HttpFixture {
  readonly layer: ReturnType<typeof NodeHttpServer.layerServer>
  /** The server of Node below, by which a test sees to the end of what hangs. */
  readonly nodeServer: Http.Server
}

export const stock = (): HttpFixture => {
  const nodeServer = Http.createServer()
  return { layer: StockHttpServer.layerServer(() => nodeServer, { port: 0, host: "127.0.0.1" }), nodeServer }
}

export const ours = (webSocket?: Options, nodeServer = Http.createServer()): HttpFixture => ({
  layer: NodeHttpServer.layerServer(() => nodeServer, { port: 0, host: "127.0.0.1", webSocket }),
  nodeServer
})

export const both: Readonly<Record<string, () => HttpFixture>> = {
  "the stock server": stock,
  "our server": () => ours()
}

export interface Served {
  readonly port: number
  readonly url: string
  readonly to: Net.NetConnectOpts
  /** Stops serving, and waits until all is over. */
  readonly close: Effect.Effect<void>
}

/** Serves an application until the scope closes, or is told to stop before. */
export const serveHttp = (
  fixture: HttpFixture,
  app: App,
  middleware?: HttpMiddleware
): Effect.Effect<Served, never, Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* Effect.acquireRelease(Scope.make(), (scope) => Scope.close(scope, Exit.void))
    return yield* serveIn(scope, fixture, app, middleware)
  })

/** Serves with a server that may not end: closing it isn't waited for, and its sockets are destroyed behind it. */
export const serveHanging = (fixture: HttpFixture, app: App): Effect.Effect<Served, never, Scope.Scope> =>
  Effect.gen(function* () {
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        fixture.nodeServer.close()
        fixture.nodeServer.closeAllConnections()
      })
    )
    return yield* serveIn(yield* Scope.make(), fixture, app)
  })

/** Begins to close and tells whether that is done. The fiber isn't waited for. */
export const closing = ({ close }: Served): Effect.Effect<() => boolean> =>
  Effect.map(Effect.forkDaemon(close), (fiber: Fiber.RuntimeFiber<void>) => () => fiber.unsafePoll() !== null)

const serveIn = (
  scope: Scope.CloseableScope,
  { layer, nodeServer }: HttpFixture,
  app: App,
  middleware?: HttpMiddleware
): Effect.Effect<Served> =>
  Effect.gen(function* () {
    const serving = middleware === undefined ? HttpServer.serve(app) : HttpServer.serve(app, middleware)
    // A middleware may require anything by its type; those of the tests require nothing.
    const served = serving as Layer.Layer<never, never, HttpServer.HttpServer>
    yield* Layer.buildWithScope(Layer.provide(served, Layer.orDie(layer)), scope)
    const { port } = nodeServer.address() as Net.AddressInfo
    const to = { port, host: "127.0.0.1" }
    return { port, to, url: `ws://127.0.0.1:${port}`, close: Scope.close(scope, Exit.void) }
  })
