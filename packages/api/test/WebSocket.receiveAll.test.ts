/** Batches: what has come is taken at once. */
import * as MessageModule from "@effect-ws/core/Message"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { open, roles } from "./support/connections.ts"
import { leavesNothing, settled } from "./support/leaks.ts"
import { held, isDone, receive, textOf } from "./support/receiving.ts"
import { atEveryPoint, CountingScheduler, describePoints, interruptions, pauses } from "./support/schedulers.ts"

const textsOf = (messages: ReadonlyArray<MessageModule.Message>) => messages.map(textOf)

describe.each(roles)("WebSocket of a %s: receiveAll", (role) => {
  it.scoped(`${role} takes all that has come, in order, and nothing is held any more`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role)
      peer.sendText("a", "b")
      yield* settled
      peer.sendText("c")
      yield* settled
      assert.deepStrictEqual(textsOf(yield* socket.receiveAll), ["a", "b", "c"])
      assert.strictEqual(yield* held(socket), 0)
      peer.sendText("d", "e", "f")
      assert.strictEqual(yield* receive(socket), "d")
      assert.deepStrictEqual(textsOf(yield* socket.receiveAll), ["e", "f"])
    })
  )

  it.scoped(`${role} waits for one message at least, and wakes once for a chunk of many`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role)
      const scheduler = new CountingScheduler()
      const taking = yield* Effect.fork(Effect.withScheduler(socket.receiveAll, scheduler))
      yield* settled
      assert.isFalse(yield* isDone(taking))
      const before = scheduler.tasks
      peer.sendText("a", "b", "c")
      assert.deepStrictEqual(textsOf(yield* Fiber.join(taking)), ["a", "b", "c"])
      assert.strictEqual(scheduler.tasks - before, 1)
    })
  )

  it.scoped(`${role} gives batches to those who wait, in order of their arrival, and never an empty one`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role)
      const got: Array<string> = []
      const take = (name: string) =>
        Effect.zipLeft(
          Effect.fork(Effect.map(socket.receiveAll, (messages) => got.push(`${name} ${textsOf(messages).join("")}`))),
          settled
        )
      const fibers = [yield* take("1"), yield* take("2"), yield* take("3")]
      for (const texts of [["a", "b"], ["c"], ["d", "e"]]) {
        peer.sendText(...texts)
        yield* settled
      }
      yield* Fiber.joinAll(fibers)
      assert.deepStrictEqual(got, ["1 ab", "2 c", "3 de"])
    })
  )

  it.scoped(`${role} resumes the transport when all is taken`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role, { socket: { inboxHighWaterMark: 100 } })
      peer.sendText("a", "b")
      yield* settled
      assert.deepInclude(yield* socket.status, { incoming: 2 * 129, isPaused: true })
      yield* socket.receiveAll
      assert.deepInclude(yield* socket.status, { incoming: 0, isPaused: false })
    })
  )

  it.scoped(`${role} takes those in front of one that is too large, then fails`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role, { socket: { maxMessageSize: 10, maxStreamedSize: 100 } })
      peer.sendText("a", "b", "c".repeat(20), "d")
      assert.deepStrictEqual(textsOf(yield* socket.receiveAll), ["a", "b"])
      const error = yield* Effect.flip(socket.receiveAll)
      assert.deepInclude(error, { _tag: "MessageTooBig", limit: 10, size: 20 })
      assert.strictEqual(yield* Effect.flip(socket.receiveAll), error)
    })
  )

  it.scoped(`${role} takes what came before the end, then fails with the end`, () =>
    Effect.gen(function* () {
      for (const bad of [true, false]) {
        const { peer, socket } = yield* open(role)
        peer.send(peer.text("a"), peer.text("b"), bad ? peer.frame(3) : peer.close(1000))
        yield* settled
        assert.deepStrictEqual(textsOf(yield* socket.receiveAll), ["a", "b"])
        const error = yield* Effect.flip(socket.receiveAll)
        assert.strictEqual(error._tag, bad ? "ProtocolError" : "ConnectionClosed")
        assert.strictEqual(yield* Effect.flip(socket.receive), error)
      }
    })
  )

  for (const points of [...interruptions, ...pauses]) {
    it.effect(`${role} loses no message when receiveAll is ${describePoints(points)}`, () =>
      Effect.map(
        atEveryPoint(points, (disturbed) =>
          leavesNothing(
            Effect.gen(function* () {
              const { peer, socket } = yield* open(role)
              const got: Array<string> = []
              const take = Effect.flatMap(socket.receiveAll, (messages) => {
                got.push(...textsOf(messages))
                return Effect.void
              })
              const feed = Effect.gen(function* () {
                yield* settled
                peer.sendText("a", "b")
                yield* settled
                peer.sendText("c")
              })
              const exit = yield* disturbed(Effect.zipRight(take, take), feed)
              assert.isTrue(Exit.isSuccess(exit) || Exit.isInterrupted(exit), String(exit))
              peer.sendClose(1000)
              yield* Effect.ignore(Effect.forever(take))
              assert.deepStrictEqual(got, ["a", "b", "c"])
            })
          )
        ),
        (count) => assert.isAbove(count, 3)
      )
    )
  }
})
