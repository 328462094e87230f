/** permessage-deflate (RFC 7692) over an open connection: what is sent and received, what it counts as, and what becomes of its memory. */
import * as MessageStream from "@effect-ws/api/MessageStream"
import * as WebSocket from "@effect-ws/api/WebSocket"
import * as Message from "@effect-ws/core/Message"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import {
  agreements,
  awaitHeard,
  compressed,
  compressedFragments,
  type CompressingOptions,
  heard,
  openCompressing,
  withoutTakeover,
  withTakeover,
  ZlibCodec
} from "./support/compressing.ts"
import { open, roles } from "./support/connections.ts"
import * as Frames from "./support/frames.ts"
import { settled } from "./support/leaks.ts"
import { isDone, read, receive, receivePieces } from "./support/receiving.ts"

/** In bytes: more than is compressed in one turn. */
const large = 300 * 1024

const texts = ["Hello", "Hello", "", '{"a":[1,2,3]}'.repeat(80), "é€😀漢字".repeat(100)]

/** Bytes that nobody compresses. */
const random = (size: number): Uint8Array => {
  let state = 1
  return Uint8Array.from({ length: size }, () => (state = (state * 48271) % 0x7fffffff) >> 8)
}

/** Bytes that get half as long. */
const bytesOf = (size: number): Uint8Array => random(size).map((byte) => byte & 15)

