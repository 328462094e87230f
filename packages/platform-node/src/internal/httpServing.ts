/**
 * How an HTTP server serves an application of `@effect/platform`: requests as the stock server does, upgrades on our engine
 * through the same handler.
 */
import type { HttpUpgrades, PendingUpgrade } from "@effect-ws/api/HttpUpgrade"
import type { RequestHead } from "@effect-ws/core/HttpHead"
import * as UpgradeRequest from "@effect-ws/core/UpgradeRequest"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import type * as HttpApp from "@effect/platform/HttpApp"
import type { HttpMiddleware } from "@effect/platform/HttpMiddleware"
import { HttpServerRequest } from "@effect/platform/HttpServerRequest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as Http from "node:http"
import type * as Net from "node:net"
import { withUpgrade } from "./httpServerRequest.ts"
import { UpgradeResponse } from "./httpUpgradeResponse.ts"
import * as upgradeEvent from "./upgradeEvent.ts"
import { UpgradeListener, type Upgrading } from "./upgradeListener.ts"

type Handler = (request: Http.IncomingMessage, response: Http.ServerResponse) => void

type App = HttpApp.Default<unknown>

export class HttpServing {
  private readonly server: Http.Server
  /** How each application that is served ends. */
  private readonly served = new Set<Effect.Effect<void>>()
  /** How many responses are still to be written, by socket. */
  private readonly underWay = new Map<Net.Socket, number>()
  private isClosing = false

  constructor(server: Http.Server) {
    this.server = server
    server.prependListener("request", this.follow).on("request", this.turnAway)
  }

  /** Serves until the scope closes, which ends the WebSockets in bounded time. */
  readonly serve = (
    upgrades: HttpUpgrades,
    app: App,
    middleware: HttpMiddleware | undefined
  ): Effect.Effect<void, never, Scope.Scope> =>
    Effect.gen(this, function* () {
      const pending = new WeakMap<object, PendingUpgrade>()
      const onPlain = passing(upgrades, yield* makeHandler(app, middleware))
      const handle = yield* makeUpgradeHandler(pending, app, middleware)
      const handOut = (upgrading: Upgrading) => {
        const response = new UpgradeResponse(upgrading.request)
        pending.set(upgrading.request, take(upgrades, upgrading, response))
        handle(upgrading.request, response)
      }
      const listener = new UpgradeListener(this.server, { takes: canAccept, handOut })
      const end: Effect.Effect<void> = Effect.suspend(() => {
        if (!this.served.delete(end)) return Effect.void
        this.stop(onPlain, listener)
        return upgrades.shutdown
      })
      yield* Effect.acquireRelease(
        Effect.sync(() => this.start(onPlain, listener, end)),
        () => end
      )
    })

  /**
   * Closes the server, when the requests that are under way have their answers, as the stock server does. Where the scope of an
   * application is still open, its WebSockets end first: the server would wait for them.
   */
  get close(): Effect.Effect<void> {
    const ended = Effect.suspend(() => Effect.forEach([...this.served], (end) => end, { discard: true }))
    return Effect.zipRight(ended, this.closed)
  }

  private readonly closed: Effect.Effect<void> = Effect.async<void>((resume) => {
    const end = () => {
      this.server.off("request", this.follow).off("request", this.turnAway)
      resume(Effect.void)
    }
    if (!this.server.listening) return end()
    this.isClosing = true
    this.server.close(end)
    this.endIdle()
  })

  private start(onPlain: Handler, listener: UpgradeListener, end: Effect.Effect<void>): void {
    this.served.add(end)
    this.server.off("request", this.turnAway).on("request", onPlain)
    listener.start()
  }

  private stop(onPlain: Handler, listener: UpgradeListener): void {
    this.server.off("request", onPlain)
    listener.stop()
    if (this.served.size === 0) this.server.on("request", this.turnAway)
  }

  // Nobody would ever answer who comes too early, or comes back before the server has gone, and it would wait for that.
  private readonly turnAway: Handler = (_request, response) => {
    if (this.server.listenerCount("request") > ownListeners) return
    response.writeHead(503, { connection: "close", "content-length": "0" }).end()
  }

  private readonly follow: Handler = ({ socket }, response) => {
    this.underWay.set(socket, (this.underWay.get(socket) ?? 0) + 1)
    response.once("close", () => {
      // What was to be written behind this one, Node forgets with the socket.
      const left = socket.destroyed ? 0 : (this.underWay.get(socket) ?? 1) - 1
      if (left > 0) this.underWay.set(socket, left)
      else this.underWay.delete(socket)
      this.endIdle()
    })
  }

  // A server of Node that closes waits for who has sent nothing or a part of a head, and no longer for a limited time.
  private endIdle(): void {
    if (this.isClosing && this.underWay.size === 0) this.server.closeAllConnections()
  }
}

/** While nobody serves. */
const ownListeners = 2

/** Whether a request that names WebSocket is for us to check, and not one that is read as plain HTTP. */
const canAccept = (head: RequestHead): boolean => !plain.has(UpgradeRequest.validate(head)._tag)

// RFC 9110 7.8: an upgrade may be ignored. The body is read then, and RFC 9112 3.2: who names no host is turned away.
const plain: ReadonlySet<string> = new Set(["Method", "UnexpectedBody", "MissingHost"])

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
        return Effect.annotateLogs(app, "websocket.id", upgrade.id)
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
