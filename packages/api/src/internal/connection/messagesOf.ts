/**
 * The messages of a connection as a stream: what one chunk has brought is one chunk of it.
 */
import type { Message } from "@effect-ws/core/Message"
import * as Cause from "effect/Cause"
import * as Channel from "effect/Channel"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { WebSocketError } from "../../WebSocketError.ts"
import type { Inbox } from "./Inbox.ts"
import { isClean } from "./isClean.ts"

// The fewest steps that a channel can have: each costs as much as the rest of an echo.
export const messagesOf = (inbox: Inbox): Stream.Stream<Message, WebSocketError> => {
  const take = Channel.fromEffect(Effect.map(inbox.ready, () => Chunk.unsafeFromArray(inbox.pollAll())))
  const loop: Channel.Channel<Chunk.Chunk<Message>, unknown, WebSocketError> = Channel.flatMap(take, (messages) =>
    Channel.flatMap(Channel.write(messages), () => loop)
  )
  return Stream.fromChannel(Channel.catchAllCause(loop, endOf))
}

const endOf = (cause: Cause.Cause<WebSocketError>): Channel.Channel<never, unknown, WebSocketError> =>
  Cause.isFailType(cause) && isClean(cause.error) ? Channel.void : Channel.failCause(cause)
