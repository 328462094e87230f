/** A connection as the `Socket` of @effect/platform: peers that flood or go away, and handlers that never end. */
import * as PlatformSocket from "@effect-ws/api/PlatformSocket"
import * as WebSocket from "@effect-ws/api/WebSocket"
import * as Socket from "@effect/platform/Socket"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import { open, roles } from "./support/connections.ts"
import { leavesNothing, settled } from "./support/leaks.ts"
import { isDone, messageCost } from "./support/receiving.ts"

type Data = string | Uint8Array

/** Runs a scenario, and looks for what it left behind. */
const scoped = (title: string, scenario: () => Effect.Effect<void, unknown, Scope.Scope>) =>
  it.effect(title, () => leavesNothing(scenario()))

/** In bytes: what a handler costs that waits. */
const fiberCost = 4096

/** Handlers that wait for a latch and tell when they begin and how they end. */
const handlers = () => {
  const latch = Effect.unsafeMakeLatch(false)
  const begun: Array<string> = []
  const interrupted: Array<string> = []
  const handler = (data: Data) => {
    begun.push(String(data))
    return Effect.onInterrupt(latch.await, () => Effect.sync(() => void interrupted.push(String(data))))
  }
  return { begun, handler, interrupted, latch }
}

describe.each(roles)("PlatformSocket of a %s without a bound on its handlers", (role) => {
  scoped(`${role} takes so much in hand as the mark says, slows the peer, and goes on when half is done`, () =>
    Effect.gen(function* () {
      const { peer, socket, transport } = yield* open(role, { socket: { inboxHighWaterMark: messageCost } })
      const { begun, handler, latch } = handlers()
      const options = { concurrency: "unbounded", handlingHighWaterMark: 4 * fiberCost } as const
      const running = yield* Effect.fork(PlatformSocket.fromWebSocket(socket, options).runRaw(handler))
      const texts = Array.from("abcdefghijkl")
      for (const text of texts) {
        peer.sendText(text)
        yield* settled
      }
      assert.deepStrictEqual(begun, texts.slice(0, 4))
      assert.isTrue(transport.ledger.isPaused)
      assert.isAbove(peer.transport.writable, 0)
      yield* latch.release
      yield* settled
      // The next four, once, for which the latch is closed again.
      assert.deepStrictEqual(begun, texts.slice(0, 8))
      yield* latch.open
      yield* settled
      assert.deepStrictEqual(begun, texts)
      assert.isFalse(transport.ledger.isPaused)
      peer.sendClose(1000)
      yield* Fiber.join(running)
    })
  )

  scoped(`${role} counts the bytes of what is in hand, and admits one message above the mark`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role)
      const { begun, handler, latch } = handlers()
      const options = { concurrency: "unbounded", handlingHighWaterMark: 2 * fiberCost } as const
      const running = yield* Effect.fork(PlatformSocket.fromWebSocket(socket, options).runRaw(handler))
      const large = "x".repeat(3 * fiberCost)
      peer.sendText(large, "a", "b")
      yield* settled
      assert.deepStrictEqual(begun, [large])
      yield* latch.open
      yield* settled
      assert.deepStrictEqual(begun, [large, "a", "b"])
      peer.sendClose(1000)
      yield* Fiber.join(running)
    })
  )

  scoped(`${role} begins what came before the end, whatever is in hand, and interrupts all of it then`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role)
      const { begun, handler, interrupted } = handlers()
      const options = { concurrency: "unbounded", handlingHighWaterMark: 1 } as const
      const running = yield* Effect.fork(Effect.either(PlatformSocket.fromWebSocket(socket, options).runRaw(handler)))
      peer.sendText("a", "b", "c")
      yield* settled
      assert.deepStrictEqual(begun, ["a"])
      peer.destroy()
      const outcome = yield* Fiber.join(running)
      assert.deepInclude(outcome._tag === "Left" && outcome.left, { reason: "Close", code: 1006 })
      assert.deepStrictEqual(begun, ["a", "b", "c"])
      assert.sameMembers(interrupted, ["a", "b", "c"])
    })
  )

  scoped(`${role} can be interrupted while it waits for what is in hand, and has taken nothing more`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role)
      const { begun, handler, interrupted } = handlers()
      const options = { concurrency: "unbounded", handlingHighWaterMark: 1 } as const
      const running = yield* Effect.fork(PlatformSocket.fromWebSocket(socket, options).runRaw(handler))
      peer.sendText("a", "b")
      yield* settled
      yield* Fiber.interrupt(running)
      assert.deepStrictEqual([begun, interrupted], [["a"], ["a"]])
      assert.deepInclude(yield* socket.receive, { _tag: "Text", text: "b" })
    })
  )

  scoped(`${role} refuses a mark that can't be meant`, () =>
    Effect.gen(function* () {
      const { socket } = yield* open(role)
      for (const handlingHighWaterMark of [0, -1, 1.5, NaN, Infinity]) {
        assert.throws(
          () => PlatformSocket.fromWebSocket(socket, { handlingHighWaterMark }),
          RangeError,
          `The option handlingHighWaterMark must be a positive integer, and is ${handlingHighWaterMark}`
        )
      }
    })
  )
})

