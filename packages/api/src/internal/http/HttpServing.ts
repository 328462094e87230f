/**
 * The upgrades of an HTTP server while it serves one application.
 *
 * Shutting down is done for all side by side, as for the connections of `WebSocketServer.run`.
 */
import type { RequestHead } from "@effect-ws/core/HttpHead"
import * as Effect from "effect/Effect"
import * as ConnectionOptions from "../../ConnectionOptions.ts"
import type { HttpUpgrades, Options, PendingUpgrade } from "../../HttpUpgrade.ts"
import type { Incoming } from "../../Listener.ts"
import * as ServerOptions from "../../ServerOptions.ts"
import * as TrustedProxies from "../../TrustedProxies.ts"
import { Admission } from "../opening/Admission.ts"
import * as Engine from "../Engine.ts"
import { Guests } from "../serving/Guests.ts"
import * as Sources from "./httpSources.ts"
import { type House, HttpVisit } from "./HttpVisit.ts"
import { PlainHttp } from "./PlainHttp.ts"

export const make = (options: Options = {}): Effect.Effect<() => HttpUpgrades> =>
  Effect.map(Engine.make, (engine) => {
    const limits = ServerOptions.make(options)
    const connection = ConnectionOptions.make("server", options)
    // The HTTP server has read the request, and would have to read the next one too.
    const settings = { connection, accept: options, maxAttempts: 1 }
    const trusted = TrustedProxies.make(limits.trustedProxies)
    const house = { engine, settings, trusted, admission: new Admission(limits) }
    return () => new HttpServing(house)
  })

class HttpServing implements HttpUpgrades {
  private readonly house: House
  private readonly guests = new Guests<HttpVisit>()

  constructor(house: House) {
    this.house = house
  }

  take(source: object, incoming: Incoming, onAccepted: () => void): PendingUpgrade {
    const visit = new HttpVisit(this.house, incoming, {
      accepted: onAccepted,
      attended: (fiber) => void this.guests.track(fiber),
      over: () => this.guests.remove(visit)
    })
    this.guests.add(visit)
    Sources.register(source, visit)
    return visit
  }

  pass(source: object, head: () => RequestHead): void {
    Sources.register(source, new PlainHttp(head))
  }

  get shutdown(): Effect.Effect<void> {
    return this.guests.shutdown(this.house.settings.connection)
  }
}
