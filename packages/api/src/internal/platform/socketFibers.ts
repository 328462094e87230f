/**
 * Handles every message in a fiber of its own, as the sockets of `@effect/platform` do, but for a bound on what all of them hold.
 */
import type { Message } from "@effect-ws/core/Message"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberSet from "effect/FiberSet"
import type { WebSocketError } from "../../WebSocketError.ts"
import type { Connection } from "../connection/Connection.ts"

type Fork<R> = <A, E>(effect: Effect.Effect<A, E, R>, options: { readonly immediate: boolean }) => Forked

interface Forked {
  readonly addObserver: (observer: () => void) => void
}

/**
 * Begun in order, done in any; above the mark, in bytes, the next ones wait, and with them the peer. The answer to a Close
 * frame waits for those that are in hand; what still runs when the transport has ended is interrupted. The first that fails
 * interrupts the others.
 */
export const atOnce = <E, R>(
  connection: Connection,
  handler: (message: Message) => unknown,
  mark: number
): Effect.Effect<void, WebSocketError | E, R> =>
  Effect.scoped(
    Effect.gen(function* () {
      const fibers = yield* FiberSet.make<unknown, WebSocketError | E>()
      const fork = yield* FiberSet.runtime(fibers)<R>()
      const hands = new Hands<R>(connection, fork as Fork<R>, mark)
      yield* FiberSet.run(fibers, hands.takeAll(handler))
      return yield* FiberSet.join(fibers)
    })
  )

class Hands<R> {
  private readonly connection: Connection
  private readonly fork: Fork<R>
  private readonly mark: number
  private inHand = 0
  // In bytes. One message above the mark is admitted when nothing else is in hand.
  private held = 0
  private onDone = ignore

  constructor(connection: Connection, fork: Fork<R>, mark: number) {
    this.connection = connection
    this.fork = fork
    this.mark = mark
  }

  /** Fails as the connection does, and not before the handlers are done or can't say anything any more. */
  takeAll(handler: (message: Message) => unknown): Effect.Effect<void, WebSocketError> {
    const { inbox } = this.connection
    const step = (): Effect.Effect<void, WebSocketError> => {
      if (this.held >= this.mark && !this.isOver) return this.until(() => this.held <= this.mark / 2)
      const message = inbox.poll()
      if (message === undefined) return inbox.ready
      const handled = handler(message)
      if (Effect.isEffect(handled)) this.begin(handled as Effect.Effect<unknown, unknown, R>, message.byteLength)
      return Exit.void
    }
    const loop = Effect.whileLoop({ while: () => true, body: step, step: ignore })
    const empty = this.until(() => this.inHand === 0)
    return Effect.catchAll(loop, (error) => Effect.zipRight(empty, Exit.fail(error)))
  }

  // At once, up to where it first waits: what came before the end is begun, whatever happens then.
  private begin(handled: Effect.Effect<unknown, unknown, R>, byteLength: number): void {
    this.count(1, byteLength + fiberCost)
    this.fork(handled, { immediate: true }).addObserver(() => this.done(byteLength + fiberCost))
  }

  private done(bytes: number): void {
    const { inbox } = this.connection
    this.count(-1, -bytes)
    if (inbox.isIdle) this.connection.onIdle()
    this.onDone()
  }

  private count(messages: number, bytes: number): void {
    this.inHand += messages
    this.held += bytes
    this.connection.inbox.handling += messages
  }

  /** Waits until so much is done, or the transport has ended: then nothing has to be waited for. */
  private until(isReached: () => boolean): Effect.Effect<void> {
    return Effect.async<void>((resume) => {
      if (isReached() || this.isOver) return resume(Exit.void)
      const goOn = (): void => {
        forget()
        this.onDone = ignore
        resume(Exit.void)
      }
      const forget = this.connection.ended.whenReached(goOn)
      this.onDone = () => isReached() && goOn()
      return Effect.sync(forget)
    })
  }

  private get isOver(): boolean {
    return this.connection.status.state === "closed"
  }
}

// In bytes, measured: what is held for a handler that waits, besides its message.
const fiberCost = 4096

const ignore = (): void => {}
