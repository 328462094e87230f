/** What tests of sending piece by piece share: frames in short, sources, and a connection in the middle of a message. */
import * as MessageStream from "@effect-ws/api/MessageStream"
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import { open } from "./connections.ts"
import * as Frames from "./frames.ts"
import { settled } from "./leaks.ts"
import type { Peer } from "./Peer.ts"

export const torn = "close 1011 a message could not be finished"

/** A frame in short, with a `+` when others of its message follow: `text+ Hel`, `continuation lo`. */
export const describeFrame = (frame: Frames.Frame): string => {
  if (frame.opcode > 2) return Frames.describeFrame(frame)
  const name = ["continuation", "text", "binary"][frame.opcode]
  return `${name}${frame.fin ? "" : "+"} ${Frames.toText(frame.payload)}`.trimEnd()
}

export const said = (peer: Peer): ReadonlyArray<string> => peer.frames.map(describeFrame)

/** Waits for the frame that ends a message, the given number of times. */
export const awaitMessages = (peer: Peer, count: number) => {
  const isEnd = ({ fin, opcode }: Frames.Frame) => fin && opcode <= 2
  return Effect.map(
    peer.until(`${count} messages`, () => peer.frames.filter(isEnd).length >= count),
    () => said(peer)
  )
}

/** Each piece in a chunk of its own. */
export const piecesOf = <A>(...pieces: ReadonlyArray<A>): Stream.Stream<A> =>
  Stream.rechunk(Stream.fromIterable(pieces), 1)

export const textOf = (...pieces: ReadonlyArray<string>) => MessageStream.text(piecesOf(...pieces))

export const bytesOf = (...pieces: ReadonlyArray<string>) => MessageStream.binary(piecesOf(...pieces.map(Frames.utf8)))

/** A message whose pieces are given later, and which ends with `undefined`. */
export const makeSource = Effect.gen(function* () {
  const queue = yield* Queue.unbounded<string | Error | undefined>()
  const log: Array<string> = []
  const pull = Effect.flatMap(Queue.take(queue), (item) => {
    if (typeof item === "string") return Effect.succeed(item)
    return Effect.fail(item === undefined ? Option.none() : Option.some(item))
  })
  const text = Stream.repeatEffectOption(pull).pipe(Stream.ensuring(Effect.sync(() => log.push("released"))))
  const give = (...items: ReadonlyArray<string | Error | undefined>) =>
    Effect.zipRight(Queue.offerAll(queue, items), settled)
  return { give, log, message: MessageStream.text(text) }
})

/** A connection in the middle of a message, of which `a` was sent. */
export const openInMiddle = (role: "client" | "server", options: Parameters<typeof open>[1] = {}) =>
  Effect.gen(function* () {
    const opened = yield* open(role, options)
    const source = yield* makeSource
    const sending = yield* Effect.fork(Effect.exit(opened.socket.sendStream(source.message)))
    yield* source.give("a")
    assert.deepStrictEqual(said(opened.peer), ["text+ a"])
    return { ...opened, ...source, sending }
  })
