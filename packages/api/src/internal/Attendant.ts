/**
 * Looks after a connection whose handler has gone: there is a fiber only while a message is handled.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { WebSocket } from "../WebSocket.ts"
import type { Handlers } from "../WebSocketServer.ts"
import type { Connection } from "./Connection.ts"
import type { Holder } from "./Inbox.ts"

/** What an attendant is given by the server. */
export interface House<R> {
  readonly fork: (effect: Effect.Effect<void, never, R>) => void
  /** Reports what a handler failed with, unless it was to be expected. */
  readonly report: (cause: Cause.Cause<unknown>) => Effect.Effect<void>
  /** The connection has ended, and so have its handlers. */
  readonly onOver: () => void
}

export class Attendant<A, R> implements Holder {
  isWaiting = false

  private readonly connection: Connection
  private readonly socket: WebSocket
  private readonly data: A
  private readonly handlers: Handlers<A, R>
  private house: House<R> | undefined = undefined
  private hasFailed = false
  private isOver = false

  constructor(connection: Connection, socket: WebSocket, data: A, handlers: Handlers<A, R>) {
    this.connection = connection
    this.socket = socket
    this.data = data
    this.handlers = handlers
  }

  /** Begins to hand out messages, those first that have come already. */
  begin(house: House<R>): void {
    this.house = house
    this.isWaiting = true
    this.connection.inbox.attend(this)
    this.connection.whenEnded(() => this.end())
    this.wake()
  }

  wake(): void {
    if (!this.isWaiting || this.hasFailed || !this.connection.inbox.hasNext) return
    this.isWaiting = false
    this.house!.fork(Effect.matchCauseEffect(this.handleAll, { onFailure: this.fail, onSuccess: this.rest }))
  }

  private readonly step = (): Effect.Effect<unknown, unknown, R> => {
    const message = this.connection.inbox.poll()
    if (message === undefined) return Exit.void
    return this.handlers.onMessage(message, this.socket, this.data) ?? Exit.void
  }

  private readonly handleAll: Effect.Effect<void, unknown, R> = Effect.whileLoop({
    while: () => this.connection.inbox.hasNext,
    body: this.step,
    step: () => {}
  })

  private readonly rest = (): Effect.Effect<void> =>
    Effect.sync(() => {
      this.isWaiting = true
      this.wake()
      if (this.isWaiting) this.connection.onIdle()
      if (this.isOver) this.end()
    })

  private readonly fail = (cause: Cause.Cause<unknown>): Effect.Effect<void> =>
    Effect.zipRight(
      this.house!.report(cause),
      Effect.suspend(() => {
        this.hasFailed = true
        this.connection.shutdown(Cause.isInterruptedOnly(cause) ? goingAway : internalError)
        return this.rest()
      })
    )

  // The messages in front of the end are handled first.
  private end(): void {
    this.isOver = true
    if (!this.isWaiting) return
    this.isWaiting = false
    const { house, socket } = this
    const closing = Effect.suspend(
      () => this.handlers.onClose?.(this.connection.failure!, socket, this.data) ?? Exit.void
    )
    const closed = Effect.catchAllCause(closing, (cause) => house!.report(cause))
    house!.fork(Effect.ensuring(Effect.asVoid(closed), Effect.sync(house!.onOver)))
  }
}

const goingAway = { code: 1001, reason: "" }
const internalError = { code: 1011, reason: "" }
