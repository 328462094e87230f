/** RFC 6455 5.5.1: our Close frame may wait until the replies to the messages in front of the peer's are sent. */
import * as WebSocket from "@effect-ws/api/WebSocket"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import { open, roles } from "./support/connections.ts"
import { leavesNothing, settled } from "./support/leaks.ts"

const echo = (socket: WebSocket.WebSocket) => WebSocket.run(socket, (message) => socket.send(message))

describe.each(roles)("WebSocket of a %s: replies before the end", (role) => {
  it.effect(`${role} echoes what came right before a Close frame, then answers it`, () =>
    leavesNothing(
      Effect.gen(function* () {
        const { peer, socket } = yield* open(role)
        const running = yield* Effect.fork(echo(socket))
        peer.send(peer.text("a"), peer.text("b"), peer.close(1000, "bye"))
        if (role === "client") peer.end()
        yield* Fiber.join(running)
        assert.deepInclude(yield* socket.closed, { initiator: "peer", clean: true })
        assert.deepStrictEqual(peer.said, ["text a", "text b", "close 1000"])
      })
    )
  )

  it.effect(`${role} echoes what came right before a fault, then fails the connection`, () =>
    leavesNothing(
      Effect.gen(function* () {
        const { peer, socket } = yield* open(role)
        const running = yield* Effect.fork(Effect.flip(echo(socket)))
        peer.send(peer.text("a"), "83 00", peer.text("late"))
        assert.strictEqual((yield* Fiber.join(running))._tag, "ProtocolError")
        yield* socket.closed
        assert.deepStrictEqual(peer.said[0], "text a")
        assert.match(peer.said[1] ?? "", /^close 1002/)
        assert.lengthOf(peer.said, 2)
      })
    )
  )

  it.effect(`${role} answers a Close frame at once when nobody has anything to handle`, () =>
    leavesNothing(
      Effect.gen(function* () {
        for (const reads of [false, true]) {
          const { peer, socket } = yield* open(role)
          const running = reads ? yield* Effect.fork(echo(socket)) : undefined
          yield* settled
          peer.sendClose(1000)
          if (role === "client") peer.end()
          assert.deepInclude(yield* socket.closed, { initiator: "peer", clean: true })
          assert.deepStrictEqual(peer.said, ["close 1000"])
          if (running !== undefined) yield* Fiber.join(running)
        }
      })
    )
  )

  it.effect(`${role} lets a handler that waits send its reply, and no other message than those before`, () =>
    leavesNothing(
      Effect.gen(function* () {
        const { peer, socket } = yield* open(role)
        const gate = yield* Deferred.make<void>()
        const running = yield* Effect.fork(
          WebSocket.run(socket, (message) => Effect.zipRight(Deferred.await(gate), socket.send(message)))
        )
        peer.sendText("a")
        yield* settled
        peer.send(peer.close(1000), peer.text("late"))
        yield* settled
        assert.deepStrictEqual(peer.said, [])
        yield* Deferred.succeed(gate, undefined)
        if (role === "client") peer.end()
        yield* Fiber.join(running)
        yield* socket.closed
        assert.deepStrictEqual(peer.said, ["text a", "close 1000"])
      })
    )
  )

  it.effect(`${role} waits a second for a handler and no longer, then the reply is refused with the end`, () =>
    leavesNothing(
      Effect.gen(function* () {
        const { peer, socket } = yield* open(role)
        const running = yield* Effect.fork(
          WebSocket.run(socket, () => Effect.zipRight(Effect.ignore(socket.closed), Effect.flip(socket.send("late"))))
        )
        peer.send(peer.text("a"), peer.close(4000, "bye"))
        if (role === "client") peer.end()
        yield* settled
        yield* TestClock.adjust("999 millis")
        assert.deepStrictEqual(peer.said, [])
        yield* TestClock.adjust("51 millis")
        assert.deepStrictEqual(peer.said, ["close 4000"])
        assert.deepInclude(yield* Effect.flip(Fiber.join(running)), { _tag: "ConnectionClosed", clean: false })
      })
    )
  )

  it.effect(`${role} answers with its own reason when it closes meanwhile`, () =>
    leavesNothing(
      Effect.gen(function* () {
        const { peer, socket } = yield* open(role)
        peer.send(peer.text("a"), peer.close(1000))
        if (role === "client") peer.end()
        yield* settled
        const outcome = yield* socket.close({ code: 3000, reason: "" })
        assert.deepInclude(outcome, { initiator: "peer", sent: { code: 3000, reason: "" } })
        assert.deepStrictEqual(peer.said, ["close 3000"])
        assert.strictEqual((yield* socket.receive)._tag, "Text")
      })
    )
  )

  it.effect(`${role} answers when its scope closes meanwhile`, () =>
    leavesNothing(
      Effect.gen(function* () {
        const { peer } = yield* Effect.scoped(
          Effect.tap(open(role), ({ peer }) => {
            peer.send(peer.text("a"), peer.close(1000))
            if (role === "client") peer.end()
            return settled
          })
        )
        assert.deepStrictEqual(peer.said, ["close 1000"])
      })
    )
  )

  it.effect(`${role} keeps what the peer said when the transport goes before the answer`, () =>
    leavesNothing(
      Effect.gen(function* () {
        const { peer, socket, transport } = yield* open(role)
        peer.send(peer.text("a"), peer.close(1000, "bye"))
        yield* settled
        transport.destroy()
        assert.deepInclude(yield* socket.closed, { received: { code: 1000, reason: "bye" }, sent: undefined })
        assert.strictEqual((yield* socket.receive)._tag, "Text")
        assert.deepInclude(yield* Effect.flip(socket.receive), { _tag: "ConnectionClosed", clean: true })
      })
    )
  )
})
