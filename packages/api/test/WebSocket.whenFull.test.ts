/** What `send` does when too much waits to be sent already: suspend, drop or fail, at exactly the mark; and what memory it sends. */
import * as MessageStream from "@effect-ws/api/MessageStream"
import * as Message from "@effect-ws/core/Message"
import type { Sendable } from "@effect-ws/api/WebSocket"
import * as WebSocket from "@effect-ws/api/WebSocket"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { runInNewContext } from "node:vm"
import { open, type Role, roles } from "./support/connections.ts"
import * as Frames from "./support/frames.ts"
import { settled } from "./support/leaks.ts"

type Policy = "suspend" | "drop" | "fail"

const policies: ReadonlyArray<Policy> = ["suspend", "drop", "fail"]

const mark = 1000

/** In bytes: what a frame of 126 bytes or more takes besides its payload. */
const headerSize = (role: Role): number => (role === "server" ? 4 : 8)

/** A connection whose peer doesn't read and whose transport is full at once. */
const openFull = (role: Role, whenFull: Policy) =>
  Effect.tap(open(role, { socket: { sendHighWaterMark: mark, whenFull }, pair: { highWaterMark: 1 } }), ({ peer }) =>
    Effect.sync(() => peer.transport.pause())
  )

/** What became of a message that is sent now: it waits, or it was dropped, or refused, or sent. */
const outcomeOf = (socket: WebSocket.WebSocket, data: Sendable) =>
  Effect.gen(function* () {
    const { dropped, outgoing } = yield* socket.status
    const fiber = yield* Effect.fork(Effect.exit(socket.send(data)))
    yield* settled
    const exit = Option.getOrUndefined(yield* fiber.poll)
    if (exit === undefined) return { name: "suspend", fiber }
    const after = yield* socket.status
    if (Exit.isFailure(yield* exit)) return { name: "fail", fiber }
    return { name: after.dropped > dropped ? "drop" : after.outgoing > outgoing ? "sent" : "lost", fiber }
  })

