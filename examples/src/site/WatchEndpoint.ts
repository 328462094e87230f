/**
 * `/watch?id=...`: what the server sees of the connection with this id, a line each, and the wish to have it closed by the
 * server, as JSON: `{ "code": 4000, "reason": "bye" }`.
 */
import type { UpgradeExchange } from "@effect-ws/api/UpgradeExchange"
import * as WebSocket from "@effect-ws/api/WebSocket"
import type { Message } from "@effect-ws/core/Message"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { ServerView } from "./ServerView.ts"

const CloseWish = Schema.parseJson(Schema.Struct({ code: Schema.Number, reason: Schema.String }))

/** Refuses who gives no id; tells the others what happens until they leave. */
export const serve = (exchange: UpgradeExchange) =>
  Effect.gen(function* () {
    const id = new URLSearchParams(exchange.request.query).get("id")
    if (id === null) return yield* WebSocket.reject({ status: 400, body: "which one? /watch?id=...\n" })
    const view = yield* ServerView
    // Before the 101: nothing that happens after it is missed.
    const sights = yield* view.watch
    const socket = yield* WebSocket.accept(exchange, { maxMessageSize: 1024 })
    const tell = sights.pipe(
      Stream.filter((sight) => sight.id === id),
      Stream.runForEach((sight) => socket.send(sight.text))
    )
    const obey = WebSocket.run(socket, (message) =>
      Effect.flatMap(
        closeAsTold(id, message),
        Option.match({ onNone: () => Effect.void, onSome: (problem) => socket.send(`can't close: ${problem}`) })
      )
    )
    yield* Effect.raceFirst(obey, tell).pipe(Effect.catchTag("SendRejected", () => Effect.void))
  })

const closeAsTold = (id: string, message: Message) =>
  Effect.gen(function* () {
    const { code, reason } = yield* Schema.decode(CloseWish)(message._tag === "Text" ? message.text : "")
    const view = yield* ServerView
    return yield* view.close(id, code, reason)
  }).pipe(Effect.catchTag("ParseError", () => Effect.succeedSome("that was no { code, reason }")))
