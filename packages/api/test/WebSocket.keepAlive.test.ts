/** What is a sign of life, what puts off a time, and what is done to keep a connection alive. */
import type { TimeoutPhase } from "@effect-ws/api/ConnectionTimeout"
import * as WebSockets from "@effect-ws/api/WebSocket"
import * as WebSocketServer from "@effect-ws/api/WebSocketServer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { type Opened, open, type OpenOptions, roles } from "./support/connections.ts"
import { makeListener } from "./support/endpoints.ts"
import * as Frames from "./support/frames.ts"
import { leavesNothing, settled } from "./support/leaks.ts"
import type { Peer } from "./support/Peer.ts"

const { opcodes } = Frames

const off = { idleTimeout: Infinity, pingInterval: Infinity, messageTimeout: Infinity, writeTimeout: Infinity }

const stateOf = ({ socket }: Opened) => Effect.map(socket.status, ({ state }) => state)

/** The connection stays open for the time. */
const lives = (opened: Opened, millis: number) =>
  Effect.gen(function* () {
    yield* TestClock.adjust(millis)
    assert.strictEqual(yield* stateOf(opened), "open", `open for ${millis} ms`)
  })

/** The connection is open until the time is over, and then ends because of `phase`. */
const endsAfter = (opened: Opened, millis: number, phase: TimeoutPhase) =>
  Effect.gen(function* () {
    yield* lives(opened, millis - 1)
    yield* TestClock.adjust(51)
    assert.notStrictEqual(yield* stateOf(opened), "open", `over after ${millis} ms`)
    opened.peer.transport.resume()
    yield* TestClock.adjust(1050)
    assert.deepInclude(yield* opened.socket.closed, { _tag: "ConnectionTimeout", phase })
  })

/** Lets a peer that doesn't read take one chunk. */
const readOne = ({ pair, peer, transport }: Opened) =>
  Effect.suspend(() => {
    const theirs = transport === pair.client ? pair.server : pair.client
    const { chunksDelivered } = theirs.ledger
    theirs.resume()
    return peer.until("a chunk", () => {
      if (theirs.ledger.chunksDelivered === chunksDelivered) return false
      theirs.pause()
      return true
    })
  })

/** The peer goes without a word when the scope closes: the end is not what the test is about. */
const openWith = (role: "client" | "server", options: OpenOptions) =>
  Effect.tap(open(role, options), ({ peer, socket }) =>
    Effect.addFinalizer(() =>
      Effect.zipRight(
        socket.destroy,
        Effect.sync(() => peer.destroy())
      )
    )
  )

/** What a peer may say, which is life, each piece coming alone. */
const signs: ReadonlyArray<readonly [string, (peer: Peer) => ReadonlyArray<Uint8Array>]> = [
  ["half a header", (peer) => [peer.text("Hello").slice(0, 1), peer.text("Hello").slice(1)]],
  ["a masking key or a payload bit by bit", (peer) => Array.from(peer.text("Hello"), (byte) => Uint8Array.of(byte))],
  ["a Ping", (peer) => [peer.frame(opcodes.ping, "a"), peer.frame(opcodes.ping)]],
  ["a Pong that nobody asked for", (peer) => [peer.frame(opcodes.pong, "a"), peer.frame(opcodes.pong)]],
  ["messages", (peer) => [peer.text("a"), peer.binary(new Uint8Array(1000))]],
  [
    "empty fragments",
    (peer) => [
      peer.frame(opcodes.text, "", { fin: false }),
      peer.frame(opcodes.continuation, "", { fin: false }),
      peer.frame(opcodes.continuation)
    ]
  ]
]