describe.each(roles)("WebSocket of a %s: compressed messages", (role) => {
  for (const [agreement, setting] of agreements) {
    it.scoped(`${role} ${agreement} sends messages of all kinds, each compressed, which the peer understands`, () =>
      Effect.gen(function* () {
        const { peer, socket } = yield* openCompressing(role, { setting })
        for (const text of texts) yield* socket.send(text)
        yield* socket.send(bytesOf(2000))
        yield* socket.send(Message.text("m".repeat(100)))
        yield* socket.send(new DataView(new ArrayBuffer(100), 10, 50))
        const got = yield* awaitHeard(peer, texts.length + 3, setting)
        const told = [
          ...texts.map((text) => `text ${text}`.trimEnd()),
          `binary ${Frames.toHex(bytesOf(2000))}`,
          `text ${"m".repeat(100)}`,
          `binary ${Frames.toHex(new Uint8Array(50))}`
        ]
        assert.deepStrictEqual(
          got.map((text) => text.replace(/^\* /, "")),
          told
        )
        // What gets no shorter goes as it is, unless the peer needs it.
        const plain = got.filter((text) => !text.startsWith("* "))
        assert.deepStrictEqual(plain, setting === withTakeover ? [] : ["text Hello", "text Hello", "text"])
        if (setting === withTakeover) assert.isBelow(peer.frames[1]!.payload.length, peer.frames[0]!.payload.length)
      })
    )

    it.scoped(`${role} ${agreement} receives compressed messages, plain ones among them, in any pieces`, () =>
      Effect.gen(function* () {
        for (const readSize of [1, 7, 1000]) {
          const { peer, socket } = yield* openCompressing(role, { setting, pair: { readSize } })
          const bytes = bytesOf(500)
          for (const text of texts) peer.send(compressed(peer, text), peer.text("plain"))
          peer.send(...compressedFragments(peer, bytes, 50), peer.frame(Frames.opcodes.ping, "p"))
          for (const text of texts)
            assert.deepStrictEqual([yield* receive(socket), yield* receive(socket)], [text, "plain"])
          assert.strictEqual(yield* receive(socket), `binary ${Frames.toHex(bytes)}`)
          assert.deepStrictEqual(yield* peer.awaitFrames(1), ["pong 70"])
          yield* socket.destroy
        }
      })
    )

    it.scoped(`${role} ${agreement} answers a Ping between the fragments of a compressed message`, () =>
      Effect.gen(function* () {
        const { peer, socket } = yield* openCompressing(role, { setting })
        const [first, ...rest] = compressedFragments(peer, bytesOf(500), 50)
        peer.send(first!, peer.frame(Frames.opcodes.ping, "p"), ...rest)
        assert.deepInclude(yield* socket.receive, { byteLength: 500 })
        assert.deepStrictEqual(yield* peer.awaitFrames(1), ["pong 70"])
      })
    )

    it.live(`${role} ${agreement} sends a large message in order, between others, and Pongs meanwhile`, () =>
      Effect.gen(function* () {
        const { peer, socket } = yield* openCompressing(role, { setting, socket: { sendHighWaterMark: 4 * large } })
        const text = "0123456789 é".repeat(large / 12)
        yield* socket.send("before")
        yield* socket.send(text)
        const others = yield* Effect.fork(Effect.zipRight(socket.send(bytesOf(100)), socket.send("after")))
        const got = yield* awaitHeard(peer, 4, setting)
        yield* Fiber.join(others)
        assert.deepStrictEqual(
          got.map((text) => text.replace(/^\* /, "")),
          ["text before", `text ${text}`, `binary ${Frames.toHex(bytesOf(100))}`, "text after"]
        )
        assert.isTrue(got[1]!.startsWith("* "))
      }).pipe(Effect.scoped)
    )

    it.live(`${role} ${agreement} sends a large message as it was, whatever becomes of its bytes`, () =>
      Effect.gen(function* () {
        const { peer, socket } = yield* openCompressing(role, { setting })
        const bytes = bytesOf(large)
        yield* socket.send(bytes)
        bytes.fill(0)
        const [got] = yield* awaitHeard(peer, 1, setting)
        assert.isTrue(got === `* binary ${Frames.toHex(bytesOf(large))}`)
      }).pipe(Effect.scoped)
    )

    it.live(`${role} ${agreement} finishes a large message before it closes`, () =>
      Effect.gen(function* () {
        const { codec, peer, socket } = yield* openCompressing(role, { setting })
        yield* socket.send("a".repeat(large))
        const error = yield* socket.close()
        assert.deepInclude(error, { clean: true, code: 1000 })
        const got = heard(peer, setting)
        assert.isTrue(got[0] === `* text ${"a".repeat(large)}`, got[0]?.slice(0, 40))
        assert.deepStrictEqual(got.slice(1), ["close 1000"])
        yield* settled
        assert.deepStrictEqual([codec.inflaters, codec.deflaters], [0, 0])
      }).pipe(Effect.scoped)
    )

    it.scoped(`${role} ${agreement} receives a compressed message piece by piece, before it is whole`, () =>
      Effect.gen(function* () {
        const { peer, socket } = yield* openCompressing(role, { setting })
        const bytes = random(200_000)
        const pieces = compressedFragments(peer, bytes, 70_000)
        assert.isAbove(pieces.length, 2)
        peer.send(pieces[0]!)
        const incoming = yield* socket.receiveStream
        const got = yield* Queue.unbounded<Uint8Array>()
        const reading = yield* Effect.fork(Stream.runForEach(incoming.bytes, (piece) => Queue.offer(got, piece)))
        yield* settled
        const early = Frames.concat([...(yield* Queue.takeAll(got))])
        assert.isAbove(early.length, 10_000)
        peer.send(...pieces.slice(1))
        yield* Fiber.join(reading)
        assert.deepStrictEqual(Frames.concat([early, ...(yield* Queue.takeAll(got))]), bytes)
      })
    )

    it.scoped(`${role} ${agreement} leaves a compressed message early and receives the next one`, () =>
      Effect.gen(function* () {
        const { peer, socket } = yield* openCompressing(role, { setting })
        const pieces = compressedFragments(peer, random(200_000), 70_000)
        peer.send(pieces[0]!)
        yield* Effect.scoped(socket.receiveStream)
        peer.send(...pieces.slice(1), compressed(peer, "next"))
        assert.strictEqual(yield* receive(socket), "next")
        const text = "é".repeat(5000)
        peer.send(...compressedFragments(peer, text, 10))
        assert.isTrue((yield* Effect.scoped(Effect.flatMap(socket.receiveStream, read))) === text)
      })
    )

    it.scoped(`${role} ${agreement} sends a message piece by piece, each compressed, RSV1 on the first alone`, () =>
      Effect.gen(function* () {
        const { codec, peer, socket } = yield* openCompressing(role, { setting })
        const pieces = yield* Queue.unbounded<string>()
        const sending = yield* Effect.fork(
          socket.sendStream(MessageStream.text(Stream.take(Stream.fromQueue(pieces), 3)))
        )
        for (const piece of ["Hel", "lo, ", "world"]) {
          yield* Queue.offer(pieces, piece)
          yield* settled
        }
        yield* Fiber.join(sending)
        yield* socket.send("after, after, after, after")
        const got = yield* awaitHeard(peer, 2, setting)
        assert.deepStrictEqual(got, ["* text Hello, world", "* text after, after, after, after"])
        const [first, ...rest] = peer.frames.slice(0, -1)
        assert.deepInclude(first, { opcode: 1, rsv: 4, fin: false })
        for (const frame of rest) assert.deepInclude(frame, { opcode: 0, rsv: 0 })
        assert.isAbove(rest.length, 1)
        // Without takeover the message has a compressor of its own, until it is over.
        assert.strictEqual(codec.deflaters, setting === withTakeover ? 1 : 0)
      })
    )

    it.scoped(`${role} ${agreement} bounds the frames of a compressed message`, () =>
      Effect.gen(function* () {
        const { peer, socket } = yield* openCompressing(role, { setting, socket: { fragmentSize: 100 } })
        yield* socket.send(bytesOf(5000))
        const [got] = yield* awaitHeard(peer, 1, setting)
        assert.strictEqual(got, `* binary ${Frames.toHex(bytesOf(5000))}`)
        assert.isAbove(peer.frames.length, 2)
        for (const [index, { payload, rsv }] of peer.frames.entries()) {
          assert.isAtMost(payload.length, 100)
          assert.strictEqual(rsv, index === 0 ? 4 : 0)
        }
      })
    )

    it.scoped(
      `${role} ${agreement} still compresses the replies to the messages in front of the peer's Close frame`,
      () =>
        Effect.gen(function* () {
          const { codec, peer, socket } = yield* openCompressing(role, { setting })
          peer.send(compressed(peer, "a".repeat(100)))
          peer.sendClose(1000)
          yield* Effect.ignore(WebSocket.run(socket, (message) => socket.send(message)))
          yield* peer.awaitFrames(2)
          assert.deepStrictEqual(heard(peer, setting), [`* text ${"a".repeat(100)}`, "close 1000"])
          yield* settled
          assert.deepStrictEqual([codec.inflaters, codec.deflaters], [0, 0])
        })
    )
  }

  it.scoped(`${role} counts what waits as it goes out, and what is received as it is read`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* openCompressing(role, { pair: { highWaterMark: 1 } })
      peer.transport.pause()
      yield* socket.send("a".repeat(10_000))
      yield* settled
      const { outgoing } = yield* socket.status
      assert.isAbove(outgoing, 10)
      assert.isBelow(outgoing, 100)
      peer.transport.resume()
      yield* awaitHeard(peer, 1)
      peer.send(compressed(peer, "b".repeat(10_000)))
      yield* settled
      assert.strictEqual((yield* socket.status).incoming, 10_000 + 128)
    })
  )

  it.scoped(`${role} pauses reading above the mark of what comes out of the compressed messages`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* openCompressing(role, { socket: { inboxHighWaterMark: 15_000 } })
      const message = compressed(peer, "b".repeat(10_000))
      for (const isPaused of [false, true]) {
        peer.send(message)
        yield* settled
        assert.strictEqual((yield* socket.status).isPaused, isPaused)
      }
      yield* Effect.replicateEffect(socket.receive, 2)
      assert.isFalse((yield* socket.status).isPaused)
    })
  )

  for (const whenFull of ["suspend", "drop", "fail"] as const) {
    it.scoped(`${role} told to ${whenFull} judges by the size before compression whether there is room`, () =>
      Effect.gen(function* () {
        const options: CompressingOptions = {
          socket: { sendHighWaterMark: 1000, whenFull },
          pair: { highWaterMark: 1 }
        }
        const { codec, peer, socket } = yield* openCompressing(role, options)
        peer.transport.pause()
        yield* socket.send("a".repeat(900))
        const { taken } = codec
        const second = yield* Effect.fork(Effect.either(socket.send("b".repeat(1000))))
        yield* settled
        assert.strictEqual(codec.taken, taken, "what isn't sent isn't compressed")
        assert.strictEqual(yield* isDone(second), whenFull !== "suspend")
        assert.strictEqual((yield* socket.status).dropped, whenFull === "drop" ? 1 : 0)
        peer.transport.resume()
        const outcome = yield* Fiber.join(second)
        assert.strictEqual(outcome._tag, whenFull === "fail" ? "Left" : "Right")
        yield* socket.send("c".repeat(100))
        const got = yield* awaitHeard(peer, whenFull === "suspend" ? 3 : 2)
        assert.deepStrictEqual(
          got.map((text) => text.slice(0, 8)),
          whenFull === "suspend" ? ["* text a", "* text b", "* text c"] : ["* text a", "* text c"]
        )
      })
    )
  }

  it.scoped(`${role} closes with 1009 for a message that is above the limit when it is whole again`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* openCompressing(role, { socket: { maxMessageSize: 1000 } })
      peer.send(compressed(peer, "a".repeat(1000)), compressed(peer, "a".repeat(1001)))
      assert.strictEqual(yield* receive(socket), "a".repeat(1000))
      assert.deepInclude(yield* Effect.flip(socket.receive), { _tag: "MessageTooBig", limit: 1000 })
      assert.deepStrictEqual(
        (yield* peer.awaitFrames(1)).map((text) => text.slice(0, 10)),
        ["close 1009"]
      )
    })
  )

  it.scoped(
    `${role} that waits to take a message piece by piece gets one that turns out large, in one chunk or many`,
    () =>
      Effect.gen(function* () {
        const { peer, socket } = yield* openCompressing(role, {
          setting: withoutTakeover,
          socket: { maxMessageSize: 1000, maxStreamedSize: 50_000 }
        })
        const text = "large ".repeat(8000)
        for (const cut of [Infinity, 20]) {
          const waiting = yield* Effect.fork(receivePieces(socket))
          yield* settled
          const frame = compressed(peer, text)
          for (let at = 0; at < frame.length; at += cut) peer.send(frame.slice(at, at + cut))
          assert.strictEqual(yield* Fiber.join(waiting), text)
        }
        // Who takes messages as a whole gets none that is too large.
        const whole = yield* Effect.fork(Effect.flip(socket.receive))
        yield* settled
        peer.send(compressed(peer, text))
        assert.deepInclude(yield* Fiber.join(whole), { _tag: "MessageTooBig", limit: 1000 })
      })
  )

  it.scoped(`${role} takes a compressed message above maxMessageSize piece by piece, up to maxStreamedSize`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* openCompressing(role, {
        socket: { maxMessageSize: 1000, maxStreamedSize: 50_000 }
      })
      for (const size of [50_000, 50_001]) {
        const [first, ...rest] = compressedFragments(peer, bytesOf(size), 200)
        peer.send(first!)
        const reading = yield* Effect.fork(Effect.either(receivePieces(socket)))
        yield* settled
        peer.send(...rest)
        const got = yield* Fiber.join(reading)
        if (size === 50_000) assert.isTrue((yield* got) === `binary ${Frames.toHex(bytesOf(size))}`)
        else assert.deepInclude(yield* Either.flip(got), { _tag: "MessageTooBig", limit: 50_000 })
      }
    })
  )
})

