/**
 * Looks after a connection whose handler has gone: there is a fiber only while something is handled.
 *
 * One thing at a time: `onOpen`, then message after message, and `onClose` when the connection has ended and nothing in
 * front of that is left to be handled.
 */
import type { Message } from "@effect-ws/core/Message"
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type { WebSocket } from "../../WebSocket.ts"
import type { Handlers } from "../../WebSocketServer.ts"
import type { Connection } from "../connection/Connection.ts"
import * as Handle from "../connection/handle.ts"
import { Handling } from "../connection/Handling.ts"
import type { Attending } from "../connection/Inbox.ts"

/** What an attendant is given by the server. */
export interface House<R> {
  readonly fork: (effect: Effect.Effect<void, never, R>) => void
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
  private isOver = false
  private isGivenUp = false
  private closer: Fiber.Fiber<unknown, unknown> | undefined = undefined

  constructor(connection: Connection, socket: WebSocket, data: A, handlers: Handlers<A, R>) {
    super(connection.inbox)
    this.connection = connection
    this.socket = socket
    this.data = data
    this.handlers = handlers
  }

  /**
   * Opens, and begins to hand out messages then, those first that have come already. Returns what needs a fiber, if anything
   * does.
   */
  begin(house: House<R>): Effect.Effect<void, never, R> | undefined {
    this.house = house
    this.connection.ended.whenReached(() => this.end())
    const { onOpen } = this.handlers
    if (onOpen !== undefined) return this.attempt(() => onOpen(this.socket, this.data))
    this.await()
    return undefined
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
    else this.house!.fork(this.attempt(() => Effect.zipRight(rest as Handled<R>, this.loop)))
  }

  private handle(): void {
    this.isWaiting = false
    this.house!.fork(this.attempt(() => this.loop))
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
    return (message && this.handleOne(message)) ?? Exit.void
  }

  // Whoever is interrupted, at the deadline of a shutdown, still has to leave the connection to the next.
  private attempt(use: () => Handled<R> | void): Effect.Effect<void, never, R> {
    return Effect.uninterruptible(
      Effect.matchCauseEffect(Effect.interruptible(Effect.suspend(() => use() ?? Exit.void)), {
        onFailure: (cause) => this.fail(cause),
        onSuccess: () => this.rest()
      })
    )
  }

  private await(): void {
    const { inbox } = this
    this.isWaiting = true
    inbox.attend(this)
    this.wake()
    if (inbox.isIdle) this.connection.onIdle()
  }

  private rest(): Effect.Effect<void> {
    this.await()
    return this.isGivenUp && this.closer !== undefined ? Fiber.interrupt(this.closer).pipe(Effect.asVoid) : Exit.void
  }

  // As when the scope of a handler closes; that is not waited for.
  private fail(cause: Cause.Cause<unknown>): Effect.Effect<void> {
    this.hasFailed = true
    this.connection.shutdown(Handle.releaseReason(Exit.failCause(cause)))
    return Effect.ensuring(
      this.house!.reportFailure(cause),
      Effect.suspend(() => this.rest())
    )
  }

  private close(): void {
    this.isWaiting = false
    const { handlers, house } = this
    if (handlers.onClose === undefined) return house!.leave()
    const closing = Effect.suspend(
      () => handlers.onClose!(this.connection.failure!, this.socket, this.data) ?? Exit.void
    )
    const closed = Effect.matchCauseEffect(Effect.interruptible(closing), {
      onFailure: (cause) => this.leave(house!.reportFailure(cause)),
      onSuccess: () => this.leave(Exit.void)
    })
    house!.fork(
      Effect.withFiberRuntime<void, never, R>((fiber) => {
        this.closer = fiber
        return Effect.uninterruptible(closed)
      })
    )
  }

  private leave(rest: Effect.Effect<void>): Effect.Effect<void> {
    this.house!.leave()
    return rest
  }
}

const ignore = (): void => {}