describe.each(roles)("WebSocket of a %s: signs of life", (role) => {
  for (const [name, pieces] of signs) {
    it.scoped(`${role} takes ${name} for life, for idle time and Pings`, () =>
      Effect.gen(function* () {
        const opened = yield* openWith(role, {
          socket: { ...off, idleTimeout: 1000, pingInterval: 999.5 },
          peer: { polite: false }
        })
        for (const piece of pieces(opened.peer)) {
          yield* lives(opened, 999)
          opened.peer.send(piece)
          yield* settled
        }
        assert.isFalse(opened.peer.said.includes("ping"))
        yield* lives(opened, 999)
        opened.peer.send(opened.peer.frame(opcodes.pong))
        yield* settled
        yield* endsAfter(opened, 1000, "idle")
      })
    )

    it.scoped(`${role} takes ${name} for an answer to its Ping`, () =>
      Effect.gen(function* () {
        const opened = yield* openWith(role, {
          socket: { ...off, pingInterval: 1000, pongTimeout: 500 },
          peer: { polite: false }
        })
        for (const piece of pieces(opened.peer)) {
          const before = opened.peer.said.filter((frame) => frame === "ping").length
          yield* lives(opened, 1499)
          assert.strictEqual(opened.peer.said.filter((frame) => frame === "ping").length, before + 1)
          opened.peer.send(piece)
          yield* settled
        }
        yield* endsAfter(opened, 1500, "pong")
      })
    )
  }

  it.scoped(`${role} takes each byte of a frame for life`, () =>
    Effect.gen(function* () {
      const opened = yield* openWith(role, { socket: { ...off, idleTimeout: 1000, pingInterval: Infinity } })
      const bytes = opened.peer.text("Hello")
      for (const byte of bytes) {
        yield* lives(opened, 990)
        opened.peer.send(Uint8Array.of(byte))
        yield* settled
      }
      assert.deepInclude(yield* opened.socket.receive, { text: "Hello" })
    })
  )

  it.scoped(`${role} doesn't take what it says itself for life of the peer`, () =>
    Effect.gen(function* () {
      const opened = yield* openWith(role, { socket: { ...off, idleTimeout: 1000, pingInterval: Infinity } })
      for (let i = 0; i < 9; i++) {
        yield* opened.socket.send("a")
        yield* lives(opened, 100)
      }
      yield* endsAfter(opened, 100, "idle")
    })
  )
})

describe.each(roles)("WebSocket of a %s: keep-alive", (role) => {
  it.scoped(
    `${role} sends a Ping after each interval of silence, again and again, and none while there is traffic`,
    () =>
      Effect.gen(function* () {
        const opened = yield* openWith(role, { socket: { ...off, pingInterval: 1000 } })
        const { peer } = opened
        for (let i = 1; i <= 10; i++) {
          yield* lives(opened, 999)
          assert.lengthOf(peer.said, i - 1)
          yield* lives(opened, 1)
          assert.lengthOf(peer.said, i)
        }
        for (let i = 0; i < 10; i++) {
          peer.sendText("a")
          yield* lives(opened, 999)
        }
        assert.deepStrictEqual(
          peer.said,
          Array.from({ length: 10 }, () => "ping")
        )
      })
  )

  it.scoped(`${role} lets a peer live for ever that only answers Pings`, () =>
    Effect.gen(function* () {
      const opened = yield* openWith(role, { socket: { idleTimeout: "300 seconds", pongTimeout: "10 seconds" } })
      const { peer } = opened
      for (let i = 1; i <= 60; i++) {
        yield* lives(opened, 150_000)
        assert.lengthOf(peer.said, i)
        peer.send(peer.frame(opcodes.pong))
        yield* settled
      }
    })
  )

  it.scoped(`${role} ends a peer that answers none of its Pings although they are sent more often than it waits`, () =>
    Effect.gen(function* () {
      const opened = yield* openWith(role, { socket: { ...off, pingInterval: 1000, pongTimeout: 4500 } })
      yield* endsAfter(opened, 5500, "pong")
      assert.deepStrictEqual(opened.peer.said.slice(0, 5), ["ping", "ping", "ping", "ping", "ping"])
    })
  )

  it.scoped(`${role} sends one Ping behind what the peer doesn't read, and goes on when it does`, () =>
    Effect.gen(function* () {
      const opened = yield* openWith(role, { socket: { ...off, pingInterval: 1000 } })
      const { peer, socket, transport } = opened
      peer.transport.pause()
      yield* socket.send(new Uint8Array(20_000))
      yield* settled
      const { writable } = transport
      yield* lives(opened, 100_000)
      assert.strictEqual(transport.writable, writable + (role === "client" ? 6 : 2))
      peer.transport.resume()
      yield* lives(opened, 5050)
      assert.isAtLeast(peer.said.filter((frame) => frame === "ping").length, 5)
    })
  )

  it.scoped(`${role} lets a Ping of its own pass a message that is sent piece by piece`, () =>
    Effect.gen(function* () {
      const opened = yield* openWith(role, { socket: { ...off, pingInterval: 1000 } })
      const pieces = Stream.concat(Stream.make(Uint8Array.of(1)), Stream.never)
      yield* Effect.fork(Effect.exit(opened.socket.sendStream({ _tag: "Binary", bytes: pieces })))
      yield* settled
      yield* lives(opened, 1000)
      assert.deepStrictEqual(opened.peer.said, ["binary 01", "ping"])
    })
  )
})

