/**
 * Feeds the messages of a connection to a handler.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type { WebSocketError } from "../../WebSocketError.ts"
import type { Connection } from "./Connection.ts"
import { Feed, type Handler } from "./Feed.ts"
import { isClean } from "./isClean.ts"

/** One after the other. What the handler fails with and requires is for the public signature to tell. */
export const inOrder = <E, R>(connection: Connection, handler: Handler): Effect.Effect<void, WebSocketError | E, R> =>
  Effect.withFiberRuntime((fiber) => feedAll(connection, new Feed<E, R>(connection.inbox, handler, fiber)))

/**
 * Up to `concurrency` at once: as many fibers take the messages in turn. Begun in order, done in any. The end of the
 * connection interrupts no handler: it is told when all are done.
 */
export const sideBySide = <E, R>(
  connection: Connection,
  handler: Handler,
  concurrency: number
): Effect.Effect<void, WebSocketError | E, R> =>
  Effect.suspend(() => {
    const { inbox } = connection
    let inHand = 0
    let end: WebSocketError | undefined
    const count = (messages: number): void => {
      inHand += messages
      inbox.handling += messages
    }
    const done = (): void => count(-1)
    const ready = Effect.catchAll(inbox.ready, (error) => Effect.sync(() => void (end = error)))
    const step = (): Effect.Effect<unknown, WebSocketError | E, R> => {
      const message = inbox.poll()
      if (message === undefined) return ready
      count(1)
      const handling = (handler(message) as Effect.Effect<unknown, E, R> | undefined) ?? Exit.void
      return Effect.matchEffect(handling, {
        onFailure: (error) => (connection.sending.isRefusal(error) ? Effect.sync(done) : Exit.fail(error)),
        onSuccess: () => Effect.sync(done)
      })
    }
    const loop = Effect.whileLoop({ while: () => end === undefined, body: step, step: ignore })
    return allOf(loop, concurrency).pipe(
      Effect.zipRight(Effect.suspend(() => (end === undefined || isClean(end) ? Exit.void : Exit.fail(end)))),
      Effect.ensuring(Effect.sync(() => count(-inHand)))
    )
  })

// In so many fibers, until all are done or one has failed. Not `Effect.all`: interrupted at a bad moment, it never ends.
const allOf = <E, R>(effect: Effect.Effect<void, E, R>, fibers: number): Effect.Effect<void, E, R> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      const result = yield* Deferred.make<void, E>()
      let left = fibers
      const note = (exit: Exit.Exit<void, E>) =>
        Effect.sync(() => {
          left--
          if (left === 0 || Exit.isFailure(exit)) Deferred.unsafeDone(result, exit)
        })
      const all = yield* Effect.replicateEffect(Effect.fork(Effect.onExit(restore(effect), note)), fibers)
      yield* Effect.ensuring(restore(Deferred.await(result)), Fiber.interruptAll(all))
    })
  )

// That a handler wanted to say more than can still be said is no failure of it: the messages behind are handed out as before.
const feedAll = <E, R>(connection: Connection, feed: Feed<E, R>): Effect.Effect<void, WebSocketError | E, R> =>
  Effect.matchEffect(feed.loop, {
    onFailure: (error) => {
      const { failure, inbox, sending } = connection
      const isLate = sending.isRefusal(error)
      if (isLate && (failure === undefined || !inbox.isEmpty)) return feedAll(connection, feed)
      feed.release()
      if (!isLate) return Exit.fail(error)
      return isClean(failure!) ? Exit.void : Exit.fail(failure!)
    },
    onSuccess: () => Exit.void
  })

const ignore = (): void => {}
