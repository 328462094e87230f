/** Messages that are received piece by piece (RFC 6455 5.4), and what becomes of those who receive beside that. */
import * as WebSocket from "@effect-ws/api/WebSocket"
import type { Message } from "@effect-ws/core/Message"
import { assert, describe, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { open, roles } from "./support/connections.ts"
import * as Frames from "./support/frames.ts"
import { settled } from "./support/leaks.ts"
import {
  fragments,
  held,
  isDone,
  isSuspended,
  messageCost,
  read,
  receive,
  receivePieces,
  textOf
} from "./support/receiving.ts"

const { opcodes } = Frames

describe.each(roles)("WebSocket of a %s: receiveStream", (role) => {
  it.scoped(`${role} reads piece by piece what is in the inbox as a whole`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role)
      peer.send(peer.text("a"), peer.binary(Uint8Array.of(1, 2)), peer.text(""), peer.binary(new Uint8Array(0)))
      yield* settled
      for (const text of ["a", "binary 01 02", "", "binary "]) {
        assert.strictEqual(yield* receivePieces(socket), text)
      }
      assert.strictEqual(yield* held(socket), 0)
    })
  )

  it.scoped(`${role} reads a message that is in progress, and the rest of it as it comes`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role)
      const [first, second, third] = fragments(peer, opcodes.text, "one ", "two ", "three")
      peer.send(first!)
      yield* settled
      const got: Array<string> = []
      const incoming = yield* socket.receiveStream
      assert.strictEqual(incoming._tag, "Text")
      const reading = yield* Effect.fork(
        Stream.runForEach(incoming._tag === "Text" ? incoming.text : Stream.empty, (piece) =>
          Effect.sync(() => got.push(piece))
        )
      )
      yield* settled
      assert.deepStrictEqual(got, ["one "])
      peer.send(second!)
      yield* settled
      assert.deepStrictEqual(got, ["one ", "two "])
      assert.isFalse(yield* isDone(reading))
      peer.send(third!)
      yield* Fiber.join(reading)
      assert.deepStrictEqual(got, ["one ", "two ", "three"])
    })
  )

  it.scoped(`${role} waits for a message, whole or not, and knows its type when it has begun`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role)
      const whole = yield* Effect.fork(receivePieces(socket))
      yield* settled
      peer.sendText("whole")
      assert.strictEqual(yield* Fiber.join(whole), "whole")
      const type = yield* Effect.fork(Effect.scoped(Effect.map(socket.receiveStream, ({ _tag }) => _tag)))
      yield* settled
      peer.send(fragments(peer, opcodes.binary, "a", "b")[0]!)
      assert.strictEqual(yield* Fiber.join(type), "Binary")
    })
  )

  it.scoped(`${role} gives valid pieces of a text that is cut anywhere, in fragments and in chunks`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role)
      const text = "\uFEFFaé€😀\u0000z"
      const bytes = Frames.utf8(text)
      for (let at = 0; at <= bytes.length; at++) {
        for (const isChunked of [false, true]) {
          const reading = yield* Effect.fork(
            Effect.scoped(
              Effect.flatMap(socket.receiveStream, (incoming) =>
                incoming._tag === "Text" ? Stream.runCollect(incoming.text) : Effect.dieMessage("no text")
              )
            )
          )
          yield* settled
          const cut = isChunked ? Frames.concat([peer.text(text)]) : undefined
          const header = cut === undefined ? 0 : cut.length - bytes.length
          const parts =
            cut === undefined
              ? fragments(peer, opcodes.text, bytes.subarray(0, at), bytes.subarray(at))
              : [cut.subarray(0, header + at), cut.subarray(header + at)]
          for (const part of parts) {
            peer.send(part)
            yield* settled
          }
          const pieces = Chunk.toArray(yield* Fiber.join(reading))
          assert.strictEqual(pieces.join(""), text)
          for (const piece of pieces) assert.notMatch(piece, /\uFFFD|^$/)
        }
      }
    })
  )

  it.scoped(
    `${role} reads a text whose bytes come one at a time, in fragments of a byte, with control frames between`,
    () =>
      Effect.gen(function* () {
        const { peer, socket } = yield* open(role, { pair: { readSize: 1 } })
        const text = "é€😀"
        const parts = fragments(
          peer,
          opcodes.text,
          "",
          ...Array.from(Frames.utf8(text), (byte) => Uint8Array.of(byte)),
          ""
        )
        const reading = yield* Effect.fork(receivePieces(socket))
        for (const part of parts) peer.send(part, peer.frame(opcodes.ping, "1"))
        assert.strictEqual(yield* Fiber.join(reading), text)
        yield* settled
        // One Pong for each Ping, or for several that came at once.
        assert.isTrue(peer.said.length > 0 && peer.said.every((frame) => frame === "pong 31"))
      })
  )

  it.scoped(`${role} receives the next message as a whole again, or piece by piece, in a loop`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role, { pair: { readSize: 7 } })
      const texts = Array.from({ length: 30 }, (_, i) => `${i} `.repeat(i))
      for (const text of texts) peer.send(...fragments(peer, opcodes.text, text.slice(0, 3), text.slice(3)))
      const got: Array<string> = []
      for (const i of texts.keys()) got.push(yield* i % 3 === 2 ? receive(socket) : receivePieces(socket))
      assert.deepStrictEqual(got, texts)
    })
  )

  it.scoped(`${role} keeps those who receive meanwhile waiting, asleep, and serves them in order afterwards`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role)
      const got: Array<string> = []
      const note = (name: string) =>
        Effect.zipLeft(Effect.fork(Effect.map(receive(socket), (text) => got.push(name + text))), settled)
      const before = [yield* note("1"), yield* note("2")]
      const left = yield* Deferred.make<void>()
      const reading = yield* Effect.fork(
        Effect.scoped(
          Effect.gen(function* () {
            got.push(yield* read(yield* socket.receiveStream))
            yield* Deferred.await(left)
          })
        )
      )
      yield* settled
      peer.sendText("streamed", "a", "b", "c", "d")
      yield* settled
      const after = [yield* note("3"), yield* note("4")]
      yield* settled
      assert.deepStrictEqual(got, ["streamed"])
      for (const fiber of [...before, ...after]) assert.isTrue(yield* isSuspended(fiber))
      yield* Deferred.succeed(left, undefined)
      yield* Fiber.join(reading)
      yield* Fiber.joinAll([...before, ...after])
      assert.deepStrictEqual(got, ["streamed", "1a", "2b", "3c", "4d"])
    })
  )

  it.scoped(`${role} keeps receiveAll, messages and run waiting meanwhile`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role)
      const got: Array<string> = []
      const note = (message: Message): void => void got.push(textOf(message))
      const takers = [
        Effect.map(socket.receiveAll, (messages) => messages.forEach(note)),
        Stream.runForEach(Stream.take(socket.messages, 1), (message) => Effect.sync(() => note(message))),
        WebSocket.run(socket, note)
      ]
      for (const taker of takers) {
        const scope = yield* Effect.fork(
          Effect.scoped(Effect.zipRight(Effect.flatMap(socket.receiveStream, read), Effect.never))
        )
        peer.sendText("streamed", "next")
        yield* settled
        const taking = yield* Effect.fork(taker)
        yield* settled
        assert.isTrue(yield* isSuspended(taking))
        assert.deepStrictEqual(got, [])
        yield* Fiber.interrupt(scope)
        yield* settled
        assert.deepStrictEqual(got.splice(0), ["next"])
        yield* Fiber.interrupt(taking)
      }
    })
  )

  it.scoped(`${role} lets several who read piece by piece take turns in order of their arrival`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role)
      const got: Array<string> = []
      const fibers: Array<Fiber.RuntimeFiber<unknown, unknown>> = []
      for (const name of ["1", "2", "3", "4"]) {
        fibers.push(yield* Effect.fork(Effect.map(receivePieces(socket), (text) => got.push(name + text))))
        yield* settled
      }
      yield* Fiber.interrupt(fibers[1]!)
      const [first, second] = fragments(peer, opcodes.text, "a", "b")
      peer.send(first!)
      yield* settled
      peer.send(second!, peer.text("c"), first!)
      yield* settled
      peer.send(second!)
      yield* Fiber.joinAll([fibers[0]!, fibers[2]!, fibers[3]!])
      assert.deepStrictEqual(got, ["1ab", "3c", "4ab"])
    })
  )

  it.scoped(`${role} drops the rest of a message that is left early, and the next one comes whole`, () =>
    Effect.gen(function* () {
      const { peer, socket, transport } = yield* open(role, { socket: { inboxHighWaterMark: 1000 } })
      const parts = fragments(peer, opcodes.text, "a", ...Array.from({ length: 50 }, () => "b".repeat(500)), "c")
      peer.send(parts[0]!)
      const first = yield* Effect.scoped(
        Effect.flatMap(socket.receiveStream, (incoming) => Stream.runHead(incoming.bytes))
      )
      assert.deepStrictEqual(first, Option.some(Frames.utf8("a")))
      const next = yield* Effect.fork(receive(socket))
      for (const part of parts.slice(1)) {
        peer.send(part)
        yield* settled
        assert.strictEqual(yield* held(socket), 0)
      }
      assert.isFalse(transport.ledger.isPaused)
      peer.sendText("next")
      assert.strictEqual(yield* Fiber.join(next), "next")
      peer.sendText("last")
      assert.strictEqual(yield* receivePieces(socket), "last")
    })
  )

  it.scoped(`${role} still checks what is dropped`, () =>
    Effect.gen(function* () {
      for (const [opcode, bad, tag] of [
        [opcodes.text, Uint8Array.of(0xff), "ProtocolError"],
        [opcodes.binary, new Uint8Array(200), "MessageTooBig"]
      ] as const) {
        const { peer, socket } = yield* open(role, { socket: { maxMessageSize: 100 } })
        const [first, second] = fragments(peer, opcode, "a", bad)
        peer.send(first!)
        yield* Effect.scoped(socket.receiveStream)
        peer.send(second!)
        assert.strictEqual((yield* Effect.flip(socket.receive))._tag, tag)
      }
    })
  )

  it.scoped(`${role} drops nothing but that message when nothing of it is read`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role)
      peer.sendText("a", "b")
      yield* settled
      yield* Effect.scoped(socket.receiveStream)
      assert.strictEqual(yield* receive(socket), "b")
      assert.strictEqual(yield* held(socket), 0)
    })
  )

  it.scoped(`${role} dies of a stream that is run when its scope has closed, and says so`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role)
      const [first] = fragments(peer, opcodes.text, "a", "b")
      peer.send(peer.text("whole"), first!)
      yield* settled
      for (let i = 0; i < 2; i++) {
        const { bytes } = yield* Effect.scoped(socket.receiveStream)
        const exit = yield* Effect.exit(Stream.runDrain(bytes))
        assert.include(String(Exit.isFailure(exit) && exit.cause), "run its streams inside of that scope")
      }
    })
  )

  it.scoped(`${role} dies of a stream that still waits when its scope closes`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role)
      peer.send(fragments(peer, opcodes.text, "a", "b")[0]!)
      const waiting = yield* Effect.scoped(
        Effect.gen(function* () {
          const { bytes } = yield* socket.receiveStream
          const fiber = yield* Effect.forkDaemon(Stream.runDrain(bytes))
          yield* settled
          return fiber
        })
      )
      const exit = yield* Fiber.await(waiting)
      assert.include(String(Exit.isFailure(exit) && exit.cause), "run its streams inside of that scope")
    })
  )
})

