import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import { open, type OpenOptions, type Role, roles } from "./support/connections.ts"
import { leavesNothing, settled } from "./support/leaks.ts"

const isDone = (fiber: Fiber.RuntimeFiber<unknown, unknown>) => Effect.map(fiber.poll, Option.isSome)

/** A connection in a scope of its own. */
const openIn = (role: Role, options?: OpenOptions) =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const opened = yield* Scope.extend(open(role, options), scope)
    return { ...opened, close: (exit: Exit.Exit<unknown, unknown> = Exit.void) => Scope.close(scope, exit) }
  })

/** Moves the clock up to just before the time, asserts that the fiber waits, and on to the end of the tolerance. */
const firesAfter = (fiber: Fiber.RuntimeFiber<unknown, unknown>, millis: number) =>
  Effect.gen(function* () {
    yield* TestClock.adjust(millis - 1)
    assert.isFalse(yield* isDone(fiber), `done before ${millis} ms`)
    yield* TestClock.adjust(1 + Math.max(50, millis / 20))
    assert.isTrue(yield* isDone(fiber), `not done after ${millis} ms`)
  })

describe.each(roles)("WebSocket of a %s: release", (role) => {
  const exits: ReadonlyArray<readonly [string, number, Exit.Exit<unknown, unknown>]> = [
    ["success", 1000, Exit.succeed(1)],
    ["an interruption", 1001, Exit.interrupt(FiberId.none)],
    ["a failure", 1011, Exit.fail("no")],
    ["a defect", 1011, Exit.die("no")]
  ]
  for (const [name, code, exit] of exits) {
    it.effect(`${role} closes with ${code} when its scope closes after ${name}, and leaves nothing`, () =>
      leavesNothing(
        Effect.gen(function* () {
          const { close, peer, socket } = yield* openIn(role)
          yield* close(exit)
          assert.deepStrictEqual(peer.said, [`close ${code}`])
          assert.deepInclude(yield* socket.closed, { _tag: "ConnectionClosed", initiator: "local", clean: true })
        })
      )
    )
  }

  it.effect(`${role} releases a connection that is closed already at once`, () =>
    leavesNothing(
      Effect.gen(function* () {
        const { close, peer, socket } = yield* openIn(role)
        const outcome = yield* socket.close({ code: 4000, reason: "" })
        yield* close(Exit.fail("no"))
        assert.deepStrictEqual(peer.said, ["close 4000"])
        assert.strictEqual(yield* socket.closed, outcome)
      })
    )
  )

  it.effect(`${role} destroys the transport of a peer that says nothing for a second`, () =>
    leavesNothing(
      Effect.gen(function* () {
        const { close, peer, socket, transport } = yield* openIn(role, { peer: { polite: false } })
        const closing = yield* Effect.fork(close())
        yield* peer.awaitFrames(1)
        yield* firesAfter(closing, 1000)
        const error = yield* socket.closed
        assert.deepInclude(error, { _tag: "ConnectionTimeout", phase: "close" })
        assert.strictEqual(error._tag === "ConnectionTimeout" && Duration.toMillis(error.duration), 1000)
        assert.isFalse(transport.ledger.isOpen)
      })
    )
  )

  it.effect(`${role} ends a peer that talks and never closes by the deadline`, () =>
    leavesNothing(
      Effect.gen(function* () {
        const { close, peer, socket } = yield* openIn(role, { peer: { polite: false } })
        const closing = yield* Effect.fork(close())
        yield* peer.awaitFrames(1)
        for (let i = 0; i < 9; i++) {
          yield* TestClock.adjust(500)
          peer.sendText("chat")
          yield* settled
        }
        assert.isFalse(yield* isDone(closing))
        yield* firesAfter(closing, 500)
        const error = yield* socket.closed
        assert.strictEqual(error._tag === "ConnectionTimeout" && Duration.toMillis(error.duration), 5000)
      })
    )
  )

  it.effect(`${role} destroys the transport of a peer that says nothing after its own Close frame`, () =>
    leavesNothing(
      Effect.gen(function* () {
        const { close, peer, socket } = yield* openIn(role, { peer: { polite: false } })
        const closing = yield* Effect.fork(close())
        yield* peer.awaitFrames(1)
        peer.sendClose(1000)
        yield* settled
        // The Close frame was heard in the first second.
        yield* TestClock.adjust(1050)
        assert.isFalse(yield* isDone(closing))
        yield* TestClock.adjust(1050)
        assert.isTrue(yield* isDone(closing))
        assert.deepInclude(yield* socket.closed, { _tag: "ConnectionClosed", clean: true })
      })
    )
  )

  it.effect(`${role} releases a connection whose peer reads nothing`, () =>
    leavesNothing(
      Effect.gen(function* () {
        const { close, peer, socket } = yield* openIn(role)
        peer.transport.pause()
        yield* socket.send(new Uint8Array(300_000))
        const waiting = yield* Effect.fork(Effect.flip(socket.send("a")))
        yield* settled
        const closing = yield* Effect.fork(close())
        yield* firesAfter(closing, 1000)
        assert.strictEqual((yield* Fiber.join(waiting))._tag, "SendRejected")
        peer.transport.resume()
      })
    )
  )

  it.effect(`${role} releases many connections side by side`, () =>
    leavesNothing(
      Effect.gen(function* () {
        const all = yield* Effect.replicateEffect(openIn(role, { peer: { polite: false } }), 3)
        const closing = yield* Effect.fork(Effect.forEach(all, ({ close }) => close(), { concurrency: "unbounded" }))
        for (const { peer } of all) yield* peer.awaitFrames(1)
        yield* firesAfter(closing, 1000)
      })
    )
  )

  it.effect(`${role} releases many connections of one scope with parallel finalizers side by side`, () =>
    leavesNothing(
      Effect.gen(function* () {
        const peers = yield* Effect.replicateEffect(open(role, { peer: { polite: false } }), 3).pipe(
          Effect.parallelFinalizers,
          Effect.scoped,
          Effect.fork
        )
        yield* settled
        yield* firesAfter(peers, 1000)
        for (const { peer } of yield* Fiber.join(peers)) {
          assert.deepStrictEqual(peer.said, ["close 1000"])
          peer.destroy()
        }
      })
    )
  )
})

