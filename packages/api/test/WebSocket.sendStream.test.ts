/** A message that is sent piece by piece (RFC 6455 5.4): its frames, and its turn. */
import * as MessageStream from "@effect-ws/api/MessageStream"
import type { MemoryTransport } from "@effect-ws/api/testing/MemoryTransport"
import { assert, describe, it, vi } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { bufferOf } from "./support/bufferOf.ts"
import { open, roles } from "./support/connections.ts"
import * as Frames from "./support/frames.ts"
import { settled } from "./support/leaks.ts"
import { awaitMessages, piecesOf, textOf, bytesOf, makeSource, openInMiddle } from "./support/outgoingStreams.ts"

const { opcodes } = Frames

/** Everything that is written from here on. */
const recordWrites = (transport: MemoryTransport): Array<Uint8Array> => {
  const chunks: Array<Uint8Array> = []
  const write = transport.write.bind(transport)
  const record: MemoryTransport["write"] = (written) => {
    chunks.push(...written)
    return write(written)
  }
  Object.assign(transport, { write: record })
  return chunks
}

describe.each(roles)("WebSocket of a %s: the frames of a message that is sent piece by piece", (role) => {
  type Case = readonly [title: string, message: MessageStream.MessageStream, size: number | undefined, expected: string]
  const cases: ReadonlyArray<Case> = [
    ["a text of one piece", textOf("Hello"), undefined, "text+ Hello|continuation"],
    ["bytes of one piece", bytesOf("Hello"), undefined, "binary+ Hello|continuation"],
    ["a text of many", textOf("Hel", "l", "o"), undefined, "text+ Hel|continuation+ l|continuation+ o|continuation"],
    ["bytes of many", bytesOf("Hel", "lo"), undefined, "binary+ Hel|continuation+ lo|continuation"],
    ["a text of no piece", textOf(), undefined, "text"],
    ["bytes of no piece", bytesOf(), undefined, "binary"],
    ["a text of empty pieces", textOf("", "", ""), undefined, "text"],
    ["a text with empty pieces", textOf("", "a", "", "b", ""), undefined, "text+ a|continuation+ b|continuation"],
    ["bytes with empty pieces", bytesOf("", "a", ""), undefined, "binary+ a|continuation"],
    [
      "a text whose pieces come in chunks",
      MessageStream.text(Stream.concat(Stream.make("a", "b"), Stream.make("c", "", "d"))),
      undefined,
      "text+ ab|continuation+ cd|continuation"
    ],
    ["a text in fragments of 2", textOf("H", "el", "lo, ", "you"), 2, textFragments("He", "ll", "o,", " y", "ou", "")],
    ["a text in fragments of 4", textOf("Hello, ", "you"), 4, textFragments("Hell", "o, y", "ou")],
    ["a text that fits a fragment", textOf("H", "i"), 4, "text Hi"],
    ["a text of no piece in fragments", textOf("", ""), 4, "text"],
    ["bytes in fragments of 1", bytesOf("abc"), 1, "binary+ a|continuation+ b|continuation+ c|continuation"],
    ["bytes in fragments of 3", bytesOf("a", "b", "c", "d"), 3, "binary+ abc|continuation d"]
  ]
  for (const [title, message, fragmentSize, expected] of cases) {
    it.scoped(`${role} sends ${title}`, () =>
      Effect.gen(function* () {
        const { peer, socket, transport } = yield* open(role)
        const written = recordWrites(transport)
        yield* socket.sendStream(message, { fragmentSize })
        assert.deepStrictEqual(yield* awaitMessages(peer, 1), expected.split("|"))
        const frames = peer.frames.map(({ fin, key, opcode, payload }) => Frames.encode(opcode, payload, { fin, key }))
        assert.strictEqual(Frames.toHex(Frames.concat(written)), Frames.toHex(Frames.concat(frames)))
      })
    )
  }

  // What leaves is UTF-8 as a whole (8.1), and may be cut anywhere (5.4).
  const texts: ReadonlyArray<readonly [title: string, pieces: ReadonlyArray<string>, text: string]> = [
    ["a surrogate pair cut between two pieces", ["a\ud83d", "\ude00b"], "a😀b"],
    ["a surrogate pair with an empty piece in between", ["\ud83d", "", "\ude00"], "😀"],
    ["a first half at the end", ["a\ud83d"], "a\ufffd"],
    ["a first half in front of something else", ["\ud83d", "a"], "\ufffda"],
    ["two first halves and a second", ["\ud83d", "\ud83d", "\ude00"], "\ufffd😀"],
    ["a second half alone", ["\ude00", "a"], "\ufffda"],
    ["characters of several bytes", ["dé", "jà €", "😀"], "déjà €😀"],
    ["a byte order mark", ["\ufeffa"], "\ufeffa"]
  ]
  for (const [title, pieces, text] of texts) {
    it.scoped(`${role} sends ${title} as the right bytes, in fragments of any size`, () =>
      Effect.gen(function* () {
        const { peer, socket } = yield* open(role)
        const bytes = Frames.utf8(text)
        const fromSize = (size: number) => Math.floor(bytes.length / size) + 1
        for (const fragmentSize of [undefined, 1, 2, 3, 5, 100]) {
          peer.frames.length = 0
          yield* socket.sendStream(textOf(...pieces), { fragmentSize })
          yield* awaitMessages(peer, 1)
          const payloads = peer.frames.map(({ payload }) => payload)
          assert.deepStrictEqual(Frames.concat(payloads), bytes)
          if (fragmentSize === undefined) continue
          assert.lengthOf(payloads, fromSize(fragmentSize))
          assert.isTrue(payloads.slice(0, -1).every(({ length }) => length === fragmentSize))
        }
      })
    )
  }

  it.scoped(
    `${role} sends fragments of the size that the connection has, and of the smaller one that is asked for`,
    () =>
      Effect.gen(function* () {
        const { peer, socket } = yield* open(role, { socket: { fragmentSize: 3 } })
        yield* socket.sendStream(textOf("abcd", "e"))
        assert.deepStrictEqual(yield* awaitMessages(peer, 1), ["text+ abc", "continuation de"])
        yield* socket.sendStream(textOf("abc", "d"), { fragmentSize: 2 })
        assert.deepStrictEqual((yield* awaitMessages(peer, 2)).slice(2), [
          "text+ ab",
          "continuation+ cd",
          "continuation"
        ])
        yield* socket.sendStream(textOf("abcd", "e"), { fragmentSize: 4 })
        assert.deepStrictEqual((yield* awaitMessages(peer, 3)).slice(5), ["text+ abc", "continuation de"])
      })
  )

  it.scoped(`${role} dies of a size that is none, says so, and sends nothing`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role)
      for (const fragmentSize of [0, -1, 1.5, Number.NaN, Infinity]) {
        const exit = yield* Effect.exit(socket.sendStream(textOf("a", "b"), { fragmentSize }))
        assert.isTrue(Exit.isFailure(exit))
        const defect = Exit.isFailure(exit) ? Cause.dieOption(exit.cause) : Option.none()
        assert.match(String(Option.getOrUndefined(defect)), /^RangeError: The option fragmentSize must be a positive/)
      }
      yield* socket.send("alive")
      assert.deepStrictEqual(yield* peer.awaitFrames(1), ["text alive"])
    })
  )

  it.scoped(`${role} copies the pieces: a source may use its memory again and again`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role)
      for (const fragmentSize of [undefined, 5]) {
        const memory = bufferOf(3, 0)
        const bytes = Stream.map(piecesOf(1, 2, 3), (value) => memory.fill(value))
        yield* socket.sendStream(MessageStream.binary(bytes), { fragmentSize })
        memory.fill(9)
      }
      yield* awaitMessages(peer, 2)
      const payload = Frames.concat(peer.frames.map(({ payload }) => payload))
      assert.deepStrictEqual([...payload], [1, 1, 1, 2, 2, 2, 3, 3, 3, 1, 1, 1, 2, 2, 2, 3, 3, 3])
    })
  )

  it.scoped(`${role} joins tiny pieces to large fragments without copying them again and again`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role)
      let copied = 0
      const set = Uint8Array.prototype.set
      const counting = vi.spyOn(Uint8Array.prototype, "set").mockImplementation(function (
        this: Uint8Array,
        source,
        at
      ) {
        copied += source.length
        return set.call(this, source, at)
      })
      yield* Effect.addFinalizer(() => Effect.sync(() => counting.mockRestore()))
      const pieces = Stream.rechunk(Stream.repeatValue(new Uint8Array(10)).pipe(Stream.take(2000)), 1)
      yield* socket.sendStream(MessageStream.binary(pieces), { fragmentSize: 10_000 })
      counting.mockRestore()
      yield* awaitMessages(peer, 1)
      assert.deepStrictEqual(
        peer.frames.map(({ payload }) => payload.length),
        [10_000, 10_000, 0]
      )
      // Once to the fragment, and twice on the way through the transport in memory.
      assert.isBelow(copied, 6 * 20_000)
    })
  )

  it.scoped(`${role} relays a message to another connection without decoding it`, () =>
    Effect.gen(function* () {
      const from = yield* open(role)
      const to = yield* open(role)
      // The character is cut in the middle: decoded and encoded it would be cut elsewhere.
      const euro = Frames.utf8("€")
      const { peer } = from
      peer.send(peer.frame(opcodes.text, euro.subarray(0, 1), { fin: false }))
      const relaying = yield* Effect.fork(
        Effect.scoped(Effect.flatMap(from.socket.receiveStream, (message) => to.socket.sendStream(message)))
      )
      yield* settled
      assert.deepStrictEqual(to.peer.frames.map(Frames.describeFrame), ["text \ufffd"])
      peer.send(peer.frame(opcodes.continuation, euro.subarray(1)))
      yield* Fiber.join(relaying)
      yield* awaitMessages(to.peer, 1)
      assert.deepStrictEqual(
        to.peer.frames.map(({ payload }) => Frames.toHex(payload)),
        ["e2", "82 ac", ""]
      )
      peer.send(peer.binary(Uint8Array.of(1, 2)))
      yield* Effect.scoped(Effect.flatMap(from.socket.receiveStream, (message) => to.socket.sendStream(message)))
      assert.deepStrictEqual((yield* awaitMessages(to.peer, 2)).slice(3), ["binary+ \x01\x02", "continuation"])
    })
  )
})