describe.each(roles)("WebSocket of a %s: receiveStream and the mark", (role) => {
  it.scoped(`${role} pauses the transport for a slow reader and resumes it when it reads`, () =>
    Effect.gen(function* () {
      const { peer, socket, transport } = yield* open(role, { socket: { inboxHighWaterMark: 1000 } })
      const payloads = Array.from({ length: 6 }, (_, i) => new Uint8Array(400).fill(i))
      const incoming = yield* Effect.fork(socket.receiveStream)
      for (const frame of fragments(peer, opcodes.binary, ...payloads)) {
        peer.send(frame)
        yield* settled
      }
      assert.deepInclude(yield* socket.status, { incoming: 1200, isPaused: true, state: "open" })
      assert.isTrue(transport.ledger.isPaused)
      const { bytes } = yield* Fiber.join(incoming)
      const all = Frames.concat([...(yield* Stream.runCollect(bytes))])
      assert.deepStrictEqual(all, Frames.concat(payloads))
      assert.deepInclude(yield* socket.status, { incoming: 0, isPaused: false })
      assert.strictEqual(transport.ledger.pauses, 2)
    })
  )

  it.scoped(`${role} stays paused while a large message is read from the inbox, until its bytes are taken`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role, { socket: { inboxHighWaterMark: 1000 } })
      peer.sendText("a".repeat(2000))
      yield* settled
      assert.deepInclude(yield* socket.status, { incoming: 2000 + messageCost, isPaused: true })
      const incoming = yield* socket.receiveStream
      assert.deepInclude(yield* socket.status, { incoming: 2000, isPaused: true })
      yield* read(incoming)
      assert.deepInclude(yield* socket.status, { incoming: 0, isPaused: false })
    })
  )

  it.scoped(`${role} resumes the transport when a reader leaves that has read nothing`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role, { socket: { inboxHighWaterMark: 100 } })
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* Effect.fork(socket.receiveStream)
          yield* settled
          peer.send(fragments(peer, opcodes.text, "a".repeat(200), "b")[0]!)
          yield* settled
          assert.deepInclude(yield* socket.status, { incoming: 200, isPaused: false })
          peer.send(peer.frame(opcodes.continuation, "b".repeat(200), { fin: false }))
          yield* settled
          assert.deepInclude(yield* socket.status, { incoming: 400, isPaused: true })
        })
      )
    })
  )

  it.scoped(`${role} reads 100 MiB through a small mark without ever holding more than that and a chunk`, () =>
    Effect.gen(function* () {
      const size = 100 * 1024 * 1024
      const part = 256 * 1024
      const mark = 64 * 1024
      const readSize = 32 * 1024
      const { peer, socket } = yield* open(role, {
        socket: { inboxHighWaterMark: mark, maxMessageSize: 1024, maxStreamedSize: size },
        pair: { readSize }
      })
      const payload = new Uint8Array(part)
      const write = Effect.gen(function* () {
        for (let at = 0; at < size; at += part) {
          payload.fill(at / part)
          peer.send(
            peer.frame(at === 0 ? opcodes.binary : opcodes.continuation, payload, {
              fin: at + part === size,
              key: role === "server" ? new Uint8Array(4) : undefined
            })
          )
          while (peer.transport.writable > part) yield* Effect.yieldNow()
        }
      })
      const writing = yield* Effect.fork(write)
      let got = 0
      let most = 0
      const { bytes } = yield* socket.receiveStream
      yield* Stream.runForEach(bytes, (piece) =>
        Effect.gen(function* () {
          assert.strictEqual(piece[0], Math.floor(got / part) & 0xff)
          got += piece.length
          if (got % (64 * part) === 0) yield* settled
          most = Math.max(most, yield* held(socket))
        })
      )
      assert.strictEqual(got, size)
      assert.isAtMost(most, mark + readSize)
      assert.isAbove(most, mark)
      yield* Fiber.join(writing)
    })
  )

  it.scoped(`${role} joins pieces of a byte that wait for a slow reader`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role, { pair: { readSize: 1 } })
      const count = 2000
      const { bytes } = yield* Effect.zipRight(
        Effect.sync(() => peer.send(peer.frame(opcodes.binary, "", { fin: false }))),
        socket.receiveStream
      )
      const frames = Array.from({ length: count }, (_, i) =>
        peer.frame(opcodes.continuation, Uint8Array.of(i), { fin: i === count - 1 })
      )
      peer.send(...frames)
      while (peer.transport.writable > 0) yield* Effect.yieldNow()
      const pieces = Chunk.toArray(yield* Stream.runCollect(bytes))
      assert.deepStrictEqual(
        Frames.concat(pieces),
        Uint8Array.from({ length: count }, (_, i) => i)
      )
      // Blocks that double: 128, 256 and so on.
      assert.isAtMost(pieces.length, 6)
    })
  )
})
