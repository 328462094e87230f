/** One message to many: what each is sent, who missed it and why, and that nobody waits for anybody who is slow. */
import * as MessageStream from "@effect-ws/api/MessageStream"
import type { MemoryTransport } from "@effect-ws/api/testing/MemoryTransport"
import * as WebSocket from "@effect-ws/api/WebSocket"
import * as Message from "@effect-ws/core/Message"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { bufferOf } from "./support/bufferOf.ts"
import { open, type Opened, openOn, roles } from "./support/connections.ts"
import * as Frames from "./support/frames.ts"
import { leavesNothing, makePair, settled } from "./support/leaks.ts"
import { atEveryPoint, describePoints, interruptions } from "./support/schedulers.ts"

const isDone = (fiber: Fiber.RuntimeFiber<unknown, unknown>) => Effect.map(fiber.poll, Option.isSome)

const socketsOf = (members: ReadonlyArray<Opened>) => members.map(({ socket }) => socket)

/** A connection whose peer doesn't read, with more than its mark waiting. */
const openSlow = (role: "client" | "server") =>
  Effect.tap(open(role, { socket: { sendHighWaterMark: 100 }, pair: { highWaterMark: 50 } }), ({ peer, socket }) => {
    peer.transport.pause()
    return Effect.zipRight(socket.send("x".repeat(200)), settled)
  })

/** The memory of everything that is written from here on. */
const recordMemory = (transport: MemoryTransport): Array<ArrayBufferLike> => {
  const buffers: Array<ArrayBufferLike> = []
  const write = transport.write.bind(transport)
  const record: MemoryTransport["write"] = (chunks) => {
    buffers.push(...chunks.map(({ buffer }) => buffer))
    return write(chunks)
  }
  Object.assign(transport, { write: record })
  return buffers
}

describe.each(roles)("WebSocket of a %s: a prepared message", (role) => {
  const bytes = new Uint8Array(Uint16Array.of(0x0102, 0x0304).buffer)
  const cases: ReadonlyArray<readonly [string, WebSocket.Sendable, string]> = [
    ["a string", "héllo", "text héllo"],
    ["an empty string", "", "text"],
    ["a lone surrogate", "\ud800", "text \ufffd"],
    ["bytes", Uint8Array.of(1, 2), "binary 01 02"],
    ["a buffer", Uint8Array.of(1, 2).buffer, "binary 01 02"],
    ["a view", new DataView(Uint8Array.of(1, 2, 3, 4).buffer, 1, 2), "binary 02 03"],
    ["words", new Uint16Array(bytes.buffer), `binary ${Frames.toHex(bytes)}`],
    ["a message of text", Message.text("m"), "text m"],
    ["a message of bytes", Message.binary(Uint8Array.of(9)), "binary 09"]
  ]
  for (const [title, data, expected] of cases) {
    it.scoped(`${role} sends ${title}, prepared once, as often as it is sent`, () =>
      Effect.gen(function* () {
        const prepared = WebSocket.prepare(data)
        const [first, second] = [yield* open(role), yield* open(role)]
        for (const { socket } of [first, second, first]) yield* socket.send(prepared)
        assert.deepStrictEqual(yield* first.peer.awaitFrames(2), [expected, expected])
        assert.deepStrictEqual(yield* second.peer.awaitFrames(1), [expected])
      })
    )
  }

  it.scoped(`${role} sends a prepared message in fragments where frames are bounded`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role, { socket: { fragmentSize: 3 } })
      yield* socket.send(WebSocket.prepare("abcde"))
      assert.deepStrictEqual(yield* peer.awaitFrames(2), ["text abc", "continuation 64 65"])
      assert.deepStrictEqual(
        peer.frames.map(({ fin }) => fin),
        [false, true]
      )
    })
  )

  it.scoped(`${role} sends a prepared message as it was when it was prepared`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role)
      for (const size of [3, 70_000]) {
        const [bytes, words] = [new Uint8Array(size).fill(1), new Uint16Array(size).fill(0x0101)]
        const buffer = bufferOf(size, 1)
        const sources = [bytes, words, bytes.buffer, buffer, new DataView(buffer.buffer)]
        const prepared = sources.map((source) => WebSocket.prepare(source))
        for (const view of [bytes, words, buffer]) view.fill(2)
        peer.frames.length = 0
        for (const message of prepared) yield* socket.send(message)
        yield* peer.awaitFrames(5)
        assert.isTrue(peer.frames.every(({ payload }) => payload.every((byte) => byte === 1)))
      }
    })
  )

  it("a message that is prepared again is itself", () => {
    const prepared = WebSocket.prepare("a")
    assert.strictEqual(WebSocket.prepare(prepared), prepared)
  })
})

