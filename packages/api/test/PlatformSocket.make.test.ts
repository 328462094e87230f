/** A socket that opens a connection for each run, and our errors as those of @effect/platform. */
import { ConnectionClosed } from "@effect-ws/api/ConnectionClosed"
import { ConnectionTimeout } from "@effect-ws/api/ConnectionTimeout"
import { HandshakeError } from "@effect-ws/api/HandshakeError"
import { MessageTooBig } from "@effect-ws/api/MessageTooBig"
import * as PlatformSocket from "@effect-ws/api/PlatformSocket"
import { SendRejected } from "@effect-ws/api/SendRejected"
import { TransportError } from "@effect-ws/api/TransportError"
import type * as WebSocket from "@effect-ws/api/WebSocket"
import * as WebSocketClient from "@effect-ws/api/WebSocketClient"
import * as Socket from "@effect/platform/Socket"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import { open, type Opened, roles } from "./support/connections.ts"
import { makeConnector } from "./support/endpoints.ts"
import { leavesNothing, settled } from "./support/leaks.ts"
import { isDone } from "./support/receiving.ts"
import { atEveryPoint, describePoints, interruptions, pauses } from "./support/schedulers.ts"

/** Runs a scenario, and looks for what it left behind. */
const scoped = (title: string, scenario: () => Effect.Effect<void, unknown, Scope.Scope>) =>
  it.effect(title, () => leavesNothing(scenario()))

const ignore = (): void => {}

const handshakeError = (reason: HandshakeError["reason"]) =>
  new HandshakeError({ role: "client", reason, answer: undefined, reusable: false })

/** Opens connections and keeps what belongs to each. */
const makeOpen = (role: "client" | "server") => {
  const opened: Array<Opened> = []
  const effect: Effect.Effect<WebSocket.WebSocket, HandshakeError, Scope.Scope> = Effect.map(
    open(role),
    (connection) => {
      opened.push(connection)
      return connection.socket
    }
  )
  return { opened, effect }
}

