/**
 * Who is at a server: the visits, and the fibers that look after them. Going down is done for all of them side by side.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type { ConnectionOptions } from "../../ConnectionOptions.ts"

/** The index of who isn't there. */
export const away = -1

/** One connection of a server. */
export interface Guest {
  /** Where among the guests it is: theirs to know. */
  index: number
  /** The fiber that looks after it, unless that is tracked. */
  readonly handler: Fiber.RuntimeFiber<unknown, unknown> | undefined
  /** Is told that the server goes down. */
  readonly shutdown: () => void
  /** Is not waited for any longer. */
  readonly destroy: () => void
}

export class Guests<Visit extends Guest> {
  // Not a Set: one that is filled and emptied again and again leaves tables behind, each of which names the next. Those that are
  // old hold the younger ones, and with them what is long over, until all of the memory is collected.
  private readonly visits: Array<Visit> = []
  private readonly fibers = new Set<Fiber.RuntimeFiber<unknown, unknown>>()
  private onIdle: () => void = () => {}

  add(visit: Visit): void {
    visit.index = this.visits.push(visit) - 1
  }

  /** Does nothing the second time. */
  remove(visit: Visit): void {
    const { index } = visit
    if (index === away) return
    const last = this.visits.pop()!
    if (last !== visit) this.visits[(last.index = index)] = last
    visit.index = away
    this.tellIdle()
  }

  // The last of a connection may begin when its fiber has ended: that is seen to before the fiber is no longer counted.
  track<A, E>(fiber: Fiber.RuntimeFiber<A, E>): Fiber.RuntimeFiber<A, E> {
    this.fibers.add(fiber)
    fiber.addObserver(() => queueMicrotask(() => this.forget(fiber)))
    return fiber
  }

  /** Tells all, waits until they have gone, and no longer than the close timeout for those that don't go by themselves. */
  shutdown({ closeTimeout }: ConnectionOptions): Effect.Effect<void> {
    return Effect.suspend(() => {
      for (const visit of this.visits.slice()) visit.shutdown()
      // Shutting down is part of a release: without `interruptible` the timeout would wait for what it gave up.
      return Effect.interruptible(this.idle).pipe(
        Effect.timeoutOption(closeTimeout),
        Effect.andThen(Effect.suspend(() => this.interruptAll()))
      )
    })
  }

  // Refusals are on their way when the fibers that wrote them are done already.
  private get idle(): Effect.Effect<void> {
    return Effect.async<void>((resume) => {
      this.onIdle = () => resume(Effect.void)
      this.tellIdle()
    })
  }

  private tellIdle(): void {
    if (this.visits.length === 0 && this.fibers.size === 0) this.onIdle()
  }

  private forget(fiber: Fiber.RuntimeFiber<unknown, unknown>): void {
    this.fibers.delete(fiber)
    this.tellIdle()
  }

  private interruptAll(): Effect.Effect<void> {
    // Those of visits that leave now, and those that begin now.
    const handlers = this.visits.flatMap(({ handler }) => handler ?? [])
    for (const visit of this.visits.slice()) visit.destroy()
    return Effect.zipRight(Fiber.interruptAll([...handlers, ...this.fibers]), this.idle)
  }
}
