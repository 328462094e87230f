/**
 * The upgrades of an HTTP server while it serves one application.
 *
 * Shutting down is done for all side by side, as for the connections of `WebSocketServer.run`.
 */
import type { RequestHead } from "@effect-ws/core/HttpHead"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as ConnectionOptions from "../../ConnectionOptions.ts"
import type { HttpUpgrades, Options, PendingUpgrade } from "../../HttpUpgrade.ts"
import type { Incoming } from "../../Listener.ts"
import * as ServerOptions from "../../ServerOptions.ts"
import * as TrustedProxies from "../../TrustedProxies.ts"
import { Admission } from "../opening/Admission.ts"
import * as Engine from "../Engine.ts"
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
  private readonly visits = new Set<HttpVisit>()
  private readonly fibers = new Set<Fiber.RuntimeFiber<unknown, unknown>>()
  private onIdle: () => void = () => {}

  constructor(house: House) {
    this.house = house
  }

  take(source: object, incoming: Incoming, onAccepted: () => void): PendingUpgrade {
    const visit = new HttpVisit(this.house, incoming, {
      accepted: onAccepted,
      attended: (fiber) => this.track(fiber),
      over: () => this.remove(this.visits, visit)
    })
    this.visits.add(visit)
    Sources.register(source, visit)
    return visit
  }

  pass(source: object, head: () => RequestHead): void {
    Sources.register(source, new PlainHttp(head))
  }

  readonly shutdown: Effect.Effect<void> = Effect.suspend(() => {
    for (const visit of this.visits) visit.shutdown()
    // Shutting down is part of a release: without `interruptible` the timeout would wait for what it gave up.
    return Effect.interruptible(this.idle).pipe(
      Effect.timeoutOption(this.house.settings.connection.closeTimeout),
      Effect.andThen(Effect.suspend(() => this.interruptAll()))
    )
  })

  private readonly idle: Effect.Effect<void> = Effect.async<void>((resume) => {
    this.onIdle = () => resume(Effect.void)
    this.tellIdle()
  })

  private tellIdle(): void {
    if (this.visits.size === 0 && this.fibers.size === 0) this.onIdle()
  }

  private track(fiber: Fiber.RuntimeFiber<unknown, unknown>): void {
    this.fibers.add(fiber)
    fiber.addObserver(() => this.remove(this.fibers, fiber))
  }

  private remove<A>(set: Set<A>, element: A): void {
    set.delete(element)
    this.tellIdle()
  }

  private interruptAll(): Effect.Effect<void> {
    for (const visit of this.visits) visit.destroy()
    return Fiber.interruptAll(Array.from(this.fibers))
  }
}
