/** The times of an open connection, each in both roles: when it is over, what the peer is told, and what everybody here. */
import type { ConnectionTimeout, TimeoutPhase } from "@effect-ws/api/ConnectionTimeout"
import * as MessageStream from "@effect-ws/api/MessageStream"
import type { WebSocket } from "@effect-ws/api/WebSocket"
import * as WebSockets from "@effect-ws/api/WebSocket"
import type { WebSocketError } from "@effect-ws/api/WebSocketError"
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { open, type OpenOptions, type Opened, type Role, roles } from "./support/connections.ts"
import * as Frames from "./support/frames.ts"
import { leavesNothing, settled } from "./support/leaks.ts"

const { opcodes } = Frames

type Phase = Exclude<TimeoutPhase, "close">

interface Case {
  readonly phase: Phase
  readonly options: NonNullable<OpenOptions["socket"]>
  /** What it is by default, in milliseconds, for each role; `Infinity` for off. */
  readonly defaults: { readonly [R in Role]: number }
  readonly option: (time: Duration.DurationInput) => NonNullable<OpenOptions["socket"]>
  /** What makes the time begin to count. */
  readonly begin: (opened: Opened) => Effect.Effect<unknown, unknown>
  /** The Close frame. */
  readonly close: string
}

const both = (millis: number) => ({ client: millis, server: millis })

/** The first fragment of a message. */
const beginMessage = ({ peer }: Opened) =>
  Effect.zipRight(
    Effect.sync(() => peer.send(peer.frame(opcodes.text, "a", { fin: false }))),
    settled
  )

/** A transport that is full, since the peer doesn't read. */
const beginWrite = ({ peer, socket }: Opened) =>
  Effect.zipRight(
    Effect.sync(() => peer.transport.pause()),
    Effect.zipRight(socket.send(new Uint8Array(20_000)), settled)
  )

const off = { idleTimeout: Infinity, pingInterval: Infinity, messageTimeout: Infinity, writeTimeout: Infinity }

const cases: ReadonlyArray<Case> = [
  {
    phase: "idle",
    options: off,
    defaults: { client: Infinity, server: 300_000 },
    option: (idleTimeout) => ({ idleTimeout, pingInterval: Infinity }),
    begin: () => Effect.void,
    close: "close 1001 idle timeout"
  },
  {
    phase: "pong",
    options: { ...off, pingInterval: 1000 },
    defaults: both(Infinity),
    option: (pongTimeout) => ({ pongTimeout }),
    begin: ({ peer }) => Effect.zipRight(TestClock.adjust(1000), peer.awaitFrames(1)),
    close: "close 1011 pong timeout"
  },
  {
    phase: "message",
    options: off,
    defaults: both(300_000),
    option: (messageTimeout) => ({ messageTimeout }),
    begin: beginMessage,
    close: "close 1008 message timeout"
  },
  {
    phase: "write",
    options: off,
    defaults: both(60_000),
    option: (writeTimeout) => ({ writeTimeout }),
    begin: beginWrite,
    close: "close 1011 write timeout"
  },
  {
    phase: "lifetime",
    options: off,
    defaults: both(Infinity),
    option: (maxLifetime) => ({ maxLifetime }),
    begin: () => Effect.void,
    close: "close 1001 lifetime timeout"
  }
]

/** A connection in a scope of its own, whose peer goes when the test is over. */
const openIn = (role: Role, options: OpenOptions) =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const opened = yield* Scope.extend(open(role, options), scope)
    return { ...opened, release: Scope.close(scope, Exit.void) }
  })

/** What the operations that wait for something, and those that come then, say of the end. */
const listen = (socket: WebSocket) =>
  Effect.gen(function* () {
    const waiting: ReadonlyArray<Fiber.Fiber<unknown, unknown>> = [
      yield* Effect.fork(Effect.flip(socket.receive)),
      yield* Effect.fork(Effect.flip(socket.receiveAll)),
      yield* Effect.fork(Effect.flip(Stream.runDrain(socket.messages))),
      yield* Effect.fork(Effect.flip(WebSockets.run(socket, () => {}))),
      yield* Effect.fork(Effect.flip(socket.ping()))
    ]
    yield* settled
    return waiting
  })

const later = (socket: WebSocket): ReadonlyArray<Effect.Effect<unknown, unknown>> => [
  socket.receive,
  socket.receiveAll,
  Stream.runDrain(socket.messages),
  WebSockets.run(socket, () => {}),
  socket.send("a"),
  socket.sendPing(),
  socket.pong(),
  socket.ping(),
  Effect.scoped(Effect.flatMap(socket.receiveStream, ({ bytes }) => Stream.runDrain(bytes))),
  socket.sendStream(MessageStream.text(Stream.make("a")))
]

