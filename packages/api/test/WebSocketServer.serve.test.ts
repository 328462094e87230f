import type { Message, TextMessage } from "@effect-ws/core/Message"
import type * as MemoryTransport from "@effect-ws/api/testing/MemoryTransport"
import * as WebSocket from "@effect-ws/api/WebSocket"
import * as WebSocketServer from "@effect-ws/api/WebSocketServer"
import type { WebSocketError } from "@effect-ws/api/WebSocketError"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { makeListener } from "./support/endpoints.ts"
import * as Frames from "./support/frames.ts"
import { leavesNothing, settled } from "./support/leaks.ts"
import { CountingScheduler } from "./support/schedulers.ts"
import type { Peer, PeerOptions } from "./support/Peer.ts"

const textOf = (message: Message): string => (message as TextMessage).text

/** Serves in memory. What `onError` is told is collected. */
const serve = <A = void, R = never>(
  handlers: WebSocketServer.Handlers<A, R>,
  options: WebSocketServer.Options = {},
  makeOnError: (causes: Array<Cause.Cause<unknown>>) => (cause: Cause.Cause<unknown>) => Effect.Effect<void> = (
    causes
  ) =>
    (cause) =>
      Effect.sync(() => void causes.push(cause))
) =>
  Effect.gen(function* () {
    const listener = makeListener()
    const causes: Array<Cause.Cause<unknown>> = []
    const server = yield* WebSocketServer.make(listener, options)
    const running = yield* WebSocketServer.serve(handlers, { onError: makeOnError(causes) }).pipe(
      Effect.provideService(WebSocketServer.WebSocketServer, server),
      Effect.fork
    )
    yield* settled
    const open = (peerOptions?: PeerOptions & { readonly pair?: MemoryTransport.Options }) =>
      Effect.gen(function* () {
        const { pair, peer } = yield* listener.connect(peerOptions)
        peer.sendRequest()
        yield* peer.awaitHead
        yield* settled
        return { pair, peer }
      })
    return { causes, counts: server.counts, listener, open, running, stop: Fiber.interrupt(running) }
  })

const failures = (causes: ReadonlyArray<Cause.Cause<unknown>>): Array<unknown> => causes.map(Cause.squash)

/** The numbers that tell whether every place was given back. */
const places = ({ counts }: { readonly counts: Effect.Effect<WebSocketServer.Counts> }) =>
  Effect.map(counts, ({ connections, handshakes }) => ({ connections, handshakes }))

const nobody = { connections: 0, handshakes: 0 }

/** What happened, in order, and a handler that suspends until it is let go on. */
const makeLatch = Effect.map(Deferred.make<void>(), (deferred) => ({
  wait: Deferred.await(deferred),
  open: Effect.zipRight(Deferred.succeed(deferred, undefined), settled)
}))

const endOf = (error: WebSocketError): string =>
  error._tag === "ConnectionClosed" ? `${error._tag} ${error.received?.code} ${error.clean}` : error._tag

