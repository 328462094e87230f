/**
 * Feeds the messages of a connection to a handler, one after the other.
 *
 * The handler is called where the messages come in. Its fiber waits meanwhile, and is woken for those effects only that are
 * not done on the spot.
 */
import type { Message } from "@effect-ws/core/Message"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import type { WebSocketError } from "../WebSocketError.ts"
import type { Inbox, Taker } from "./Inbox.ts"
import { Send } from "./Send.ts"

export type Handler = (message: Message) => unknown

export class Feed<E, R> implements Taker {
  isOver = false

  private readonly inbox: Inbox
  private readonly handler: Handler
  private readonly ready: Effect.Effect<unknown, WebSocketError>

  constructor(inbox: Inbox, handler: Handler) {
    this.inbox = inbox
    this.handler = handler
    this.ready = inbox.readyFor(this)
  }

  /** Goes on until the connection ends, or the handler fails. */
  get loop(): Effect.Effect<unknown, WebSocketError | E, R> {
    const body = (): Effect.Effect<unknown, WebSocketError | E, R> => this.handleAll() ?? this.ready
    return Effect.whileLoop({ while: () => true, body, step: ignore })
  }

  /** Its fiber has gone. */
  get stop(): Effect.Effect<void> {
    return Effect.sync(() => {
      this.isOver = true
    })
  }

  // What the handler fails with and requires is for the public signature to tell.
  take(): Effect.Effect<unknown, WebSocketError> | undefined {
    return this.isOver ? undefined : (Either.getOrElse(Either.try(this.handling), Effect.die) as never)
  }

  private readonly handling = {
    try: () => this.handleAll(),
    // A handler that throws is a defect of its fiber.
    catch: (defect: unknown) => defect
  }

  private handleAll(): Effect.Effect<unknown, E, R> | undefined {
    for (;;) {
      const message = this.inbox.poll()
      if (message === undefined) return undefined
      const rest = unlessDone<E, R>(this.handler(message))
      if (rest !== undefined) return rest
    }
  }
}

/** What of an effect needs a fiber, after what can be done on the spot was done. */
export const unlessDone = <E, R>(handled: unknown): Effect.Effect<unknown, E, R> | undefined => {
  if (handled === undefined) return undefined
  const rest = handled instanceof Send ? handled.commit() : handled
  if (Exit.isExit(rest) && Exit.isSuccess(rest)) return undefined
  return rest as Effect.Effect<unknown, E, R>
}

const ignore = (): void => {}
