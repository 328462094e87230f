/** A connection as a channel and as a sink. */
import * as WebSocket from "@effect-ws/api/WebSocket"
import type { WebSocketError } from "@effect-ws/api/WebSocketError"
import { assert, describe, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { open, roles } from "./support/connections.ts"
import { leavesNothing, makePair, settled } from "./support/leaks.ts"
import { isDone, messageCost, textOf } from "./support/receiving.ts"
import { atEveryPoint, describePoints, interruptions } from "./support/schedulers.ts"

/** Runs a scenario, and looks for what it left behind. */
const scoped = (title: string, scenario: () => Effect.Effect<void, unknown, Scope.Scope>) =>
  it.effect(title, () => leavesNothing(scenario()))

/** Sends a stream, and tells what comes out as text. */
const through = <E>(
  socket: WebSocket.WebSocket,
  input: Stream.Stream<WebSocket.Sendable, E>
): Stream.Stream<string, WebSocketError | E | { readonly _tag: "SendRejected" }> =>
  Stream.map(Stream.pipeThroughChannel(input, WebSocket.toChannel<E>(socket)), textOf)

const collect = <E>(stream: Stream.Stream<string, E>) => Effect.map(Stream.runCollect(stream), Chunk.toReadonlyArray)

const causeOf = (exit: Exit.Exit<unknown, unknown>): string => String(Exit.isFailure(exit) && exit.cause)

describe.each(roles)("WebSocket of a %s: toChannel", (role) => {
  scoped(`${role} sends what goes in, lets messages out, and closes with 1000 when the input ends`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role)
      peer.sendText("a", "b")
      const got = yield* collect(through(socket, Stream.make<Array<WebSocket.Sendable>>("x", Uint8Array.of(1))))
      assert.deepStrictEqual(got, ["a", "b"])
      assert.deepStrictEqual(peer.said, ["text x", "binary 01", "close 1000"])
    })
  )

  scoped(`${role} lets messages out that come after its Close frame`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role, { peer: { polite: false } })
      const running = yield* Effect.fork(collect(through(socket, Stream.make("x"))))
      yield* peer.awaitFrames(2)
      peer.send(peer.text("late"), peer.close(1000))
      peer.end()
      assert.deepStrictEqual(yield* Fiber.join(running), ["late"])
    })
  )

  scoped(`${role} closes with 1011 when the input fails, and fails with that`, () =>
    Effect.gen(function* () {
      for (const failure of [Effect.fail("no" as const), Effect.dieMessage("boom")]) {
        const { peer, socket } = yield* open(role)
        const input = Stream.concat(Stream.make("x"), Stream.fromEffect(failure))
        const exit = yield* Effect.exit(collect(through(socket, input)))
        assert.match(causeOf(exit), /no|boom/)
        assert.deepStrictEqual(peer.said, ["text x", "close 1011"])
      }
    })
  )

  scoped(`${role} ends when the peer closes cleanly, and interrupts an input that has no end`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role)
      let wasInterrupted = false
      const never = Effect.onInterrupt(Effect.never, () => Effect.sync(() => (wasInterrupted = true)))
      peer.send(peer.text("a"), peer.close(1001))
      assert.deepStrictEqual(yield* collect(through(socket, Stream.fromEffect(never))), ["a"])
      assert.isTrue(wasInterrupted)
    })
  )

  scoped(`${role} ends when the peer closes while the input has always something, and asks for no more of it`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role)
      let asked = 0
      const input = Stream.repeatEffect(Effect.map(Effect.yieldNow(), () => `${asked++}`))
      const gate = yield* Effect.makeLatch()
      const output = Stream.tap(through(socket, input), () => gate.await)
      const running = yield* Effect.fork(collect(output))
      peer.send(peer.text("a"), peer.text("b"), peer.close(1000))
      yield* socket.closed.pipe(Effect.raceFirst(Effect.zipRight(settled, socket.destroy)), Effect.zipRight(settled))
      const before = asked
      yield* settled
      assert.strictEqual(asked, before)
      yield* gate.open
      yield* Fiber.await(running)
    })
  )

  scoped(`${role} fails as the connection does, behind the messages that came before`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role)
      const got: Array<string> = []
      peer.send(peer.text("a"), peer.frame(3))
      const output = Stream.runForEach(through(socket, Stream.never), (text) => Effect.sync(() => got.push(text)))
      assert.deepInclude(yield* Effect.flip(output), { _tag: "ProtocolError" })
      assert.deepStrictEqual(got, ["a"])
    })
  )

  scoped(`${role} slows the peer when nobody takes what comes out`, () =>
    Effect.gen(function* () {
      const { peer, socket, transport } = yield* open(role, { socket: { inboxHighWaterMark: 2 * messageCost } })
      const gate = yield* Effect.makeLatch()
      const output = Stream.tap(through(socket, Stream.never), () => gate.await)
      const running = yield* Effect.fork(collect(Stream.take(output, 8)))
      for (const text of "abcdefgh") {
        peer.sendText(text)
        yield* settled
      }
      assert.isTrue(transport.ledger.isPaused)
      assert.isAbove(peer.transport.writable, 0)
      yield* gate.open
      assert.deepStrictEqual(yield* Fiber.join(running), Array.from("abcdefgh"))
    })
  )

  scoped(`${role} slows the input when the peer doesn't read`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role, { pair: { highWaterMark: 100 }, socket: { sendHighWaterMark: 100 } })
      peer.transport.pause()
      let asked = 0
      const input = Stream.repeatEffect(Effect.sync(() => `${asked++}`.padStart(50, ".")))
      const running = yield* Effect.fork(collect(through(socket, Stream.take(input, 40))))
      yield* settled
      assert.isBelow(asked, 10)
      assert.isBelow((yield* socket.status).outgoing, 300)
      peer.transport.resume()
      yield* Fiber.join(running)
      assert.strictEqual(asked, 40)
      assert.strictEqual(peer.said.length, 41)
    })
  )

  scoped(`${role} fails when the queue is full and must not be waited for, and closes with 1011`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role, {
        pair: { highWaterMark: 10 },
        socket: { sendHighWaterMark: 10, whenFull: "fail" }
      })
      peer.transport.pause()
      const running = yield* Effect.fork(Effect.flip(collect(through(socket, Stream.make("0123456789", "0123456789")))))
      yield* settled
      peer.transport.resume()
      assert.deepInclude(yield* Fiber.join(running), { _tag: "SendRejected" })
      assert.deepStrictEqual(peer.said, ["text 0123456789", "close 1011"])
    })
  )

  scoped(`${role} leaves the connection open when it is left early`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role)
      peer.sendText("a")
      assert.deepStrictEqual(yield* collect(Stream.take(through(socket, Stream.never), 1)), ["a"])
      assert.strictEqual((yield* socket.status).state, "open")
      yield* socket.send("still here")
      assert.deepStrictEqual(yield* peer.awaitFrames(1), ["text still here"])
    })
  )

  for (const points of interruptions) {
    it.effect(`${role} leaves nothing behind when the channel is ${describePoints(points)}`, () =>
      atEveryPoint(points, (disturbed) =>
        Effect.gen(function* () {
          const { peer, socket } = yield* open(role)
          const input = Stream.concat(Stream.make("x", "y"), Stream.never)
          const feed = Effect.gen(function* () {
            peer.sendText("a", "b")
            yield* settled
            peer.sendClose(1000)
          })
          const exit = yield* disturbed(Stream.runDrain(through(socket, input)), feed)
          assert.isTrue(Exit.isSuccess(exit) || Exit.isInterrupted(exit), String(exit))
          // Sent is a beginning of the input, whatever happened.
          assert.isTrue("text x,text y".startsWith(peer.said.filter((frame) => frame.startsWith("text")).join()))
        })
      )
    )
  }
})

