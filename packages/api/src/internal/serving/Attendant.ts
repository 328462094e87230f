/**
 * Looks after a connection whose handler has gone: there is a fiber only while something is handled.
 *
 * One thing at a time: `onOpen`, then message after message, and `onClose` when the connection has ended and nothing in
 * front of that is left to be handled.
 */
import type { Message } from "@effect-ws/core/Message"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Option from "effect/Option"
import type { WebSocket } from "../../WebSocket.ts"
import type { Handlers } from "../../WebSocketServer.ts"
import type { Connection } from "../connection/Connection.ts"
import * as Handle from "../connection/handle.ts"
import { Handling } from "../connection/Handling.ts"
import type { Attending } from "../connection/Inbox.ts"

/** What an attendant is given by the server. */
export interface House<R> {
  readonly fork: <A, E>(effect: Effect.Effect<A, E, R>) => Fiber.RuntimeFiber<A, E>
  /** The same for what is done first. */
  readonly forkOpening: <A, E>(effect: Effect.Effect<A, E, R>) => Fiber.RuntimeFiber<A, E>
  /** Reports what a handler failed with, unless it was to be expected. */
  readonly reportFailure: (cause: Cause.Cause<unknown>) => Effect.Effect<void>
  /** The connection has ended, and so have its handlers. */
  readonly leave: () => void
}

/** What handles something, and may fail. */
type Handled<R> = Effect.Effect<unknown, unknown, R>

export class Attendant<A, R> extends Handling implements Attending {
  isWaiting = false

  private readonly connection: Connection
  private readonly socket: WebSocket
  private readonly data: A
  private readonly handlers: Handlers<A, R>
  private house: House<R> | undefined = undefined
  private hasFailed = false
  private isEndTold = false
  private isOver = false
  private isGivenUp = false
  private closer: Fiber.RuntimeFiber<unknown, unknown> | undefined = undefined

  constructor(connection: Connection, socket: WebSocket, data: A, handlers: Handlers<A, R>) {
    super(connection.inbox)
    this.connection = connection
    this.socket = socket
    this.data = data
    this.handlers = handlers
  }

  /** Opens, and begins to hand out messages then, those first that have come already. */
  begin(house: House<R>): void {
    this.house = house
    this.connection.ended.whenReached(() => this.end())
    const { onOpen } = this.handlers
    if (onOpen === undefined) return this.await()
    this.watch(house.forkOpening(this.tolerate(Effect.suspend(() => onOpen(this.socket, this.data) ?? Exit.void))))
  }

  /** Waits for nothing any more, neither for messages nor for what goes on when it ends. */
  giveUp(): void {
    this.isGivenUp = true
    this.end()
  }

  wake(): void {
    if (!this.isWaiting) return
    const { inbox } = this
    if (!this.hasFailed && inbox.hasNext) return this.handle()
    if (this.isOver && (this.hasFailed || this.isGivenUp || inbox.isEmpty)) this.close()
  }

  private end(): void {
    this.isOver = true
    this.wake()
  }

  /** Hands out what has just come. A fiber is made only for what is not done on the spot. */
  deliver(): void {
    if (this.hasFailed) return
    this.isWaiting = false
    const rest = this.handleAll()
    if (rest === undefined) this.await()
    else this.watch(this.house!.fork(Effect.zipRight(this.tolerate(rest as Handled<R>), this.loop)))
  }

  private handle(): void {
    this.isWaiting = false
    this.watch(this.house!.fork(this.loop))
  }

  private get loop(): Handled<R> {
    const { inbox } = this
    return Effect.whileLoop<unknown, unknown, R>({
      while: () => inbox.hasNext,
      body: () => this.handleNext(),
      step: ignore
    })
  }

  protected handleOne(message: Message): Handled<R> | void {
    return this.handlers.onMessage(message, this.socket, this.data)
  }

  private handleNext(): Handled<R> {
    const message = this.inbox.poll()
    const handled = message && this.handleOne(message)
    return handled === undefined ? Exit.void : this.tolerate(handled)
  }

  // An observer, and no region of the fiber that can't be interrupted: whoever is interrupted, at the deadline of a shutdown, has
  // to leave the connection to the next all the same, and a region would keep the messages in memory (see CONTRIBUTING).
  private watch(fiber: Fiber.RuntimeFiber<unknown, unknown>): void {
    fiber.addObserver((exit) => (Exit.isSuccess(exit) ? this.rest() : this.fail(exit.cause)))
  }

  // That a handler wanted to say more than can still be said is no failure of it: the messages behind are handed out as before.
  private tolerate(handled: Handled<R>): Handled<R> {
    return Effect.catchAllCause(handled, (cause) =>
      this.isLate(cause) ? this.tellEnd(cause) : Effect.failCause(cause)
    )
  }

  private tellEnd(cause: Cause.Cause<unknown>): Effect.Effect<void> {
    if (this.isEndTold) return Exit.void
    this.isEndTold = this.connection.failure !== undefined
    return this.house!.reportFailure(cause)
  }

  private isLate(cause: Cause.Cause<unknown>): boolean {
    if (Cause.isInterrupted(cause)) return false
    return Option.exists(Cause.failureOption(cause), (error) => this.connection.sending.isRefusal(error))
  }

  private await(): void {
    const { inbox } = this
    this.isWaiting = true
    inbox.attend(this)
    this.wake()
    if (inbox.isIdle) this.connection.onIdle()
  }

  private rest(): void {
    this.await()
    if (this.isGivenUp) this.closer?.unsafeInterruptAsFork(FiberId.none)
  }

  // As when the scope of a handler closes; that is not waited for.
  private fail(cause: Cause.Cause<unknown>): void {
    this.hasFailed = true
    this.connection.shutdown(Handle.releaseReason(Exit.failCause(cause)))
    this.house!.fork(this.house!.reportFailure(cause)).addObserver(() => this.rest())
  }

  private close(): void {
    this.isWaiting = false
    const { handlers, house } = this
    if (handlers.onClose === undefined) return house!.leave()
    const closing = Effect.suspend(
      () => handlers.onClose!(this.connection.failure!, this.socket, this.data) ?? Exit.void
    )
    const closer = (this.closer = house!.fork(closing))
    closer.addObserver((exit) => this.leave(exit))
  }

  private leave(exit: Exit.Exit<unknown, unknown>): void {
    if (Exit.isFailure(exit)) this.house!.fork(this.house!.reportFailure(exit.cause))
    this.house!.leave()
  }
}

const ignore = (): void => {}
