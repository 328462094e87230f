/**
 * Handles every message in a fiber of its own, without a bound, as the sockets of `@effect/platform` do.
 */
import type { Message } from "@effect-ws/core/Message"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberSet from "effect/FiberSet"
import type { WebSocketError } from "../WebSocketError.ts"
import type { Connection } from "./Connection.ts"

type Fork<R> = <A, E>(effect: Effect.Effect<A, E, R>, options: { readonly immediate: boolean }) => Forked

interface Forked {
  readonly addObserver: (observer: () => void) => void
}

/**
 * Begun in order, done in any. The answer to a Close frame waits for those that are in hand; what still runs when the transport
 * has ended is interrupted. The first that fails interrupts the others.
 */
export const atOnce = <E, R>(
  connection: Connection,
  handler: (message: Message) => unknown
): Effect.Effect<void, WebSocketError | E, R> =>
  Effect.scoped(
    Effect.gen(function* () {
      const fibers = yield* FiberSet.make<unknown, WebSocketError | E>()
      const fork = yield* FiberSet.runtime(fibers)<R>()
      const hands = new Hands<R>(connection, fork as Fork<R>)
      yield* FiberSet.run(fibers, hands.takeAll(handler))
      return yield* FiberSet.join(fibers)
    })
  )

class Hands<R> {
  private readonly connection: Connection
  private readonly fork: Fork<R>
  private inHand = 0
  private onEmpty = ignore

  constructor(connection: Connection, fork: Fork<R>) {
    this.connection = connection
    this.fork = fork
  }

  /** Fails as the connection does, and not before the handlers are done or can't say anything any more. */
  takeAll(handler: (message: Message) => unknown): Effect.Effect<void, WebSocketError> {
    const { inbox } = this.connection
    const step = (): Effect.Effect<void, WebSocketError> => {
      const message = inbox.poll()
      if (message === undefined) return inbox.ready
      const handled = handler(message)
      if (Effect.isEffect(handled)) this.begin(handled as Effect.Effect<unknown, unknown, R>)
      return Exit.void
    }
    const loop = Effect.whileLoop({ while: () => true, body: step, step: ignore })
    return Effect.catchAll(loop, (error) => Effect.zipRight(this.awaitEmpty, Exit.fail(error)))
  }

  // At once, up to where it first waits: what came before the end is begun, whatever happens then.
  private begin(handled: Effect.Effect<unknown, unknown, R>): void {
    this.count(1)
    this.fork(handled, { immediate: true }).addObserver(() => this.done())
  }

  private done(): void {
    const { inbox } = this.connection
    this.count(-1)
    if (inbox.isIdle) this.connection.onIdle()
    if (this.inHand === 0) this.onEmpty()
  }

  private count(messages: number): void {
    this.inHand += messages
    this.connection.inbox.handling += messages
  }

  private get awaitEmpty(): Effect.Effect<void> {
    return Effect.async<void>((resume) => {
      if (this.inHand === 0) return resume(Exit.void)
      const forget = this.connection.whenEnded(() => resume(Exit.void))
      this.onEmpty = () => resume(Exit.void)
      return Effect.sync(forget)
    })
  }
}

const ignore = (): void => {}
