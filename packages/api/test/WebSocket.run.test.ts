/** Messages that are handled side by side. */
import type { WebSocketError } from "@effect-ws/api/WebSocketError"
import * as WebSocket from "@effect-ws/api/WebSocket"
import type { Message } from "@effect-ws/core/Message"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { open, roles } from "./support/connections.ts"
import { leavesNothing, settled } from "./support/leaks.ts"
import { held, isDone, messageCost, receive, textOf } from "./support/receiving.ts"
import { atEveryPoint, describePoints, interruptions, pauses } from "./support/schedulers.ts"

/** A handler whose messages are done when the test says so. */
const makeHandler = () => {
  const log: Array<string> = []
  const latches = new Map<string, Effect.Latch>()
  const latchOf = (text: string): Effect.Latch => {
    const latch = latches.get(text) ?? Effect.unsafeMakeLatch()
    latches.set(text, latch)
    return latch
  }
  let now = 0
  let most = 0
  const handle = (message: Message) =>
    Effect.suspend(() => {
      const text = textOf(message)
      log.push(`begin ${text}`)
      most = Math.max(most, ++now)
      return Effect.onExit(latchOf(text).await, (exit) =>
        Effect.sync(() => {
          now--
          log.push(`${Exit.isSuccess(exit) ? "done" : "interrupted"} ${text}`)
        })
      )
    })
  const release = (...texts: ReadonlyArray<string>) =>
    Effect.zipRight(
      Effect.forEach(texts, (text) => latchOf(text).open, { discard: true }),
      settled
    )
  return { log, handle, release, most: () => most }
}

