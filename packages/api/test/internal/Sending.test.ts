import { ConnectionClosed } from "@effect-ws/api/ConnectionClosed"
import * as ConnectionOptions from "@effect-ws/api/ConnectionOptions"
import { emptyInfo, type Transport } from "@effect-ws/api/Transport"
import * as Prepared from "@effect-ws/core/PreparedMessage"
import * as Protocol from "@effect-ws/core/Protocol"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import * as Deadlines from "../../src/internal/Deadlines.ts"
import { type Fragment, OutgoingStream } from "../../src/internal/connection/OutgoingStream.ts"
import { Outbox } from "../../src/internal/connection/Outbox.ts"
import { Sending } from "../../src/internal/connection/Sending.ts"
import { bufferOf } from "../support/bufferOf.ts"
import * as Frames from "../support/frames.ts"
import { settled } from "../support/leaks.ts"

/** Sends as a server, over a transport that takes what it is told to take. What was written is `said`. */
const make = (input: ConnectionOptions.Input = {}) =>
  Effect.map(Deadlines.current, (deadlines) => {
    const options = ConnectionOptions.make("server", { sendHighWaterMark: 100, ...input })
    let bytes: Uint8Array = new Uint8Array(0)
    const transport: Transport & { writable: number } = {
      info: emptyInfo,
      writable: 0,
      start: () => {},
      write: (chunks: ReadonlyArray<Uint8Array>) => {
        for (const chunk of chunks) transport.writable += chunk.length
        bytes = Frames.concat([bytes, ...chunks])
        return transport.writable < 50
      },
      pause: () => {},
      resume: () => {},
      end: () => {},
      destroy: () => {}
    }
    const protocol = Protocol.make({ role: "server", deferClose: true })
    const events = { onFull: () => {}, onRoom: () => {}, onWritten: () => {} }
    const outbox = new Outbox(protocol, transport, options.sendHighWaterMark, events)
    const sending = new Sending(protocol, outbox, options, deadlines)
    const drain = Effect.zipRight(
      Effect.sync(() => ((transport.writable = 0), outbox.drained())),
      settled
    )
    const said = Effect.map(settled, () => Frames.decode(bytes).frames.map(Frames.describeFrame))
    return { drain, outbox, protocol, said, sending, transport }
  })

const ended = new ConnectionClosed({ received: undefined, sent: undefined, initiator: "peer", discarded: 0 })
const large = new Uint8Array(200).fill(1)
const closed: object = { _tag: "SendRejected", reason: { _tag: "Closing" } }

const fragment = (of: OutgoingStream, text: string, isFinal: boolean): Fragment => {
  const bytes = Frames.utf8(text)
  return { _tag: "Fragment", of, bytes, byteLength: bytes.length, isFinal }
}

/** Each way to send, and what it says. */
const ways: ReadonlyArray<readonly [string, (sending: Sending) => Effect.Effect<unknown, unknown>, string]> = [
  ["a message", (sending) => sending.send("a"), "text a"],
  ["a prepared message", (sending) => sending.send(Prepared.make("a")), "text a"],
  ["a fragment", (sending) => sending.sendFragment(fragment(new OutgoingStream("Text"), "a", true)), "text a"],
  ["a message later", (sending) => sending.sendLater("a"), "text a"],
  ["a Ping and its Pong", (sending) => sending.ping(Uint8Array.of(1)), "ping 01"],
  ["a Ping", (sending) => sending.sendPing(Uint8Array.of(1)), "ping 01"],
  ["a Pong", (sending) => sending.pong(Uint8Array.of(1)), "pong 01"]
]

