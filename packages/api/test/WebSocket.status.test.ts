/** How a connection is at any time, how it is ended at once, and text that nobody checks. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { open, roles } from "./support/connections.ts"
import * as Frames from "./support/frames.ts"
import { leavesNothing, settled } from "./support/leaks.ts"
import { fragments, messageCost, receive, receivePieces } from "./support/receiving.ts"

const { opcodes } = Frames

const none = { incoming: 0, outgoing: 0, dropped: 0, isPaused: false }

describe.each(roles)("WebSocket of a %s: status", (role) => {
  it.scoped(`${role} is open, closing and closed`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role, { peer: { polite: false } })
      assert.deepStrictEqual(yield* socket.status, { state: "open", ...none })
      const closing = yield* Effect.fork(socket.close())
      yield* peer.awaitFrames(1)
      assert.deepStrictEqual(yield* socket.status, { state: "closing", ...none })
      peer.polite = true
      peer.sendClose(1000)
      if (role === "client") peer.end()
      yield* Fiber.join(closing)
      assert.deepStrictEqual(yield* socket.status, { state: "closed", ...none })
    })
  )

  it.scoped(`${role} is closing from the Close frame of the peer on, although messages in front of it wait`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role)
      peer.sendText("a")
      yield* settled
      yield* socket.receive
      peer.send(peer.text("b"), peer.close(1000))
      yield* settled
      assert.deepStrictEqual(yield* socket.status, { state: "closing", ...none, incoming: messageCost + 1 })
      yield* socket.receive
      yield* Effect.flip(socket.receive)
      yield* socket.closed
      assert.deepStrictEqual(yield* socket.status, { state: "closed", ...none })
    })
  )

  it.scoped(`${role} counts what waits to be received, and tells when reading is paused`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role, { socket: { inboxHighWaterMark: 300 } })
      peer.sendText("é", "")
      yield* settled
      assert.deepStrictEqual(yield* socket.status, { state: "open", ...none, incoming: 2 * messageCost + 2 })
      peer.sendText("a".repeat(100))
      yield* settled
      const incoming = 3 * messageCost + 102
      assert.deepStrictEqual(yield* socket.status, { state: "open", ...none, incoming, isPaused: true })
      yield* socket.receiveAll
      assert.deepStrictEqual(yield* socket.status, { state: "open", ...none })
    })
  )

  it.scoped(`${role} counts what waits to be sent, with headers, and what was dropped`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role, {
        socket: { sendHighWaterMark: 100, whenFull: "drop" },
        pair: { highWaterMark: 10 }
      })
      peer.transport.pause()
      const header = role === "server" ? 2 : 6
      yield* socket.send("a".repeat(100))
      assert.deepStrictEqual(yield* socket.status, { state: "open", ...none, outgoing: 100 + header })
      yield* settled
      yield* socket.send("b")
      yield* socket.send("c")
      assert.deepStrictEqual(yield* socket.status, { state: "open", ...none, outgoing: 100 + header, dropped: 2 })
      peer.transport.resume()
      yield* settled
      assert.deepStrictEqual(yield* socket.status, { state: "open", ...none, dropped: 2 })
    })
  )

  it.scoped(`${role} is not paused any more when it has ended, and tells what is still to be received`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role, { socket: { inboxHighWaterMark: 10 } })
      peer.sendText("a")
      yield* settled
      assert.isTrue((yield* socket.status).isPaused)
      yield* socket.destroy
      yield* socket.closed
      assert.deepStrictEqual(yield* socket.status, { state: "closed", ...none, incoming: messageCost + 1 })
      assert.strictEqual(yield* receive(socket), "a")
      assert.deepStrictEqual(yield* socket.status, { state: "closed", ...none })
    })
  )
})

describe.each(roles)("WebSocket of a %s: destroy", (role) => {
  it.effect(`${role} ends both directions at once, without a word, and everybody fails with the one end`, () =>
    leavesNothing(
      Effect.gen(function* () {
        const { peer, socket, transport } = yield* open(role)
        const waiting = yield* Effect.forEach(
          [socket.receive, socket.receiveAll, receivePieces(socket), socket.ping()],
          (effect) => Effect.zipLeft(Effect.fork(Effect.flip(effect as Effect.Effect<unknown, unknown>)), settled)
        )
        yield* socket.destroy
        assert.isFalse(transport.ledger.isOpen)
        const end = yield* socket.closed
        assert.deepInclude(end, { _tag: "ConnectionClosed", received: undefined, sent: undefined, clean: false })
        assert.deepInclude(end, { initiator: "local" })
        for (const fiber of waiting) assert.strictEqual(yield* Fiber.join(fiber), end)
        assert.strictEqual(yield* Effect.flip(socket.send("a")), end)
        assert.deepStrictEqual(yield* Effect.exit(socket.close()), Exit.fail(end))
        yield* peer.awaitClosed
        assert.isEmpty(peer.said.filter((frame) => !frame.startsWith("ping")))
      })
    )
  )

  it.effect(`${role} may be destroyed again, while it closes, and when it has ended`, () =>
    leavesNothing(
      Effect.gen(function* () {
        const { peer, socket } = yield* open(role, { peer: { polite: false } })
        const closing = yield* Effect.fork(Effect.flip(socket.close()))
        yield* peer.awaitFrames(1)
        yield* socket.destroy
        const end = yield* Fiber.join(closing)
        assert.deepInclude(end, { _tag: "ConnectionClosed", sent: { code: 1000, reason: "" }, received: undefined })
        yield* socket.destroy
        assert.strictEqual(yield* socket.closed, end)
        yield* TestClock.adjust(10_000)
        assert.strictEqual(yield* socket.closed, end)
      })
    )
  )
})

describe.each(roles)("WebSocket of a %s: validateText", (role) => {
  const bad = Frames.hex("61 ff 62 e2 82")

  it.scoped(
    `${role} reads text that isn't UTF-8 with U+FFFD in it when it trusts the peer, whole or piece by piece`,
    () =>
      Effect.gen(function* () {
        const { peer, socket } = yield* open(role, { socket: { validateText: false } })
        for (const take of [receive, receivePieces]) {
          peer.send(peer.frame(opcodes.text, bad))
          assert.strictEqual(yield* take(socket), "a\uFFFDb\uFFFD")
          const parts = fragments(peer, opcodes.text, bad.subarray(0, 2), bad.subarray(2, 4), bad.subarray(4))
          const taking = yield* Effect.fork(take(socket))
          for (const part of parts) {
            peer.send(part)
            yield* settled
          }
          assert.strictEqual(yield* Fiber.join(taking), "a\uFFFDb\uFFFD")
        }
        assert.deepStrictEqual(peer.said, [])
      })
  )

  it.scoped(`${role} checks text by default, piece by piece too: 8.1, with 1007`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role)
      const [first, second] = fragments(peer, opcodes.text, bad.subarray(0, 1), bad.subarray(1))
      peer.send(first!)
      yield* settled
      const got: Array<string> = []
      const incoming = yield* socket.receiveStream
      assert.strictEqual(incoming._tag, "Text")
      const reading = yield* Effect.fork(
        Effect.flip(Stream.runForEach(incoming.bytes, (piece) => Effect.sync(() => got.push(Frames.toText(piece)))))
      )
      peer.send(second!)
      assert.strictEqual((yield* Fiber.join(reading))._tag, "ProtocolError")
      assert.deepStrictEqual(got, ["a"])
      yield* settled
      assert.match(peer.said.at(-1)!, /^close 1007 /)
    })
  )
})