describe("WebSocket: toChannel at both ends", () => {
  scoped("both sides lose and reorder nothing of 10000 messages", () =>
    Effect.gen(function* () {
      const pair = yield* makePair()
      const accepting = yield* Effect.fork(WebSocket.acceptTransport(pair.server))
      const client = yield* WebSocket.handshake(pair.client, { host: "localhost" })
      const server = yield* Fiber.join(accepting)
      const serving = yield* Effect.fork(Stream.runForEach(server.messages, (message) => server.send(message)))
      const texts = Array.from({ length: 10_000 }, (_, i) => `${i}`)
      const input = Stream.concat(Stream.fromIterable(texts), Stream.never)
      const got = yield* collect(Stream.take(through(client, input), texts.length))
      assert.deepStrictEqual(got, texts)
      yield* client.close()
      yield* Fiber.join(serving)
    })
  )
})

describe.each(roles)("WebSocket of a %s: toSink", (role) => {
  scoped(`${role} sends everything in order, no faster than the peer reads, and leaves the connection open`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role, { pair: { highWaterMark: 100 }, socket: { sendHighWaterMark: 100 } })
      peer.transport.pause()
      const texts = Array.from({ length: 30 }, (_, i) => `${i}`.padStart(50, "."))
      const running = yield* Effect.fork(Stream.run(Stream.fromIterable(texts), WebSocket.toSink(socket)))
      yield* settled
      assert.isFalse(yield* isDone(running))
      assert.isBelow((yield* socket.status).outgoing, 300)
      peer.transport.resume()
      yield* Fiber.join(running)
      assert.deepStrictEqual(
        yield* peer.awaitFrames(30),
        texts.map((text) => `text ${text}`)
      )
      assert.strictEqual((yield* socket.status).state, "open")
    })
  )

  scoped(`${role} fails when the connection has ended`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role)
      const running = yield* Effect.fork(
        Effect.flip(Stream.run(Stream.repeatEffect(Effect.as(Effect.yieldNow(), "a")), WebSocket.toSink(socket)))
      )
      yield* settled
      peer.sendClose(1000)
      assert.deepInclude(yield* Fiber.join(running), { _tag: "ConnectionClosed", clean: true })
    })
  )
})
