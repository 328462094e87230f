/**
 * What the server sees of the connections to `/echo`, for the terminal and for the page: a browser tells its scripts
 * little about a connection, the server knows it all.
 */
import * as WebSocket from "@effect-ws/api/WebSocket"
import * as CloseReason from "@effect-ws/core/CloseReason"
import * as Effect from "effect/Effect"
import * as MutableHashMap from "effect/MutableHashMap"
import * as Option from "effect/Option"
import * as PubSub from "effect/PubSub"
import * as Stream from "effect/Stream"

/** Something that happened to a connection; the id is the one its client chose, if it did. */
export interface Sight {
  readonly id: string | undefined
  readonly text: string
}

const make = Effect.map(PubSub.sliding<Sight>(256), (sights) => {
  const sockets = MutableHashMap.empty<string, WebSocket.WebSocket>()

  /** Tells those who watch. A watcher that is slow misses the oldest. */
  const report = (sight: Sight): Effect.Effect<void> => PubSub.publish(sights, sight)

  /** All that is seen from now on, which is the moment when this completes. */
  const watch = Effect.map(PubSub.subscribe(sights), (queue) => Stream.fromQueue(queue))

  /** Makes a connection known by its id for as long as the scope is open. */
  const register = (id: string, socket: WebSocket.WebSocket) =>
    Effect.acquireRelease(
      Effect.sync(() => MutableHashMap.set(sockets, id, socket)),
      () => Effect.sync(() => MutableHashMap.remove(sockets, id))
    )

  /** Lets the server close a connection. Says what is wrong when it can't be, as a person would have it. */
  const close = (id: string, code: number, reason: string): Effect.Effect<Option.Option<string>> =>
    Effect.suspend(() => {
      const socket = Option.getOrUndefined(MutableHashMap.get(sockets, id))
      if (socket === undefined) return Effect.succeedSome("there is no such connection")
      const closeReason = CloseReason.make(code, reason)
      if ("_tag" in closeReason) return Effect.succeedSome(closeReason.message)
      return Effect.as(Effect.ignore(socket.close(closeReason)), Option.none())
    })

  return { report, watch, register, close }
})

/** The service. */
export class ServerView extends Effect.Service<ServerView>()("examples/ServerView", { effect: make }) {}