describe.each(roles)("WebSocket of a %s: run with concurrency", (role) => {
  it.scoped(`${role} handles as many at once as it is told, begun in order, and holds back the rest`, () =>
    Effect.gen(function* () {
      const { peer, socket, transport } = yield* open(role, { socket: { inboxHighWaterMark: 3 * messageCost } })
      const { handle, log, most, release } = makeHandler()
      const running = yield* Effect.fork(WebSocket.run(socket, handle, { concurrency: 3 }))
      const texts = Array.from("abcdefghij")
      for (const text of texts) {
        peer.sendText(text)
        yield* settled
      }
      assert.deepStrictEqual(log, ["begin a", "begin b", "begin c"])
      // Three are held within the mark, and one above it.
      assert.deepInclude(yield* socket.status, { incoming: 3 * (messageCost + 1), isPaused: true })
      assert.isTrue(transport.ledger.isPaused)
      yield* release("b")
      assert.deepStrictEqual(log.slice(3), ["done b", "begin d"])
      yield* release("d", "a")
      assert.deepStrictEqual(log.slice(5), ["done d", "begin e", "done a", "begin f"])
      yield* release(...texts)
      assert.strictEqual(most(), 3)
      assert.deepStrictEqual(
        log.filter((entry) => entry.startsWith("begin")),
        texts.map((text) => `begin ${text}`)
      )
      assert.isFalse(yield* isDone(running))
      peer.sendClose(1000)
      yield* Fiber.join(running)
    })
  )

  it.scoped(`${role} ends normally after a clean close when all are done, and lets their replies go first`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role)
      const { handle, release } = makeHandler()
      const reply = (message: Message) => Effect.zipRight(handle(message), socket.send(message))
      const running = yield* Effect.fork(WebSocket.run(socket, reply, { concurrency: 4 }))
      yield* settled
      peer.send(peer.text("a"), peer.text("b"), peer.close(1000))
      yield* settled
      assert.deepStrictEqual(peer.said, [])
      yield* release("b")
      assert.deepStrictEqual(peer.said, ["text b"])
      assert.isFalse(yield* isDone(running))
      yield* release("a")
      assert.deepStrictEqual(peer.said, ["text b", "text a", "close 1000"])
      yield* Fiber.join(running)
    })
  )

  it.scoped(`${role} interrupts no handler when the connection ends, and fails when all are done`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role)
      const { handle, log, release } = makeHandler()
      const running = yield* Effect.fork(Effect.flip(WebSocket.run(socket, handle, { concurrency: 2 })))
      yield* settled
      peer.send(peer.text("a"), peer.text("b"), peer.text("c"), peer.frame(3))
      yield* settled
      yield* release("a")
      yield* release("c")
      assert.isFalse(yield* isDone(running))
      yield* release("b")
      assert.deepStrictEqual(log, ["begin a", "begin b", "done a", "begin c", "done c", "done b"])
      const error = yield* Fiber.join(running)
      assert.strictEqual(error._tag, "ProtocolError")
      assert.strictEqual(yield* socket.closed, error)
    })
  )

  it.scoped(
    `${role} fails as the first handler that fails, interrupts the others, and keeps what wasn't handed out`,
    () =>
      Effect.gen(function* () {
        const { peer, socket } = yield* open(role)
        const { handle, log, release } = makeHandler()
        const failing = (message: Message) =>
          Effect.zipRight(handle(message), textOf(message) === "b" ? Effect.fail("no" as const) : Effect.void)
        const running = yield* Effect.fork(Effect.exit(WebSocket.run(socket, failing, { concurrency: 3 })))
        peer.sendText("a", "b", "c", "d", "e")
        yield* settled
        yield* release("b")
        const exit = yield* Fiber.join(running)
        assert.deepStrictEqual(Exit.isFailure(exit) && [...Cause.failures(exit.cause)], ["no"])
        assert.sameMembers(log.slice(3), ["done b", "interrupted a", "interrupted c"])
        assert.strictEqual(yield* receive(socket), "d")
        assert.strictEqual(yield* receive(socket), "e")
        assert.strictEqual(yield* held(socket), 0)
        // Nothing is in hand any more that the answer to a Close frame would have to wait for.
        const last = yield* Effect.fork(Effect.flip(socket.receive))
        yield* settled
        peer.sendClose(1000)
        yield* settled
        assert.deepStrictEqual(peer.said, ["close 1000"])
        yield* Fiber.join(last)
      })
  )

  it.scoped(`${role} dies as a handler that dies, and interrupts the others`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role)
      const { handle, log } = makeHandler()
      const running = yield* Effect.fork(
        Effect.exit(
          WebSocket.run(
            socket,
            (message) => {
              if (textOf(message) === "b") throw new Error("boom")
              return handle(message)
            },
            { concurrency: 2 }
          )
        )
      )
      peer.sendText("a", "b")
      const exit = yield* Fiber.join(running)
      assert.include(String(Exit.isFailure(exit) && exit.cause), "boom")
      assert.deepStrictEqual(log, ["begin a", "interrupted a"])
    })
  )

  it.scoped(`${role} ends normally when a handler meets the clean end itself, after the others`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role)
      const { handle, log, release } = makeHandler()
      const reply = (message: Message) => Effect.zipRight(handle(message), socket.send("late"))
      const running = yield* Effect.fork(WebSocket.run(socket, reply, { concurrency: 2 }))
      peer.sendText("a", "b")
      yield* settled
      yield* Effect.fork(socket.close())
      yield* socket.closed
      yield* release("a")
      assert.isFalse(yield* isDone(running))
      yield* release("b")
      yield* Fiber.join(running)
      assert.deepStrictEqual(log.slice(2), ["done a", "done b"])
    })
  )

  for (const concurrency of [1, 2]) {
    it.scoped(
      `${role} hands out what came in front of the end though it can't be answered, with concurrency ${concurrency}`,
      () =>
        Effect.gen(function* () {
          for (const isClean of [true, false]) {
            const { peer, socket } = yield* open(role)
            const { handle, log, release } = makeHandler()
            const reply = (message: Message) => Effect.zipRight(handle(message), socket.send("late"))
            const running = yield* Effect.fork(Effect.exit(WebSocket.run(socket, reply, { concurrency })))
            peer.sendText("a", "b", "c", "d")
            yield* settled
            if (isClean) yield* Effect.fork(socket.close())
            else peer.destroy()
            yield* socket.closed
            for (const name of ["a", "b", "c", "d"]) yield* release(name)
            const exit = yield* Fiber.join(running)
            assert.deepStrictEqual(Exit.isSuccess(exit), isClean)
            if (Exit.isFailure(exit)) assert.deepStrictEqual([...Cause.failures(exit.cause)], [yield* socket.closed])
            assert.deepStrictEqual(
              log.filter((line) => line.startsWith("done")),
              ["done a", "done b", "done c", "done d"]
            )
          }
        })
    )

    it.scoped(`${role} hands out what comes after its own Close frame, with concurrency ${concurrency}`, () =>
      Effect.gen(function* () {
        const { peer, socket } = yield* open(role, { peer: { polite: false } })
        const seen: Array<string> = []
        const reply = (message: Message) => {
          seen.push(textOf(message))
          return socket.send("late")
        }
        const running = yield* Effect.fork(WebSocket.run(socket, reply, { concurrency }))
        yield* settled
        yield* Effect.fork(socket.close())
        yield* settled
        peer.sendText("a", "b")
        yield* settled
        assert.isFalse(yield* isDone(running))
        peer.sendText("c")
        peer.sendClose(1000)
        peer.end()
        yield* Fiber.join(running)
        assert.deepStrictEqual(seen, ["a", "b", "c"])
      })
    )
  }

  it.scoped(`${role} fails as the connection does, though the last handler was told something else`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role, { peer: { polite: false } })
      const latch = yield* Effect.makeLatch()
      const reply = () =>
        Effect.catchAll(socket.send("late"), (error) => Effect.zipRight(latch.await, Effect.fail(error)))
      const running = yield* Effect.fork(Effect.flip(WebSocket.run(socket, reply)))
      yield* Effect.fork(Effect.exit(socket.close()))
      yield* settled
      peer.sendText("a")
      yield* settled
      peer.destroy()
      const end = yield* socket.closed
      yield* latch.open
      assert.strictEqual(yield* Fiber.join(running), end)
    })
  )

  it.scoped(`${role} fails as a handler does that can't send over another connection`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role)
      const other = yield* open(role, { peer: { polite: false } })
      yield* Effect.fork(other.socket.close())
      yield* settled
      const running = yield* Effect.fork(Effect.flip(WebSocket.run(socket, () => other.socket.send("late"))))
      peer.sendText("a")
      yield* settled
      assert.strictEqual((yield* Fiber.join(running))._tag, "SendRejected")
      yield* other.socket.destroy
    })
  )

  it.scoped(`${role} takes nothing, an Exit and an effect from the handler`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role)
      const got: Array<string> = []
      const answers = [undefined, Exit.void, Effect.yieldNow()]
      const handler = (message: Message) => answers[got.push(textOf(message)) % 3] as Effect.Effect<void>
      peer.sendText(..."abcdef")
      peer.sendClose(1000)
      yield* WebSocket.run(socket, handler, { concurrency: 2 })
      assert.deepStrictEqual(got, Array.from("abcdef"))
    })
  )

  it.scoped(`${role} dies of a concurrency that can't be meant, and takes nothing`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role)
      peer.sendText("a")
      yield* settled
      for (const concurrency of [0, -1, 1.5, NaN, Infinity]) {
        const exit = yield* Effect.exit(WebSocket.run(socket, () => {}, { concurrency }))
        const message = String(Exit.isFailure(exit) && exit.cause)
        assert.include(message, `RangeError: The option concurrency must be a positive integer, and is ${concurrency}`)
      }
      assert.strictEqual(yield* receive(socket), "a")
    })
  )

  it.scoped(`${role} has the errors and requirements of its handler`, () =>
    Effect.gen(function* () {
      class Name extends Context.Tag("test/Name")<Name, string>() {}
      const { peer, socket } = yield* open(role)
      const handler = (message: Message) =>
        Effect.flatMap(Name, (name) => (textOf(message) === name ? Effect.fail("same" as const) : Effect.void))
      const running: Effect.Effect<void, WebSocketError | "same", Name> = WebSocket.run(socket, handler, {
        concurrency: 2
      })
      peer.sendText("a", "b")
      assert.strictEqual(yield* Effect.flip(Effect.provideService(running, Name, "b")), "same")
    })
  )

  for (const points of [...interruptions, ...pauses]) {
    it.effect(`${role} loses no message when run with concurrency is ${describePoints(points)}`, () =>
      atEveryPoint(points, (disturbed) =>
        leavesNothing(
          Effect.gen(function* () {
            const { peer, socket } = yield* open(role)
            const got: Array<string> = []
            const note = (message: Message) => {
              got.push(textOf(message))
              return Effect.yieldNow()
            }
            const feed = Effect.gen(function* () {
              yield* Effect.repeatN(Effect.yieldNow(), 3)
              peer.sendText("a", "b", "c")
              yield* settled
              peer.sendText("d")
              peer.sendClose(1000)
            })
            const exit = yield* disturbed(WebSocket.run(socket, note, { concurrency: 2 }), feed)
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