describe.each(roles)("WebSocket of a %s: a reader that stops", (role) => {
  const full = { inboxHighWaterMark: 1 }

  it.scoped(`${role} doesn't end a connection, or send Pings, while nobody takes what has come`, () =>
    Effect.gen(function* () {
      const opened = yield* openWith(role, {
        socket: { ...off, ...full, idleTimeout: 1000, pingInterval: 400, pongTimeout: 100 },
        peer: { polite: false }
      })
      const { peer, socket, transport } = opened
      peer.sendText("a")
      yield* settled
      assert.isTrue(transport.ledger.isPaused)
      yield* lives(opened, 1_000_000)
      assert.deepStrictEqual(peer.said, [])
      yield* socket.receive
      yield* lives(opened, 399)
      assert.deepStrictEqual(peer.said, [])
      yield* lives(opened, 1)
      assert.deepStrictEqual(peer.said, ["ping"])
      yield* endsAfter(opened, 100, "pong")
    })
  )

  it.scoped(`${role} gives a peer its whole idle time again when somebody has taken what had come`, () =>
    Effect.gen(function* () {
      const opened = yield* openWith(role, { socket: { ...off, ...full, idleTimeout: 1000, pingInterval: Infinity } })
      yield* lives(opened, 900)
      opened.peer.sendText("a")
      yield* lives(opened, 1_000_000)
      yield* opened.socket.receive
      yield* endsAfter(opened, 1000, "idle")
    })
  )

  it.scoped(`${role} counts the lifetime, and a transport that is full, also while nobody reads`, () =>
    Effect.gen(function* () {
      for (const [phase, times] of [
        ["lifetime", { maxLifetime: 1000 }],
        ["write", { writeTimeout: 1000 }]
      ] as const) {
        const opened = yield* openWith(role, { socket: { ...off, ...full, ...times } })
        opened.peer.sendText("a")
        yield* settled
        opened.peer.transport.pause()
        yield* opened.socket.send(new Uint8Array(20_000))
        yield* settled
        yield* endsAfter(opened, 1000, phase)
      }
    })
  )
})

