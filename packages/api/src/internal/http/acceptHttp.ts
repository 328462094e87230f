/**
 * How a route accepts: by the upgrade behind the current request.
 */
import { HttpServerRequest } from "@effect/platform/HttpServerRequest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { AcceptOptions } from "../../AcceptOptions.ts"
import type { HandshakeError } from "../../HandshakeError.ts"
import type { WebSocket } from "../../WebSocket.ts"
import * as Sources from "./httpSources.ts"

export const acceptHttp = <R>(
  options: AcceptOptions<R>
): Effect.Effect<WebSocket, HandshakeError, R | HttpServerRequest | Scope.Scope> =>
  Effect.flatMap(
    HttpServerRequest,
    ({ source }) => Sources.find(source)?.accept(options) ?? Effect.die(new Error(notOurs))
  )

const notOurs =
  "The HTTP server doesn't hand out its upgrades: serve with the NodeHttpServer.layer of @effect-ws/platform-node in place of " +
  "the one of @effect/platform-node"