function textFragments(...texts: ReadonlyArray<string>): string {
  const name = (i: number) => `${i === 0 ? "text" : "continuation"}${i === texts.length - 1 ? "" : "+"}`
  return texts.map((text, i) => `${name(i)} ${text}`.trimEnd()).join("|")
}

describe.each(roles)("WebSocket of a %s: the turn of a message that is sent piece by piece", (role) => {
  it.scoped(`${role} lets nothing into the message, and what waits go in order behind it`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role)
      const [first, second] = [yield* makeSource, yield* makeSource]
      yield* socket.send("before")
      const sending = [yield* Effect.fork(socket.sendStream(first.message))]
      yield* first.give("a")
      sending.push(yield* Effect.fork(socket.send("1")))
      yield* settled
      sending.push(yield* Effect.fork(socket.sendStream(second.message)))
      yield* second.give("x")
      sending.push(yield* Effect.fork(socket.send("2")), yield* Effect.fork(socket.sendStream(textOf("3"))))
      yield* first.give("b", undefined)
      yield* second.give("y", undefined)
      yield* Fiber.joinAll(sending)
      yield* socket.send("after")
      assert.deepStrictEqual(
        yield* awaitMessages(peer, 7),
        [
          ["text before"],
          ["text+ a", "continuation+ b", "continuation"],
          ["text 1"],
          ["text+ x", "continuation+ y", "continuation"],
          ["text 2"],
          ["text+ 3", "continuation"],
          ["text after"]
        ].flat()
      )
    })
  )

  it.scoped(`${role} holds nobody up before the first fragment`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role)
      const source = yield* makeSource
      const sending = yield* Effect.fork(socket.sendStream(source.message))
      yield* settled
      yield* socket.send("first")
      yield* source.give("a", undefined)
      yield* Fiber.join(sending)
      assert.deepStrictEqual(yield* awaitMessages(peer, 2), ["text first", "text+ a", "continuation"])
    })
  )

  it.scoped(`${role} lets Pings and Pongs pass between fragments`, () =>
    Effect.gen(function* () {
      const { give, peer, sending, socket } = yield* openInMiddle(role)
      yield* socket.sendPing(Uint8Array.of(1))
      yield* socket.pong(Uint8Array.of(2))
      peer.send(peer.frame(opcodes.ping, Uint8Array.of(3)))
      yield* settled
      yield* give("b", undefined)
      assert.isTrue(Exit.isSuccess(yield* Fiber.join(sending)))
      assert.deepStrictEqual(yield* awaitMessages(peer, 1), [
        "text+ a",
        "ping 01",
        "pong 02",
        "pong 03",
        "continuation+ b",
        "continuation"
      ])
    })
  )

  it.scoped(`${role} waits for room before each fragment, and takes no more of the source meanwhile`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role, { socket: { sendHighWaterMark: 1000 }, pair: { highWaterMark: 100 } })
      peer.transport.pause()
      let taken = 0
      const pieces = Stream.map(piecesOf(0, 1, 2, 3, 4, 5, 6, 7, 8, 9), (value) => {
        taken++
        return new Uint8Array(300).fill(value)
      })
      const sending = yield* Effect.fork(socket.sendStream(MessageStream.binary(pieces)))
      yield* settled
      const headers = role === "server" ? 4 : 8
      assert.strictEqual((yield* socket.status).outgoing, 3 * (300 + headers))
      assert.strictEqual(taken, 4)
      peer.transport.resume()
      yield* Fiber.join(sending)
      yield* awaitMessages(peer, 1)
      assert.deepStrictEqual(
        peer.frames.map(({ payload }) => `${payload.length} ${payload[0]}`),
        [...Array.from({ length: 10 }, (_, i) => `300 ${i}`), "0 undefined"]
      )
    })
  )

  it.scoped(`${role} keeps the order of those who wait when the last fragment waits for room among them`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role, { socket: { sendHighWaterMark: 100 }, pair: { highWaterMark: 10 } })
      peer.transport.pause()
      const source = yield* makeSource
      const sending = [yield* Effect.fork(socket.sendStream(source.message))]
      yield* source.give("x".repeat(200))
      for (const text of ["1", "2"]) sending.push(yield* Effect.zipLeft(Effect.fork(socket.send(text)), settled))
      yield* source.give(undefined)
      sending.push(yield* Effect.zipLeft(Effect.fork(socket.send("3")), settled))
      peer.transport.resume()
      yield* Fiber.joinAll(sending)
      const order = (yield* awaitMessages(peer, 4)).slice(1)
      assert.deepStrictEqual(order, ["continuation", "text 1", "text 2", "text 3"])
    })
  )

  it.scoped(`${role} sends several at once from fibers that yield, each as a whole`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role, { socket: { sendHighWaterMark: 50 }, pair: { highWaterMark: 20 } })
      const names = Array.from({ length: 12 }, (_, i) => String.fromCharCode(97 + i))
      const slowly = (name: string) =>
        MessageStream.text(Stream.mapEffect(piecesOf(name, name, name), (text) => Effect.as(settled, text.repeat(30))))
      yield* Effect.forEach(names, (name) => socket.sendStream(slowly(name)), { concurrency: "unbounded" })
      yield* awaitMessages(peer, names.length)
      const messages = peer.frames
        .map(({ fin, payload }) => `${Frames.toText(payload)}${fin ? "|" : ""}`)
        .join("")
        .split("|")
      assert.deepStrictEqual(
        messages.slice(0, -1).sort(),
        names.map((name) => name.repeat(90))
      )
    })
  )
})