describe.each(roles)("WebSocket of a %s: messages that take their time", (role) => {
  it.scoped(`${role} ends a peer that sends one byte of a message each second (case 52)`, () =>
    Effect.gen(function* () {
      const opened = yield* openWith(role, { socket: { idleTimeout: 5000 } })
      const bytes = opened.peer.binary(new Uint8Array(1000))
      const header = bytes.length - 1000
      opened.peer.send(bytes.slice(0, header))
      yield* settled
      for (let i = 0; i < 299; i++) {
        opened.peer.send(bytes.slice(header + i, header + i + 1))
        yield* lives(opened, 1000)
      }
      yield* endsAfter(opened, 1000, "message")
      assert.strictEqual(opened.peer.said.at(-1), "close 1008 message timeout")
    })
  )

  it.scoped(`${role} counts anew for each message that begins behind a whole one`, () =>
    Effect.gen(function* () {
      const opened = yield* openWith(role, { socket: { ...off, messageTimeout: 1000 } })
      const [first, last] = [opened.peer.text("ab").slice(0, -1), opened.peer.text("ab").slice(-1)]
      for (let i = 0; i < 5; i++) {
        opened.peer.send(first)
        yield* lives(opened, 900)
        opened.peer.send(last)
        yield* lives(opened, 900)
      }
      opened.peer.send(first)
      yield* settled
      yield* endsAfter(opened, 1000, "message")
    })
  )

  it.scoped(`${role} doesn't count Pings in the middle of a message for its end`, () =>
    Effect.gen(function* () {
      const opened = yield* openWith(role, { socket: { ...off, messageTimeout: 1000 }, peer: { polite: false } })
      opened.peer.send(opened.peer.frame(opcodes.text, "a", { fin: false }))
      yield* lives(opened, 500)
      opened.peer.send(opened.peer.frame(opcodes.ping))
      yield* settled
      yield* endsAfter(opened, 500, "message")
    })
  )

  it.scoped(`${role} doesn't count the time of a message while nobody reads`, () =>
    Effect.gen(function* () {
      const socket = { ...off, messageTimeout: 1000, inboxHighWaterMark: 1 }
      const opened = yield* openWith(role, { socket, peer: { polite: false } })
      const { peer } = opened
      peer.send(peer.frame(opcodes.text, "a", { fin: false }))
      yield* lives(opened, 600)
      peer.send(peer.frame(opcodes.continuation, "b"), peer.frame(opcodes.text, "c", { fin: false }))
      yield* lives(opened, 100_000)
      assert.deepInclude(yield* opened.socket.receive, { text: "ab" })
      peer.send(peer.frame(opcodes.continuation, "d"))
      yield* settled
      assert.deepInclude(yield* opened.socket.receive, { text: "cd" })
      peer.send(peer.frame(opcodes.text, "e", { fin: false }))
      yield* settled
      yield* endsAfter(opened, 1000, "message")
    })
  )

  it.scoped(`${role} gives a message that is received piece by piece all the time it takes`, () =>
    Effect.gen(function* () {
      const opened = yield* openWith(role, { socket: { ...off, messageTimeout: 1000 }, peer: { polite: false } })
      const { peer, socket } = opened
      const scope = yield* Scope.make()
      const taking = yield* Effect.fork(Scope.extend(socket.receiveStream, scope))
      yield* settled
      peer.send(peer.frame(opcodes.binary, "a", { fin: false }))
      const incoming = yield* Fiber.join(taking)
      const reading = yield* Effect.fork(Stream.runCount(incoming.bytes))
      for (let i = 0; i < 20; i++) {
        yield* lives(opened, 900)
        peer.send(peer.frame(opcodes.continuation, "a", { fin: i === 19 }))
        yield* settled
      }
      assert.strictEqual(yield* Fiber.join(reading), 21)
      yield* Scope.close(scope, Exit.void)
      peer.send(peer.frame(opcodes.binary, "a", { fin: false }))
      yield* settled
      yield* endsAfter(opened, 1000, "message")
    })
  )

  it.scoped(`${role} counts what is dropped of a message that was left early`, () =>
    Effect.gen(function* () {
      const opened = yield* openWith(role, { socket: { ...off, messageTimeout: 1000 }, peer: { polite: false } })
      const { peer, socket } = opened
      const taking = yield* Effect.fork(Effect.scoped(socket.receiveStream))
      yield* settled
      peer.send(peer.frame(opcodes.binary, "a", { fin: false }))
      yield* Fiber.join(taking)
      yield* lives(opened, 100)
      peer.send(peer.frame(opcodes.continuation, "a", { fin: false }))
      yield* settled
      yield* endsAfter(opened, 1000, "message")
    })
  )
})

