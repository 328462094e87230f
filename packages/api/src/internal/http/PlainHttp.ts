/**
 * A request that an HTTP server got as one for no upgrade.
 */
import * as HandshakeFault from "@effect-ws/core/HandshakeFault"
import type { RequestHead } from "@effect-ws/core/HttpHead"
import * as UpgradeRequest from "@effect-ws/core/UpgradeRequest"
import * as Effect from "effect/Effect"
import type { HandshakeError } from "../../HandshakeError.ts"
import type { HttpUpgrade } from "../../HttpUpgrade.ts"
import * as answers from "../opening/answers.ts"
import * as Tracing from "../observing/tracingServer.ts"

export class PlainHttp implements HttpUpgrade {
  private readonly head: () => RequestHead

  constructor(head: () => RequestHead) {
    this.head = head
  }

  get check(): Effect.Effect<never, HandshakeError> {
    return Effect.suspend(() => Effect.fail(answers.serverError(this.fault)))
  }

  accept(): Effect.Effect<never, HandshakeError> {
    return Effect.tapError(this.check, ({ reason }) => Effect.sync(() => Tracing.declined(reason._tag)))
  }

  // A server may be told to take no upgrades, whatever is asked for.
  private get fault(): HandshakeFault.HandshakeFault {
    const request = UpgradeRequest.validate(this.head())
    return request._tag === "UpgradeRequest" ? HandshakeFault.make("MissingUpgrade", { head: "request" }) : request
  }
}
