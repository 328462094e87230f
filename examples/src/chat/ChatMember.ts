/**
 * One connection to the chat room. A line is a text message, so that any tool can take part:
 *
 *     node examples/dist/client.js "ws://127.0.0.1:8080/chat?name=anna"
 *
 * Whoever can't be let in is told so in the Close frame, by a code and a reason: of a refusal before the 101 a browser
 * shows nothing.
 */
import * as WebSocket from "@effect-ws/api/WebSocket"
import type { UpgradeExchange } from "@effect-ws/api/UpgradeExchange"
import * as CloseCode from "@effect-ws/core/CloseCode"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import { ChatRoom, type Member } from "./ChatRoom.ts"

/** The peer sent bytes, and the room takes text. */
class NotText extends Data.TaggedError("NotText") {
  override readonly message = "the room takes text only"
}

/** Accepts the connection, and takes part in the room until it ends. */
export const serve = (exchange: UpgradeExchange) =>
  Effect.gen(function* () {
    const name = new URLSearchParams(exchange.request.query).get("name") ?? ""
    const socket = yield* WebSocket.accept(exchange, { maxMessageSize })
    yield* ChatRoom.pipe(
      Effect.flatMap((room) => room.join(name)),
      Effect.flatMap((member) => talk(socket, member)),
      // The name is free again, and the others know, before the peer is told.
      Effect.scoped,
      Effect.catchTags({
        InvalidName: (error) => socket.close({ code: 4400, reason: error.message }),
        NameTaken: (error) => socket.close({ code: 4409, reason: error.message }),
        RoomFull: (error) => socket.close({ code: CloseCode.TryAgainLater, reason: error.message }),
        TooSlow: (error) => socket.close({ code: CloseCode.PolicyViolation, reason: error.message }),
        NotText: (error) => socket.close({ code: CloseCode.UnsupportedData, reason: error.message }),
        // We are closing already: the member hears no more.
        SendRejected: () => Effect.void
      })
    )
  })

/** Passes lines on in both directions, until the connection ends or the member has to go. */
const talk = (socket: WebSocket.WebSocket, member: Member) =>
  Effect.raceFirst(
    Effect.raceFirst(speak(socket, member), member.evicted),
    Effect.forever(Effect.flatMap(member.hear, (line) => socket.send(line)))
  )

const speak = (socket: WebSocket.WebSocket, member: Member) =>
  WebSocket.run(socket, (message) => (message._tag === "Text" ? member.say(message.text) : new NotText()))

/** In bytes, of one line. */
const maxMessageSize = 1024