const assertTimeout = (error: unknown, phase: TimeoutPhase, millis: number) => {
  assert.deepInclude(error, { _tag: "ConnectionTimeout", phase })
  assert.strictEqual(Duration.toMillis((error as ConnectionTimeout).duration), millis)
}

const stateOf = (socket: WebSocket) => Effect.map(socket.status, ({ state }) => state)

/** Moves the clock up to just before the time, asserts that nothing happened, and on to the end of the tolerance. */
const overAfter = ({ socket }: Opened, millis: number) =>
  Effect.gen(function* () {
    yield* TestClock.adjust(millis - 1)
    assert.strictEqual(yield* stateOf(socket), "open", `open until ${millis} ms`)
    yield* TestClock.adjust(1 + 50)
    assert.notStrictEqual(yield* stateOf(socket), "open", `over after ${millis} ms`)
  })

describe.each(roles)("WebSocket of a %s: times", (role) => {
  for (const { begin, close, defaults, option, options, phase } of cases) {
    const given = [200, 7000].map((millis) => [`${millis} ms`, millis, { ...options, ...option(millis) }] as const)
    const { [`${phase}Timeout`]: _, ...rest } = options as Record<string, unknown>
    const byDefault = [`${defaults[role]} ms by default`, defaults[role], rest] as const
    for (const [name, millis, socketOptions] of defaults[role] === Infinity ? given : [...given, byDefault]) {
      it.effect(`${role} ends the connection after the ${phase} time, ${name}, with a Close frame`, () =>
        leavesNothing(
          Effect.gen(function* () {
            const opened = yield* openIn(role, { socket: socketOptions })
            const { peer, release, socket } = opened
            yield* begin(opened)
            const before = peer.said.length
            yield* overAfter(opened, millis)
            if (phase === "write") peer.transport.resume()
            const error = yield* socket.closed
            assertTimeout(error, phase, millis)
            yield* peer.awaitClosed
            assert.strictEqual(peer.said.at(-1), close)
            assert.isAtLeast(peer.said.length, before + 1)
            yield* release
          })
        )
      )
    }

    it.effect(`${role} tells all who wait, and all who come, of the ${phase} time`, () =>
      leavesNothing(
        Effect.gen(function* () {
          const socketOptions = { ...options, ...option(2000) }
          const opened = yield* openIn(role, { socket: socketOptions, peer: { polite: false } })
          const { peer, release, socket } = opened
          const waiting = yield* listen(socket)
          yield* begin(opened)
          yield* overAfter(opened, 2000)
          const errors: Array<unknown> = []
          for (const fiber of waiting) errors.push(yield* Fiber.join(fiber))
          // The transport may live a little longer: at most a second when the peer says nothing.
          assert.strictEqual(yield* stateOf(socket), "closing")
          for (const effect of later(socket)) errors.push(yield* Effect.flip(effect))
          for (const error of errors) assert.strictEqual(error, errors[0])
          assertTimeout(errors[0], phase, 2000)
          const closing = yield* Effect.fork(Effect.flip(socket.close()))
          yield* TestClock.adjust(1050)
          assert.strictEqual(yield* Fiber.join(closing), errors[0])
          assert.strictEqual((yield* socket.closed) as unknown, errors[0])
          peer.destroy()
          yield* release
        })
      )
    )

    it.effect(`${role} destroys the transport a second after the ${phase} time when the peer says nothing`, () =>
      leavesNothing(
        Effect.gen(function* () {
          const socketOptions = { ...options, ...option(2000), closeTimeout: 3000 }
          const opened = yield* openIn(role, { socket: socketOptions, peer: { polite: false } })
          yield* begin(opened)
          yield* TestClock.adjust(2000)
          yield* TestClock.adjust(999)
          assert.isTrue(opened.transport.ledger.isOpen)
          yield* TestClock.adjust(1 + 50 + 100)
          assert.isFalse(opened.transport.ledger.isOpen)
          assertTimeout(yield* opened.socket.closed, phase, 2000)
          opened.peer.destroy()
          yield* opened.release
        })
      )
    )

    it.effect(`${role} destroys the transport in time behind the ${phase} time when the peer goes on and on`, () =>
      leavesNothing(
        Effect.gen(function* () {
          const socketOptions = { ...options, ...option(2000), closeTimeout: 3000 }
          const opened = yield* openIn(role, { socket: socketOptions, peer: { polite: false } })
          const { peer, release, socket, transport } = opened
          yield* begin(opened)
          yield* overAfter(opened, 2000)
          for (let i = 0; i < 5; i++) {
            peer.send(peer.frame(opcodes.pong))
            yield* TestClock.adjust(500)
          }
          assert.isTrue(transport.ledger.isOpen)
          peer.send(peer.frame(opcodes.pong))
          yield* TestClock.adjust(500 + 150)
          assert.isFalse(transport.ledger.isOpen)
          assertTimeout(yield* socket.closed, phase, 2000)
          peer.destroy()
          yield* release
        })
      )
    )

    it.effect(`${role} lets a connection live for ever whose ${phase} time is off`, () =>
      leavesNothing(
        Effect.gen(function* () {
          const opened = yield* openIn(role, { socket: { ...options, pingInterval: Infinity, ...option(Infinity) } })
          if (phase !== "pong") yield* begin(opened)
          yield* TestClock.adjust("100 days")
          assert.strictEqual(yield* stateOf(opened.socket), "open")
          assert.deepStrictEqual(opened.peer.said, [])
          opened.peer.transport.resume()
          yield* opened.release
        })
      )
    )

    it.effect(`${role} forgets the ${phase} time when it has begun to close, and when the peer is slow to`, () =>
      leavesNothing(
        Effect.gen(function* () {
          const socketOptions = { ...options, ...option(2000), closeTimeout: 4000 }
          const opened = yield* openIn(role, { socket: socketOptions, peer: { polite: false } })
          yield* begin(opened)
          const closing = yield* Effect.fork(Effect.flip(opened.socket.close()))
          yield* TestClock.adjust(3999)
          assert.isTrue(opened.transport.ledger.isOpen)
          yield* TestClock.adjust(1 + 200)
          assertTimeout(yield* Fiber.join(closing), "close", 4000)
          opened.peer.destroy()
          yield* opened.release
        })
      )
    )

    it.effect(`${role} releases a connection as ever whose ${phase} time has not come`, () =>
      leavesNothing(
        Effect.gen(function* () {
          const opened = yield* openIn(role, { socket: { ...options, ...option(2000) } })
          yield* begin(opened)
          const releasing = yield* Effect.fork(opened.release)
          yield* settled
          opened.peer.transport.resume()
          yield* Fiber.join(releasing)
          const closed: WebSocketError = yield* opened.socket.closed
          assert.deepInclude(closed, { _tag: "ConnectionClosed", clean: true, initiator: "local" })
          assert.strictEqual(opened.peer.said.at(-1), "close 1000")
        })
      )
    )
  }

  it.effect(`${role} delivers what had come before a time was over, then says so`, () =>
    leavesNothing(
      Effect.gen(function* () {
        const { peer, release, socket } = yield* openIn(role, { socket: { idleTimeout: 1000, pingInterval: Infinity } })
        peer.sendText("a", "b")
        yield* TestClock.adjust(1050)
        for (const text of ["a", "b"]) assert.deepInclude(yield* socket.receive, { text })
        assertTimeout(yield* Effect.flip(socket.receive), "idle", 1000)
        yield* release
      })
    )
  )

  it.effect(`${role} goes by the clock that was in force when the connection was made`, () =>
    leavesNothing(
      Effect.gen(function* () {
        const opened = yield* openIn(role, { socket: { idleTimeout: 1000, pingInterval: Infinity } })
        const waiting = yield* Effect.fork(Effect.withClock(Effect.flip(opened.socket.receive), Clock.make()))
        yield* overAfter(opened, 1000)
        assertTimeout(yield* Fiber.join(waiting), "idle", 1000)
        const live = yield* Effect.withClock(
          openIn(role, { socket: { idleTimeout: "1 hour", maxLifetime: "1 hour" } }),
          Clock.make()
        )
        yield* TestClock.adjust("10 days")
        assert.strictEqual(yield* stateOf(live.socket), "open")
        assert.deepStrictEqual(live.peer.said, [])
        yield* opened.release
        yield* live.release
      })
    )
  )

  it.effect(`${role} has one fiber that sleeps for all connections, and none when they have ended`, () =>
    leavesNothing(
      Effect.gen(function* () {
        const roots = Effect.map(Fiber.roots, (fibers) => Array.from(fibers).length)
        const before = yield* roots
        const all = yield* Effect.replicateEffect(openIn(role, { socket: { idleTimeout: "1 minute" } }), 100)
        yield* settled
        assert.strictEqual(yield* roots, before + 1)
        for (const { release } of all) yield* release
        yield* settled
        assert.strictEqual(yield* roots, before)
      })
    )
  )
})
