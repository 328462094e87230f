import * as WebSocket from "@effect-ws/api/WebSocket"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"
import { open, roles } from "./support/connections.ts"
import * as Frames from "./support/frames.ts"
import { makePair, settled } from "./support/leaks.ts"
import { Peer, requestBytes } from "./support/Peer.ts"

const { opcodes } = Frames

const isDone = (fiber: Fiber.RuntimeFiber<unknown, unknown>) => Effect.map(fiber.poll, Option.isSome)

/** In bytes: what a message costs in the inbox besides its payload. */
const messageCost = 128

const take = (socket: WebSocket.WebSocket, count: number) =>
  Effect.map(Effect.replicateEffect(socket.receive, count), (all) =>
    all.map((message) => (message._tag === "Text" ? message.text : Frames.toHex(message.bytes)))
  )

describe.each(roles)("WebSocket of a %s: receiving", (role) => {
  it.scoped(`${role} pauses the transport above the mark and resumes it when half is taken`, () =>
    Effect.gen(function* () {
      const { peer, socket, transport } = yield* open(role, { socket: { inboxHighWaterMark: 1000 } })
      const texts = Array.from({ length: 12 }, (_, i) => `${i}`.padStart(122, "."))
      for (const text of texts) {
        peer.sendText(text)
        yield* settled
      }
      // Each costs 250: the fifth is above the mark.
      assert.isTrue(transport.ledger.isPaused)
      assert.strictEqual(peer.transport.writable, 7 * (texts[0]!.length + (role === "server" ? 6 : 2)))
      assert.deepStrictEqual(yield* take(socket, 2), texts.slice(0, 2))
      assert.isTrue(transport.ledger.isPaused)
      assert.deepStrictEqual(yield* take(socket, 1), texts.slice(2, 3))
      assert.isFalse(transport.ledger.isPaused)
      assert.deepStrictEqual(yield* take(socket, 9), texts.slice(3))
    })
  )

  it.scoped(`${role} counts empty messages too`, () =>
    Effect.gen(function* () {
      const { peer, transport } = yield* open(role, { socket: { inboxHighWaterMark: 10 * messageCost } })
      peer.sendText(...Array.from({ length: 10 }, () => ""))
      yield* settled
      assert.isFalse(transport.ledger.isPaused)
      peer.sendText("")
      yield* settled
      assert.isTrue(transport.ledger.isPaused)
    })
  )

  it.scoped(`${role} takes a message that is larger than the mark`, () =>
    Effect.gen(function* () {
      const { peer, socket, transport } = yield* open(role, {
        socket: { inboxHighWaterMark: 1 },
        pair: { readSize: 1000 }
      })
      peer.sendText("a".repeat(50_000), "b".repeat(50_000))
      for (const letter of ["a", "b"]) assert.deepStrictEqual(yield* take(socket, 1), [letter.repeat(50_000)])
      assert.isFalse(transport.ledger.isPaused)
    })
  )

  it.scoped(`${role} answers what it has read although nobody takes the messages`, () =>
    Effect.gen(function* () {
      const { peer } = yield* open(role, { socket: { inboxHighWaterMark: 1 } })
      peer.send(peer.text("a"), peer.text("b"), peer.frame(opcodes.ping, "1"))
      assert.deepStrictEqual(yield* peer.awaitFrames(1), ["pong 31"])
    })
  )

  it.scoped(`${role} resumes for whatever takes the messages`, () =>
    Effect.gen(function* () {
      for (const consume of ["receive", "run"] as const) {
        const { peer, socket } = yield* open(role, { socket: { inboxHighWaterMark: 300 } })
        let count = 0
        const note = () => void count++
        const all =
          consume === "run" ? WebSocket.run(socket, note) : Effect.map(take(socket, 100), (all) => (count = all.length))
        for (let i = 0; i < 100; i++) peer.sendText("0123456789")
        yield* settled
        const fiber = yield* Effect.fork(all)
        yield* Effect.repeatN(settled, 3)
        assert.strictEqual(count, 100)
        yield* Fiber.interrupt(fiber)
      }
    })
  )

  it.scoped(`${role} sees the end of the peer behind messages that nobody takes`, () =>
    Effect.gen(function* () {
      const { pair, peer, socket, transport } = yield* open(role, { socket: { inboxHighWaterMark: 300 } })
      peer.send(...Array.from({ length: 10 }, () => peer.text("0123456789")), peer.close(1000))
      if (role === "client") peer.end()
      yield* settled
      assert.isFalse(transport.ledger.isPaused)
      // The answer waits a second for somebody to handle the messages in front of it.
      yield* TestClock.adjust(1050)
      assert.deepInclude(yield* socket.closed, { _tag: "ConnectionClosed", clean: true, initiator: "peer" })
      yield* settled
      assert.deepStrictEqual(pair.leftovers(), [])
      assert.strictEqual((yield* take(socket, 10)).length, 10)
    })
  )
})

