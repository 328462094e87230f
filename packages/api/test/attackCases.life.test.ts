/** What a peer may do to the life of a connection, and what a caller may ask of it that it must not do. */
import * as ConnectionOptions from "@effect-ws/api/ConnectionOptions"
import * as WebSocket from "@effect-ws/api/WebSocket"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"
import { open, roles } from "./support/connections.ts"
import * as Frames from "./support/frames.ts"
import { leavesNothing, settled } from "./support/leaks.ts"
import type { Peer } from "./support/Peer.ts"
import { assertRefused, each, bytesOf, header, keyOf, long } from "./support/attacks.ts"

const { continuation, ping, text } = Frames.opcodes

/** Moves the clock to just before the time, and then to the end of the tolerance of it. */
const around = (millis: number, isOver: Effect.Effect<boolean>) =>
  Effect.gen(function* () {
    yield* TestClock.adjust(millis - 1)
    assert.isFalse(yield* isOver)
    yield* TestClock.adjust(1 + Math.max(50, millis / 20))
    assert.isTrue(yield* isOver)
  })

describe.each(roles)("Attack cases of the life of a connection: %s", (role) => {
  const silent = { peer: { polite: false } }

  it.effect(`${role} ends the connection when no Pong comes in time (attack case 52)`, () =>
    leavesNothing(
      Effect.gen(function* () {
        const options = { pingInterval: "10 seconds", pongTimeout: "5 seconds", idleTimeout: Infinity } as const
        const { peer, socket } = yield* open(role, { ...silent, socket: options })
        const waiting = yield* Effect.fork(Effect.flip(socket.receive))
        yield* around(
          10_000,
          Effect.sync(() => peer.said.length > 0)
        )
        assert.deepStrictEqual(peer.said, ["ping"])
        // Half a second of the tolerance has passed since the Ping.
        const isEnding = Effect.map(socket.status, ({ state }) => state !== "open")
        yield* around(4500, isEnding)
        const error = yield* Fiber.join(waiting)
        assert.deepInclude(error, { _tag: "ConnectionTimeout", phase: "pong" })
        yield* TestClock.adjust("2 seconds")
        assert.strictEqual(yield* socket.closed, error)
        assert.deepStrictEqual(peer.said, ["ping", "close 1011 pong timeout"])
      })
    )
  )

  it.effect(`${role} destroys the transport of a peer that never answers its Close frame (attack case 53)`, () =>
    leavesNothing(
      Effect.gen(function* () {
        const { peer, socket, transport } = yield* open(role, { ...silent, socket: { closeTimeout: "3 seconds" } })
        const closing = yield* Effect.fork(Effect.flip(socket.close()))
        yield* peer.awaitFrames(1)
        yield* around(
          3000,
          Effect.sync(() => !transport.ledger.isOpen)
        )
        assert.deepInclude(yield* Fiber.join(closing), { _tag: "ConnectionTimeout", phase: "close" })
      })
    )
  )

  it.effect(`${role} destroys the transport of a peer that answers, and never ends its own (attack case 53)`, () =>
    leavesNothing(
      Effect.gen(function* () {
        const { peer, socket, transport } = yield* open(role, { ...silent, socket: { closeTimeout: "3 seconds" } })
        const closing = yield* Effect.fork(socket.close())
        yield* peer.awaitFrames(1)
        peer.sendClose(1000)
        yield* settled
        yield* around(
          3000,
          Effect.sync(() => !transport.ledger.isOpen)
        )
        assert.deepInclude(yield* Fiber.join(closing), { clean: true, received: { code: 1000, reason: "" } })
      })
    )
  )

  it.effect(`${role} releases a connection in bounded time, whatever the peer does (attack case 53)`, () =>
    Effect.gen(function* () {
      const scope = yield* Effect.fork(leavesNothing(open(role, silent)))
      yield* settled
      assert.isTrue(Option.isNone(yield* scope.poll))
      yield* TestClock.adjust(1050)
      assert.isTrue(Option.isSome(yield* scope.poll))
    })
  )

  for (const whenFull of ["suspend", "drop", "fail"] as const) {
    it.effect(`${role} bounds what waits for a slow reader, with the policy ${whenFull} (attack case 54)`, () =>
      leavesNothing(
        Effect.gen(function* () {
          const { peer, socket } = yield* open(role, {
            socket: { sendHighWaterMark: 1000, whenFull },
            pair: { highWaterMark: 1000 }
          })
          peer.transport.pause()
          const sending = yield* Effect.fork(Effect.exit(Effect.replicateEffect(socket.send(bytesOf(100)), 50)))
          yield* settled
          const { dropped, outgoing } = yield* socket.status
          assert.isAtMost(outgoing, 1000 + 2 * 106)
          const exit = yield* sending.poll
          assert.strictEqual(Option.isSome(exit), whenFull !== "suspend")
          if (whenFull === "drop") assert.isAbove(dropped, 30)
          if (whenFull === "fail") {
            const error = yield* Effect.flip(socket.send("a".repeat(1000)))
            assert.deepInclude(error, {
              _tag: "SendRejected",
              reason: { _tag: "QueueFull", bytes: outgoing, limit: 1000 }
            })
          }
          peer.transport.resume()
          yield* Fiber.join(sending)
          yield* settled
          yield* socket.send("last")
          yield* peer.until("the last", () => peer.said.at(-1) === "text last")
          if (whenFull === "suspend") assert.strictEqual(peer.frames.length, 51)
        })
      )
    )
  }

  it.effect(`${role} doesn't let one slow member hold up the others of a broadcast (attack case 54)`, () =>
    leavesNothing(
      Effect.gen(function* () {
        const options = { socket: { sendHighWaterMark: 1000 }, pair: { highWaterMark: 1000 } }
        const fast = yield* open(role, options)
        const slow = yield* open(role, options)
        slow.peer.transport.pause()
        yield* slow.socket.send(bytesOf(2000))
        const both = [slow.socket, fast.socket]
        const dropped = yield* WebSocket.broadcast(both, "a", { slow: "drop" })
        assert.deepStrictEqual(dropped, { sent: [fast.socket], missed: [{ socket: slow.socket, error: undefined }] })
        const waiting = yield* Effect.fork(WebSocket.broadcast(both, "b"))
        assert.deepStrictEqual(yield* fast.peer.awaitFrames(2), ["text a", "text b"])
        assert.isTrue(Option.isNone(yield* waiting.poll))
        slow.peer.transport.resume()
        assert.strictEqual((yield* Fiber.join(waiting)).sent.length, 2)
        assert.deepStrictEqual((yield* slow.peer.awaitFrames(2)).slice(1), ["text b"])
      })
    )
  )

  it.effect(`${role} pauses for a slow receiver, and doesn't take that for silence of the peer (attack case 55)`, () =>
    leavesNothing(
      Effect.gen(function* () {
        const { peer, socket, transport } = yield* open(role, {
          socket: {
            inboxHighWaterMark: 1000,
            idleTimeout: "10 seconds",
            pongTimeout: "3 seconds",
            messageTimeout: 2000
          }
        })
        peer.send(...Array.from({ length: 20 }, () => peer.text("x".repeat(100))), peer.frame(ping, "1"))
        assert.deepStrictEqual(yield* peer.awaitFrames(1), ["pong 31"])
        const rest = peer.frame(text, "rest")
        peer.send(rest.subarray(0, 3))
        yield* settled
        assert.isTrue(transport.ledger.isPaused)
        yield* TestClock.adjust("10 minutes")
        assert.deepInclude(yield* socket.status, { state: "open", isPaused: true, incoming: 20 * 228 })
        assert.strictEqual((yield* Effect.replicateEffect(socket.receive, 20)).length, 20)
        peer.send(rest.subarray(3))
        assert.deepInclude(yield* socket.receive, { text: "rest" })
      })
    )
  )

  it.effect(`${role} tells an end in the middle of a frame or a message once, as what it is (attack case 56)`, () =>
    each([1, 3, 8, 12], (size) =>
      each(["end", "destroy"] as const, (how) =>
        leavesNothing(
          Effect.gen(function* () {
            const { peer, socket } = yield* open(role)
            const frames = Frames.concat([peer.frame(text, "a", { fin: false }), peer.frame(continuation, "bcdefghi")])
            const waiting = yield* Effect.fork(Effect.flip(socket.receive))
            peer.send(frames.subarray(0, size))
            yield* settled
            peer[how]()
            const error = yield* socket.closed
            assert.deepInclude(error, { _tag: "ConnectionClosed", clean: false, received: undefined })
            for (const told of [yield* Fiber.join(waiting), yield* Effect.flip(socket.send("a"))]) {
              assert.strictEqual(told, error)
            }
          })
        )
      )
    )
  )

  it.effect(`${role} keeps an error that nobody waits for to itself, and releases as ever (attack case 57)`, () =>
    each(["ff ff", "08 01 03", "end", "destroy"], (what) =>
      leavesNothing(
        Effect.gen(function* () {
          const { peer, socket } = yield* open(role)
          if (what === "end" || what === "destroy") peer[what]()
          else peer.send(what)
          yield* settled
          assert.notStrictEqual((yield* socket.status).state, "open")
        })
      )
    )
  )
})