describe("Sending", () => {
  for (const [name, send, frame] of ways) {
    it.scoped(`sender of ${name} sends one frame`, () =>
      Effect.gen(function* () {
        const { said, sending } = yield* make()
        const fiber = yield* Effect.fork(send(sending))
        assert.deepStrictEqual(yield* said, [frame])
        sending.answer(Uint8Array.of(1))
        yield* Fiber.join(fiber)
      })
    )

    it.scoped(`sender of ${name} is refused when our Close frame was sent`, () =>
      Effect.gen(function* () {
        const { protocol, said, sending } = yield* make()
        protocol.close({ code: 1000, reason: "" })
        sending.close()
        assert.deepInclude((yield* Effect.flip(send(sending))) as object, closed)
        assert.deepStrictEqual(yield* said, [])
      })
    )

    it.scoped(`sender of ${name} fails with what ended the connection, also when it was closing`, () =>
      Effect.gen(function* () {
        const { protocol, said, sending } = yield* make()
        protocol.close({ code: 1000, reason: "" })
        sending.close()
        sending.fail(ended)
        assert.strictEqual(yield* Effect.flip(send(sending)), ended)
        assert.deepStrictEqual(yield* said, [])
      })
    )

    it.scoped(`sender of ${name} gets through while the Close frame of the peer waits for its answer`, () =>
      Effect.gen(function* () {
        const { protocol, said, sending } = yield* make()
        protocol.receive(Frames.encode(8, Frames.closePayload(1000), { key: new Uint8Array(4) }))
        yield* Effect.fork(send(sending))
        assert.deepStrictEqual(yield* said, [frame])
      })
    )
  }

  it.scoped("sender that suspends above the mark fails when our Close frame is sent", () =>
    Effect.gen(function* () {
      const { drain, protocol, said, sending } = yield* make()
      yield* sending.send(large)
      const waiting = yield* Effect.fork(Effect.flip(sending.send("a")))
      yield* settled
      assert.isNull(waiting.unsafePoll())
      protocol.close({ code: 1000, reason: "" })
      sending.close()
      assert.deepInclude(yield* Fiber.join(waiting), closed)
      yield* drain
      assert.deepStrictEqual((yield* said).slice(1), ["close 1000"])
    })
  )

  it.scoped("sender that drops counts what it dropped, and sends again when there is room", () =>
    Effect.gen(function* () {
      const { drain, said, sending } = yield* make({ whenFull: "drop" })
      yield* sending.send(large)
      for (const text of ["a", "b", "c"]) yield* sending.send(text)
      assert.strictEqual(sending.dropped, 3)
      yield* drain
      yield* sending.send("d")
      assert.strictEqual(sending.dropped, 3)
      assert.deepStrictEqual((yield* said).slice(1), ["text d"])
    })
  )

  it.scoped("sender that fails says how much waits and what the limit is, and sends again when there is room", () =>
    Effect.gen(function* () {
      const { drain, said, sending } = yield* make({ whenFull: "fail" })
      yield* sending.send(large)
      const error = yield* Effect.flip(sending.send("a"))
      assert.deepInclude(error, { _tag: "SendRejected", reason: { _tag: "QueueFull", bytes: 204, limit: 100 } })
      assert.strictEqual(sending.dropped, 0)
      yield* drain
      yield* sending.send("b")
      assert.deepStrictEqual((yield* said).slice(1), ["text b"])
    })
  )

  for (const whenFull of ["drop", "fail"] as const) {
    it.scoped(`sender with the policy ${whenFull} lets fragments and whoever sends later wait all the same`, () =>
      Effect.gen(function* () {
        const { drain, said, sending } = yield* make({ whenFull })
        yield* sending.send(large)
        const stream = new OutgoingStream("Text")
        const first = yield* Effect.fork(sending.sendFragment(fragment(stream, "a", true)))
        const later = yield* Effect.fork(sending.sendLater("b"))
        yield* settled
        assert.isNull(first.unsafePoll())
        assert.isNull(later.unsafePoll())
        yield* drain
        yield* Fiber.joinAll([first, later])
        assert.deepStrictEqual((yield* said).slice(1), ["text a", "text b"])
        assert.isTrue(stream.hasBegun && stream.hasEnded)
      })
    )
  }

  it.scoped("sender that has no room says so without waiting", () =>
    Effect.gen(function* () {
      const { protocol, sending } = yield* make()
      assert.deepStrictEqual(sending.trySend(large), Exit.void)
      assert.isUndefined(sending.trySend("a"))
      protocol.close({ code: 1000, reason: "" })
      assert.deepInclude(yield* Effect.flip(sending.trySend("a")!), closed)
    })
  )

  it.scoped("sender of control frames is refused at twice the mark, not before", () =>
    Effect.gen(function* () {
      const { sending, transport } = yield* make()
      transport.writable = 200
      yield* sending.pong(new Uint8Array(0))
      const bytes = 202
      const full: object = { _tag: "SendRejected", reason: { _tag: "QueueFull", bytes, limit: 200 } }
      yield* settled
      assert.strictEqual(transport.writable, bytes)
      for (const [name, send] of ways.slice(4)) assert.deepInclude(yield* Effect.flip(send(sending)), full, name)
    })
  )

  it.scoped("sender of a payload of 126 bytes is told of its mistake, and one of 125 bytes is not", () =>
    Effect.gen(function* () {
      const { said, sending } = yield* make({ sendHighWaterMark: 1000 })
      for (const send of [sending.sendPing, sending.pong, sending.ping]) {
        const exit = yield* Effect.exit<unknown, unknown, never>(send.call(sending, new Uint8Array(126)))
        assert.match(
          Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "",
          /RangeError: .* at most 125 bytes \(RFC 6455 5.5\), and was 126/
        )
        yield* Effect.fork(send.call(sending, new Uint8Array(125)))
      }
      assert.lengthOf(yield* said, 3)
    })
  )

  it.scoped("ping completes with the time until its Pong, and a caller may reuse its payload meanwhile", () =>
    Effect.gen(function* () {
      const { said, sending } = yield* make()
      const payload = bufferOf(2, 1)
      const fiber = yield* Effect.fork(sending.ping(payload))
      yield* settled
      payload.fill(9)
      yield* TestClock.adjust(30)
      sending.answer(Uint8Array.of(9, 9))
      yield* settled
      assert.isNull(fiber.unsafePoll())
      sending.answer(Uint8Array.of(1, 1))
      assert.strictEqual(Duration.toMillis(yield* Fiber.join(fiber)), 30)
      assert.deepStrictEqual(yield* said, ["ping 01 01"])
    })
  )

  it.scoped("pings without a payload are told apart", () =>
    Effect.gen(function* () {
      const { said, sending } = yield* make()
      const fibers = [yield* Effect.fork(sending.ping(undefined)), yield* Effect.fork(sending.ping(undefined))]
      const frames = yield* said
      assert.strictEqual(new Set(frames).size, 2)
      sending.answer(Frames.hex(frames[0]!.slice("ping ".length)))
      yield* Fiber.join(fibers[0]!)
      assert.isNull(fibers[1]!.unsafePoll())
    })
  )

  it.scoped("pings that wait fail with what ended the connection", () =>
    Effect.gen(function* () {
      const { sending } = yield* make()
      const fiber = yield* Effect.fork(Effect.flip(sending.ping(undefined)))
      yield* settled
      sending.fail(ended)
      assert.strictEqual(yield* Fiber.join(fiber), ended)
    })
  )

  it.scoped("pong that nobody asked for is nobody's, and so is one before any Ping", () =>
    Effect.gen(function* () {
      const { said, sending } = yield* make()
      sending.answer(Uint8Array.of(1))
      sending.fail(ended)
      assert.deepStrictEqual(yield* said, [])
    })
  )
})
