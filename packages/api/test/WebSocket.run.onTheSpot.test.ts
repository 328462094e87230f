/** Messages whose handler is done on the spot: no fiber is woken for them, and all else is as if one were. */
import * as WebSocket from "@effect-ws/api/WebSocket"
import type { Message } from "@effect-ws/core/Message"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { open, roles } from "./support/connections.ts"
import { leavesNothing, settled } from "./support/leaks.ts"
import { receive, textOf } from "./support/receiving.ts"
import { atEveryPoint, describePoints, interruptions, pauses } from "./support/schedulers.ts"

describe.each(roles)("WebSocket of a %s: run with a handler that is done on the spot", (role) => {
  it.scoped(`${role} dies as a handler that throws, and leaves the other messages`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role)
      const running = yield* Effect.fork(
        WebSocket.run(socket, (message) => {
          if (textOf(message) === "b") throw new Error("boom")
        })
      )
      yield* settled
      peer.sendText("a", "b", "c")
      const exit = yield* Fiber.await(running)
      assert.include(String(Exit.isFailure(exit) && [...Cause.defects(exit.cause)]), "boom")
      assert.strictEqual(yield* receive(socket), "c")
    })
  )

  it.scoped(`${role} fails as a handler that answers with a failure`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role)
      const running = yield* Effect.fork(WebSocket.run(socket, () => Exit.fail("no")))
      yield* settled
      peer.sendText("a", "b")
      assert.strictEqual(yield* Effect.flip(Fiber.join(running)), "no")
      assert.strictEqual(yield* receive(socket), "b")
    })
  )

  it.scoped(`${role} handles messages in order when some of them take their time`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role)
      const latch = Effect.unsafeMakeLatch()
      const got: Array<string> = []
      yield* Effect.fork(
        WebSocket.run(socket, (message) => {
          got.push(textOf(message))
          return textOf(message) === "slow" ? latch.await : undefined
        })
      )
      yield* settled
      peer.sendText("a", "slow", "b")
      yield* settled
      peer.sendText("c")
      yield* settled
      assert.deepStrictEqual(got, ["a", "slow"])
      yield* latch.open
      yield* settled
      assert.deepStrictEqual(got, ["a", "slow", "b", "c"])
    })
  )

  it.scoped(`${role} hands out nothing to a handler whose fiber has gone`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role)
      const got: Array<string> = []
      const running = yield* Effect.fork(WebSocket.run(socket, (message) => void got.push(textOf(message))))
      yield* settled
      peer.sendText("a")
      yield* settled
      yield* Fiber.interrupt(running)
      peer.sendText("b")
      assert.strictEqual(yield* receive(socket), "b")
      assert.deepStrictEqual(got, ["a"])
    })
  )

  it.scoped(`${role} lets others take messages in turn`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role)
      const got: Array<string> = []
      yield* Effect.fork(WebSocket.run(socket, (message) => void got.push(textOf(message))))
      yield* settled
      const other = yield* Effect.fork(receive(socket))
      yield* settled
      peer.sendText("a")
      yield* settled
      peer.sendText("b")
      yield* settled
      peer.sendText("c")
      yield* settled
      assert.strictEqual(yield* Fiber.join(other), "b")
      assert.deepStrictEqual(got, ["a", "c"])
    })
  )

  it.scoped(`${role} sends the replies to all messages of a chunk in one write, and before its Close frame`, () =>
    Effect.gen(function* () {
      const { peer, socket, transport } = yield* open(role)
      yield* Effect.fork(WebSocket.run(socket, (message) => socket.send(message)))
      yield* settled
      const { writes } = transport.ledger
      peer.sendText("a", "b", "c")
      yield* peer.awaitFrames(3)
      assert.strictEqual(transport.ledger.writes - writes, 1)
      peer.send(peer.text("d"), peer.close(1000))
      yield* socket.closed
      assert.deepStrictEqual(peer.said.slice(-2), ["text d", "close 1000"])
    })
  )

  for (const end of ["close", "destroy"] as const) {
    it.scoped(`${role} ends normally when the handler has begun to ${end}, and has handled what came before`, () =>
      Effect.gen(function* () {
        const { peer, socket } = yield* open(role)
        const got: Array<string> = []
        const ending = end === "close" ? Effect.ignore(socket.close()) : socket.destroy
        const running = yield* Effect.fork(
          Effect.exit(
            WebSocket.run(socket, (message) => {
              got.push(textOf(message))
              if (textOf(message) === "b") Effect.runFork(ending)
            })
          )
        )
        yield* settled
        peer.sendText("a", "b", "c")
        const exit = yield* Fiber.join(running)
        assert.deepStrictEqual(got, ["a", "b", "c"])
        assert.strictEqual(Exit.isSuccess(exit), end === "close", String(exit))
      })
    )
  }

  for (const points of [...interruptions, ...pauses]) {
    it.effect(`${role} loses no message when run on the spot is ${describePoints(points)}`, () =>
      atEveryPoint(points, (disturbed) =>
        leavesNothing(
          Effect.gen(function* () {
            const { peer, socket } = yield* open(role)
            const got: Array<string> = []
            const note = (message: Message) => void got.push(textOf(message))
            const feed = Effect.gen(function* () {
              yield* Effect.repeatN(Effect.yieldNow(), 3)
              peer.sendText("a", "b", "c")
              yield* settled
              peer.sendText("d")
              peer.sendClose(1000)
            })
            const exit = yield* disturbed(WebSocket.run(socket, note), feed)
            assert.isTrue(Exit.isSuccess(exit) || Exit.isInterrupted(exit), String(exit))
            yield* Effect.ignore(Effect.forever(Effect.map(receive(socket), (text) => got.push(text))))
            assert.deepStrictEqual(got, ["a", "b", "c", "d"])
            assert.deepInclude(yield* socket.closed, { clean: true })
          })
        )
      )
    )
  }
})
