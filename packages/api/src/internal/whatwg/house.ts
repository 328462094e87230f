/**
 * Where the connections of a WHATWG class live: when its scope closes, all of them end, side by side.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Runtime from "effect/Runtime"
import type * as Scope from "effect/Scope"
import type { House } from "./life.ts"

// Not by its global name: not every set of types has all of it.
interface Port {
  onmessage: (() => void) | null
  readonly postMessage: (message: unknown) => void
  readonly close: () => void
  readonly unref?: () => void
}

/** Runs the fibers of a house, none any more when the scope has closed. */
export const makeFork: Effect.Effect<House["fork"], never, Scope.Scope> = Effect.gen(function* () {
  const runtime = yield* Effect.runtime<never>()
  const fibers = new Set<Fiber.RuntimeFiber<void, unknown>>()
  let isClosed = false
  yield* Effect.addFinalizer(() =>
    Effect.suspend(() => {
      isClosed = true
      return Fiber.interruptAll(Array.from(fibers))
    })
  )
  return (effect) => {
    const fiber = Runtime.runFork(runtime, isClosed ? Effect.interrupt : effect, { immediate: false })
    fibers.add(fiber)
    fiber.addObserver(() => void fibers.delete(fiber))
    return fiber
  }
})

/**
 * Makes what waits for the next task: behind it all microtasks are done. A message to ourselves is the one way there that is
 * everywhere and is no timer.
 */
export const makeNextTask: Effect.Effect<House["nextTask"], never, Scope.Scope> = Effect.gen(function* () {
  const waiting: Array<() => void> = []
  const { port1, port2 } = yield* Effect.acquireRelease(
    Effect.sync(() => new MessageChannel() as unknown as { readonly port1: Port; readonly port2: Port }),
    ({ port1 }) => Effect.sync(() => port1.close())
  )
  port1.onmessage = () => waiting.shift()?.()
  // On Node the connections keep the program alive, not this.
  port1.unref?.()
  return Effect.async<void>((resume) => {
    waiting.push(() => resume(Exit.void))
    port2.postMessage(0)
  })
})
