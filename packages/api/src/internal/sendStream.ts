/**
 * Sends a message piece by piece.
 */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { MessageStream } from "../MessageStream.ts"
import type { SendRejected } from "../SendRejected.ts"
import type { WebSocketError } from "../WebSocketError.ts"
import type { Connection } from "./Connection.ts"
import { OutgoingStream } from "./OutgoingStream.ts"

/** Each piece leaves as a fragment, or as several of `fragmentSize` bytes. */
export const sendStream = <E, R>(
  connection: Connection,
  message: MessageStream<E, R>,
  fragmentSize: number | undefined
): Effect.Effect<void, WebSocketError | SendRejected | E, R> =>
  Effect.suspend(() => {
    const of = new OutgoingStream(message._tag)
    const send = (bytes: Uint8Array, isFinal: boolean) =>
      connection.sending.sendFragment({ _tag: "Fragment", of, bytes, byteLength: bytes.length, isFinal })
    const pieces = fragmentSize === undefined ? piecesOf(message) : resize(piecesOf(message), fragmentSize)
    return Stream.runForEach(pieces, (bytes) => send(bytes, false)).pipe(
      Effect.zipRight(Effect.suspend(() => send(empty, true))),
      // 5.4: what was begun can't be taken back, and nothing else can be sent before it ends.
      Effect.onError(() => Effect.sync(() => (of.hasBegun && !of.hasEnded ? connection.beginClose(torn) : undefined)))
    )
  })

const piecesOf = <E, R>(message: MessageStream<E, R>): Stream.Stream<Uint8Array, E, R> => {
  const bytes = "bytes" in message ? message.bytes : encode(message.text)
  // What came together leaves together.
  return Stream.mapChunks(bytes, (pieces) => {
    const joined = join(Chunk.toReadonlyArray(pieces))
    return joined.length === 0 ? Chunk.empty() : Chunk.of(joined)
  })
}

// The first half of a surrogate pair waits for the second.
const encode = <E, R>(text: Stream.Stream<string, E, R>): Stream.Stream<Uint8Array, E, R> =>
  Stream.suspend(() => {
    const encoder = new TextEncoder()
    let half = ""
    const pieces = Stream.map(text, (piece) => {
      const whole = half + piece
      half = endsInHalf(whole) ? whole.slice(-1) : ""
      return encoder.encode(half === "" ? whole : whole.slice(0, -1))
    })
    return Stream.concat(
      pieces,
      Stream.suspend(() => Stream.succeed(encoder.encode(half)))
    )
  })

const endsInHalf = (text: string): boolean => {
  const last = text.charCodeAt(text.length - 1)
  return last >= 0xd800 && last <= 0xdbff
}

const resize = <E, R>(pieces: Stream.Stream<Uint8Array, E, R>, size: number): Stream.Stream<Uint8Array, E, R> =>
  Stream.suspend(() => {
    let rest = empty
    const resized = Stream.mapConcat(pieces, (piece) => {
      const all = join([rest, piece])
      const count = Math.floor(all.length / size)
      rest = all.slice(count * size)
      return Array.from({ length: count }, (_, i) => all.subarray(i * size, (i + 1) * size))
    })
    return Stream.concat(
      resized,
      Stream.suspend(() => (rest.length === 0 ? Stream.empty : Stream.succeed(rest)))
    )
  })

const join = (pieces: ReadonlyArray<Uint8Array>): Uint8Array => {
  if (pieces.length === 1) return pieces[0]!
  const whole = new Uint8Array(pieces.reduce((size, piece) => size + piece.length, 0))
  let at = 0
  for (const piece of pieces) {
    whole.set(piece, at)
    at += piece.length
  }
  return whole
}

const empty = new Uint8Array(0)
const torn = { code: 1011, reason: "a message could not be finished" }
