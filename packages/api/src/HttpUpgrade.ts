/**
 * The port between the HTTP server of a platform and the upgrades among its requests: the server keeps the HTTP, and what
 * becomes a WebSocket is ours.
 *
 * For those who write such a server, as `NodeHttpServer` does; a route calls `WebSocket.acceptHttp`.
 *
 * @since 0.1.0
 */
import type { RequestHead } from "@effect-ws/core/HttpHead"
import type { HttpServerRequest } from "@effect/platform/HttpServerRequest"
import type { HttpServerResponse } from "@effect/platform/HttpServerResponse"
import type * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import type { AcceptOptions } from "./AcceptOptions.ts"
import type { HandshakeError } from "./HandshakeError.ts"
import * as Sources from "./internal/http/httpSources.ts"
import * as HttpServing from "./internal/http/HttpServing.ts"
import type { Incoming } from "./Listener.ts"
import type * as ServerOptions from "./ServerOptions.ts"
import type { WebSocket } from "./WebSocket.ts"

/**
 * How an HTTP server accepts, unless `acceptHttp` says otherwise, and its limits on all its WebSockets together. What is above
 * a limit is for the route to refuse: accepting fails, with an answer of 503.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options extends Omit<ServerOptions.Input, "maxAttempts">, AcceptOptions {}

/**
 * A request of a server of ours, as a route sees it.
 *
 * @since 0.1.0
 * @category models
 */
export interface HttpUpgrade {
  /** Says whether the request could be accepted with the options of the server: checks it, its origin and the limits. */
  readonly check: Effect.Effect<void, HandshakeError>
  /** Answers with the 101; see `WebSocket.acceptHttp`. */
  readonly accept: <R = never>(options?: AcceptOptions<R>) => Effect.Effect<WebSocket, HandshakeError, R | Scope.Scope>
}

/**
 * A request that asks for an upgrade, as the server sees it which has handed over its transport.
 *
 * @since 0.1.0
 * @category models
 */
export interface PendingUpgrade extends HttpUpgrade {
  /** The `id` that the connection will have, by which what the route logs is annotated: as `websocket.id`. */
  readonly id: number
  /**
   * Names the fiber that handles the request. It is interrupted when the peer goes away before the answer, when it doesn't decide
   * within the `handshakeTimeout`, and when the server goes down; not for what happens to the connection after the 101.
   */
  readonly attend: (fiber: Fiber.RuntimeFiber<unknown, unknown>) => void
  /**
   * Asks whether the server may write a response of its own to the transport's stream, which it may do once: not when nobody
   * is there to read it. The request can't be accepted any more then.
   */
  readonly beginAnswer: () => boolean
  /** Tells that all of the response was written: the transport ends in bounded time. */
  readonly endAnswer: () => void
  /** Tells how the route has ended. If it failed, a connection that is still open is closed as when its scope fails. */
  readonly conclude: (exit: Exit.Exit<HttpServerResponse, unknown>) => void
}

/**
 * The upgrades of one server while it serves one application.
 *
 * @since 0.1.0
 * @category models
 */
export interface HttpUpgrades {
  /**
   * Takes over the transport of a request that asks for an upgrade. `source` is what `HttpServerRequest` will have as its
   * `source`; `onAccepted` is called when the 101 is about to be written, from when on nobody else may write.
   */
  readonly take: (source: object, incoming: Incoming, onAccepted: () => void) => PendingUpgrade
  /** Remembers a request that asks for no upgrade, so that one who would accept it is told what is wrong with it. */
  readonly pass: (source: object, head: () => RequestHead) => void
  /**
   * Ends all: interrupts those who haven't answered, sends 1001 to the connections, and waits for all fibers that attend to them
   * until the `closeTimeout`. The rest is interrupted and destroyed then.
   */
  readonly shutdown: Effect.Effect<void>
}

/**
 * Makes what a server needs each time it begins to serve an application. Checks the options: a limit that is none is a
 * defect, a `RangeError` that names the option.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make: (options?: Options) => Effect.Effect<() => HttpUpgrades> = HttpServing.make

/**
 * Returns the upgrade behind a request, which may have been modified since; `undefined` under a server that isn't ours.
 *
 * @since 0.1.0
 * @category getters
 */
export const find = (request: HttpServerRequest): HttpUpgrade | undefined => Sources.find(request.source)
