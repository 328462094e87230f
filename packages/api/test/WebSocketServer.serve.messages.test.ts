/** What `serve` does with messages. */
import type { WebSocketError } from "@effect-ws/api/WebSocketError"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { leavesNothing, settled } from "./support/leaks.ts"
import type { Peer } from "./support/Peer.ts"
import { textOf, serve, failures, places, nobody, makeLatch, endOf } from "./support/callbacks.ts"

describe("WebSocketServer.serve: messages", () => {
  it.effect("server runs onOpen before the first message, also when that came with the request", () =>
    leavesNothing(
      Effect.gen(function* () {
        const latch = yield* makeLatch
        const seen: Array<string> = []
        const server = yield* serve({
          onOpen: (socket) =>
            Effect.zipRight(
              Effect.sync(() => seen.push("open")),
              Effect.zipRight(latch.wait, socket.send("hello"))
            ),
          onMessage: (message, socket) => {
            seen.push(textOf(message))
            return socket.send(message)
          }
        })
        const { peer } = yield* server.listener.connect()
        peer.sendRequest()
        peer.sendText("a", "b")
        yield* settled
        assert.deepStrictEqual(seen, ["open"])
        yield* latch.open
        assert.deepStrictEqual(yield* peer.awaitFrames(3), ["text hello", "text a", "text b"])
        assert.deepStrictEqual(seen, ["open", "a", "b"])
        yield* server.stop
      })
    )
  )

  it.effect("server handles one message after the other: a handler that suspends holds back the next", () =>
    leavesNothing(
      Effect.gen(function* () {
        const first = yield* makeLatch
        const second = yield* makeLatch
        const latches = [first, second]
        const seen: Array<string> = []
        const server = yield* serve({
          onMessage: (message) =>
            Effect.gen(function* () {
              seen.push(`${textOf(message)} begins`)
              yield* latches.shift()?.wait ?? Effect.void
              seen.push(`${textOf(message)} ends`)
            })
        })
        const { peer } = yield* server.open()
        peer.sendText("a", "b")
        yield* settled
        peer.sendText("c")
        yield* settled
        assert.deepStrictEqual(seen, ["a begins"])
        yield* first.open
        assert.deepStrictEqual(seen, ["a begins", "a ends", "b begins"])
        yield* second.open
        assert.deepStrictEqual(seen, ["a begins", "a ends", "b begins", "b ends", "c begins", "c ends"])
        yield* server.stop
      })
    )
  )

  it.effect("server goes on after a handler that returns nothing, an exit, an effect, or one that yields", () =>
    leavesNothing(
      Effect.gen(function* () {
        const seen: Array<string> = []
        const ways: Array<() => Effect.Effect<unknown> | void> = [
          () => {},
          () => Exit.succeed(1),
          () => Effect.sync(() => 1),
          () => Effect.yieldNow(),
          () => Effect.never.pipe(Effect.timeoutOption("1 second"))
        ]
        const server = yield* serve({
          onMessage: (message) => {
            seen.push(textOf(message))
            return ways.shift()!()
          }
        })
        const { peer } = yield* server.open()
        peer.sendText("a", "b", "c", "d", "e")
        yield* settled
        yield* TestClock.adjust("1 second")
        ways.push(() => {})
        peer.sendText("f")
        yield* settled
        assert.strictEqual(seen.join(""), "abcdef")
        assert.deepStrictEqual(server.causes, [])
        yield* server.stop
      })
    )
  )

  const ways: Record<string, () => Effect.Effect<unknown, unknown>> = {
    fails: () => Effect.fail(new Error("no")),
    "returns a failed exit": () => Exit.fail(new Error("no")),
    dies: () => Effect.die(new Error("no")),
    "fails later": () => Effect.zipRight(Effect.yieldNow(), Effect.fail(new Error("no"))),
    throws: () => {
      throw new Error("no")
    }
  }
  for (const [name, way] of Object.entries(ways)) {
    it.effect(`server closes with 1011 and reports once when onMessage ${name}; later messages are not handled`, () =>
      leavesNothing(
        Effect.gen(function* () {
          const seen: Array<string> = []
          const server = yield* serve({
            onMessage: (message, socket) => {
              seen.push(textOf(message))
              return textOf(message) === "b" ? way() : socket.send(message)
            },
            onClose: (end) => void seen.push(endOf(end))
          })
          const { peer } = yield* server.open()
          peer.sendText("a", "b", "c")
          assert.deepStrictEqual(yield* peer.awaitFrames(2), ["text a", "close 1011"])
          yield* peer.awaitClosed
          yield* settled
          assert.deepStrictEqual(seen, ["a", "b", "ConnectionClosed 1011 true"])
          assert.deepStrictEqual(
            failures(server.causes).map((error) => (error as Error).message),
            ["no"]
          )
          assert.deepStrictEqual(yield* places(server), nobody)
          yield* server.stop
        })
      )
    )

    it.effect(`server closes with 1011 and reports once when onOpen ${name}; nothing is handled but the end`, () =>
      leavesNothing(
        Effect.gen(function* () {
          const seen: Array<string> = []
          const server = yield* serve({
            onOpen: way,
            onMessage: (message) => void seen.push(textOf(message)),
            onClose: (end) => void seen.push(endOf(end))
          })
          const { peer } = yield* server.listener.connect()
          peer.sendRequest()
          peer.sendText("a")
          yield* peer.awaitClosed
          yield* settled
          assert.deepStrictEqual(peer.said, ["close 1011"])
          assert.deepStrictEqual(seen, ["ConnectionClosed 1011 true"])
          assert.deepStrictEqual(
            failures(server.causes).map((error) => (error as Error).message),
            ["no"]
          )
          assert.deepStrictEqual(yield* places(server), nobody)
          yield* server.stop
        })
      )
    )

    it.effect(`server reports once when onClose ${name}, and gives the place back`, () =>
      leavesNothing(
        Effect.gen(function* () {
          let closes = 0
          const server = yield* serve({
            onMessage: () => {},
            onClose: () => {
              closes++
              return way()
            }
          })
          const { peer } = yield* server.open()
          peer.sendClose(1000)
          yield* peer.awaitClosed
          yield* settled
          assert.strictEqual(closes, 1)
          assert.deepStrictEqual(
            failures(server.causes).map((error) => (error as Error).message),
            ["no"]
          )
          assert.deepStrictEqual(yield* places(server), nobody)
          yield* server.stop
        })
      )
    )
  }

  it.effect("server goes away with 1001 when a handler interrupts itself, and reports nothing", () =>
    leavesNothing(
      Effect.gen(function* () {
        const server = yield* serve({ onMessage: () => Effect.interrupt })
        const { peer } = yield* server.open()
        peer.sendText("a")
        yield* peer.awaitClosed
        yield* settled
        assert.deepStrictEqual([peer.said, server.causes, yield* places(server)], [["close 1001"], [], nobody])
        yield* server.stop
      })
    )
  )

  it.effect("server takes it as no failure when a handler lets the clean end of its connection through", () =>
    leavesNothing(
      Effect.gen(function* () {
        const latch = yield* makeLatch
        const ends: Array<string> = []
        const server = yield* serve({
          onMessage: (message, socket) => Effect.zipRight(latch.wait, socket.send(message)),
          onClose: (end) => void ends.push(endOf(end))
        })
        const { peer } = yield* server.open()
        peer.sendText("a")
        peer.sendClose(1000)
        yield* settled
        // The answer to the Close frame isn't held back for ever.
        yield* TestClock.adjust("1 second")
        yield* peer.awaitClosed
        assert.deepStrictEqual(peer.said, ["close 1000"])
        assert.deepStrictEqual(ends, [])
        yield* latch.open
        assert.deepStrictEqual([ends, server.causes], [["ConnectionClosed 1000 true"], []])
        assert.deepStrictEqual(yield* places(server), nobody)
        yield* server.stop
      })
    )
  )

  it.effect("server takes it as no failure when a handler has something to say after its own close", () =>
    leavesNothing(
      Effect.gen(function* () {
        const server = yield* serve({
          onMessage: (message, socket) =>
            Effect.zipRight(Effect.fork(socket.close()), Effect.zipRight(settled, socket.send(message)))
        })
        const { peer } = yield* server.open()
        peer.sendText("a")
        yield* peer.awaitClosed
        yield* settled
        assert.deepStrictEqual([peer.said, server.causes, yield* places(server)], [["close 1000"], [], nobody])
        yield* server.stop
      })
    )
  )

  it.effect("server reports when a handler lets the loss of its peer through", () =>
    leavesNothing(
      Effect.gen(function* () {
        const latch = yield* makeLatch
        const server = yield* serve({
          onMessage: (message, socket) => Effect.zipRight(latch.wait, socket.send(message))
        })
        const { peer } = yield* server.open()
        peer.sendText("a")
        yield* settled
        peer.destroy()
        yield* settled
        assert.deepStrictEqual(server.causes, [])
        yield* latch.open
        assert.deepStrictEqual(
          failures(server.causes).map((error) => (error as WebSocketError)._tag),
          ["ConnectionClosed"]
        )
        assert.deepStrictEqual(yield* places(server), nobody)
        yield* server.stop
      })
    )
  )

  it.effect("server hands out every message in front of the end, though the answers come too late", () =>
    leavesNothing(
      Effect.gen(function* () {
        const ends: ReadonlyArray<readonly [end: (peer: Peer) => void, told: ReadonlyArray<string>]> = [
          [(peer) => peer.sendClose(1000), []],
          [(peer) => peer.destroy(), ["ConnectionClosed"]]
        ]
        for (const [end, told] of ends) {
          const latch = yield* makeLatch
          const seen: Array<string> = []
          const server = yield* serve({
            onMessage: (message, socket) => {
              seen.push(textOf(message))
              return Effect.zipRight(latch.wait, socket.send(message))
            },
            onClose: () => void seen.push("closed")
          })
          const { peer } = yield* server.open()
          peer.sendText("a", "b", "c")
          yield* settled
          end(peer)
          yield* settled
          yield* TestClock.adjust("1 second")
          yield* settled
          assert.deepStrictEqual(seen, ["a"])
          yield* latch.open
          assert.deepStrictEqual(seen, ["a", "b", "c", "closed"])
          assert.deepStrictEqual(
            failures(server.causes).map((error): string => (error as WebSocketError)._tag),
            told
          )
          assert.deepStrictEqual(yield* places(server), nobody)
          yield* server.stop
        }
      })
    )
  )

  for (const end of ["our Close frame", "the loss of the peer"]) {
    it.effect(`server hands out any number of messages that can't be answered because of ${end}`, () =>
      leavesNothing(
        Effect.gen(function* () {
          const latch = yield* makeLatch
          let handled = 0
          const server = yield* serve(
            {
              onMessage: (message, socket) => {
                return handled++ === 0 ? Effect.zipRight(latch.wait, socket.send(message)) : socket.send(message)
              }
            },
            { inboxHighWaterMark: 16 * 1024 * 1024 }
          )
          const { peer } = yield* server.open({ polite: false })
          const count = 20_000
          peer.send(...Array.from({ length: count }, () => peer.text("")))
          yield* settled
          const stopping = end === "our Close frame" ? yield* Effect.fork(server.stop) : undefined
          if (stopping === undefined) peer.destroy()
          for (let i = 0; i < 10; i++) yield* settled
          yield* latch.open
          yield* Effect.repeat(settled, { until: () => handled === count })
          peer.destroy()
          yield* stopping === undefined ? server.stop : Fiber.join(stopping)
          assert.strictEqual(handled, count)
        })
      )
    )
  }

  it.effect("server stops reading above the inbox mark while a handler is busy, and goes on below", () =>
    leavesNothing(
      Effect.gen(function* () {
        const latch = yield* makeLatch
        let handled = 0
        const server = yield* serve(
          { onMessage: () => Effect.tap(latch.wait, () => handled++) },
          { inboxHighWaterMark: 1024 }
        )
        const { pair, peer } = yield* server.open({ pair: { readSize: 256 } })
        const message = peer.text("x".repeat(200))
        for (let i = 0; i < 50; i++) peer.send(message)
        yield* settled
        assert.isTrue(pair.server.ledger.isPaused)
        // The first is in the hands of the handler.
        assert.isBelow(pair.server.ledger.bytesDelivered, 2048 + message.length)
        assert.strictEqual(handled, 0)
        yield* latch.open
        yield* settled
        assert.strictEqual(handled, 50)
        assert.isFalse(pair.server.ledger.isPaused)
        yield* server.stop
      })
    )
  )

  it.effect("server lets a handler receive further messages itself", () =>
    leavesNothing(
      Effect.gen(function* () {
        const server = yield* serve({
          onMessage: (message, socket) =>
            Effect.flatMap(socket.receive, (next) => socket.send(`${textOf(message)}+${textOf(next)}`))
        })
        const { peer } = yield* server.open()
        peer.sendText("a", "b", "c")
        yield* settled
        assert.deepStrictEqual(peer.said, ["text a+b"])
        peer.sendText("d", "e", "f")
        assert.deepStrictEqual(yield* peer.awaitFrames(3), ["text a+b", "text c+d", "text e+f"])
        yield* server.stop
      })
    )
  )

  it.effect("server lets a handler receive the next message piece by piece, and gets those behind it", () =>
    leavesNothing(
      Effect.gen(function* () {
        const server = yield* serve({
          onMessage: (message, socket) =>
            textOf(message) === "stream"
              ? Effect.scoped(
                  Effect.gen(function* () {
                    const incoming = yield* socket.receiveStream
                    const bytes = yield* Stream.runFold(incoming.bytes, 0, (sum, piece) => sum + piece.length)
                    yield* socket.send(`${incoming._tag} ${bytes}`)
                  })
                )
              : socket.send(message)
        })
        const { peer } = yield* server.open()
        peer.sendText("stream")
        yield* settled
        peer.send(peer.frame(2, "abc", { fin: false }))
        yield* settled
        peer.send(peer.frame(0, "de"), peer.text("after"))
        assert.deepStrictEqual(yield* peer.awaitFrames(2), ["text Binary 5", "text after"])
        peer.sendText("again")
        assert.deepStrictEqual((yield* peer.awaitFrames(3))[2], "text again")
        yield* server.stop
      })
    )
  )

  it.effect("server refuses a message that only a stream could take, also when it began during onOpen", () =>
    leavesNothing(
      Effect.gen(function* () {
        const latch = yield* makeLatch
        const ends: Array<string> = []
        const server = yield* serve(
          { onOpen: () => latch.wait, onMessage: () => {}, onClose: (end) => void ends.push(end._tag) },
          { maxMessageSize: 100, maxStreamedSize: 1000 }
        )
        const { peer } = yield* server.open()
        peer.send(peer.frame(2, new Uint8Array(200), { fin: false }))
        yield* settled
        assert.deepStrictEqual(peer.said, [])
        yield* latch.open
        yield* peer.awaitClosed
        yield* settled
        assert.match(peer.said[0]!, /^close 1009/)
        assert.deepStrictEqual(ends, ["MessageTooBig"])
        assert.deepStrictEqual(yield* places(server), nobody)
        yield* server.stop
      })
    )
  )
})