describe("WebSocket of a server: what came with the request", () => {
  it.scoped("server pauses for leftover bytes above the mark", () =>
    Effect.gen(function* () {
      const pair = yield* makePair()
      const peer = new Peer(pair.client, "client")
      const bytes = Frames.concat([requestBytes(), peer.text("0123456789"), peer.text("0123456789")])
      const socket = yield* WebSocket.acceptTransport(pair.server, { bytes, inboxHighWaterMark: 200 })
      peer.sendText("later")
      yield* settled
      assert.isTrue(pair.server.ledger.isPaused)
      assert.deepStrictEqual(yield* take(socket, 3), ["0123456789", "0123456789", "later"])
      assert.isFalse(pair.server.ledger.isPaused)
    })
  )
})

/** A connection whose peer doesn't read. */
const openStuck = (role: "client" | "server", sendHighWaterMark: number, highWaterMark = 100) =>
  Effect.tap(open(role, { socket: { sendHighWaterMark }, pair: { highWaterMark } }), ({ peer }) =>
    Effect.sync(() => peer.transport.pause())
  )

describe.each(roles)("WebSocket of a %s: sending", (role) => {
  it.scoped(`${role} suspends the sender above the mark until the peer reads`, () =>
    Effect.gen(function* () {
      const { peer, socket, transport } = yield* openStuck(role, 10_000)
      let sent = 0
      const all = Array.from({ length: 30 }, (_, i) => new Uint8Array(1000).fill(i))
      const sending = yield* Effect.fork(
        Effect.forEach(all, (bytes) =>
          Effect.zipRight(
            socket.send(bytes),
            Effect.sync(() => sent++)
          )
        )
      )
      yield* settled
      assert.strictEqual(sent, 9)
      assert.isAtMost(transport.writable, 10_000)
      peer.transport.resume()
      yield* Fiber.join(sending)
      yield* peer.awaitFrames(all.length)
      assert.deepStrictEqual(
        peer.frames.map(({ payload }) => payload),
        all
      )
    })
  )

  it.scoped(`${role} admits one message above the mark when nothing else is held`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* openStuck(role, 1000)
      yield* socket.send(new Uint8Array(50_000))
      const next = yield* Effect.fork(socket.send(new Uint8Array(1)))
      yield* settled
      assert.isFalse(yield* isDone(next))
      peer.transport.resume()
      yield* Fiber.join(next)
    })
  )

  it.scoped(`${role} lets waiting senders go in order of arrival, small ones behind large ones`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* openStuck(role, 1000)
      yield* socket.send("x".repeat(999))
      const waiting = yield* Effect.forEach(["a".repeat(900), "b", "c".repeat(2000), "d"], (text) =>
        Effect.zipLeft(Effect.fork(socket.send(text)), Effect.yieldNow())
      )
      yield* settled
      for (const fiber of waiting) assert.isFalse(yield* isDone(fiber))
      peer.transport.resume()
      yield* Fiber.joinAll(waiting)
      yield* peer.awaitFrames(5)
      assert.deepStrictEqual(
        peer.frames.map(({ payload }) => `${Frames.toText(payload.subarray(0, 1))} ${payload.length}`),
        ["x 999", "a 900", "b 1", "c 2000", "d 1"]
      )
    })
  )

  it.scoped(`${role} sends nothing for a sender that is interrupted while it waits, and goes on with the next`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* openStuck(role, 1000)
      yield* socket.send("x".repeat(1000))
      const [first, second] = yield* Effect.forEach(["a", "b"] as const, (text) => Effect.fork(socket.send(text)))
      yield* settled
      yield* Fiber.interrupt(first!)
      peer.transport.resume()
      yield* Fiber.join(second!)
      yield* peer.awaitFrames(2)
      assert.strictEqual(peer.said[1], "text b")
    })
  )

  it.scoped(`${role} lets a Ping pass those who wait, and refuses it when too much waits`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* openStuck(role, 1000)
      yield* socket.send("x".repeat(1000))
      const waiting = yield* Effect.fork(socket.send("a"))
      yield* settled
      yield* socket.pong(Uint8Array.of(1))
      const error = yield* Effect.flip(Effect.forever(socket.pong(new Uint8Array(125))))
      assert.deepInclude(error, { _tag: "SendRejected" })
      assert.deepInclude(error._tag === "SendRejected" ? error.reason : {}, { _tag: "QueueFull", limit: 2000 })
      assert.include(error.message, "the limit is 2000")
      peer.transport.resume()
      yield* Fiber.join(waiting)
      yield* socket.pong(Uint8Array.of(2))
      yield* peer.until("the last Pong", () => peer.said.at(-1) === "pong 02")
      assert.strictEqual(peer.said[1], "pong 01")
    })
  )

  it.scoped(`${role} holds a bounded number of Pongs for a peer that pings and doesn't read`, () =>
    Effect.gen(function* () {
      const { peer, socket, transport } = yield* openStuck(role, 1000)
      yield* socket.send("x".repeat(1000))
      yield* settled
      for (let i = 0; i < 1000; i++) {
        peer.send(peer.frame(opcodes.ping, `${i}`))
        if (i % 100 === 0) yield* settled
      }
      yield* settled
      assert.isBelow(transport.writable, 1100)
      peer.transport.resume()
      yield* peer.until("the newest Pong", () => peer.said.at(-1) === `pong ${Frames.toHex(Frames.utf8("999"))}`)
    })
  )

  it.scoped(`${role} fails those who wait when it closes, and when the connection ends`, () =>
    Effect.gen(function* () {
      const first = yield* openStuck(role, 1000)
      yield* first.socket.send("x".repeat(1000))
      const refused = yield* Effect.fork(Effect.flip(first.socket.send("a")))
      yield* settled
      yield* Effect.fork(Effect.exit(first.socket.close()))
      assert.deepInclude(yield* Fiber.join(refused), { _tag: "SendRejected", reason: { _tag: "Closing" } })
      first.peer.transport.resume()

      const second = yield* openStuck(role, 1000)
      yield* second.socket.send("x".repeat(1000))
      const failed = yield* Effect.fork(Effect.flip(second.socket.send("a")))
      yield* settled
      second.peer.send(second.peer.frame(3))
      const error = yield* Fiber.join(failed)
      assert.strictEqual(error._tag, "ProtocolError")
      second.peer.transport.resume()
      assert.strictEqual(yield* second.socket.closed, error)
    })
  )
})

