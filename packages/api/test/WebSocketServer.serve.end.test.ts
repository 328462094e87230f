/** The end of a connection that `serve` has, and the end of `serve`. */
import * as WebSocketServer from "@effect-ws/api/WebSocketServer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import * as Frames from "./support/frames.ts"
import { leavesNothing, settled } from "./support/leaks.ts"
import type { Peer } from "./support/Peer.ts"
import { textOf, serve, places, nobody, makeLatch, endOf } from "./support/callbacks.ts"

describe("WebSocketServer.serve: the end of a connection", () => {
  it.effect("server answers a Close frame at once when nothing is handled", () =>
    leavesNothing(
      Effect.gen(function* () {
        const server = yield* serve({ onMessage: (message, socket) => socket.send(message) })
        const idle = yield* server.open()
        idle.peer.sendClose(1000)
        yield* settled
        assert.deepStrictEqual(idle.peer.said, ["close 1000"])
        const used = yield* server.open()
        used.peer.sendText("a")
        yield* settled
        used.peer.sendClose(1001)
        yield* settled
        assert.deepStrictEqual(used.peer.said, ["text a", "close 1001"])
        yield* server.stop
      })
    )
  )

  it.effect("server answers a Close frame after the replies to the messages in front of it", () =>
    leavesNothing(
      Effect.gen(function* () {
        const latch = yield* makeLatch
        const server = yield* serve({
          onMessage: (message, socket) => Effect.zipRight(latch.wait, socket.send(message))
        })
        const { peer } = yield* server.open()
        peer.send(peer.text("a"), peer.text("b"), peer.close(1000))
        yield* settled
        assert.deepStrictEqual(peer.said, [])
        yield* latch.open
        assert.deepStrictEqual(yield* peer.awaitFrames(3), ["text a", "text b", "close 1000"])
        yield* server.stop
        assert.deepStrictEqual(server.causes, [])
      })
    )
  )

  it.effect("server handles what came during onOpen before the end that came then too", () =>
    leavesNothing(
      Effect.gen(function* () {
        const latch = yield* makeLatch
        const seen: Array<string> = []
        const server = yield* serve({
          onOpen: () => latch.wait,
          onMessage: (message) => void seen.push(textOf(message)),
          onClose: (end) => void seen.push(end._tag)
        })
        const { peer } = yield* server.open()
        peer.sendText("a", "b")
        yield* settled
        peer.end()
        yield* settled
        assert.deepStrictEqual(seen, [])
        yield* latch.open
        assert.deepStrictEqual(seen, ["a", "b", "ConnectionClosed"])
        assert.deepStrictEqual(yield* places(server), nobody)
        yield* server.stop
      })
    )
  )

  const ends: Record<string, readonly [end: (line: { readonly peer: Peer }) => void, told: string]> = {
    "a Close frame": [({ peer }) => peer.sendClose(1000), "ConnectionClosed 1000 true"],
    "a Close frame with an error": [({ peer }) => peer.sendClose(1011), "ConnectionClosed 1011 false"],
    "an end without one": [({ peer }) => peer.end(), "ConnectionClosed undefined false"],
    "the loss of the peer": [({ peer }) => peer.destroy(), "ConnectionClosed undefined false"],
    "a fault of the peer": [({ peer }) => peer.send("f1 80 00 00 00 00"), "ProtocolError"]
  }
  for (const [name, [end, told]] of Object.entries(ends)) {
    it.effect(`server runs onClose once, after the handlers, with ${name}`, () =>
      leavesNothing(
        Effect.gen(function* () {
          const latch = yield* makeLatch
          const seen: Array<string> = []
          const server = yield* serve({
            onMessage: (message) => Effect.tap(latch.wait, () => seen.push(textOf(message))),
            onClose: (error) => Effect.sync(() => seen.push(endOf(error)))
          })
          const idle = yield* server.open()
          end(idle)
          yield* settled
          assert.deepStrictEqual(seen.splice(0), [told])
          assert.deepStrictEqual(yield* places(server), nobody)
          const busy = yield* server.open()
          busy.peer.sendText("a", "b")
          yield* settled
          end(busy)
          yield* settled
          yield* TestClock.adjust("2 seconds")
          assert.deepStrictEqual(seen, [])
          assert.deepStrictEqual(yield* places(server), { connections: 1, handshakes: 0 })
          yield* latch.open
          assert.deepStrictEqual(seen, ["a", "b", told])
          assert.deepStrictEqual(yield* places(server), nobody)
          yield* server.stop
          assert.deepStrictEqual(server.causes, [])
        })
      )
    )
  }

  it.effect("server keeps the place until onClose is done", () =>
    leavesNothing(
      Effect.gen(function* () {
        const latch = yield* makeLatch
        const server = yield* serve({ onMessage: () => {}, onClose: () => latch.wait }, { maxConnections: 1 })
        const { peer } = yield* server.open()
        peer.sendClose(1000)
        yield* peer.awaitClosed
        yield* settled
        assert.deepStrictEqual(yield* places(server), { connections: 1, handshakes: 0 })
        yield* latch.open
        assert.deepStrictEqual(yield* places(server), nobody)
        const next = yield* server.open()
        next.peer.sendClose(1000)
        yield* settled
        yield* server.stop
      })
    )
  )

  it.effect("server ends the connection and gives the place back even if what it reports to dies", () =>
    leavesNothing(
      Effect.gen(function* () {
        const reports: Array<Effect.Effect<void>> = [Effect.die("report"), Effect.die("report")]
        const server = yield* serve(
          { onMessage: () => Effect.fail("no"), onClose: () => Effect.fail("no") },
          {},
          () => () => reports.shift()!
        )
        const { peer } = yield* server.open()
        peer.sendText("a")
        yield* peer.awaitClosed
        yield* settled
        assert.deepStrictEqual(reports, [])
        assert.deepStrictEqual([peer.said, yield* places(server)], [["close 1011"], nobody])
        yield* server.stop
      })
    )
  )

  it.effect("server ends a connection that is idle for too long, and runs onClose", () =>
    leavesNothing(
      Effect.gen(function* () {
        const ends: Array<string> = []
        const server = yield* serve(
          { onMessage: () => {}, onClose: (end) => void ends.push(end.message) },
          { idleTimeout: "1 minute", pingInterval: Infinity }
        )
        const { peer } = yield* server.open()
        yield* TestClock.adjust("59 seconds")
        yield* settled
        assert.deepStrictEqual(peer.said, [])
        yield* TestClock.adjust("4 seconds")
        yield* peer.awaitClosed
        yield* settled
        assert.deepStrictEqual(peer.said, ["close 1001 idle timeout"])
        assert.strictEqual(ends.length, 1)
        assert.deepStrictEqual([server.causes, yield* places(server)], [[], nobody])
        yield* server.stop
      })
    )
  )

  it.effect("server leaves a connection that a handler closes, and the handler may wait for its end", () =>
    leavesNothing(
      Effect.gen(function* () {
        const seen: Array<string> = []
        const server = yield* serve({
          onMessage: (_, socket) =>
            Effect.map(socket.close({ code: 4000, reason: "bye" }), (end) => void seen.push(`closed ${end.clean}`)),
          onClose: (end) => void seen.push(endOf(end))
        })
        const { peer } = yield* server.open()
        peer.sendText("a")
        yield* peer.awaitClosed
        yield* settled
        assert.deepStrictEqual([peer.said, seen], [["close 4000 bye"], ["closed true", "ConnectionClosed 4000 true"]])
        assert.deepStrictEqual([server.causes, yield* places(server)], [[], nobody])
        yield* server.stop
      })
    )
  )

  it.effect("server runs onClose after a handler has destroyed its connection", () =>
    leavesNothing(
      Effect.gen(function* () {
        const seen: Array<string> = []
        const server = yield* serve({
          onMessage: (message, socket) =>
            Effect.zipRight(
              socket.destroy,
              Effect.sync(() => seen.push(textOf(message)))
            ),
          onClose: (end) => void seen.push(endOf(end))
        })
        const { peer } = yield* server.open()
        peer.sendText("a", "b")
        yield* peer.awaitClosed
        yield* settled
        assert.deepStrictEqual(seen, ["a", "b", "ConnectionClosed undefined false"])
        assert.deepStrictEqual(yield* places(server), nobody)
        yield* server.stop
      })
    )
  )
})