describe("Attack cases of options", () => {
  const sizes = [
    "maxMessageSize",
    "maxStreamedSize",
    "fragmentSize",
    "inboxHighWaterMark",
    "sendHighWaterMark"
  ] as const
  const times = [
    "closeTimeout",
    "idleTimeout",
    "pingInterval",
    "pongTimeout",
    "writeTimeout",
    "messageTimeout"
  ] as const

  for (const role of roles) {
    it(`${role} refuses limits that are none when the options are made (attack case 62)`, () => {
      for (const name of sizes) {
        for (const value of [Number.NaN, -1, 0, 0.5, Infinity, -Infinity, 2 ** 53]) {
          assert.throws(() => ConnectionOptions.make(role, { [name]: value }), RangeError, name)
        }
      }
      for (const name of times) {
        for (const value of [Number.NaN, -1, 0, 2 ** 31, ...(name === "closeTimeout" ? [Infinity] : [])]) {
          assert.throws(() => ConnectionOptions.make(role, { [name]: value }), RangeError, name)
        }
      }
      for (const value of [1, 2 ** 31 - 1, 2 ** 31, 2 ** 32, 2 ** 53 - 1]) {
        assert.strictEqual(ConnectionOptions.make(role, { maxMessageSize: value }).maxMessageSize, value)
      }
    })

    it.effect(`${role} counts beyond 32 bits: a limit there is that limit, and no other (attack case 62)`, () =>
      each([2 ** 31, 2 ** 32], (limit) =>
        Effect.gen(function* () {
          const options = { socket: { maxMessageSize: limit } }
          const announce = (size: number) => (peer: Peer) =>
            peer.send(header(peer, 0x82, 127, ...long(size)), keyOf(peer))
          const error = yield* assertRefused(role, 1009, "MessageTooBig", announce(limit + 1), options)
          assert.deepInclude(error, { limit, size: limit + 1 })
          yield* leavesNothing(
            Effect.gen(function* () {
              const { peer, socket } = yield* open(role, options)
              announce(limit)(peer)
              yield* settled
              assert.strictEqual((yield* socket.status).state, "open")
              peer.destroy()
            })
          )
        })
      )
    )
  }
})