describe.each(roles)("WebSocket of a %s: deadlines of close", (role) => {
  for (const [name, closeTimeout, millis] of [
    ["5 seconds by default", undefined, 5000],
    ["the time that was set", "300 millis", 300]
  ] as const) {
    it.effect(`${role} gives a peer that doesn't answer ${name}`, () =>
      leavesNothing(
        Effect.gen(function* () {
          const { close, peer, socket } = yield* openIn(role, { socket: { closeTimeout }, peer: { polite: false } })
          const closing = yield* Effect.fork(Effect.flip(socket.close()))
          yield* peer.awaitFrames(1)
          yield* firesAfter(closing, millis)
          const error = yield* Fiber.join(closing)
          assert.deepInclude(error, { _tag: "ConnectionTimeout", phase: "close" })
          assert.strictEqual(error._tag === "ConnectionTimeout" && Duration.toMillis(error.duration), millis)
          assert.strictEqual(yield* socket.closed, error)
          yield* close()
        })
      )
    )
  }

  it.effect(`${role} goes on closing when whoever called close is interrupted`, () =>
    leavesNothing(
      Effect.gen(function* () {
        const { close, peer, socket } = yield* openIn(role, { peer: { polite: false } })
        const closing = yield* Effect.fork(socket.close())
        yield* peer.awaitFrames(1)
        yield* Fiber.interrupt(closing)
        const closed = yield* Effect.fork(socket.closed)
        yield* firesAfter(closed, 5000)
        yield* close()
      })
    )
  )

  it.effect(`${role} waits no longer than the deadline for the transport to end after both Close frames`, () =>
    leavesNothing(
      Effect.gen(function* () {
        const { close, peer, socket } = yield* openIn(role, { peer: { polite: false } })
        peer.sendClose(1000)
        const closed = yield* Effect.fork(socket.closed)
        yield* peer.awaitFrames(1)
        yield* firesAfter(closed, 5000)
        assert.deepInclude(yield* Fiber.join(closed), { _tag: "ConnectionClosed", clean: true })
        yield* close()
      })
    )
  )

  it.effect(`${role} waits no longer than the deadline for a peer that it has failed`, () =>
    leavesNothing(
      Effect.gen(function* () {
        const { close, peer, socket } = yield* openIn(role, { peer: { polite: false } })
        peer.send(peer.frame(3))
        const closed = yield* Effect.fork(socket.closed)
        yield* peer.awaitFrames(1)
        assert.strictEqual((yield* Effect.flip(socket.receive))._tag, "ProtocolError")
        yield* firesAfter(closed, 5000)
        yield* close()
      })
    )
  )
})

/** Fails unless it is the clean end of a closing handshake. */
const assertClean = (error: unknown, initiator: "local" | "peer") =>
  assert.deepInclude(error as object, { _tag: "ConnectionClosed", clean: true, initiator })

