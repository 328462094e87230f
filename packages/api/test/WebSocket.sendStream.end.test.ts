/** What becomes of a message that is sent piece by piece when it can't be finished. */
import * as MessageStream from "@effect-ws/api/MessageStream"
import type * as WebSocket from "@effect-ws/api/WebSocket"
import { isWebSocketError } from "@effect-ws/api/WebSocketError"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { open, openOn, roles } from "./support/connections.ts"
import { leavesNothing, makePair, settled } from "./support/leaks.ts"
import type { Peer } from "./support/Peer.ts"
import { atEveryPoint, describePoints, interruptions, type Points } from "./support/schedulers.ts"
import { torn, said, awaitMessages, piecesOf, textOf, makeSource, openInMiddle } from "./support/outgoingStreams.ts"

const isDone = (fiber: Fiber.RuntimeFiber<unknown, unknown>) => Effect.map(fiber.poll, Option.isSome)

// Turns that are shorter than these have more tasks of the same kind, and take long.
const disturbances: ReadonlyArray<Points> = [
  ...interruptions.filter(({ each }) => each === "operation"),
  { each: "task", opsPerTurn: 24, interrupt: true }
]

const whole = "text+ a|continuation+ b|continuation+ c|continuation"

describe.each(roles)("WebSocket of a %s: a message that can't be finished", (role) => {
  it.effect(`${role} is unharmed by a source that fails before its first piece`, () =>
    leavesNothing(
      Effect.gen(function* () {
        const { peer, socket } = yield* open(role)
        for (const bytes of [Stream.fail("no"), Stream.concat(Stream.make(new Uint8Array(0)), Stream.fail("no"))]) {
          assert.strictEqual(yield* Effect.flip(socket.sendStream(MessageStream.binary(bytes))), "no")
        }
        yield* socket.sendStream(textOf("a"))
        yield* socket.send("alive")
        assert.deepStrictEqual(yield* awaitMessages(peer, 2), ["text+ a", "continuation", "text alive"])
      })
    )
  )

  it.effect(`${role} is unharmed by a source that fails while its first fragment waits for its turn`, () =>
    leavesNothing(
      Effect.gen(function* () {
        const { give, peer, sending, socket } = yield* openInMiddle(role)
        const waiting = yield* Effect.fork(socket.sendStream(textOf("never")))
        const last = yield* Effect.fork(socket.send("last"))
        yield* settled
        yield* Fiber.interrupt(waiting)
        yield* give(undefined)
        yield* Fiber.join(last)
        yield* Fiber.join(sending)
        assert.deepStrictEqual(yield* awaitMessages(peer, 2), ["text+ a", "continuation", "text last"])
      })
    )
  )

  it.effect(`${role} fails with the error of a source that fails later, and says 1011 to the peer`, () =>
    leavesNothing(
      Effect.gen(function* () {
        const { give, log, peer, sending, socket } = yield* openInMiddle(role)
        const waiting = yield* Effect.fork(Effect.flip(socket.send("never")))
        yield* settled
        const error = new Error("no")
        yield* give("b", error)
        assert.deepStrictEqual(yield* Fiber.join(sending), Exit.fail(error))
        assert.deepInclude(yield* Fiber.join(waiting), { _tag: "SendRejected", reason: { _tag: "Closing" } })
        assert.deepInclude(yield* socket.closed, { _tag: "ConnectionClosed", initiator: "local" })
        assert.deepStrictEqual(said(peer), ["text+ a", "continuation+ b", torn])
        assert.deepStrictEqual(log, ["released"])
      })
    )
  )

  it.effect(`${role} says 1011 to the peer when a source dies later`, () =>
    leavesNothing(
      Effect.gen(function* () {
        const { peer, socket } = yield* open(role)
        const bytes = Stream.concat(Stream.make(Uint8Array.of(97)), Stream.die("oh"))
        const exit = yield* Effect.exit(socket.sendStream(MessageStream.binary(bytes)))
        assert.deepStrictEqual(exit, Exit.die("oh"))
        yield* socket.closed
        assert.deepStrictEqual(said(peer), ["binary+ a", torn])
      })
    )
  )

  it.effect(`${role} says 1011 to the peer when it is interrupted later, also while it waits for room`, () =>
    leavesNothing(
      Effect.gen(function* () {
        const first = yield* openInMiddle(role)
        yield* Fiber.interrupt(first.sending)
        yield* first.socket.closed
        assert.deepStrictEqual(said(first.peer), ["text+ a", torn])
        assert.deepStrictEqual(first.log, ["released"])

        const marks = { socket: { sendHighWaterMark: 100 }, pair: { highWaterMark: 10 } }
        const second = yield* openInMiddle(role, marks)
        second.peer.transport.pause()
        yield* second.give("b".repeat(200), "c")
        yield* Fiber.interrupt(second.sending)
        second.peer.transport.resume()
        yield* second.socket.closed
        assert.deepStrictEqual(said(second.peer), ["text+ a", `continuation+ ${"b".repeat(200)}`, torn])
      })
    )
  )

  const ends: ReadonlyArray<
    readonly [string, string, (peer: Peer, socket: WebSocket.WebSocket) => Effect.Effect<unknown, unknown>]
  > = [
    ["we close", "SendRejected", (_, socket) => Effect.fork(socket.close())],
    ["the peer closes", "ConnectionClosed", (peer) => Effect.sync(() => peer.sendClose(1000))],
    ["the peer breaks the protocol", "ProtocolError", (peer) => Effect.sync(() => peer.send(peer.frame(3)))],
    ["the transport ends", "ConnectionClosed", (peer) => Effect.sync(() => peer.end())],
    ["the connection is destroyed", "ConnectionClosed", (_, socket) => socket.destroy]
  ]
  for (const [title, tag, end] of ends) {
    it.effect(`${role} fails at once, and lets go of the source, when ${title} and no other piece comes`, () =>
      leavesNothing(
        Effect.gen(function* () {
          const { log, peer, sending, socket } = yield* openInMiddle(role)
          yield* end(peer, socket)
          yield* settled
          assert.isTrue(yield* isDone(sending))
          const exit = yield* Fiber.join(sending)
          const error = Exit.isFailure(exit) ? Option.getOrUndefined(Cause.failureOption(exit.cause)) : undefined
          assert.strictEqual((error as { readonly _tag?: string } | undefined)?._tag, tag)
          assert.deepStrictEqual(log, ["released"])
          if (tag !== "SendRejected") assert.strictEqual(error, yield* socket.closed)
          assert.notInclude(said(peer), torn)
        })
      )
    )
  }

  it.effect(`${role} fails before it looks at the source when the connection has ended`, () =>
    leavesNothing(
      Effect.gen(function* () {
        const { peer, socket } = yield* open(role)
        const outcome = yield* socket.close()
        const source = yield* makeSource
        assert.strictEqual(yield* Effect.flip(socket.sendStream(source.message)), outcome)
        assert.deepStrictEqual(peer.said, ["close 1000"])
      })
    )
  )

  it.effect(`${role} fails when the connection ends while a fragment waits for room`, () =>
    leavesNothing(
      Effect.gen(function* () {
        const marks = { socket: { sendHighWaterMark: 100 }, pair: { highWaterMark: 10 } }
        const { give, log, peer, sending, socket } = yield* openInMiddle(role, marks)
        peer.transport.pause()
        yield* give("b".repeat(200), "c")
        assert.isFalse(yield* isDone(sending))
        peer.send(peer.frame(3))
        yield* settled
        const exit = yield* Fiber.join(sending)
        peer.transport.resume()
        assert.deepStrictEqual(exit, Exit.fail(yield* socket.closed))
        assert.deepStrictEqual(log, ["released"])
      })
    )
  )

  for (const points of disturbances) {
    it.effect(`${role} sends nothing, all, or what a Close frame ends, ${describePoints(points)}`, () =>
      Effect.gen(function* () {
        const outcomes = new Set<string>()
        const count = yield* atEveryPoint(points, (disturbed) =>
          Effect.gen(function* () {
            const marks = { socket: { sendHighWaterMark: 100 }, pair: { highWaterMark: 50 } }
            const { peer, socket } = yield* open(role, marks)
            peer.transport.pause()
            yield* socket.send("x".repeat(200))
            const before = yield* Effect.fork(socket.send("before"))
            yield* Effect.yieldNow()
            let [acquired, released] = [0, 0]
            const acquire = Stream.acquireRelease(
              Effect.sync(() => acquired++),
              () => Effect.sync(() => released++)
            )
            const pieces = Stream.flatMap(acquire, () =>
              Stream.mapEffect(piecesOf("a", "b".repeat(90), "c".repeat(90)), (text) =>
                Effect.as(Effect.yieldNow(), text)
              )
            )
            const meanwhile = Effect.zipRight(
              Effect.repeatN(Effect.yieldNow(), 9),
              Effect.sync(() => peer.transport.resume())
            )
            const exit = yield* disturbed(socket.sendStream(MessageStream.text(pieces)), meanwhile)
            yield* Fiber.join(before)
            assert.isTrue(Exit.isSuccess(exit) || Exit.isInterrupted(exit))
            const after = yield* Effect.exit(socket.send("after"))
            if (Exit.isFailure(after)) yield* socket.closed
            else yield* peer.until("the last message", () => said(peer).at(-1) === "text after")
            const frames = said(peer).map((text) => text.replace(/b{90}/, "b").replace(/c{90}/, "c"))
            outcomes.add(frames.slice(2).join("|"))
            if (Exit.isSuccess(exit)) assert.strictEqual(frames.slice(2).join("|"), `${whole}|text after`)
            assert.strictEqual(acquired, released)
          })
        )
        assert.isAbove(count, 10)
        const allowed = [
          "text after",
          `${whole}|text after`,
          ...[1, 2, 3].map((sent) => [...whole.split("|").slice(0, sent), torn].join("|"))
        ]
        for (const outcome of outcomes) assert.include(allowed, outcome)
        assert.isAtLeast(outcomes.size, points.each === "task" ? 3 : 2)
      })
    )
  }

  it.effect(`${role} leaves nothing whichever operation of the transport fails`, () =>
    Effect.gen(function* () {
      let faults = 0
      for (let hasFailed = true; hasFailed; faults++) {
        hasFailed = yield* leavesNothing(
          Effect.gen(function* () {
            const pair = yield* makePair({ failAt: faults + 1, highWaterMark: 50 })
            const opening = Effect.timeoutOption(openOn(role, pair, { socket: { sendHighWaterMark: 100 } }), "1 second")
            const opened = yield* Effect.option(Effect.catchAllCause(opening, () => Effect.succeedNone))
            const socket = Option.getOrUndefined(Option.flatten(opened))?.socket
            if (socket === undefined) return pair.hasFailed()
            let [begun, released] = [false, false]
            const pieces = Stream.suspend(() => {
              begun = true
              return Stream.map(piecesOf("a", "b", "c", "d"), (text) => text.repeat(80))
            }).pipe(Stream.ensuring(Effect.sync(() => (released = true))))
            const exit = yield* Effect.exit(socket.sendStream(MessageStream.text(pieces)))
            yield* settled
            // It is not begun at all when the connection has ended before.
            assert.strictEqual(released, begun)
            if (Exit.isSuccess(exit)) return pair.hasFailed()
            const error = Option.getOrThrow(Cause.failureOption(exit.cause))
            assert.isTrue(isWebSocketError(error))
            assert.strictEqual(yield* socket.closed, error)
            return pair.hasFailed()
          })
        )
      }
      assert.isAbove(faults, 8)
    })
  )
})