describe.each(roles)("WebSocket of a %s: whenFull", (role) => {
  for (const policy of policies) {
    it.scoped(`${role} sends up to exactly the mark, and above it does what it is told: ${policy}`, () =>
      Effect.gen(function* () {
        const { peer, socket } = yield* openFull(role, policy)
        yield* socket.send("x".repeat(500))
        const room = mark - 500 - headerSize(role)
        assert.strictEqual((yield* socket.status).outgoing, mark - room)
        const above = yield* outcomeOf(socket, "y".repeat(room + 1))
        assert.strictEqual(above.name, policy)
        if (policy === "suspend") yield* Fiber.interrupt(above.fiber)
        assert.strictEqual((yield* outcomeOf(socket, "z".repeat(room))).name, "sent")
        assert.strictEqual((yield* socket.status).dropped, policy === "drop" ? 1 : 0)
        peer.transport.resume()
        yield* peer.awaitFrames(2)
        yield* socket.send("after")
        const said = yield* peer.awaitFrames(3)
        assert.deepStrictEqual(
          said.map((text) => text.slice(5, 6)),
          ["x", "z", "a"]
        )
      })
    )

    it.scoped(`${role} sends one message above the mark when nothing waits, told to ${policy}`, () =>
      Effect.gen(function* () {
        const { peer, socket } = yield* openFull(role, policy)
        assert.strictEqual((yield* outcomeOf(socket, new Uint8Array(50 * mark))).name, "sent")
        const next = yield* outcomeOf(socket, new Uint8Array(1))
        assert.strictEqual(next.name, policy)
        assert.strictEqual((yield* outcomeOf(socket, "")).name, policy)
        peer.transport.resume()
        yield* Fiber.join(next.fiber)
        yield* settled
        assert.strictEqual((yield* outcomeOf(socket, new Uint8Array(50 * mark))).name, "lost")
        yield* peer.until("the large messages", () => peer.frames.at(-1)?.payload.length === 50 * mark)
      })
    )

    it.scoped(`${role} waits for its turn behind a message in pieces while there is room, told to ${policy}`, () =>
      Effect.gen(function* () {
        const { peer, socket } = yield* open(role, { socket: { sendHighWaterMark: mark, whenFull: policy } })
        const gate = yield* Effect.makeLatch()
        const pieces = Stream.concat(Stream.make("a"), Stream.fromEffect(Effect.as(gate.await, "b")))
        const streaming = yield* Effect.fork(socket.sendStream(MessageStream.text(pieces)))
        yield* settled
        const [first, second] = [yield* outcomeOf(socket, "1"), yield* outcomeOf(socket, "2")]
        assert.deepStrictEqual([first.name, second.name], ["suspend", "suspend"])
        yield* gate.open
        yield* Fiber.join(streaming)
        for (const { fiber } of [first, second]) assert.isTrue(Exit.isSuccess(yield* Fiber.join(fiber)))
        assert.deepStrictEqual(yield* peer.awaitFrames(5), [
          "text a",
          "continuation 62",
          "continuation",
          "text 1",
          "text 2"
        ])
        assert.strictEqual((yield* socket.status).dropped, 0)
      })
    )

    it.scoped(`${role} waits with the pieces of a message for room, also when told to ${policy}`, () =>
      Effect.gen(function* () {
        const { peer, socket } = yield* openFull(role, policy)
        const pieces = Stream.rechunk(Stream.make("a", "b", "c"), 1)
        const message = MessageStream.text(Stream.map(pieces, (text) => text.repeat(800)))
        const sending = yield* Effect.fork(socket.sendStream(message))
        yield* settled
        assert.isTrue(Option.isNone(yield* sending.poll))
        if (policy !== "suspend") assert.strictEqual((yield* outcomeOf(socket, "y".repeat(300))).name, policy)
        peer.transport.resume()
        yield* Fiber.join(sending)
        yield* peer.awaitFrames(4)
        assert.deepStrictEqual(
          peer.frames.map(({ payload }) => payload.length),
          [800, 800, 800, 0]
        )
      })
    )
  }

  it.scoped(`${role} counts each message that it drops, and keeps the order of the others`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* openFull(role, "drop")
      for (let i = 0; i < 20; i++) yield* socket.send(`${i}`.padStart(200, "."))
      assert.strictEqual((yield* socket.status).dropped, 16)
      peer.transport.resume()
      yield* settled
      yield* socket.send("after")
      const said = yield* peer.awaitFrames(5)
      assert.deepStrictEqual(
        said.map((text) => text.slice(5).replaceAll(".", "")),
        ["0", "1", "2", "3", "after"]
      )
    })
  )

  it.scoped(`${role} tells how much waits, and the limit, when it refuses`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* openFull(role, "fail")
      yield* socket.send("x".repeat(mark))
      const error = yield* Effect.flip(socket.send("y"))
      const bytes = mark + headerSize(role)
      assert.deepInclude(error, { _tag: "SendRejected", reason: { _tag: "QueueFull", bytes, limit: mark } })
      peer.transport.resume()
    })
  )

  it.scoped(`${role} refuses a Ping and a Pong only above twice the mark, and completes with them at once`, () =>
    Effect.gen(function* () {
      for (const policy of policies) {
        const { peer, socket } = yield* openFull(role, policy)
        yield* socket.send("x".repeat(2 * mark - headerSize(role)))
        assert.strictEqual((yield* socket.status).outgoing, 2 * mark)
        // It completes before anything was written.
        const exit = Effect.runSyncExit(socket.sendPing(Uint8Array.of(1)))
        assert.isTrue(Exit.isSuccess(exit))
        for (const refused of [socket.sendPing(), socket.ping(), socket.pong()]) {
          const error = yield* Effect.flip(refused)
          assert.deepInclude(error._tag === "SendRejected" ? error.reason : {}, { _tag: "QueueFull", limit: 2 * mark })
        }
        peer.transport.resume()
        assert.deepStrictEqual((yield* peer.awaitFrames(2)).slice(1), ["ping 01"])
        yield* socket.sendPing()
        assert.strictEqual((yield* peer.awaitFrames(3))[2], "ping")
      }
    })
  )

  it.scoped(`${role} dies of a Ping of more than 125 bytes, and sends one of 125 as it was`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role)
      assert.isTrue(
        Exit.isFailure(yield* Effect.exit(Effect.catchAllDefect(socket.sendPing(new Uint8Array(126)), Effect.fail)))
      )
      const payload = new Uint8Array(125).fill(5)
      yield* socket.sendPing(payload)
      payload.fill(6)
      yield* peer.awaitFrames(1)
      assert.deepStrictEqual(peer.frames[0]!.payload, new Uint8Array(125).fill(5))
    })
  )

  it.scoped(`${role} writes all that is sent in one turn at once, whatever it is`, () =>
    Effect.gen(function* () {
      const { peer, socket, transport } = yield* open(role)
      const before = transport.ledger.writes
      yield* socket.send("a")
      yield* socket.send(new Uint8Array(70_000))
      yield* socket.sendPing()
      yield* socket.send(Message.text("b"))
      yield* socket.pong()
      assert.strictEqual(transport.ledger.writes, before)
      yield* peer.awaitFrames(5)
      assert.strictEqual(transport.ledger.writes, before + 1)
    })
  )
})

/** Takes the memory away from under everything that views it. */
const detach = (buffer: ArrayBuffer): void => void structuredClone(buffer, { transfer: [buffer] })

interface Resizable extends ArrayBuffer {
  readonly resize: (size: number) => void
}

const makeResizable = (): Resizable => Reflect.construct(ArrayBuffer, [16, { maxByteLength: 32 }]) as Resizable

const viewTypes = [
  Uint8Array,
  Uint8ClampedArray,
  Int8Array,
  Uint16Array,
  Int16Array,
  Uint32Array,
  Int32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
  DataView,
  Buffer
] as const

