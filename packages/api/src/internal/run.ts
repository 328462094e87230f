/**
 * Feeds the messages of a connection to a handler.
 */
import type { Message } from "@effect-ws/core/Message"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { WebSocketError } from "../WebSocketError.ts"
import type { Connection } from "./Connection.ts"
import { isClean } from "./handle.ts"

type Handler = (message: Message) => unknown

/** One after the other. What the handler fails with and requires is for the public signature to tell. */
export const inOrder = <E, R>(connection: Connection, handler: Handler): Effect.Effect<void, WebSocketError | E, R> => {
  const { inbox } = connection
  const step = (): Effect.Effect<unknown, WebSocketError | E, R> => {
    const message = inbox.poll()
    if (message === undefined) return inbox.ready
    return (handler(message) as Effect.Effect<unknown, E, R> | undefined) ?? Exit.void
  }
  return endNormally(connection, Effect.whileLoop({ while: () => true, body: step, step: ignore }))
}

/** Up to `concurrency` at once: as many fibers take the messages in turn. Begun in order, done in any. */
export const sideBySide = <E, R>(
  connection: Connection,
  handler: Handler,
  concurrency: number
): Effect.Effect<void, WebSocketError | E, R> => {
  const fibers = Array.from({ length: concurrency }, () => inOrder<E, R>(connection, handler))
  return Effect.all(fibers, { concurrency: "unbounded", discard: true })
}

// That the connection has ended cleanly is no failure, neither of the waiting nor of a handler that wanted to say more.
const endNormally = <E, R>(
  connection: Connection,
  loop: Effect.Effect<unknown, WebSocketError | E, R>
): Effect.Effect<void, WebSocketError | E, R> =>
  Effect.matchEffect(loop, {
    onFailure: (error) =>
      connection.failure !== undefined && error === connection.failure && isClean(connection.failure)
        ? Exit.void
        : Exit.fail(error),
    onSuccess: () => Exit.void
  })

const ignore = (): void => {}
