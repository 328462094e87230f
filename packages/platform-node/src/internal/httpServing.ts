/**
 * How an HTTP server serves an application of `@effect/platform`: requests as the stock server does, upgrades on our engine
 * through the same handler.
 */
import type { HttpUpgrades, PendingUpgrade } from "@effect-ws/api/HttpUpgrade"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import type * as HttpApp from "@effect/platform/HttpApp"
import type { HttpMiddleware } from "@effect/platform/HttpMiddleware"
import { HttpServerRequest } from "@effect/platform/HttpServerRequest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as Http from "node:http"
import { withUpgrade } from "./httpServerRequest.ts"
import { HttpUpgradeListener, type Upgrading } from "./httpUpgradeListener.ts"
import { UpgradeResponse } from "./httpUpgradeResponse.ts"
import * as upgradeEvent from "./upgradeEvent.ts"

type Handler = (request: Http.IncomingMessage, response: Http.ServerResponse) => void

type App = HttpApp.Default<unknown>

export class HttpServing {
  private readonly server: Http.Server
  private readonly makeUpgrades: () => HttpUpgrades
  private served = 0

  constructor(server: Http.Server, makeUpgrades: () => HttpUpgrades) {
    this.server = server
    this.makeUpgrades = makeUpgrades
  }

  /** Serves until the scope closes, which ends the WebSockets in bounded time. */
  readonly serve = (app: App, middleware?: HttpMiddleware): Effect.Effect<void, never, Scope.Scope> =>
    Effect.gen(this, function* () {
      const upgrades = this.makeUpgrades()
      const pending = new WeakMap<object, PendingUpgrade>()
      const onPlain = passing(upgrades, yield* makeHandler(app, middleware))
      const handle = yield* makeUpgradeHandler(pending, app, middleware)
      const listener = new HttpUpgradeListener(this.server, (upgrading) => {
        const response = new UpgradeResponse(upgrading.request)
        pending.set(upgrading.request, take(upgrades, upgrading, response))
        handle(upgrading.request, response)
      })
      yield* Effect.addFinalizer(() => upgrades.shutdown)
      yield* Effect.acquireRelease(
        Effect.sync(() => this.start(onPlain, listener)),
        () => Effect.sync(() => this.stop(onPlain, listener))
      )
    })

  private start(onPlain: Handler, listener: HttpUpgradeListener): void {
    this.served++
    this.server.off("request", this.turnAway).on("request", onPlain)
    listener.start()
  }

  private stop(onPlain: Handler, listener: HttpUpgradeListener): void {
    this.served--
    this.server.off("request", onPlain)
    listener.stop()
    if (this.served === 0) this.server.on("request", this.turnAway)
  }

  // A client that was told that the server goes down comes back before it has gone: nobody would ever answer, and the server
  // would wait for that.
  private readonly turnAway: Handler = (_request, response) => {
    if (this.server.listenerCount("request") > 1) return
    response.writeHead(503, { connection: "close", "content-length": "0" }).end()
  }
}

const passing =
  (upgrades: HttpUpgrades, handle: Handler): Handler =>
  (request, response) => {
    upgrades.pass(request, () => upgradeEvent.toRequestHead(request))
    handle(request, response)
  }

const take = (
  upgrades: HttpUpgrades,
  { incoming, request, socket, whenFree }: Upgrading,
  response: UpgradeResponse
): PendingUpgrade => {
  const upgrade = upgrades.take(request, incoming, () => response.abandon())
  response.leadTo({ socket, upgrade, whenFree })
  return upgrade
}

// The handler of the stock server treats an application without middleware differently from one whose middleware does nothing.
const makeHandler = (app: App, middleware: HttpMiddleware | undefined): Effect.Effect<Handler> =>
  middleware === undefined ? NodeHttpServer.makeHandler(app) : makeHandlerWith(app, middleware)

// Whatever a middleware requires is in the context by then: `HttpServer.serve` has seen to that.
const makeHandlerWith = (app: App, middleware: HttpMiddleware): Effect.Effect<Handler> =>
  NodeHttpServer.makeHandler(app, middleware) as Effect.Effect<Handler>

const makeUpgradeHandler = (
  pending: WeakMap<object, PendingUpgrade>,
  app: App,
  middleware: HttpMiddleware | undefined
): Effect.Effect<Handler> => {
  const upgradeOf = (request: HttpServerRequest) => pending.get(NodeHttpServerRequest.toIncomingMessage(request))!
  const enter = (app: App): App =>
    Effect.withFiberRuntime((fiber) =>
      Effect.flatMap(HttpServerRequest, (request) => {
        const upgrade = upgradeOf(request)
        upgrade.attend(fiber)
        withUpgrade(request, upgrade)
        return app
      })
    )
  // The stock server lets nothing interrupt an application that is no router: here that would keep a connection forever.
  const concluded = Effect.flatMap(HttpServerRequest, (request) =>
    Effect.onExit(Effect.interruptible(app), (exit) => Effect.sync(() => upgradeOf(request).conclude(exit)))
  )
  return middleware === undefined
    ? NodeHttpServer.makeHandler(enter(concluded))
    : makeHandlerWith(concluded, (app) => enter(middleware(app)))
}