const viewOf = (
  type: (typeof viewTypes)[number],
  buffer: ArrayBuffer,
  offset: number,
  size: number
): ArrayBufferView => {
  if (type === Buffer) return Buffer.from(buffer, offset, size)
  const perElement = "BYTES_PER_ELEMENT" in type ? type.BYTES_PER_ELEMENT : 1
  return Reflect.construct(type, [buffer, offset, size / perElement]) as ArrayBufferView
}

describe.each(roles)("WebSocket of a %s: the memory of the caller", (role) => {
  for (const type of viewTypes) {
    it.scoped(`${role} sends the bytes that a ${type.name} covers, alters none, and lets them be used again`, () =>
      Effect.gen(function* () {
        const { peer, socket } = yield* open(role)
        const all = Uint8Array.from({ length: 24 }, (_, i) => i)
        yield* socket.send(viewOf(type, all.buffer, 8, 8))
        yield* socket.send(viewOf(type, all.buffer, 8, 0))
        assert.deepStrictEqual(
          [...all],
          Array.from({ length: 24 }, (_, i) => i)
        )
        all.fill(99)
        assert.deepStrictEqual(yield* peer.awaitFrames(2), ["binary 08 09 0a 0b 0c 0d 0e 0f", "binary"])
      })
    )

    it.scoped(`${role} dies of a ${type.name} without its memory, and sends no empty message instead`, () =>
      Effect.gen(function* () {
        const { peer, socket } = yield* open(role)
        const [gone, shrunk] = [new ArrayBuffer(16), makeResizable()]
        const views = [viewOf(type, gone, 8, 8), viewOf(type, shrunk, 8, 8)]
        const sending = views.map((view) => socket.send(view))
        detach(gone)
        shrunk.resize(4)
        for (const effect of [...sending, ...views.map((view) => Effect.suspend(() => socket.send(view)))]) {
          const exit = yield* Effect.exit(effect)
          const defect = Exit.isFailure(exit) ? Cause.dieOption(exit.cause) : Option.none()
          assert.instanceOf(Option.getOrUndefined(defect), TypeError)
        }
        yield* socket.send("alive")
        assert.deepStrictEqual(yield* peer.awaitFrames(1), ["text alive"])
      })
    )
  }

  it.scoped(`${role} dies of a buffer that was transferred, in every operation that takes one`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role)
      const gone = new ArrayBuffer(16)
      const bytes = new Uint8Array(gone)
      const sending = socket.send(gone)
      detach(gone)
      const streamed = MessageStream.binary(Stream.make(bytes))
      for (const effect of [
        sending,
        socket.send(bytes),
        WebSocket.broadcast([socket], bytes),
        WebSocket.broadcast([socket], gone),
        socket.sendStream(streamed),
        socket.sendStream(streamed, { fragmentSize: 10 })
      ]) {
        const exit = yield* Effect.exit(effect as Effect.Effect<unknown, unknown>)
        const defect = Exit.isFailure(exit) ? Cause.dieOption(exit.cause) : Option.none()
        assert.instanceOf(Option.getOrUndefined(defect), TypeError)
      }
      assert.throws(() => WebSocket.prepare(bytes), TypeError)
      assert.throws(() => WebSocket.prepare(gone), TypeError)
      yield* socket.send("alive")
      assert.deepStrictEqual(yield* peer.awaitFrames(1), ["text alive"])
    })
  )

  it.scoped(`${role} sends buffers and views of other realms, and a buffer as long as it is when it is sent`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role)
      yield* socket.send(runInNewContext("new Uint8Array([1, 2]).buffer") as ArrayBuffer)
      yield* socket.send(runInNewContext("new Uint8Array([3, 4]).subarray(1)") as Uint8Array)
      const buffer = makeResizable()
      const sending = socket.send(buffer)
      buffer.resize(3)
      yield* sending
      assert.deepStrictEqual(yield* peer.awaitFrames(3), ["binary 01 02", "binary 04", "binary 00 00 00"])
    })
  )

  it.scoped(`${role} sends a message that waits for room as it was given, without a copy of its memory before`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* openFull(role, "suspend")
      yield* socket.send(new Uint8Array(mark))
      const bytes = new Uint8Array(mark).fill(1)
      const message = Message.binary(new Uint8Array(mark).fill(2))
      const waiting = [yield* Effect.fork(socket.send(bytes)), yield* Effect.fork(socket.send(message))]
      yield* settled
      peer.transport.resume()
      yield* Fiber.join(waiting[0]!)
      bytes.fill(9)
      yield* Fiber.join(waiting[1]!)
      yield* peer.awaitFrames(3)
      assert.isTrue(peer.frames.every(({ payload }, i) => payload.every((byte) => byte === i)))
      assert.strictEqual(Frames.toHex(message.bytes.subarray(0, 2)), "02 02")
    })
  )
})
