/** The control frames of the peer, for those who want to look (RFC 6455 5.5). */
import * as WebSocket from "@effect-ws/api/WebSocket"
import { assert, describe, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { open, roles } from "./support/connections.ts"
import * as Frames from "./support/frames.ts"
import { leavesNothing, settled } from "./support/leaks.ts"
import { isDone } from "./support/receiving.ts"

const { opcodes } = Frames

const describeFrame = (frame: WebSocket.ControlFrame): string =>
  frame._tag === "Close"
    ? `Close ${frame.reason.code} ${frame.reason.reason}`
    : `${frame._tag} ${Frames.toText(frame.payload)}`

const collect = (socket: WebSocket.WebSocket) =>
  Effect.zipLeft(
    Effect.fork(Effect.map(Stream.runCollect(socket.controlFrames), (all) => Chunk.toArray(all).map(describeFrame))),
    settled
  )

/** How many look at the control frames of the connection. */
const listenersOf = (socket: WebSocket.WebSocket): number =>
  (socket as unknown as { connection: { controlListeners?: { listeners: ReadonlySet<unknown> } } }).connection
    .controlListeners?.listeners?.size ?? 0

describe.each(roles)("WebSocket of a %s: controlFrames", (role) => {
  it.effect(`${role} shows Pings, Pongs and the Close frame to all who look, and answers them all the same`, () =>
    leavesNothing(
      Effect.gen(function* () {
        const { peer, socket } = yield* open(role)
        peer.send(peer.frame(opcodes.ping, "before"))
        yield* settled
        const [one, two] = [yield* collect(socket), yield* collect(socket)]
        assert.strictEqual(listenersOf(socket), 2)
        peer.send(peer.frame(opcodes.ping, "1"), peer.text("a"), peer.frame(opcodes.pong, "2"))
        yield* settled
        peer.sendClose(4000, "bye")
        yield* Effect.flip(Effect.forever(socket.receive))
        for (const fiber of [one, two]) {
          assert.deepStrictEqual(yield* Fiber.join(fiber), ["Ping 1", "Pong 2", "Close 4000 bye"])
        }
        assert.deepStrictEqual(peer.said, [`pong ${Frames.toHex(Frames.utf8("before"))}`, "pong 31", "close 4000"])
        assert.strictEqual(listenersOf(socket), 0)
      })
    )
  )

  it.scoped(`${role} shows the Pong that answers a Ping of ours, and completes that one`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role)
      const looking = yield* collect(socket)
      const pinging = yield* Effect.fork(socket.ping(Frames.utf8("mine")))
      yield* peer.awaitFrames(1)
      peer.send(peer.frame(opcodes.pong, "mine"))
      yield* Fiber.join(pinging)
      yield* socket.close()
      assert.deepStrictEqual(yield* Fiber.join(looking), ["Pong mine", "Close 1000 "])
    })
  )

  it.scoped(`${role} ends the stream with the connection, however that ends, and at once after it`, () =>
    Effect.gen(function* () {
      const first = yield* open(role)
      const looking = yield* collect(first.socket)
      first.peer.destroy()
      assert.deepStrictEqual(yield* Fiber.join(looking), [])
      assert.deepStrictEqual(yield* Fiber.join(yield* collect(first.socket)), [])
      assert.strictEqual(listenersOf(first.socket), 0)

      const second = yield* open(role)
      const ending = yield* collect(second.socket)
      second.peer.send(second.peer.frame(opcodes.ping, "1"), second.peer.frame(3))
      assert.deepStrictEqual(yield* Fiber.join(ending), ["Ping 1"])
    })
  )

  it.scoped(`${role} shows control frames between the fragments of a message that nobody takes`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role)
      const looking = yield* collect(socket)
      peer.send(peer.frame(opcodes.text, "a", { fin: false }), peer.frame(opcodes.ping, "1"))
      yield* settled
      assert.isFalse(yield* isDone(looking))
      yield* socket.close()
      assert.deepStrictEqual(yield* Fiber.join(looking), ["Ping 1", "Close 1000 "])
    })
  )

  it.scoped(`${role} keeps the newest 64 for one who is slow, and all for the others`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role)
      const go = yield* Deferred.make<void>()
      const seen: Array<string> = []
      const slow = yield* Effect.fork(
        Stream.runForEach(socket.controlFrames, (frame) =>
          Effect.zipRight(
            Effect.sync(() => seen.push(describeFrame(frame))),
            Deferred.await(go)
          )
        )
      )
      yield* settled
      const quick = yield* collect(socket)
      for (let i = 0; i < 200; i++) {
        peer.send(peer.frame(opcodes.ping, `${i}`))
        yield* Effect.repeatN(Effect.yieldNow(), 3)
      }
      yield* settled
      assert.deepStrictEqual(seen, ["Ping 0"])
      yield* Deferred.succeed(go, undefined)
      yield* settled
      assert.deepStrictEqual(
        seen.slice(1),
        Array.from({ length: 64 }, (_, i) => `Ping ${i + 136}`)
      )
      yield* socket.close()
      yield* Fiber.join(slow)
      assert.strictEqual((yield* Fiber.join(quick)).length, 201)
    })
  )

  it.scoped(`${role} forgets who has stopped to look, by itself or interrupted`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role)
      const first = yield* Effect.fork(Stream.runHead(socket.controlFrames))
      const looking = yield* collect(socket)
      assert.strictEqual(listenersOf(socket), 2)
      peer.send(peer.frame(opcodes.ping, "1"))
      yield* Fiber.join(first)
      assert.strictEqual(listenersOf(socket), 1)
      yield* Fiber.interrupt(looking)
      assert.strictEqual(listenersOf(socket), 0)
    })
  )
})