describe("WebSocket: what a prepared message costs", () => {
  it.scoped("client masks it with another key for each connection", () =>
    Effect.gen(function* () {
      const members = yield* Effect.replicateEffect(open("client"), 5)
      yield* WebSocket.broadcast(socketsOf(members), "hello")
      for (const { peer } of members) assert.deepStrictEqual(yield* peer.awaitFrames(1), ["text hello"])
      const keys = new Set(members.map(({ peer }) => Frames.toHex(peer.frames[0]!.key!)))
      assert.strictEqual(keys.size, 5)
    })
  )

  for (const [size, count] of [
    [5, 500],
    [1000, 100],
    [40_000, 20]
  ] as const) {
    it.scoped(`server sends the same memory to ${count} connections, for ${size} bytes`, () =>
      Effect.gen(function* () {
        const members = yield* Effect.replicateEffect(open("server"), count)
        const memory = members.map(({ transport }) => recordMemory(transport))
        const prepared = WebSocket.prepare(new Uint8Array(size).fill(7))
        const { missed, sent } = yield* WebSocket.broadcast(socketsOf(members), prepared)
        assert.deepStrictEqual([sent.length, missed.length], [count, 0])
        for (const { peer } of members) yield* peer.awaitFrames(1)
        const buffers = new Set(memory.flat())
        const shared = new Set<ArrayBufferLike>(prepared.frame.map(({ buffer }) => buffer))
        assert.strictEqual(buffers.size, shared.size)
        assert.isTrue([...buffers].every((buffer) => shared.has(buffer)))
        const expected = new Uint8Array(size).fill(7)
        for (const { peer } of members) assert.strictEqual(Buffer.compare(peer.frames[0]!.payload, expected), 0)
      })
    )
  }
})

