/**
 * Receives a message piece by piece.
 */
import type { Message } from "@effect-ws/core/Message"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Incoming } from "../../MessageStream.ts"
import type { WebSocketError } from "../../WebSocketError.ts"
import type { Connection } from "./Connection.ts"
import type { Restore } from "./handle.ts"
import type { StreamReader } from "./StreamReader.ts"

/** Waits for those who came before, then for a message. Nobody else reads until the scope closes. */
export const receiveStream = (connection: Connection): Effect.Effect<Incoming, WebSocketError, Scope.Scope> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      const place = connection.readers.enter()
      const leave = Effect.sync(() => connection.readers.leave(place))
      yield* Effect.onError(restore(connection.readers.await(place)), () => leave)
      const reader = connection.holdReading()
      const release = Effect.zipRight(
        Effect.sync(() => connection.releaseReading(reader)),
        leave
      )
      yield* Effect.addFinalizer(() => release)
      return incoming(yield* Effect.onError(begin(reader, restore), () => release), reader)
    })
  )

// Only the waiting can be interrupted: who was interrupted has taken nothing.
const begin = (reader: StreamReader, restore: Restore): Effect.Effect<Message["_tag"], WebSocketError> =>
  Effect.flatMap(restore(reader.ready), () => {
    const type = reader.take()
    return type === undefined ? begin(reader, restore) : Effect.succeed(type)
  })

const incoming = (type: Message["_tag"], reader: StreamReader): Incoming => {
  const bytes = Stream.repeatEffectChunkOption(
    Effect.matchEffect(reader.pull, {
      onFailure: (error) => Effect.fail(Option.some(error)),
      onSuccess: (pieces) =>
        pieces === undefined ? Effect.fail(Option.none()) : Effect.succeed(Chunk.unsafeFromArray(pieces))
    })
  )
  return type === "Text" ? { _tag: type, bytes, text: decode(bytes) } : { _tag: type, bytes }
}

// A character may be cut in two: its first half waits for the second. The bytes were checked already, unless the peer is
// trusted; then the half of one may be left at the end.
const decode = <E>(bytes: Stream.Stream<Uint8Array, E>): Stream.Stream<string, E> =>
  Stream.suspend(() => {
    const decoder = new TextDecoder("utf-8", { ignoreBOM: true })
    const pieces = Stream.map(bytes, (piece) => decoder.decode(piece, { stream: true }))
    const end = Stream.fromEffect(Effect.sync(() => decoder.decode(nothing, { stream: false })))
    return Stream.filter(Stream.concat(pieces, end), (piece) => piece.length > 0)
  })

const nothing = new Uint8Array(0)
