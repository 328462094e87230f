import * as WebSocket from "@effect-ws/api/WebSocket"
import * as NodeWebSocketServer from "@effect-ws/platform-node/NodeWebSocketServer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { makeInbox } from "./support/inbox.ts"
import { withoutLeaks } from "./support/leaks.ts"
import { close, connectUndici, openWs, text } from "./support/peers.ts"
import { masked, type RawPeer, rawClient, rawOpen, rawUpgrade } from "./support/rawPeer.ts"
import { listeners, serve, serveSockets } from "./support/serving.ts"
import { event, turn } from "./support/sockets.ts"

const upTo = (count: number) => Array.from({ length: count }, (_, i) => i)

/** A server whose handlers read until the messages end, and tell when that is. */
const serveReaders = (layer: Parameters<typeof serve>[0]) =>
  Effect.gen(function* () {
    const received = makeInbox<string>()
    const ended = makeInbox<"ended">()
    const server = yield* serve(layer, (exchange) =>
      Effect.gen(function* () {
        const socket = yield* WebSocket.accept(exchange)
        yield* Stream.runForEach(socket.messages, (message) =>
          Effect.sync(() => received.push(message._tag === "Text" ? message.text : message._tag))
        )
        ended.push("ended")
      })
    )
    return { ...server, nextMessage: received.next, nextEnd: ended.next }
  })

