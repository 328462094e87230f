/**
 * Sends a message piece by piece.
 */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Stream from "effect/Stream"
import type { MessageStream } from "../../MessageStream.ts"
import type { SendRejected } from "../../SendRejected.ts"
import type { WebSocketError } from "../../WebSocketError.ts"
import { attached } from "./attached.ts"
import type { Connection } from "./Connection.ts"
import { OutgoingStream } from "./OutgoingStream.ts"
import type { Sending } from "./Sending.ts"

/** Each piece leaves as a fragment, or all of them as fragments of `fragmentSize` bytes. */
export const sendStream = <E, R>(
  connection: Connection,
  message: MessageStream<E, R>,
  fragmentSize: number | undefined
): Effect.Effect<void, WebSocketError | SendRejected | E, R> =>
  Effect.suspend(() => {
    const { sending } = connection
    if (sending.refusal !== undefined) return Exit.fail(sending.refusal)
    const of = new OutgoingStream(message._tag)
    const cutter = new FragmentCutter(sizeOf(fragmentSize, connection.fragmentSize))
    const send = (bytes: Uint8Array, isFinal: boolean) =>
      sending.sendFragment({ _tag: "Fragment", of, bytes, byteLength: bytes.length, isFinal })
    const fragments = Stream.mapConcat(piecesOf(message), (piece) => cutter.cut(piece))
    const sendAll = Effect.zipRight(
      Stream.runForEach(fragments, (bytes) => send(bytes, false)),
      Effect.suspend(() => send(cutter.rest(), true))
    )
    return Effect.onError(
      untilRefused(sendAll, sending),
      // 5.4: what was begun can't be taken back, and nothing else can be sent before it ends.
      () => Effect.sync(() => (of.hasBegun && !of.hasEnded ? connection.beginClose(torn) : undefined))
    )
  })

// A source that has nothing to give for long must not outlive the connection. No race: its fibers may be left behind when
// the one that races is interrupted while it has to yield.
const untilRefused = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  sending: Sending
): Effect.Effect<A, E | WebSocketError | SendRejected, R> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(Effect.fork(restore(effect)), (fiber) => {
      let refusal: WebSocketError | SendRejected | undefined
      const forget = sending.onRefusal((error) => {
        // The first says why: we close, and then the connection ends.
        refusal ??= error
        fiber.unsafeInterruptAsFork(FiberId.none)
      })
      return restore(Fiber.await(fiber)).pipe(
        Effect.onInterrupt(() => Fiber.interrupt(fiber)),
        Effect.ensuring(Effect.sync(forget)),
        Effect.flatMap((exit): Effect.Effect<A, E | WebSocketError | SendRejected> =>
          refusal !== undefined && Exit.isInterrupted(exit) ? Exit.fail(refusal) : exit
        )
      )
    })
  )

// No frame is larger than the connection may send.
const sizeOf = (asked: number | undefined, largest: number | undefined): number | undefined => {
  if (asked === undefined) return largest
  if (Number.isSafeInteger(asked) && asked > 0) return Math.min(asked, largest ?? asked)
  throw new RangeError(`The option fragmentSize must be a positive integer, and is ${asked}`)
}

const piecesOf = <E, R>(message: MessageStream<E, R>): Stream.Stream<Uint8Array, E, R> => {
  const bytes = "bytes" in message ? message.bytes : encode(message.text)
  // What came together leaves together.
  return Stream.mapChunks(bytes, (pieces) => {
    const joined = join(Chunk.toReadonlyArray(pieces).map(attached))
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

/** Cuts pieces into fragments of one size; without a size each piece is a fragment. */
class FragmentCutter {
  private readonly size: number | undefined
  private pieces: Array<Uint8Array> = []
  private held = 0

  constructor(size: number | undefined) {
    this.size = size
  }

  /** Takes a piece, and returns the fragments that are whole with it. */
  cut(piece: Uint8Array): ReadonlyArray<Uint8Array> {
    if (this.size === undefined) return [piece]
    if (this.held + piece.length >= this.size) return this.divide(join([...this.pieces, piece]), this.size)
    this.hold(piece)
    return nothing
  }

  /** Returns what is left. */
  rest(): Uint8Array {
    return join(this.pieces)
  }

  private divide(all: Uint8Array, size: number): ReadonlyArray<Uint8Array> {
    const count = Math.floor(all.length / size)
    this.pieces = []
    this.held = 0
    this.hold(all.subarray(count * size))
    return Array.from({ length: count }, (_, i) => all.subarray(i * size, (i + 1) * size))
  }

  // The memory of a piece is its owner's again when more is asked for.
  private hold(piece: Uint8Array): void {
    this.pieces.push(new Uint8Array(piece))
    this.held += piece.length
  }
}

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

const nothing: ReadonlyArray<Uint8Array> = []
const torn = { code: 1011, reason: "a message could not be finished" }