describe.each(roles)("PlatformSocket.make of a %s", (role) => {
  scoped(`${role} opens when it is run, and lets a write wait until then`, () =>
    Effect.gen(function* () {
      const { effect, opened } = makeOpen(role)
      const socket = yield* PlatformSocket.make(effect)
      const write = yield* socket.writer
      const writing = yield* Effect.fork(Effect.zipRight(write("a"), write("b")))
      yield* settled
      assert.isFalse(yield* isDone(writing))
      assert.lengthOf(opened, 0)
      const running = yield* Effect.fork(socket.run(ignore))
      yield* Fiber.join(writing)
      assert.deepStrictEqual(yield* opened[0]!.peer.awaitFrames(2), ["text a", "text b"])
      opened[0]!.peer.sendClose(1000)
      yield* Fiber.join(running)
      assert.isFalse(opened[0]!.transport.ledger.isOpen)
    })
  )

  scoped(`${role} opens another connection for the next run, and writes to that`, () =>
    Effect.gen(function* () {
      const { effect, opened } = makeOpen(role)
      const socket = yield* PlatformSocket.make(effect)
      const write = yield* socket.writer
      const got: Array<string | Uint8Array> = []
      for (const code of [4000, 1001, 1000]) {
        const writing = yield* Effect.fork(write(`${code}`))
        const running = yield* Effect.fork(Effect.either(socket.runRaw((data) => void got.push(data))))
        yield* Fiber.join(writing)
        const { peer } = opened.at(-1)!
        peer.sendText(`from ${code}`)
        peer.sendClose(code)
        const outcome = yield* Fiber.join(running)
        assert.strictEqual(outcome._tag, code === 1000 ? "Right" : "Left")
        assert.deepStrictEqual(peer.said, [`text ${code}`, `close ${code}`])
      }
      assert.lengthOf(opened, 3)
      assert.deepStrictEqual(got, ["from 4000", "from 1001", "from 1000"])
    })
  )

  for (const end of ["is lost", "is closed by the peer"] as const) {
    scoped(`${role} lets a write wait for the next connection when the one that there is ${end}`, () =>
      Effect.gen(function* () {
        const { effect, opened } = makeOpen(role)
        const socket = yield* PlatformSocket.make(effect)
        const write = yield* socket.writer
        const latch = yield* Effect.makeLatch()
        const running = yield* Effect.fork(Effect.either(socket.run(() => latch.await)))
        yield* settled
        const { peer, socket: first } = opened[0]!
        // What was said before isn't in the way of the run's end.
        peer.sendText("a")
        yield* settled
        if (end === "is lost") yield* first.destroy
        else {
          peer.sendClose(1000)
          yield* TestClock.adjust("2 seconds")
        }
        yield* first.closed
        const waiting = yield* Effect.fork(Effect.zipRight(write("b"), write("c")))
        yield* settled
        assert.isFalse(yield* isDone(waiting))
        yield* latch.open
        yield* Fiber.join(running)
        yield* settled
        assert.isFalse(yield* isDone(waiting))
        const again = yield* Effect.fork(socket.run(ignore))
        yield* Fiber.join(waiting)
        assert.deepStrictEqual(yield* opened[1]!.peer.awaitFrames(2), ["text b", "text c"])
        opened[1]!.peer.sendClose(1000)
        yield* Fiber.join(again)
      })
    )
  }

  scoped(`${role} sends a write that waited for room when the connection was lost over the next one, once`, () =>
    Effect.gen(function* () {
      const opened: Array<Opened> = []
      const narrow = { pair: { highWaterMark: 10 }, socket: { sendHighWaterMark: 10 } }
      const socket = yield* PlatformSocket.make(
        Effect.map(open(role, narrow), (connection) => {
          opened.push(connection)
          return connection.socket
        })
      )
      const write = yield* socket.writer
      const running = yield* Effect.fork(Effect.either(socket.run(ignore)))
      yield* settled
      opened[0]!.peer.transport.pause()
      yield* write("0123456789")
      const waiting = yield* Effect.fork(write("late"))
      yield* settled
      assert.isFalse(yield* isDone(waiting))
      yield* opened[0]!.socket.destroy
      opened[0]!.peer.transport.resume()
      yield* Fiber.join(running)
      const again = yield* Effect.fork(socket.run(ignore))
      yield* Fiber.join(waiting)
      assert.deepStrictEqual(yield* opened[1]!.peer.awaitFrames(1), ["text late"])
      assert.notInclude(opened[0]!.peer.said, "text late")
      opened[1]!.peer.sendClose(1000)
      yield* Fiber.join(again)
    })
  )

  scoped(`${role} fails the writes of handlers and of onOpen when the connection has ended, so that the run ends`, () =>
    Effect.gen(function* () {
      for (const concurrency of [1, 2, "unbounded"] as const) {
        const { effect, opened } = makeOpen(role)
        const socket = yield* PlatformSocket.make(effect, { concurrency })
        const write = yield* socket.writer
        const told: Array<string> = []
        const note = (error: Socket.SocketError) => Effect.sync(() => void told.push(error.reason))
        const destroy = Effect.suspend(() => opened[0]!.socket.destroy)
        // In a finalizer nothing could interrupt it.
        const late = Effect.uninterruptible(Effect.catchAll(write("late"), note))
        const running = yield* Effect.fork(
          Effect.either(socket.run(() => Effect.zipRight(destroy, late), { onOpen: Effect.zipRight(settled, late) }))
        )
        yield* settled
        opened[0]!.peer.sendText("a")
        yield* settled
        const outcome = yield* Fiber.join(running)
        assert.deepInclude(outcome._tag === "Left" && outcome.left, { reason: "Close", code: 1006 })
        assert.include(told, "Close", String(concurrency))
        assert.lengthOf(opened, 1)
      }
    })
  )

  scoped(
    `${role} fails the writes of what a handler has begun, when the connection has ended and none has followed`,
    () =>
      Effect.gen(function* () {
        for (const concurrency of [1, "unbounded"] as const) {
          const { effect, opened } = makeOpen(role)
          const socket = yield* PlatformSocket.make(effect, { concurrency })
          const write = yield* socket.writer
          const latch = yield* Effect.makeLatch()
          let begun: Fiber.RuntimeFiber<Socket.SocketError, void> | undefined
          const late = Effect.flip(Effect.zipRight(latch.await, Effect.uninterruptible(write("late"))))
          const handler = () => Effect.map(Effect.forkDaemon(late), (fiber) => void (begun = fiber))
          const running = yield* Effect.fork(socket.run(handler))
          yield* settled
          opened[0]!.peer.send(opened[0]!.peer.text("a"), opened[0]!.peer.close(1000))
          yield* Fiber.join(running)
          yield* latch.open
          assert.deepInclude(yield* Fiber.join(begun!), { reason: "Close", code: 1000 })
        }
      })
  )

  scoped(`${role} fails a write behind a CloseEvent, and lets it wait again when the run has ended`, () =>
    Effect.gen(function* () {
      const { effect, opened } = makeOpen(role)
      const socket = yield* PlatformSocket.make(effect)
      const write = yield* socket.writer
      const latch = yield* Effect.makeLatch()
      const running = yield* Effect.fork(Effect.either(socket.run(() => latch.await)))
      yield* settled
      opened[0]!.peer.sendText("a")
      yield* settled
      yield* write(new Socket.CloseEvent(1000))
      assert.deepInclude(yield* Effect.flip(write("b")), { reason: "Write" })
      yield* opened[0]!.socket.closed
      assert.deepInclude(yield* Effect.flip(write("b")), { reason: "Close", code: 1000 })
      yield* latch.open
      yield* Fiber.join(running)
      const waiting = yield* Effect.fork(write("c"))
      yield* settled
      assert.isFalse(yield* isDone(waiting))
      yield* Fiber.interrupt(waiting)
    })
  )

  scoped(`${role} has onOpen run when writes go through`, () =>
    Effect.gen(function* () {
      const { effect, opened } = makeOpen(role)
      const socket = yield* PlatformSocket.make(effect)
      const write = yield* socket.writer
      const running = yield* Effect.fork(socket.run(ignore, { onOpen: Effect.orDie(write("hello")) }))
      yield* settled
      const { peer } = opened[0]!
      assert.deepStrictEqual(yield* peer.awaitFrames(1), ["text hello"])
      peer.sendClose(1000)
      yield* Fiber.join(running)
    })
  )

  const ways = [
    ["interrupted", "close 1001", Effect.never],
    ["failed", "close 1011", Effect.fail("no")],
    ["died", "close 1011", Effect.dieMessage("boom")]
  ] as const
  for (const [way, said, handled] of ways) {
    scoped(`${role} tells the peer why when a run is ${way}`, () =>
      Effect.gen(function* () {
        const { effect, opened } = makeOpen(role)
        const socket = yield* PlatformSocket.make(effect)
        const running = yield* Effect.fork(socket.run(() => handled))
        yield* settled
        opened[0]!.peer.sendText("a")
        yield* settled
        if (way === "interrupted") yield* Fiber.interrupt(running)
        yield* Fiber.await(running)
        assert.deepStrictEqual(opened[0]!.peer.said, [said])
        assert.isFalse(opened[0]!.transport.ledger.isOpen)
      })
    )
  }

  scoped(`${role} can be interrupted inside a region that can't be, while it opens and when it is open`, () =>
    Effect.gen(function* () {
      const { effect, opened } = makeOpen(role)
      for (const opening of [Effect.never, effect]) {
        const socket = yield* PlatformSocket.make(opening)
        const running = yield* Effect.fork(Effect.uninterruptible(socket.run(ignore)))
        yield* settled
        assert.isTrue(Exit.isInterrupted(yield* Fiber.interrupt(running)))
      }
      assert.lengthOf(opened, 1)
    })
  )

  scoped(`${role} has the requirements of what opens where it was made, and of the handler where it runs`, () =>
    Effect.gen(function* () {
      class Name extends Context.Tag("test/Name")<Name, string>() {}
      class Other extends Context.Tag("test/Other")<Other, string>() {}
      const { effect, opened } = makeOpen(role)
      const seen: Array<string> = []
      const named = Effect.zipRight(
        Effect.map(Name, (name) => void seen.push(name)),
        effect
      )
      const making: Effect.Effect<Socket.Socket, never, Name> = PlatformSocket.make(named)
      const socket = yield* Effect.provideService(making, Name, "maker")
      const handler = () => Effect.map(Other, (name) => void seen.push(name))
      const run: Effect.Effect<void, Socket.SocketError, Other> = socket.run(handler)
      const running = yield* Effect.fork(Effect.provideService(run, Other, "runner"))
      yield* settled
      opened[0]!.peer.sendText("a")
      opened[0]!.peer.sendClose(1000)
      yield* Fiber.join(running)
      assert.deepStrictEqual(seen, ["maker", "runner"])
    })
  )
})