describe.each(roles)("WebSocket of a %s: what comes during the closing handshake", (role) => {
  const closingOf = (socket: WebSocket.WebSocket, peer: Peer) =>
    Effect.gen(function* () {
      const closing = yield* Effect.fork(Effect.exit(socket.close()))
      yield* peer.awaitFrames(1)
      peer.polite = true
      return closing
    })

  it.scoped(`${role} keeps messages up to the mark, drops the rest and counts it`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role, { socket: { inboxHighWaterMark: 1000 }, peer: { polite: false } })
      const closing = yield* closingOf(socket, peer)
      for (let i = 0; i < 20; i++) peer.sendText(`${i}`.padStart(72, "."))
      peer.sendClose(1000)
      if (role === "client") peer.end()
      const exit = yield* Fiber.join(closing)
      assert.deepInclude(Exit.isSuccess(exit) ? exit.value : {}, { discarded: 14, clean: true })
      // Each costs 200: five are at the mark, so that the sixth is the last.
      assert.strictEqual((yield* take(socket, 6)).at(-1), "5".padStart(72, "."))
      assert.isTrue(Exit.isFailure(yield* Effect.exit(socket.receive)))
    })
  )

  it.scoped(`${role} reads again although it was paused`, () =>
    Effect.gen(function* () {
      const { peer, socket, transport } = yield* open(role, { socket: { inboxHighWaterMark: 1 } })
      peer.sendText("a")
      yield* settled
      assert.isTrue(transport.ledger.isPaused)
      assert.deepInclude(yield* socket.close(), { clean: true })
      assert.deepStrictEqual(yield* take(socket, 1), ["a"])
    })
  )

  it.scoped(`${role} is not paused by messages once it closes`, () =>
    Effect.gen(function* () {
      const { peer, socket, transport } = yield* open(role, {
        socket: { inboxHighWaterMark: 1 },
        peer: { polite: false }
      })
      const closing = yield* closingOf(socket, peer)
      for (const text of "abc") {
        peer.sendText(text)
        yield* settled
      }
      assert.isFalse(transport.ledger.isPaused)
      peer.sendClose(1000)
      if (role === "client") peer.end()
      assert.deepInclude(yield* Effect.flatten(Fiber.join(closing)), { discarded: 2 })
    })
  )

  it.scoped(`${role} destroys the transport of a peer that sends more than 1 MiB instead of a Close frame`, () =>
    Effect.gen(function* () {
      const { peer, socket, transport } = yield* open(role, { peer: { polite: false } })
      const closing = yield* closingOf(socket, peer)
      for (let i = 0; i < 40 && transport.ledger.isOpen; i++) {
        peer.send(peer.binary(new Uint8Array(64 * 1024)))
        yield* settled
      }
      assert.isFalse(transport.ledger.isOpen)
      assert.isAtMost(transport.ledger.bytesDelivered, (1024 + 256 + 2 * 65) * 1024)
      const exit = yield* Fiber.join(closing)
      assert.isTrue(Exit.isFailure(exit))
      assert.deepInclude(yield* socket.closed, { _tag: "ConnectionClosed", received: undefined, clean: false })
    })
  )

  for (const [name, times] of [
    ["lifetime", { maxLifetime: 1000 }],
    ["write", { writeTimeout: 1000, sendHighWaterMark: 1 }]
  ] as const) {
    for (const piecewise of [false, true]) {
      const how = piecewise ? "pieces" : "messages"
      it.scoped(
        `${role} destroys the transport of a peer that goes on with ${how} for 1 MiB after the timeout ${name}`,
        () =>
          Effect.gen(function* () {
            const { peer, socket, transport } = yield* open(role, {
              socket: { ...times, closeTimeout: 60_000 },
              peer: { polite: false },
              pair: { highWaterMark: 1 }
            })
            yield* Effect.addFinalizer(() => socket.destroy)
            if (piecewise) {
              peer.send(peer.frame(opcodes.binary, "a", { fin: false }))
              yield* socket.receiveStream
            }
            peer.transport.pause()
            yield* Effect.fork(Effect.exit(socket.send(new Uint8Array(100))))
            yield* TestClock.adjust(1050)
            const { incoming, state } = yield* socket.status
            assert.strictEqual(state, "closing")
            const bytes = new Uint8Array(64 * 1024)
            for (let i = 0; i < 40 && transport.ledger.isOpen; i++) {
              peer.send(piecewise ? peer.frame(opcodes.continuation, bytes, { fin: false }) : peer.binary(bytes))
              yield* settled
              assert.strictEqual((yield* socket.status).incoming, incoming)
            }
            assert.isFalse(transport.ledger.isOpen)
            assert.deepInclude(yield* socket.closed, { _tag: "ConnectionTimeout", phase: name })
          })
      )
    }
  }

  it.scoped(`${role} destroys the transport of a peer that sends more than 1 MiB after its Close frame`, () =>
    Effect.gen(function* () {
      const { peer, socket, transport } = yield* open(role, { peer: { polite: false } })
      peer.sendClose(1000)
      yield* settled
      for (let i = 0; i < 40 && transport.ledger.isOpen; i++) {
        peer.send(new Uint8Array(64 * 1024))
        yield* settled
      }
      assert.isFalse(transport.ledger.isOpen)
      assert.deepInclude(yield* socket.closed, { _tag: "ConnectionClosed", clean: true })
    })
  )
})