describe.each(roles)("WebSocket of a %s: broadcast", (role) => {
  it.scoped(`${role} sends to all, in one write each, whatever holds them`, () =>
    Effect.gen(function* () {
      const members = yield* Effect.replicateEffect(open(role), 3)
      const writes = members.map(({ transport }) => transport.ledger.writes)
      const sockets = socketsOf(members)
      const generated = function* () {
        yield* sockets
      }
      for (const all of [sockets, new Set(sockets), generated()]) {
        assert.deepStrictEqual(yield* WebSocket.broadcast(all, "hello"), { sent: sockets, missed: [] })
      }
      for (const { peer } of members) {
        assert.deepStrictEqual(yield* peer.awaitFrames(3), ["text hello", "text hello", "text hello"])
      }
      assert.deepStrictEqual(
        members.map(({ transport }) => transport.ledger.writes),
        writes.map((count) => count + 1)
      )
    })
  )

  it.scoped(`${role} sends to nobody`, () =>
    Effect.gen(function* () {
      for (const slow of ["wait", "drop", "close"] as const) {
        assert.deepStrictEqual(yield* WebSocket.broadcast([], "hello", { slow }), { sent: [], missed: [] })
      }
    })
  )

  it.scoped(`${role} reads its connections and the bytes anew each time it runs`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role)
      const bytes = Uint8Array.of(1)
      const set = new Set<WebSocket.WebSocket>()
      const sending = WebSocket.broadcast(set, bytes)
      assert.deepStrictEqual(yield* sending, { sent: [], missed: [] })
      set.add(socket)
      bytes.fill(2)
      assert.deepStrictEqual(yield* sending, { sent: [socket], missed: [] })
      bytes.fill(3)
      assert.deepStrictEqual(yield* peer.awaitFrames(1), ["binary 02"])
    })
  )

  it.scoped(`${role} dies of what is no connection of this library, and sends nothing`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role)
      const exit = yield* Effect.exit(WebSocket.broadcast([socket, { ...socket }], "hello"))
      assert.isTrue(Exit.isFailure(exit) && Cause.isDie(exit.cause))
      yield* socket.send("alive")
      assert.deepStrictEqual(yield* peer.awaitFrames(1), ["text alive"])
    })
  )

  it.scoped(`${role} tells of each connection that has ended or is closing why it missed the message`, () =>
    Effect.gen(function* () {
      const [good, ended, broken] = [yield* open(role), yield* open(role), yield* open(role)]
      const closing = yield* open(role, { peer: { polite: false } })
      const outcome = yield* ended.socket.close()
      broken.peer.send(broken.peer.frame(3))
      const error = yield* broken.socket.closed
      yield* Effect.fork(Effect.exit(closing.socket.close()))
      yield* settled
      for (const slow of ["wait", "drop", "close"] as const) {
        const report = yield* WebSocket.broadcast(socketsOf([ended, closing, good, broken]), "hello", { slow })
        assert.deepStrictEqual(report.sent, [good.socket])
        assert.deepStrictEqual(
          report.missed.map(({ socket }) => socket),
          socketsOf([ended, closing, broken])
        )
        const [first, second, third] = report.missed.map(({ error }) => error)
        assert.strictEqual(first, outcome)
        assert.deepInclude(second, { _tag: "SendRejected", reason: { _tag: "Closing" } })
        assert.strictEqual(third, error)
      }
      assert.deepStrictEqual(yield* good.peer.awaitFrames(3), ["text hello", "text hello", "text hello"])
      assert.deepStrictEqual(closing.peer.said, ["close 1000"])
      closing.peer.polite = true
      closing.peer.sendClose(1000)
      closing.peer.end()
    })
  )

  it.scoped(`${role} waits for the slow by default, and nobody else does`, () =>
    Effect.gen(function* () {
      const [fast, slow, later] = [yield* open(role), yield* openSlow(role), yield* open(role)]
      const sending = yield* Effect.fork(WebSocket.broadcast(socketsOf([slow, fast, later]), "hello"))
      for (const { peer } of [fast, later]) assert.deepStrictEqual(yield* peer.awaitFrames(1), ["text hello"])
      yield* settled
      assert.isFalse(yield* isDone(sending))
      slow.peer.transport.resume()
      const { missed, sent } = yield* Fiber.join(sending)
      assert.deepStrictEqual([sent.length, missed.length], [3, 0])
      for (const member of [fast, slow, later]) assert.include(sent, member.socket)
      assert.strictEqual((yield* slow.peer.awaitFrames(2))[1], "text hello")
    })
  )

  it.scoped(`${role} waits for each of the slow by itself`, () =>
    Effect.gen(function* () {
      const [first, second] = [yield* openSlow(role), yield* openSlow(role)]
      const sending = yield* Effect.fork(WebSocket.broadcast(socketsOf([first, second]), "hello"))
      yield* settled
      second.peer.transport.resume()
      assert.strictEqual((yield* second.peer.awaitFrames(2))[1], "text hello")
      assert.isFalse(yield* isDone(sending))
      first.peer.send(first.peer.frame(3))
      const { missed, sent } = yield* Fiber.join(sending)
      first.peer.transport.resume()
      assert.deepStrictEqual(sent, [second.socket])
      assert.deepStrictEqual(missed, [{ socket: first.socket, error: (yield* first.socket.closed) as never }])
    })
  )

  it.scoped(`${role} leaves out the slow, which live on, when told to drop`, () =>
    Effect.gen(function* () {
      const [fast, slow] = [yield* open(role), yield* openSlow(role)]
      const report = yield* WebSocket.broadcast(socketsOf([slow, fast]), "hello", { slow: "drop" })
      assert.deepStrictEqual(report, { sent: [fast.socket], missed: [{ socket: slow.socket, error: undefined }] })
      assert.deepStrictEqual(yield* fast.peer.awaitFrames(1), ["text hello"])
      slow.peer.transport.resume()
      yield* slow.socket.send("alive")
      assert.deepStrictEqual((yield* slow.peer.awaitFrames(2)).slice(1), ["text alive"])
    })
  )

  it.scoped(`${role} closes the slow with 1008 when told to`, () =>
    Effect.gen(function* () {
      const [fast, slow] = [yield* open(role), yield* openSlow(role)]
      const report = yield* WebSocket.broadcast(socketsOf([slow, fast]), "hello", { slow: "close" })
      assert.deepStrictEqual(report, { sent: [fast.socket], missed: [{ socket: slow.socket, error: undefined }] })
      assert.deepStrictEqual(yield* fast.peer.awaitFrames(1), ["text hello"])
      slow.peer.transport.resume()
      assert.deepInclude(yield* slow.socket.closed, { _tag: "ConnectionClosed", initiator: "local" })
      assert.deepStrictEqual(slow.peer.said.slice(1), ["close 1008 too slow"])
      assert.strictEqual((yield* fast.socket.status).state, "open")
    })
  )

  it.scoped(`${role} says of one that was too slow, and is so to the end, which Close frame it didn't answer`, () =>
    Effect.gen(function* () {
      const { socket } = yield* openSlow(role)
      yield* WebSocket.broadcast([socket], "hello", { slow: "close" })
      yield* TestClock.adjust("6 seconds")
      assert.deepInclude(yield* socket.closed, {
        _tag: "ConnectionTimeout",
        phase: "close",
        sent: { code: 1008, reason: "too slow" }
      })
    })
  )

  it.scoped(`${role} doesn't call a connection slow that only is in the middle of another message`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role)
      const gate = yield* Effect.makeLatch()
      const rest = Stream.fromEffect(Effect.as(gate.await, "b"))
      const streaming = yield* Effect.fork(socket.sendStream(MessageStream.text(Stream.concat(Stream.make("a"), rest))))
      yield* peer.awaitFrames(1)
      for (const slow of ["drop", "close"] as const) {
        const report = yield* WebSocket.broadcast([socket], "hello", { slow })
        assert.deepStrictEqual(report, { sent: [], missed: [{ socket, error: undefined }] })
      }
      const waiting = yield* Effect.fork(WebSocket.broadcast([socket], "hello"))
      yield* settled
      assert.isFalse(yield* isDone(waiting))
      yield* gate.open
      yield* Fiber.join(streaming)
      assert.deepStrictEqual(yield* Fiber.join(waiting), { sent: [socket], missed: [] })
      assert.deepStrictEqual(yield* peer.awaitFrames(4), ["text a", "continuation 62", "continuation", "text hello"])
    })
  )

  it.scoped(`${role} closes one that is slow in the middle of another message`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role, { socket: { sendHighWaterMark: 100 }, pair: { highWaterMark: 50 } })
      peer.transport.pause()
      const endless = Stream.concat(Stream.make("a".repeat(200)), Stream.never)
      const streaming = yield* Effect.fork(Effect.flip(socket.sendStream(MessageStream.text(endless))))
      yield* settled
      yield* WebSocket.broadcast([socket], "hello", { slow: "close" })
      assert.deepInclude(yield* Fiber.join(streaming), { _tag: "SendRejected" })
      peer.transport.resume()
      yield* socket.closed
      assert.strictEqual(peer.said.at(-1), "close 1008 too slow")
    })
  )

  for (const points of interruptions.filter(({ opsPerTurn = 16 }) => opsPerTurn >= 16)) {
    it.effect(`${role} harms nobody when a broadcast waits and is ${describePoints(points)}`, () =>
      atEveryPoint(points, (disturbed) =>
        Effect.gen(function* () {
          const [fast, slow] = [yield* open(role), yield* openSlow(role)]
          const resume = Effect.zipRight(
            Effect.repeatN(Effect.yieldNow(), 9),
            Effect.sync(() => slow.peer.transport.resume())
          )
          const exit = yield* disturbed(WebSocket.broadcast(socketsOf([slow, fast]), "hello"), resume)
          assert.isTrue(Exit.isSuccess(exit) || Exit.isInterrupted(exit))
          for (const { peer, socket } of [fast, slow]) {
            yield* socket.send("after")
            yield* peer.until("the last message", () => peer.said.at(-1) === "text after")
            const got = peer.said.filter((text) => text !== `text ${"x".repeat(200)}`)
            if (Exit.isSuccess(exit)) assert.deepStrictEqual(got, ["text hello", "text after"])
            else assert.include(["text hello|text after", "text after"], got.join("|"))
          }
        })
      )
    )
  }

  it.effect(`${role} tells who missed it, and leaves nothing, whichever operation of one transport fails`, () =>
    Effect.gen(function* () {
      const reports = new Set<string>()
      for (let failAt = 1, hasFailed = true; hasFailed; failAt++) {
        hasFailed = yield* leavesNothing(
          Effect.gen(function* () {
            const [first, last] = [yield* open(role), yield* open(role)]
            const pair = yield* makePair({ failAt, highWaterMark: 50 })
            const options = { socket: { sendHighWaterMark: 100 } }
            const opening = Effect.timeoutOption(openOn(role, pair, options), "1 second")
            const opened = yield* Effect.catchAllCause(opening, () => Effect.succeedNone)
            if (Option.isNone(opened)) return pair.hasFailed()
            const faulty = opened.value
            for (let i = 0; i < 3; i++) {
              const all = socketsOf([first, faulty, last])
              const { missed, sent } = yield* WebSocket.broadcast(all, "x".repeat(200))
              assert.include(sent, first.socket)
              assert.include(sent, last.socket)
              assert.strictEqual(sent.length + missed.length, 3)
              if (missed.length === 0) continue
              assert.deepStrictEqual(missed, [{ socket: faulty.socket, error: (yield* faulty.socket.closed) as never }])
              reports.add("missed")
            }
            for (const { peer } of [first, last]) assert.lengthOf(yield* peer.awaitFrames(3), 3)
            return pair.hasFailed()
          })
        )
      }
      assert.deepStrictEqual([...reports], ["missed"])
    })
  )
})