describe("PlatformSocket.make: disturbances", () => {
  for (const points of [...interruptions, ...pauses]) {
    it.effect(`socket leaves nothing behind when its run is ${describePoints(points)}`, () =>
      atEveryPoint(points, (disturbed) =>
        Effect.gen(function* () {
          const { connector, peers } = makeConnector()
          const connect = WebSocketClient.make(connector).connect("ws://server.example.com")
          const socket = yield* PlatformSocket.make(connect, { openTimeout: "1 minute" })
          const write = yield* socket.writer
          const writing = yield* Effect.fork(write("a"))
          const meanwhile = Effect.zipRight(
            settled,
            Effect.sync(() => peers[0]?.sendClose(1000))
          )
          const exit = yield* disturbed(socket.run(ignore), meanwhile)
          assert.isTrue(Exit.isSuccess(exit) || Exit.isInterrupted(exit), String(exit))
          yield* Fiber.interrupt(writing)
        })
      )
    )
  }
})

describe("PlatformSocket.make: connections that don't open", () => {
  scoped("socket fails with Open and the HandshakeError, and may be run again", () =>
    Effect.gen(function* () {
      const error = handshakeError({ _tag: "PeerGone" })
      const { effect, opened } = makeOpen("client")
      let attempts = 0
      const socket = yield* PlatformSocket.make(Effect.suspend(() => (attempts++ === 0 ? Effect.fail(error) : effect)))
      const write = yield* socket.writer
      const writing = yield* Effect.fork(write("a"))
      const failure = yield* Effect.flip(socket.run(ignore))
      assert.deepStrictEqual(failure, new Socket.SocketGenericError({ reason: "Open", cause: error }))
      yield* settled
      assert.isFalse(yield* isDone(writing))
      const running = yield* Effect.fork(socket.run(ignore))
      yield* Fiber.join(writing)
      opened[0]!.peer.sendClose(1000)
      yield* Fiber.join(running)
    })
  )

  scoped("socket passes on a SocketError", () =>
    Effect.gen(function* () {
      const error = new Socket.SocketGenericError({ reason: "Open", cause: "mine" })
      const socket = yield* PlatformSocket.make(Effect.fail(error))
      assert.strictEqual(yield* Effect.flip(socket.run(ignore)), error)
    })
  )

  scoped("socket fails with OpenTimeout when opening takes too long, and interrupts it", () =>
    Effect.gen(function* () {
      let wasInterrupted = false
      const never = Effect.onInterrupt(Effect.never, () => Effect.sync(() => (wasInterrupted = true)))
      const socket = yield* PlatformSocket.make(never, { openTimeout: "2 seconds" })
      const running = yield* Effect.fork(Effect.flip(socket.run(ignore)))
      yield* settled
      yield* TestClock.adjust(1999)
      assert.isFalse(yield* isDone(running))
      yield* TestClock.adjust(1)
      assert.deepInclude(yield* Fiber.join(running), { _tag: "SocketError", reason: "OpenTimeout" })
      assert.isTrue(wasInterrupted)
    })
  )

  scoped("socket that is open in time is not bothered by the time", () =>
    Effect.gen(function* () {
      const { effect, opened } = makeOpen("client")
      const socket = yield* PlatformSocket.make(effect, { openTimeout: "2 seconds" })
      const running = yield* Effect.fork(socket.run(ignore))
      yield* settled
      yield* TestClock.adjust("1 hour")
      assert.isFalse(yield* isDone(running))
      opened[0]!.peer.sendClose(1000)
      yield* Fiber.join(running)
    })
  )
})

