/**
 * Receives a message piece by piece.
 */
import type { Message } from "@effect-ws/core/Message"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Incoming } from "../MessageStream.ts"
import type { WebSocketError } from "../WebSocketError.ts"
import type { Connection } from "./Connection.ts"
import type { StreamReader } from "./StreamReader.ts"

/** Waits for those who came before, then for a message. Nobody else reads until the scope closes. */
export const receiveStream = (connection: Connection): Effect.Effect<Incoming, WebSocketError, Scope.Scope> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      yield* restore(connection.readers.take(1))
      const reader = connection.holdReading()
      const release = Effect.suspend(() => {
        if (!connection.releaseReading(reader)) return Effect.void
        return connection.readers.release(1)
      })
      yield* Effect.addFinalizer(() => release)
      const type = yield* Effect.onError(restore(reader.begin), () => release)
      return incoming(type, reader)
    })
  )

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

// The bytes were checked already. Only a character may be cut in two, and its first half waits for the second.
const decode = <E>(bytes: Stream.Stream<Uint8Array, E>): Stream.Stream<string, E> =>
  Stream.suspend(() => {
    const decoder = new TextDecoder("utf-8", { ignoreBOM: true })
    const pieces = Stream.map(bytes, (piece) => decoder.decode(piece, { stream: true }))
    return Stream.filter(pieces, (piece) => piece.length > 0)
  })
