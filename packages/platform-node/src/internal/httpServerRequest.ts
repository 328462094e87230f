/**
 * What a route gets to see of an upgrade: the request of `@effect/platform`, whose `upgrade` is ours.
 */
import type { HandshakeError } from "@effect-ws/api/HandshakeError"
import type { HttpUpgrade } from "@effect-ws/api/HttpUpgrade"
import * as PlatformSocket from "@effect-ws/api/PlatformSocket"
import * as HttpServerError from "@effect/platform/HttpServerError"
import type { HttpServerRequest } from "@effect/platform/HttpServerRequest"
import * as HttpServerRespondable from "@effect/platform/HttpServerRespondable"
import type { HttpServerResponse } from "@effect/platform/HttpServerResponse"
import type * as Socket from "@effect/platform/Socket"
import * as Effect from "effect/Effect"

/**
 * Gives the request our `upgrade`, and those that are made of it by `modify` too. It is changed in place, since the one that
 * the handler of `@effect/platform-node` has made is the one that it will answer.
 */
export const withUpgrade = (request: HttpServerRequest, upgrade: HttpUpgrade): HttpServerRequest => {
  const modify = request.modify.bind(request)
  return Object.defineProperties(request, {
    upgrade: { value: upgradeOf(request, upgrade) },
    modify: { value: (...args: Parameters<typeof modify>) => withUpgrade(modify(...args), upgrade) }
  })
}

// Refused when it is yielded, since that is where a route can still answer; the 101 is written when the socket is run.
const upgradeOf = (
  request: HttpServerRequest,
  upgrade: HttpUpgrade
): Effect.Effect<Socket.Socket, HttpServerError.RequestError> =>
  Effect.zipRight(
    Effect.mapError(upgrade.check, (error) => new UpgradeRefused(request, error)),
    PlatformSocket.make(upgrade.accept())
  )

/** An error of the type that a route expects, which is answered as ours is. */
class UpgradeRefused extends HttpServerError.RequestError {
  private readonly error: HandshakeError

  constructor(request: HttpServerRequest, error: HandshakeError) {
    super({ request, reason: "Decode", description: error.message, cause: error })
    this.error = error
  }

  override [HttpServerRespondable.symbol](): HttpServerResponse {
    return this.error[HttpServerRespondable.symbol]()
  }
}