describe.each(roles)("WebSocket of a %s: the closing handshake", (role) => {
  it.scoped(`${role} dies of every code that must not be sent, and lives on`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role)
      const forbidden = [-1, 0, 999, 1004, 1005, 1006, 1015, 1016, 1999, 2000, 2999, 5000, 65_535, 65_536 + 1000]
      for (const code of [...forbidden, 1000.5, Number.NaN, Infinity]) {
        // 1005 alone is the empty payload.
        const exit = yield* Effect.exit(socket.close({ code, reason: "text" }))
        assert.isTrue(Exit.isFailure(exit) && Cause.isDie(exit.cause), `${code}`)
      }
      for (const reason of ["a".repeat(124), "é".repeat(62), "\ud800".repeat(42)]) {
        const exit = yield* Effect.exit(socket.close({ code: 1000, reason }))
        assert.isTrue(Exit.isFailure(exit) && Cause.isDie(exit.cause))
      }
      yield* socket.send("alive")
      assert.deepStrictEqual(yield* peer.awaitFrames(1), ["text alive"])
    })
  )

  for (const code of [1000, 1003, 1007, 1014, 3000, 3999, 4000, 4999]) {
    it.scoped(`${role} sends ${code} with a reason of 123 bytes`, () =>
      Effect.gen(function* () {
        const { peer, socket } = yield* open(role)
        const reason = `${"é".repeat(61)}a`
        const outcome = yield* socket.close({ code, reason })
        assert.deepStrictEqual(peer.said, [`close ${code} ${reason}`])
        assert.deepInclude(outcome, { sent: { code, reason }, received: { code, reason: "" } })
      })
    )
  }

  it.effect(`${role} closes cleanly when both sides begin at once`, () =>
    leavesNothing(
      Effect.gen(function* () {
        const { peer, socket } = yield* open(role)
        peer.sendClose(4001, "theirs")
        const outcome = yield* socket.close({ code: 4000, reason: "ours" })
        assertClean(outcome, "local")
        assert.deepInclude(outcome, {
          sent: { code: 4000, reason: "ours" },
          received: { code: 4001, reason: "theirs" }
        })
        assert.deepStrictEqual(peer.said, ["close 4000 ours"])
      })
    )
  )

  it.effect(`${role} gives every fiber that closes, and who awaits the end, the same outcome, and says it once`, () =>
    leavesNothing(
      Effect.gen(function* () {
        const { peer, socket } = yield* open(role)
        const closing = Effect.forEach([4000, 4001, 4002], (code) => socket.close({ code }), { concurrency: 3 })
        const [outcomes, end] = yield* Effect.all([closing, socket.closed], { concurrency: 2 })
        for (const outcome of outcomes) assert.strictEqual(outcome, end)
        assert.deepStrictEqual(peer.said, ["close 4000"])
      })
    )
  )

  it.effect(`${role} takes the first Close frame of the peer, and nothing that comes behind it`, () =>
    leavesNothing(
      Effect.gen(function* () {
        const { peer, socket } = yield* open(role)
        peer.send(peer.text("a"), peer.close(1000, "first"), peer.close(1011, "second"), peer.text("b"), "ff ff ff")
        assert.strictEqual((yield* socket.receive)._tag, "Text")
        const error = yield* Effect.flip(socket.receive)
        assertClean(error, "peer")
        assert.deepInclude(error, { received: { code: 1000, reason: "first" }, discarded: 0 })
        yield* settled
        if (role === "client") peer.end()
        assert.deepStrictEqual(peer.said, ["close 1000"])
        assert.strictEqual(yield* socket.closed, error)
      })
    )
  )

  it.effect(`${role} closes behind a full inbox that nobody reads`, () =>
    leavesNothing(
      Effect.gen(function* () {
        const { peer, socket, transport } = yield* open(role, { socket: { inboxHighWaterMark: 300 } })
        for (let i = 0; i < 10; i++) peer.sendText("0123456789")
        yield* settled
        assert.isTrue(transport.ledger.isPaused)
        assertClean(yield* socket.close(), "local")
        assert.deepStrictEqual(peer.said, ["close 1000"])
        assert.strictEqual((yield* socket.receive)._tag, "Text")
      })
    )
  )

  it.scoped(`${role} lets the server end the transport after the closing handshake that it began`, () =>
    Effect.gen(function* () {
      const { peer, socket, transport } = yield* open(role, { peer: { polite: false } })
      const closing = yield* Effect.fork(socket.close())
      yield* peer.awaitFrames(1)
      assert.isFalse(peer.hasEnded)
      peer.sendClose(1000)
      yield* settled
      assert.strictEqual(peer.hasEnded, role === "server")
      assert.isTrue(transport.ledger.isOpen)
      peer.end()
      assertClean(yield* Fiber.join(closing), "local")
      yield* settled
      assert.isTrue(peer.hasEnded)
    })
  )
})