describe.each(roles)("PlatformSocket of a %s with handlers that never end", (role) => {
  for (const concurrency of [1, 2] as const) {
    scoped(`${role} interrupts what goes on for too long behind the end, with concurrency ${concurrency}`, () =>
      Effect.gen(function* () {
        const { peer, socket } = yield* open(role)
        const { begun, handler, interrupted } = handlers()
        const adapted = PlatformSocket.fromWebSocket(socket, { concurrency, endTimeout: "3 seconds" })
        const running = yield* Effect.fork(Effect.either(adapted.runRaw(handler)))
        peer.sendText("a", "b")
        yield* settled
        // While the connection is there they may take as long as they like.
        yield* TestClock.adjust("10 seconds")
        assert.deepStrictEqual(interrupted, [])
        peer.destroy()
        yield* settled
        yield* TestClock.adjust("2999 millis")
        yield* settled
        assert.isFalse(yield* isDone(running))
        yield* TestClock.adjust("1 millis")
        const outcome = yield* Fiber.join(running)
        assert.deepInclude(outcome._tag === "Left" && outcome.left, { reason: "Close", code: 1006 })
        assert.sameMembers(interrupted, begun)
        assert.lengthOf(begun, concurrency)
      })
    )

    scoped(`${role} leaves each message behind the end its time, with concurrency ${concurrency}`, () =>
      Effect.gen(function* () {
        const { peer, socket } = yield* open(role)
        const done: Array<string> = []
        const handler = (data: Data) => Effect.map(Effect.sleep("20 seconds"), () => void done.push(String(data)))
        const running = yield* Effect.fork(
          Effect.either(PlatformSocket.fromWebSocket(socket, { concurrency }).runRaw(handler))
        )
        const texts = Array.from("abcdef")
        peer.sendText(...texts)
        yield* settled
        peer.destroy()
        for (let i = 0; i < texts.length; i++) {
          yield* settled
          yield* TestClock.adjust("20 seconds")
        }
        yield* Fiber.join(running)
        assert.sameMembers(done, texts)
      })
    )
  }

  scoped(`${role} succeeds when the peer had closed with 1000 and a handler is interrupted`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role)
      const { handler, interrupted } = handlers()
      const running = yield* Effect.fork(PlatformSocket.fromWebSocket(socket).runRaw(handler))
      peer.send(peer.text("a"), peer.close(1000))
      yield* settled
      // Our Close frame waits for the handler for so long.
      yield* TestClock.adjust("1 seconds")
      yield* settled
      assert.deepStrictEqual(peer.said, ["close 1000"])
      yield* TestClock.adjust("30 seconds")
      assert.deepStrictEqual(yield* Fiber.await(running), Exit.void)
      assert.deepStrictEqual(interrupted, ["a"])
    })
  )

  scoped(`${role} fails as the handler does that fails behind the end`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role)
      const latch = yield* Effect.makeLatch()
      const handler = () => Effect.zipRight(latch.await, Effect.fail("mine" as const))
      const running = yield* Effect.fork(PlatformSocket.fromWebSocket(socket).runRaw(handler))
      peer.sendText("a")
      yield* settled
      peer.destroy()
      yield* settled
      yield* latch.open
      assert.strictEqual(yield* Effect.flip(Fiber.join(running)), "mine")
    })
  )
})

describe.each(roles)("PlatformSocket of a %s with handlers that die", (role) => {
  for (const concurrency of [1, 2, "unbounded"] as const) {
    scoped(`${role} isn't failed by a write inside a span that came too late, with concurrency ${concurrency}`, () =>
      Effect.gen(function* () {
        const { peer, socket } = yield* open(role)
        const adapted = PlatformSocket.fromWebSocket(socket, { concurrency })
        const write = yield* adapted.writer
        const handler = () =>
          Effect.zipRight(write(new Socket.CloseEvent(1000)), write("late")).pipe(
            Effect.mapError((error) => error),
            Effect.withSpan("handle")
          )
        peer.sendText("a", "b", "c")
        yield* adapted.runRaw(handler)
        assert.deepStrictEqual(peer.said, ["close 1000"])
      })
    )

    scoped(`${role} isn't failed by a write that dies since it came too late, with concurrency ${concurrency}`, () =>
      Effect.gen(function* () {
        const { peer, socket } = yield* open(role)
        const adapted = PlatformSocket.fromWebSocket(socket, { concurrency })
        const write = yield* adapted.writer
        const got: Array<string> = []
        const handler = (data: Data) => {
          got.push(String(data))
          return Effect.zipRight(write(new Socket.CloseEvent(1000)), Effect.orDie(write("late")))
        }
        peer.sendText("a", "b", "c")
        yield* adapted.runRaw(handler)
        assert.deepStrictEqual(got, ["a", "b", "c"])
      })
    )

    scoped(`${role} dies as a handler does, or throws, with concurrency ${concurrency}`, () =>
      Effect.gen(function* () {
        const boom = new Error("boom")
        const ways: ReadonlyArray<() => Effect.Effect<void>> = [
          () => Effect.die(boom),
          () => Effect.zipRight(Effect.yieldNow(), Effect.die(boom)),
          () => {
            throw boom
          }
        ]
        for (const handler of ways) {
          const { peer, socket } = yield* open(role)
          const adapted = PlatformSocket.fromWebSocket(socket, { concurrency })
          const running = yield* Effect.fork(adapted.run(handler))
          yield* settled
          peer.sendText("a")
          assert.deepStrictEqual(yield* Fiber.await(running), Exit.die(boom))
          assert.strictEqual((yield* socket.status).state, "open")
          // Nothing is in hand any more that an answer would have to wait for.
          const receiving = yield* Effect.fork(Effect.flip(WebSocket.run(socket, () => {})).pipe(Effect.ignore))
          yield* settled
          peer.sendClose(1000)
          yield* Fiber.join(receiving)
          assert.deepStrictEqual(peer.said, ["close 1000"])
        }
      })
    )
  }
})