for (const [listener, layer] of Object.entries(listeners)) {
  describe(`server ${listener} that is interrupted`, () => {
    it.scopedLive("server closes 100 connections with 1001, and the messages of their handlers end", () =>
      Effect.gen(function* () {
        const server = yield* serveReaders(layer())
        const peers = yield* Effect.all(
          upTo(100).map(() => openWs(server.url)),
          { concurrency: "unbounded" }
        )
        for (const peer of peers) peer.send("here")
        for (const _ of peers) assert.strictEqual(yield* server.nextMessage, "here")
        yield* Fiber.interrupt(server.running)
        for (const _ of peers) assert.strictEqual(yield* server.nextEnd, "ended")
        for (const peer of peers) assert.deepStrictEqual(yield* peer.next, close(1001))
      }).pipe(Effect.scoped, withoutLeaks)
    )

    it.scopedLive("server does the closing handshakes side by side: none waits for another", () =>
      Effect.gen(function* () {
        const server = yield* serveReaders(layer())
        const peers: Array<RawPeer> = []
        for (const _ of upTo(100)) peers.push(yield* rawOpen({ port: server.port }))
        for (const peer of peers) peer.send(masked(0x81, "here"))
        for (const _ of peers) assert.strictEqual(yield* server.nextMessage, "here")
        const stopping = yield* Effect.fork(Fiber.interrupt(server.running))
        for (const peer of peers) assert.strictEqual(yield* peer.nextFrame, "8 03 e9")
        assert.isNull(stopping.unsafePoll())
        // In the other order, to be sure.
        for (const peer of peers.reverse()) {
          peer.send(masked(0x81, "last"), masked(0x88, Uint8Array.of(3, 0xe9)))
          assert.deepStrictEqual(yield* peer.next, { _tag: "End" })
          peer.socket.end()
        }
        yield* Fiber.join(stopping)
        for (const _ of peers) assert.strictEqual(yield* server.nextMessage, "last")
        for (const _ of peers) assert.strictEqual(yield* server.nextEnd, "ended")
      }).pipe(Effect.scoped, withoutLeaks)
    )

    it.scopedLive("server answers 503 to a request that waits for its handler", () =>
      Effect.gen(function* () {
        const asked = makeInbox<"asked">()
        const server = yield* serve(layer(), () =>
          Effect.zipRight(
            Effect.sync(() => asked.push("asked")),
            Effect.never
          )
        )
        const peer = yield* rawUpgrade({ port: server.port })
        yield* asked.next
        const stopping = yield* Effect.fork(Fiber.interrupt(server.running))
        const head = yield* peer.next
        assert.match(head._tag === "Head" ? head.head : "", /^HTTP\/1\.1 503 /)
        peer.socket.end()
        yield* Fiber.join(stopping)
      }).pipe(Effect.scoped, withoutLeaks)
    )

    it.scoped("server cuts off a client that never answers its Close frame after a second of silence", () =>
      Effect.gen(function* () {
        const server = yield* serveReaders(layer())
        const silent = yield* rawOpen({ port: server.port })
        const polite = yield* openWs(server.url)
        polite.send("here")
        silent.send(masked(0x81, "here"))
        yield* server.nextMessage
        yield* server.nextMessage
        const stopping = yield* Effect.fork(Fiber.interrupt(server.running))
        assert.strictEqual(yield* silent.nextFrame, "8 03 e9")
        assert.deepStrictEqual(yield* polite.next, close(1001))
        yield* TestClock.adjust("999 millis")
        yield* Effect.repeatN(turn, 20)
        assert.isFalse(silent.socket.readableEnded)
        assert.isNull(stopping.unsafePoll())
        yield* TestClock.adjust("51 millis")
        yield* Fiber.join(stopping)
        assert.include(["End", "Closed"], (yield* silent.next)._tag)
      })
    )

    it.scoped("server cuts off a client that talks on and never answers its Close frame by the deadline", () =>
      Effect.gen(function* () {
        const server = yield* serveReaders(layer())
        const peer = yield* rawOpen({ port: server.port })
        peer.send(masked(0x81, "0"))
        yield* server.nextMessage
        const stopping = yield* Effect.fork(Fiber.interrupt(server.running))
        assert.strictEqual(yield* peer.nextFrame, "8 03 e9")
        for (const second of upTo(9)) {
          peer.send(masked(0x81, `${second}`))
          assert.strictEqual(yield* server.nextMessage, `${second}`)
          yield* TestClock.adjust("550 millis")
          yield* Effect.repeatN(turn, 5)
        }
        assert.isNull(stopping.unsafePoll())
        yield* TestClock.adjust("300 millis")
        yield* Fiber.join(stopping)
        assert.include(["End", "Closed"], (yield* peer.next)._tag)
      })
    )

    it.scoped("server interrupts a handler that goes on after its connection has ended, at the deadline", () =>
      Effect.gen(function* () {
        const steps = makeInbox<string>()
        const server = yield* serve(layer(), (exchange) =>
          Effect.gen(function* () {
            const socket = yield* WebSocket.accept(exchange)
            steps.push("accepted")
            yield* socket.closed
            steps.push("ended")
            yield* Effect.never
          }).pipe(Effect.onInterrupt(() => Effect.sync(() => steps.push("interrupted"))))
        )
        const peer = yield* openWs(server.url)
        assert.strictEqual(yield* steps.next, "accepted")
        const stopping = yield* Effect.fork(Fiber.interrupt(server.running))
        assert.deepStrictEqual(yield* peer.next, close(1001))
        assert.strictEqual(yield* steps.next, "ended")
        yield* TestClock.adjust("4999 millis")
        yield* Effect.repeatN(turn, 5)
        assert.isNull(stopping.unsafePoll())
        yield* TestClock.adjust("251 millis")
        assert.strictEqual(yield* steps.next, "interrupted")
        yield* Fiber.join(stopping)
      })
    )

    it.scopedLive("server lets a handler send until its connection is closed, and fails it afterwards", () =>
      Effect.gen(function* () {
        const server = yield* serveSockets(layer())
        const peer = yield* openWs(server.url)
        const socket = yield* server.nextSocket
        yield* socket.send("first")
        yield* Fiber.interrupt(server.running)
        assert.deepStrictEqual([yield* peer.next, yield* peer.next], [text("first"), close(1001)])
        const error = yield* Effect.flip(socket.send("second"))
        assert.deepInclude(error, { _tag: "ConnectionClosed", sent: { code: 1001, reason: "" }, initiator: "local" })
      }).pipe(Effect.scoped, withoutLeaks)
    )

    it.scopedLive("server is closed with 1001 as undici sees it", () =>
      Effect.gen(function* () {
        const server = yield* serveSockets(layer())
        const peer = yield* connectUndici(server.url)
        yield* peer.next
        yield* server.nextSocket
        yield* Fiber.interrupt(server.running)
        assert.deepStrictEqual(yield* peer.next, close(1001))
      }).pipe(Effect.scoped, withoutLeaks)
    )
  })
}

describe("server with its own listener that is interrupted", () => {
  it.scopedLive("server takes no connection any more, and ends those that have not asked yet", () =>
    Effect.gen(function* () {
      const server = yield* serveSockets(NodeWebSocketServer.layer())
      const silent = yield* rawClient({ port: server.port })
      const first = yield* openWs(server.url)
      // A later connection was taken, so this one is too.
      yield* server.nextSocket
      const stopping = yield* Effect.fork(Fiber.interrupt(server.running))
      assert.deepStrictEqual(yield* first.next, close(1001))
      assert.include(["Head", "End", "Closed"], (yield* silent.next)._tag)
      silent.socket.end()
      yield* Fiber.join(stopping)
      const late = yield* rawClient({ port: server.port })
      yield* event(late.socket, "close")
      assert.deepStrictEqual(yield* late.next, { _tag: "Closed" })
    }).pipe(Effect.scoped, withoutLeaks)
  )
})
