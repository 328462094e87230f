/**
 * A connection as a channel: messages come out of it, and what goes into it is sent.
 */
import type { Message } from "@effect-ws/core/Message"
import * as CloseReason from "@effect-ws/core/CloseReason"
import type * as Cause from "effect/Cause"
import * as Channel from "effect/Channel"
import type * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { AsyncInputProducer } from "effect/SingleProducerAsyncInput"
import * as Stream from "effect/Stream"
import type { SendRejected } from "../../SendRejected.ts"
import type { Sendable, WebSocket } from "../../WebSocket.ts"
import type { WebSocketError } from "../../WebSocketError.ts"
import type { Connection } from "../connection/Connection.ts"
import * as Handle from "../connection/handle.ts"

type ChannelError<E> = WebSocketError | SendRejected | E

export const toChannel = <E>(
  socket: WebSocket
): Channel.Channel<Chunk.Chunk<Message>, Chunk.Chunk<Sendable>, ChannelError<E>, E, void, unknown> =>
  Channel.suspend(() => {
    const input = new Input<E>(socket)
    const output = Channel.foldCauseChannel(Stream.toChannel(socket.messages), {
      onFailure: (cause) => Channel.failCause(input.failure ?? cause),
      onSuccess: () => (input.failure === undefined ? Channel.void : Channel.failCause(input.failure))
    })
    return Channel.embedInput(output, input)
  })

/** Sends what it is given, and closes when there is no more. */
class Input<E> implements AsyncInputProducer<E, Chunk.Chunk<Sendable>, unknown> {
  /** Why it stopped before its time: the channel fails with that, and not with the end that follows from it. */
  failure: Cause.Cause<ChannelError<E>> | undefined = undefined

  private readonly socket: WebSocket
  private readonly connection: Connection

  constructor(socket: WebSocket) {
    this.socket = socket
    this.connection = Handle.connectionOf(socket)
  }

  // What is sent waits for room; nothing else has to be waited for.
  awaitRead(): Effect.Effect<unknown> {
    return Effect.void
  }

  emit(chunk: Chunk.Chunk<Sendable>): Effect.Effect<unknown> {
    const sending = Effect.forEach(chunk, (data) => this.socket.send(data), { discard: true })
    return Effect.catchAllCause(sending, (cause) => this.stop(cause))
  }

  error(cause: Cause.Cause<E>): Effect.Effect<unknown> {
    return Effect.sync(() => this.fail(cause))
  }

  done(): Effect.Effect<unknown> {
    return Effect.sync(() => this.connection.beginClose(CloseReason.normal))
  }

  // Nothing more can be sent; the end of the connection, which comes or came already, is told by the messages. To ask for more
  // meanwhile, only to drop it, would never end with a source that has always something.
  private stop(cause: Cause.Cause<WebSocketError | SendRejected>): Effect.Effect<never> {
    if (this.connection.sending.refusal === undefined) this.fail(cause)
    return Effect.never
  }

  private fail(cause: Cause.Cause<ChannelError<E>>): void {
    this.failure = cause
    this.connection.shutdown(Handle.releaseReason(Exit.failCause(cause)))
  }
}