describe("PlatformSocket.toSocketError", () => {
  const closed = (received: ConnectionClosed["received"]) =>
    new ConnectionClosed({ received, sent: undefined, initiator: "peer", discarded: 0 })

  it("becomes a SocketCloseError for each end of a connection", () => {
    const cases = [
      [closed({ code: 1000, reason: "bye" }), 1000, "bye"],
      [closed({ code: 1005, reason: "" }), 1005, ""],
      [closed(undefined), 1006, undefined]
    ] as const
    for (const [error, code, closeReason] of cases) {
      for (const operation of ["Open", "Read", "Write"] as const) {
        assert.deepStrictEqual(
          PlatformSocket.toSocketError(error, operation),
          new Socket.SocketCloseError({ reason: "Close", code, closeReason })
        )
      }
    }
  })

  it("becomes a SocketGenericError with the error as its cause for everything else", () => {
    const duration = Duration.seconds(1)
    const errors = [
      new ConnectionTimeout({ phase: "pong", duration }),
      new MessageTooBig({ limit: 1, size: 2 }),
      new TransportError({ operation: "read", address: undefined, cause: "reset" }),
      new SendRejected({ reason: { _tag: "Closing" } })
    ]
    for (const cause of errors) {
      for (const reason of ["Open", "Read", "Write"] as const) {
        assert.deepStrictEqual(
          PlatformSocket.toSocketError(cause, reason),
          new Socket.SocketGenericError({ reason, cause })
        )
      }
    }
    const gone = handshakeError({ _tag: "PeerGone" })
    const timeout = handshakeError({ _tag: "Timeout", phase: "head", duration })
    assert.deepInclude(PlatformSocket.toSocketError(gone, "Open"), { reason: "Open", cause: gone })
    assert.deepInclude(PlatformSocket.toSocketError(timeout, "Open"), { reason: "OpenTimeout", cause: timeout })
  })
})
