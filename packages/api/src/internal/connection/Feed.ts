/**
 * Feeds the messages of a connection to a handler, one after the other.
 *
 * The handler is called where the messages come in. Its fiber waits meanwhile, and is woken for those effects only that are
 * not done on the spot.
 */
import type { Message } from "@effect-ws/core/Message"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as FiberRef from "effect/FiberRef"
import type { WebSocketError } from "../../WebSocketError.ts"
import { Handling } from "./Handling.ts"
import type { Inbox, Taker } from "./Inbox.ts"

type AnyFiber = Fiber.RuntimeFiber<unknown, unknown>

export type Handler = (message: Message) => unknown

export class Feed<E, R> extends Handling implements Taker {
  private handler: Handler
  private readonly fiber: AnyFiber
  private readonly ready: Effect.Effect<unknown, WebSocketError>

  constructor(inbox: Inbox, handler: Handler, fiber: AnyFiber) {
    super(inbox)
    this.fiber = fiber
    this.handler = handler
    this.ready = inbox.readyFor(this)
  }

  /** Goes on until the connection ends, or the handler fails. */
  get loop(): Effect.Effect<unknown, WebSocketError | E, R> {
    const body = (): Effect.Effect<unknown, WebSocketError | E, R> => this.unsafeHandleAll() ?? this.ready
    return Effect.whileLoop({ while: () => true, body, step: ignore })
  }

  /**
   * Hands out what has come. A fiber that was interrupted is woken: if it waits no longer the messages stay where they are, and
   * if it can't be interrupted it goes on with them by itself.
   */
  take(): Effect.Effect<unknown, WebSocketError> | undefined {
    const isInterrupted = !Cause.isEmpty(this.fiber.getFiberRef(FiberRef.interruptedCause))
    // What the handler fails with and requires is for the public signature to tell.
    return isInterrupted ? Exit.void : (this.handleAll() as Effect.Effect<unknown, WebSocketError> | undefined)
  }

  /** Lets go of the handler, which holds whatever the program has put into it. */
  release(): void {
    this.handler = ignore
  }

  protected handleOne(message: Message): unknown {
    return this.handler(message)
  }
}

const ignore = (): void => {}