describe("WebSocketServer.serve: what a connection is given", () => {
  it.effect("server sends every message back", () =>
    leavesNothing(
      Effect.gen(function* () {
        const server = yield* serve({ onMessage: (message, socket) => socket.send(message) })
        const { peer } = yield* server.open()
        peer.sendText("a", "b")
        peer.send(peer.binary(Uint8Array.of(1, 2)))
        assert.deepStrictEqual(yield* peer.awaitFrames(3), ["text a", "text b", "binary 01 02"])
        peer.sendClose(1000)
        yield* peer.awaitClosed
        yield* settled
        assert.deepStrictEqual(yield* places(server), nobody)
        yield* server.stop
        assert.deepStrictEqual(server.causes, [])
      })
    )
  )

  it.effect("server gives what onUpgrade succeeded with to all other handlers, to each its own", () =>
    leavesNothing(
      Effect.gen(function* () {
        const seen: Array<unknown> = []
        let users = 0
        const server = yield* serve<{ readonly user: number }>({
          onUpgrade: (exchange) => Effect.sync(() => (seen.push(exchange.request.path), { user: users++ })),
          onOpen: (socket, data) => void seen.push(["open", data.user, socket.role]),
          onMessage: (message, _, data) => void seen.push([textOf(message), data.user]),
          onClose: (end, socket, data) => void seen.push(["close", data.user, endOf(end), socket.request.path])
        })
        const first = yield* server.open()
        const second = yield* server.open()
        second.peer.sendText("b")
        yield* settled
        first.peer.sendText("a")
        first.peer.sendClose(1000)
        yield* settled
        assert.deepStrictEqual(seen, [
          "/chat",
          ["open", 0, "server"],
          "/chat",
          ["open", 1, "server"],
          ["b", 1],
          ["a", 0],
          ["close", 0, "ConnectionClosed 1000 true", "/chat"]
        ])
        yield* server.stop
      })
    )
  )

  it.effect("server refuses with what onUpgrade rejects with, and neither opens nor closes", () =>
    leavesNothing(
      Effect.gen(function* () {
        const seen: Array<string> = []
        const server = yield* serve({
          onUpgrade: () => WebSocket.reject({ status: 401 }),
          onOpen: () => void seen.push("open"),
          onMessage: () => {},
          onClose: () => void seen.push("close")
        })
        const { peer } = yield* server.listener.connect()
        peer.sendRequest("Connection: close")
        yield* peer.awaitClosed
        assert.strictEqual(peer.statusLine, "HTTP/1.1 401 Unauthorized")
        yield* settled
        assert.deepStrictEqual([seen, server.causes, yield* places(server)], [[], [], nobody])
        yield* server.stop
      })
    )
  )

  it.effect("server answers with a 500 and reports when onUpgrade fails or throws", () =>
    leavesNothing(
      Effect.gen(function* () {
        const outcomes: Array<() => Effect.Effect<void, Error>> = [
          () => Effect.fail(new Error("failed")),
          () => {
            throw new Error("thrown")
          }
        ]
        const server = yield* serve({ onUpgrade: () => outcomes.shift()!(), onMessage: () => {} })
        for (const message of ["failed", "thrown"]) {
          const { peer } = yield* server.listener.connect()
          peer.sendRequest("Connection: close")
          yield* peer.awaitClosed
          assert.strictEqual(peer.statusLine, "HTTP/1.1 500 Internal Server Error")
          yield* settled
          assert.strictEqual((failures(server.causes.splice(0))[0] as Error).message, message)
        }
        assert.deepStrictEqual(yield* places(server), nobody)
        yield* server.stop
      })
    )
  )

  it.effect("server accepts with the options given: fields, limits, and a subprotocol that an effect chooses", () =>
    leavesNothing(
      Effect.gen(function* () {
        class Chosen extends Context.Tag("Chosen")<Chosen, string>() {}
        const server = yield* serve({
          accept: {
            subprotocols: (offers) => Effect.map(Chosen, (chosen) => offers.find((offer) => offer === chosen)),
            headers: { "X-A": "b" },
            maxMessageSize: 4
          },
          onMessage: (message, socket) => socket.send(`${socket.subprotocol} ${textOf(message)}`)
        }).pipe(Effect.provideService(Chosen, "v2"))
        const { peer } = yield* server.listener.connect()
        peer.sendRequest("Sec-WebSocket-Protocol: v1, v2")
        yield* peer.awaitHead
        assert.deepStrictEqual([peer.field("Sec-WebSocket-Protocol"), peer.field("X-A")], ["v2", "b"])
        peer.sendText("abcd", "abcde")
        assert.deepStrictEqual(
          (yield* peer.awaitFrames(2)).map((frame) => frame.slice(0, 12)),
          ["text v2 abcd", "close 1009 A"]
        )
        yield* peer.awaitClosed
        yield* server.stop
      })
    )
  )

  it.effect("server reports what accepting fails with, and gives the place back", () =>
    leavesNothing(
      Effect.gen(function* () {
        const seen: Array<string> = []
        const server = yield* serve({
          accept: { subprotocols: () => WebSocket.reject({ status: 400 }) },
          onOpen: () => void seen.push("open"),
          onMessage: () => {},
          onClose: () => void seen.push("close")
        })
        const { peer } = yield* server.listener.connect()
        peer.sendRequest("Connection: close")
        yield* peer.awaitClosed
        assert.strictEqual(peer.statusLine, "HTTP/1.1 400 Bad Request")
        yield* settled
        assert.deepStrictEqual([seen, yield* places(server)], [[], nobody])
        yield* server.stop
      })
    )
  )

  it.effect("server runs every handler with the services of serve, and with its scope where it has one", () =>
    leavesNothing(
      Effect.gen(function* () {
        class Name extends Context.Tag("Name")<Name, string>() {}
        const seen: Array<string> = []
        const named = (what: string) =>
          Effect.zipRight(
            Effect.addFinalizer(() => Effect.sync(() => seen.push(`${what} released`))),
            Effect.map(Name, (name) => void seen.push(`${what} ${name}`))
          )
        yield* Effect.scoped(
          Effect.gen(function* () {
            const server = yield* serve<void, Name | Scope.Scope>({
              onUpgrade: () => named("upgrade"),
              onOpen: () => named("open"),
              onMessage: () => named("message"),
              onClose: () => named("close")
            })
            const { peer } = yield* server.open()
            peer.sendText("a")
            peer.sendClose(1000)
            yield* peer.awaitClosed
            yield* settled
            assert.deepStrictEqual(seen, ["upgrade n", "open n", "message n", "close n"])
            yield* server.stop
          })
        ).pipe(Effect.provideService(Name, "n"))
        assert.deepStrictEqual(seen.slice(4).sort(), [
          "close released",
          "message released",
          "open released",
          "upgrade released"
        ])
      })
    )
  )
})

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

