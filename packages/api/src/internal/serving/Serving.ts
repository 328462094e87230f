/**
 * The connections of one `WebSocketServer.run`.
 *
 * Shutting down is done for all side by side: no new ones, a 503 to whom was not answered yet, a Close frame with 1001 to
 * the others; then the handlers may finish until the deadline.
 */
import * as Headers from "@effect-ws/core/Headers"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type * as FiberId from "effect/FiberId"
import * as FiberRef from "effect/FiberRef"
import * as FiberRefs from "effect/FiberRefs"
import * as HashMap from "effect/HashMap"
import * as Runtime from "effect/Runtime"
import * as Scope from "effect/Scope"
import type { Overloaded } from "../../HandshakeError.ts"
import type { Incoming } from "../../Listener.ts"
import type { Transport } from "../../Transport.ts"
import * as TrustedProxies from "../../TrustedProxies.ts"
import type { Place } from "../opening/Admission.ts"
import * as answers from "../opening/answers.ts"
import * as Refusals from "../opening/refusals.ts"
import * as Tracing from "../observing/tracingServer.ts"
import { TurnedAway } from "../opening/TurnedAway.ts"
import { Guests } from "./Guests.ts"
import { Scopes } from "./Scopes.ts"
import { type Annotation, type House, Visit } from "./Visit.ts"

export class Serving<R> {
  private readonly house: House<R>
  private readonly guests = new Guests<Visit<R>>()
  private readonly runtime: Runtime.Runtime<R>
  private readonly turnedAway = new Set<TurnedAway>()
  private isShuttingDown = false

  constructor(house: Omit<House<R>, "fork" | "forkFor" | "scopes" | "track">, runtime: Runtime.Runtime<R>) {
    this.runtime = runtime
    this.house = {
      ...house,
      scopes: new Scopes(),
      track: (fiber) => void this.guests.track(fiber),
      fork: (effect) => this.guests.track(Runtime.runFork(runtime, effect)),
      forkFor: (annotation, effect, scope) => this.forkFor(annotation, effect, scope)
    }
  }

  private readonly remove = (visit: Visit<R>): void => this.guests.remove(visit)

  /** Takes a connection, or turns it away. */
  readonly admit = (incoming: Incoming): void => {
    const { transport } = incoming
    if (this.isShuttingDown) return transport.destroy()
    const place = this.house.admission.enter()
    if (place._tag === "Overloaded") return this.turnAway(transport, place)
    const overloaded = this.countAddress(transport, place)
    if (overloaded !== undefined) {
      place.leave()
      return this.turnAway(transport, overloaded)
    }
    const visit = new Visit(this.house, incoming, place, this.remove)
    this.guests.add(visit)
    visit.begin()
  }

  /** Ends all connections, in bounded time as far as the handlers allow it. */
  readonly shutdown: Effect.Effect<void> = Effect.suspend(() => {
    this.isShuttingDown = true
    for (const turnedAway of this.turnedAway) turnedAway.destroy()
    return this.guests.shutdown(this.house.settings.connection)
  })

  // By hand: an effect around that of a handler would stay as long as that does.
  private forkFor<A, E>(
    [name, value]: Annotation,
    effect: Effect.Effect<A, E, R | Scope.Scope>,
    scope?: Scope.Scope
  ): Fiber.RuntimeFiber<A, E> {
    const { context: all, fiberRefs, runtimeFlags } = this.runtime
    const context = scope === undefined ? all : Context.add(all, Scope.Scope, scope)
    const runtime = Runtime.make({ context: context as Context.Context<R | Scope.Scope>, fiberRefs, runtimeFlags })
    const updateRefs = (refs: FiberRefs.FiberRefs, fiberId: FiberId.Runtime): FiberRefs.FiberRefs => {
      const annotations = HashMap.set(FiberRefs.getOrDefault(refs, FiberRef.currentLogAnnotations), name, value)
      return FiberRefs.updateAs(refs, { fiberId, fiberRef: FiberRef.currentLogAnnotations, value: annotations })
    }
    return Runtime.runFork(runtime, effect, { updateRefs })
  }

  /** Counts the address of the peer at once where no proxy will name another one. */
  private countAddress(transport: Transport, place: Place): Overloaded | undefined {
    const { limits } = this.house.admission
    if (limits.maxConnectionsPerAddress === Infinity || limits.trustedProxies.length > 0) return undefined
    const { address } = TrustedProxies.clientOf(this.house.trusted, transport.info, unread)
    return place.takeAddress(address ?? "")
  }

  private turnAway(transport: Transport, { option }: Overloaded): void {
    const { admission, engine, settings } = this.house
    admission.refused(option)
    Tracing.declined(option)
    if (this.turnedAway.size >= maxTurnedAway) return transport.destroy()
    const { bytes } = Refusals.encode(answers.unavailable, settings.accept, undefined, false)
    this.turnedAway.add(
      new TurnedAway(transport, bytes, engine.deadlines, (turnedAway) => this.turnedAway.delete(turnedAway))
    )
  }
}

/** How many may be on their way out at once, with their answer; further ones go without. */
const maxTurnedAway = 1024

const unread = { host: "", fields: Headers.empty }