describe.each(roles)("WebSocket of a %s: prepared messages and compression", (role) => {
  const text = "once for all.".repeat(50)

  const members = (codec: ZlibCodec, ...all: ReadonlyArray<Partial<CompressingOptions>>) =>
    Effect.forEach(all, (options) => openCompressing(role, { codec, ...options }))

  it.scoped(`${role} compresses a prepared message once for all whose parameters allow it`, () =>
    Effect.gen(function* () {
      const codec = new ZlibCodec()
      const all = yield* members(codec, ...Array.from({ length: 5 }, () => ({})))
      const prepared = WebSocket.prepare(text)
      for (const { socket } of [...all, ...all]) yield* socket.send(prepared)
      for (const { peer } of all) {
        assert.deepStrictEqual(yield* awaitHeard(peer, 2), Array(2).fill(`* text ${text}`))
      }
      assert.strictEqual(codec.deflations, 1)
    })
  )

  it.scoped(`${role} broadcasts to those who compress once, and to the others as they can`, () =>
    Effect.gen(function* () {
      const codec = new ZlibCodec()
      const [a, b, remembering, declining, choosy] = yield* members(
        codec,
        {},
        {},
        { setting: withTakeover },
        { says: "" },
        { setting: { threshold: 10_000 } }
      )
      const plain = yield* open(role)
      const all = [a!, b!, remembering!, declining!, choosy!, plain]
      for (let i = 0; i < 2; i++) {
        yield* WebSocket.broadcast(
          all.map(({ socket }) => socket),
          text
        )
      }
      const told = yield* Effect.forEach(all, ({ peer }) =>
        awaitHeard(peer, 2, peer === remembering!.peer ? withTakeover : withoutTakeover)
      )
      const [short, long] = [Array(2).fill(`* text ${text}`), Array(2).fill(`text ${text}`)]
      assert.deepStrictEqual(told, [short, short, short, long, long, long])
      // Each broadcast: once for both, and once for the one that remembers.
      assert.strictEqual(codec.deflations, 4)
    })
  )

  it.scoped(`${role} compresses a prepared message once for each window`, () =>
    Effect.gen(function* () {
      const codec = new ZlibCodec()
      const own = role === "server" ? "serverMaxWindowBits" : "clientMaxWindowBits"
      const word = role === "server" ? "server_max_window_bits" : "client_max_window_bits"
      const forget = "server_no_context_takeover; client_no_context_takeover"
      const windows = [9, 9, 12, 12, 15].map((bits) => ({
        setting: { threshold: 0, [own]: bits },
        says:
          role === "server"
            ? "permessage-deflate; client_max_window_bits"
            : `permessage-deflate; ${forget}; ${word}=${bits}`
      }))
      const all = yield* members(codec, ...windows)
      const prepared = WebSocket.prepare(text)
      for (const { peer, socket } of all) {
        yield* socket.send(prepared)
        assert.deepStrictEqual(yield* awaitHeard(peer, 1), [`* text ${text}`])
      }
      assert.strictEqual(codec.deflations, 3)
    })
  )

  it.scoped(`${role} compresses nothing that is prepared to go as it is`, () =>
    Effect.gen(function* () {
      const codec = new ZlibCodec()
      const [member] = yield* members(codec, { setting: withTakeover })
      const { peer, socket } = member!
      const plain = WebSocket.prepare(text, { compress: false })
      yield* socket.send(plain)
      yield* socket.send(WebSocket.prepare(plain))
      yield* socket.send(WebSocket.prepare(WebSocket.prepare(text), { compress: false }))
      assert.deepStrictEqual(yield* awaitHeard(peer, 3, withTakeover), [
        `text ${text}`,
        `* text ${text}`,
        `text ${text}`
      ])
      assert.strictEqual(codec.deflations, 1)
    })
  )
})