describe("WebSocketServer.serve: fibers", () => {
  it.effect("server has no fiber for idle connections, and one for each that is busy", () =>
    leavesNothing(
      Effect.gen(function* () {
        const latch = yield* makeLatch
        const server = yield* serve({
          onMessage: (message, socket) =>
            textOf(message) === "wait" ? latch.wait : Effect.zipRight(Effect.yieldNow(), socket.send(message))
        })
        const warm = yield* server.open()
        warm.peer.sendText("a")
        yield* settled
        const before = (yield* Fiber.roots).length
        const lines = yield* Effect.replicateEffect(server.open(), 50)
        for (const { peer } of lines) peer.sendText("a")
        yield* settled
        for (const { peer } of lines) assert.deepStrictEqual(peer.said, ["text a"])
        assert.strictEqual((yield* Fiber.roots).length, before)
        for (const { peer } of lines.slice(0, 7)) peer.sendText("wait")
        yield* settled
        assert.strictEqual((yield* Fiber.roots).length, before + 7)
        yield* latch.open
        assert.strictEqual((yield* Fiber.roots).length, before)
        assert.strictEqual((yield* places(server)).connections, 51)
        yield* server.stop
        assert.deepStrictEqual(yield* places(server), nobody)
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

describe("WebSocketServer.serve: faults", () => {
  it.effect("server leaves nothing when any operation of the transport fails, and closes what it has opened", () =>
    Effect.gen(function* () {
      let failAt = 1
      for (let hasFailed = true; hasFailed; failAt++) {
        hasFailed = yield* leavesNothing(
          Effect.gen(function* () {
            let opened = 0
            let closed = 0
            const server = yield* serve({
              onUpgrade: () => Effect.yieldNow(),
              onOpen: (socket) => {
                opened++
                return Effect.zipRight(Effect.yieldNow(), socket.send("hello"))
              },
              onMessage: (message, socket) => Effect.zipRight(Effect.yieldNow(), socket.send(message)),
              onClose: () => Effect.sync(() => closed++)
            })
            const { pair, peer } = yield* server.listener.connect({ pair: { failAt } })
            peer.sendRequest()
            yield* settled
            peer.sendText("a")
            peer.sendText("b")
            yield* settled
            peer.sendClose(1000)
            yield* settled
            yield* TestClock.adjust("20 seconds")
            yield* settled
            assert.strictEqual(closed, opened, `operation ${failAt}`)
            assert.deepStrictEqual(yield* places(server), nobody, `operation ${failAt}`)
            yield* server.stop
            const hasFailed = pair.client.ledger.operations + pair.server.ledger.operations >= failAt
            if (!hasFailed) assert.deepStrictEqual(peer.said, ["text hello", "text a", "text b", "close 1000"])
            return hasFailed
          })
        )
      }
      assert.isAbove(failAt, 15)
    })
  )
})

/** What happens to a server at the n-th task of the scheduler, in the middle of anything. */
const disturbances: Record<
  string,
  (server: { readonly stop: Effect.Effect<unknown> }, line: { readonly pair: MemoryTransport.Pair }) => void
> = {
  "the peer goes away": (_, { pair }) => pair.client.destroy(),
  "serve is interrupted": ({ stop }) => void Effect.runFork(stop)
}

/** As long as one thing takes to be handled, and not much longer: each task of it is another case. */
const moment = Effect.repeatN(Effect.yieldNow(), 10)

describe("WebSocketServer.serve: at any time", () => {
  for (const [name, disturb] of Object.entries(disturbances)) {
    it.effect(
      `server opens once and closes once, or neither, and leaves nothing when ${name} at any task`,
      () =>
        Effect.gen(function* () {
          let undisturbed = 0
          for (let point = 0; undisturbed < 1; point++) {
            const scheduler = new CountingScheduler(23)
            let isDone = false
            yield* leavesNothing(
              Effect.gen(function* () {
                const seen: Array<string> = []
                const note = (what: string) =>
                  Effect.zipRight(
                    Effect.sync(() => void seen.push(what)),
                    Effect.yieldNow()
                  )
                const server = yield* serve({
                  onUpgrade: () => Effect.yieldNow(),
                  onOpen: () => note("open"),
                  onMessage: (message, socket) =>
                    Effect.zipRight(note(textOf(message)), Effect.ignore(socket.send(message))),
                  onClose: () => note("close")
                })
                const { pair, peer } = yield* server.listener.connect()
                let tasks = 0
                scheduler.onTask = () => {
                  if (tasks++ !== point) return
                  isDone = true
                  disturb(server, { pair })
                }
                peer.sendRequest()
                peer.sendText("a")
                yield* moment
                peer.sendText("b")
                yield* moment
                peer.sendClose(1000)
                yield* moment
                scheduler.onTask = () => {}
                yield* TestClock.adjust("20 seconds")
                yield* settled
                const handled = seen.filter((what) => what.length === 1)
                assert.deepStrictEqual(handled, ["a", "b"].slice(0, handled.length))
                const expected = seen.length === 0 ? [] : ["open", ...handled, "close"]
                assert.deepStrictEqual(seen, expected, `task ${point}`)
                assert.deepStrictEqual(yield* places(server), nobody, `task ${point}`)
                assert.deepStrictEqual(server.causes, [])
                if (!isDone) assert.deepStrictEqual(handled, ["a", "b"])
                yield* server.stop
              }).pipe(Effect.withScheduler(scheduler))
            )
            if (!isDone) undisturbed++
          }
        }),
      // More than a hundred servers, one behind the other.
      20_000
    )
  }
})