describe.each(roles)("WebSocket of a %s: writes that take their time", (role) => {
  it.scoped(`${role} gives a peer that reads a little at a time all the time it takes, and then no more`, () =>
    Effect.gen(function* () {
      const opened = yield* openWith(role, {
        socket: { ...off, writeTimeout: 2000 },
        pair: { highWaterMark: 100, readSize: 10 }
      })
      opened.peer.transport.pause()
      yield* opened.socket.send(new Uint8Array(1000))
      const waiting = yield* Effect.fork(Effect.flip(opened.socket.send(new Uint8Array(300_000))))
      yield* settled
      for (let i = 0; i < 5; i++) {
        yield* lives(opened, 1900)
        yield* readOne(opened)
      }
      yield* lives(opened, 1999)
      yield* TestClock.adjust(1 + 100)
      assert.deepInclude(yield* Fiber.join(waiting), { _tag: "ConnectionTimeout", phase: "write" })
      assert.isAbove(opened.transport.writable, 900)
      opened.peer.transport.resume()
      yield* opened.socket.closed
      assert.strictEqual(opened.peer.said.at(-1), "close 1011 write timeout")
    })
  )

  it.scoped(`${role} gives a peer its whole time again that had read everything`, () =>
    Effect.gen(function* () {
      const opened = yield* openWith(role, {
        socket: { ...off, writeTimeout: 2000 },
        pair: { highWaterMark: 100, readSize: 10 }
      })
      const { peer, socket } = opened
      for (let i = 0; i < 3; i++) {
        peer.transport.pause()
        yield* socket.send(new Uint8Array(1000))
        yield* lives(opened, 1900)
        peer.transport.resume()
        yield* lives(opened, 10_000)
      }
      peer.transport.pause()
      yield* socket.send(new Uint8Array(1000))
      yield* settled
      yield* endsAfter(opened, 2000, "write")
    })
  )

  it.scoped(`${role} doesn't count what waits while the transport isn't full`, () =>
    Effect.gen(function* () {
      const opened = yield* openWith(role, { socket: { ...off, writeTimeout: 2000 } })
      opened.peer.transport.pause()
      yield* opened.socket.send("a")
      yield* lives(opened, 100_000)
      opened.peer.transport.resume()
      yield* settled
      assert.deepStrictEqual(opened.peer.said, ["text a"])
    })
  )
})

describe("WebSocketServer: times", () => {
  const serve = (options: WebSocketServer.Options) =>
    Effect.gen(function* () {
      const listener = makeListener()
      const server = yield* WebSocketServer.make(listener, options)
      const handle = (exchange: Parameters<typeof WebSockets.accept>[0]) =>
        Effect.flatMap(WebSockets.accept(exchange), (socket) => WebSockets.run(socket, () => {}))
      const running = yield* Effect.fork(server.run(handle, { onError: () => Effect.void }))
      yield* settled
      const connect = Effect.map(listener.connect({ polite: false }), ({ pair, peer }) => {
        peer.sendRequest()
        return { pair, peer }
      })
      return { connect, stop: Fiber.interrupt(running) }
    })

  it.effect("server ends each of its connections when its own time is over", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { connect, stop } = yield* serve({ idleTimeout: 10_000, pingInterval: Infinity })
        const first = yield* connect
        yield* TestClock.adjust(5000)
        const second = yield* connect
        yield* TestClock.adjust(5050)
        assert.deepStrictEqual(first.peer.said, ["close 1001 idle timeout"])
        assert.deepStrictEqual(second.peer.said, [])
        yield* TestClock.adjust(1100)
        assert.isFalse(first.pair.server.ledger.isOpen)
        yield* TestClock.adjust(3900)
        assert.deepStrictEqual(second.peer.said, ["close 1001 idle timeout"])
        yield* TestClock.adjust(1100)
        for (const { peer } of [first, second]) peer.destroy()
        yield* stop
      })
    )
  )

  it.effect("server shuts down as ever, in the middle of any time", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { connect, stop } = yield* serve({
          idleTimeout: 10_000,
          pingInterval: 3000,
          pongTimeout: 500,
          maxLifetime: 10_000
        })
        const { pair, peer } = yield* connect
        yield* TestClock.adjust(3000)
        assert.deepStrictEqual(peer.said, ["ping"])
        const stopping = yield* Effect.fork(stop)
        yield* settled
        assert.deepStrictEqual(peer.said, ["ping", "close 1001"])
        yield* TestClock.adjust(999)
        assert.isTrue(pair.server.ledger.isOpen)
        yield* TestClock.adjust(51)
        yield* Fiber.join(stopping)
        assert.deepStrictEqual(peer.said, ["ping", "close 1001"])
        peer.destroy()
      })
    )
  )
})