describe("WebSocketServer.serve: shutdown", () => {
  it.effect("server closes idle connections with 1001 and runs onClose for each before serve ends", () =>
    leavesNothing(
      Effect.gen(function* () {
        const ends: Array<string> = []
        const server = yield* serve({
          onMessage: () => {},
          onClose: (end) =>
            Effect.zipRight(
              Effect.yieldNow(),
              Effect.sync(() => ends.push(endOf(end)))
            )
        })
        const lines = yield* Effect.replicateEffect(server.open(), 3)
        yield* server.stop
        assert.deepStrictEqual(
          lines.flatMap(({ peer }) => peer.said),
          ["close 1001", "close 1001", "close 1001"]
        )
        assert.deepStrictEqual(
          ends,
          Array.from({ length: 3 }, () => "ConnectionClosed 1001 true")
        )
        assert.deepStrictEqual([server.causes, yield* places(server)], [[], nobody])
      })
    )
  )

  it.effect("server lets handlers finish, with the messages that came before, but none can send any more", () =>
    leavesNothing(
      Effect.gen(function* () {
        const latch = yield* makeLatch
        const seen: Array<string> = []
        const server = yield* serve({
          onMessage: (message, socket) =>
            Effect.gen(function* () {
              yield* latch.wait
              const sent = yield* Effect.either(socket.send(message))
              seen.push(`${textOf(message)} ${sent._tag}`)
            }),
          onClose: (end) => void seen.push(endOf(end))
        })
        const { peer } = yield* server.open()
        peer.sendText("a", "b")
        yield* settled
        const stopping = yield* Effect.fork(server.stop)
        yield* settled
        assert.deepStrictEqual(peer.said, ["close 1001"])
        assert.isNull(stopping.unsafePoll())
        assert.deepStrictEqual(seen, [])
        yield* latch.open
        yield* Fiber.join(stopping)
        assert.deepStrictEqual(seen, ["a Left", "b Left", "ConnectionClosed 1001 true"])
        assert.deepStrictEqual([server.causes, yield* places(server)], [[], nobody])
      })
    )
  )

  const hanging: Record<string, WebSocketServer.Handlers> = {
    onOpen: { onOpen: () => Effect.never, onMessage: () => {} },
    onMessage: { onMessage: () => Effect.never }
  }
  for (const [name, handlers] of Object.entries(hanging)) {
    it.effect(`server interrupts at the deadline ${name} that doesn't end, runs onClose, and is done then`, () =>
      leavesNothing(
        Effect.gen(function* () {
          const seen: Array<string> = []
          const server = yield* serve({
            onOpen: (socket, data) =>
              handlers.onOpen &&
              Effect.onInterrupt(handlers.onOpen(socket, data)!, () => Effect.sync(() => seen.push("interrupted"))),
            onMessage: (message, socket, data) =>
              Effect.onInterrupt(handlers.onMessage(message, socket, data)!, () =>
                Effect.sync(() => seen.push("interrupted"))
              ),
            onClose: (end) =>
              Effect.zipRight(
                Effect.sync(() => seen.push(endOf(end))),
                Effect.onInterrupt(Effect.never, () => Effect.sync(() => seen.push("gone")))
              )
          })
          const { peer } = yield* server.open()
          peer.sendText("a", "b")
          yield* settled
          const stopping = yield* Effect.fork(server.stop)
          yield* settled
          yield* TestClock.adjust("4900 millis")
          assert.isNull(stopping.unsafePoll())
          assert.deepStrictEqual(seen, [])
          yield* TestClock.adjust("200 millis")
          yield* Fiber.join(stopping)
          assert.deepStrictEqual(seen, ["interrupted", "ConnectionClosed 1001 true", "gone"])
          assert.deepStrictEqual([server.causes, yield* places(server)], [[], nobody])
          assert.deepStrictEqual(peer.said, ["close 1001"])
        })
      )
    )
  }

  it.effect("server hands out nothing behind the message whose handler couldn't be interrupted at the deadline", () =>
    leavesNothing(
      Effect.gen(function* () {
        const latch = yield* makeLatch
        const seen: Array<string> = []
        const server = yield* serve({
          onMessage: (message) => {
            seen.push(textOf(message))
            return Effect.uninterruptible(latch.wait)
          },
          onClose: (end) => void seen.push(endOf(end))
        })
        const { peer } = yield* server.open()
        peer.sendText("a", "b")
        yield* settled
        const stopping = yield* Effect.fork(server.stop)
        yield* settled
        yield* TestClock.adjust("5100 millis")
        assert.deepStrictEqual(seen, ["a"])
        yield* latch.open
        yield* Fiber.join(stopping)
        assert.deepStrictEqual(seen, ["a", "ConnectionClosed 1001 true"])
      })
    )
  )

  it.effect("server interrupts at the deadline onClose that doesn't end", () =>
    leavesNothing(
      Effect.gen(function* () {
        const seen: Array<string> = []
        const server = yield* serve({
          onMessage: () => {},
          onClose: () => Effect.onInterrupt(Effect.never, () => Effect.sync(() => seen.push("gone")))
        })
        yield* server.open()
        const stopping = yield* Effect.fork(server.stop)
        yield* settled
        yield* TestClock.adjust("4900 millis")
        assert.isNull(stopping.unsafePoll())
        yield* TestClock.adjust("200 millis")
        yield* Fiber.join(stopping)
        assert.deepStrictEqual([seen, yield* places(server)], [["gone"], nobody])
      })
    )
  )

  it.effect("server runs onClose at the deadline for a peer that doesn't go, and is done then", () =>
    leavesNothing(
      Effect.gen(function* () {
        const ends: Array<string> = []
        const server = yield* serve({ onMessage: () => {}, onClose: (end) => void ends.push(end._tag) })
        const { pair, peer } = yield* server.open({ polite: false })
        const stopping = yield* Effect.fork(server.stop)
        for (let i = 0; i < 60; i++) {
          yield* settled
          // It says something all the time, so that its silence is no reason.
          peer.send(peer.frame(Frames.opcodes.pong))
          yield* settled
          yield* TestClock.adjust("100 millis")
        }
        yield* Fiber.join(stopping)
        assert.strictEqual(ends.length, 1)
        assert.isFalse(pair.server.ledger.isOpen)
        assert.deepStrictEqual(yield* places(server), nobody)
        peer.destroy()
      })
    )
  )

  it.effect("server answers 503 and leaves nothing when serve is interrupted during onUpgrade", () =>
    leavesNothing(
      Effect.gen(function* () {
        const seen: Array<string> = []
        const server = yield* serve({
          onUpgrade: () => Effect.onInterrupt(Effect.never, () => Effect.sync(() => seen.push("interrupted"))),
          onOpen: () => void seen.push("open"),
          onMessage: () => {},
          onClose: () => void seen.push("close")
        })
        const { peer } = yield* server.listener.connect()
        peer.sendRequest()
        yield* settled
        yield* server.stop
        assert.strictEqual(peer.statusLine, "HTTP/1.1 503 Service Unavailable")
        assert.deepStrictEqual([seen, yield* places(server)], [["interrupted"], nobody])
      })
    )
  )

  it.effect("server interrupts onUpgrade when the peer goes away, and neither opens nor closes", () =>
    leavesNothing(
      Effect.gen(function* () {
        const seen: Array<string> = []
        const server = yield* serve({
          onUpgrade: () => Effect.onInterrupt(Effect.never, () => Effect.sync(() => seen.push("interrupted"))),
          onOpen: () => void seen.push("open"),
          onMessage: () => {},
          onClose: () => void seen.push("close")
        })
        const { peer } = yield* server.listener.connect()
        peer.sendRequest()
        yield* settled
        peer.destroy()
        yield* settled
        assert.deepStrictEqual([seen, server.causes, yield* places(server)], [["interrupted"], [], nobody])
        yield* server.stop
      })
    )
  )
})
