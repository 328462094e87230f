/** What a hostile peer may send over an open connection, and what a caller may ask of it that it must not do. */
import { ByteOps } from "@effect-ws/api/ByteOps"
import * as ConnectionOptions from "@effect-ws/api/ConnectionOptions"
import { Entropy } from "@effect-ws/api/Entropy"
import * as WebSocket from "@effect-ws/api/WebSocket"
import type { WebSocketError } from "@effect-ws/api/WebSocketError"
import type * as Core from "@effect-ws/core/ByteOps"
import { portable } from "@effect-ws/core/ByteOps"
import * as CloseReason from "@effect-ws/core/CloseReason"
import { assert, describe, it, vi } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"
import { open, type OpenOptions, type Role, roles } from "./support/connections.ts"
import * as Frames from "./support/frames.ts"
import { leavesNothing, settled } from "./support/leaks.ts"
import type { Peer } from "./support/Peer.ts"

const { opcodes } = Frames
const { continuation, ping, pong, text } = opcodes

const tagOf = (error: WebSocketError): string => (error._tag === "ProtocolError" ? error.reason._tag : error._tag)

/** Asserts that the connection ends with this fault and tells the peer, once and with this code. */
const assertRefused = (
  role: Role,
  code: number,
  tag: string,
  send: (peer: Peer) => void,
  options: OpenOptions = {}
): Effect.Effect<WebSocketError, unknown> =>
  leavesNothing(
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role, options)
      send(peer)
      const error = yield* socket.closed
      assert.strictEqual(tagOf(error), tag)
      assert.strictEqual(yield* Effect.flip(socket.receive), error)
      assert.deepStrictEqual([peer.said.length, peer.said[0]?.slice(0, 10)], [1, `close ${code}`])
      return error
    })
  )

const each = <A>(values: Iterable<A>, assertOne: (value: A) => Effect.Effect<unknown, unknown>) =>
  Effect.forEach(values, assertOne, { discard: true })

const key = Uint8Array.of(1, 2, 3, 4)
const bytesOf = (count: number, byte = 0x61): Uint8Array => new Uint8Array(count).fill(byte)

/** A header alone, as this peer writes it: with the bytes of the length, without the key. */
const header = (peer: Peer, first: number, short: number, ...length: ReadonlyArray<number>): Uint8Array =>
  Uint8Array.of(first, peer.role === "client" ? 0x80 | short : short, ...length)

const keyOf = (peer: Peer): Uint8Array => (peer.role === "client" ? key : new Uint8Array(0))

/** The eight bytes of a length. */
const long = (length: number): Array<number> =>
  Array.from({ length: 8 }, (_, i) => Math.floor(length / 2 ** (56 - 8 * i)) % 256)

const repeat = (bytes: Uint8Array, count: number): Uint8Array => {
  const all = new Uint8Array(bytes.length * count)
  for (let i = 0; i < count; i++) all.set(bytes, i * bytes.length)
  return all
}

/** Functions on bytes that count what is allocated, and hand it out full of old content. */
const counting = (): Core.ByteOps & { allocated: number; masked: number } => {
  const ops = {
    ...portable,
    allocated: 0,
    masked: 0,
    mask: (bytes: Uint8Array, start: number, end: number, maskingKey: number, phase: number) => {
      ops.masked += end - start
      portable.mask(bytes, start, end, maskingKey, phase)
    },
    allocate: (size: number) => {
      ops.allocated += size
      return bytesOf(size, 0xee)
    }
  }
  return ops
}

const openCounting = (role: Role, options: OpenOptions = {}) =>
  Effect.suspend(() => {
    const ops = counting()
    return Effect.map(Effect.provideService(open(role, options), ByteOps, ops), (opened) => {
      // What all connections share was allocated with the first one.
      ops.allocated = 0
      return { ...opened, ops }
    })
  })

describe.each(roles)("Attack cases of framing: %s", (role) => {
  it.effect(`${role} fails the connection for a frame that is masked as its own would be (attack case 31)`, () => {
    const tag = role === "server" ? "UnmaskedFrame" : "MaskedFrame"
    const wrong = { key: role === "server" ? undefined : key }
    return each([text, opcodes.binary, ping, opcodes.close], (opcode) =>
      assertRefused(role, 1002, tag, (peer) => peer.send(peer.frame(opcode, "", wrong)))
    )
  })

  it.effect(`${role} fails the connection for any reserved bit of any frame (attack case 32)`, () =>
    each([1, 2, 3, 4, 5, 6, 7], (rsv) =>
      Effect.all([
        ...[text, opcodes.binary, ping, pong, opcodes.close].map((opcode) =>
          assertRefused(role, 1002, "ReservedBits", (peer) => peer.send(peer.frame(opcode, "", { rsv })))
        ),
        assertRefused(role, 1002, "ReservedBits", (peer) =>
          peer.send(peer.frame(text, "a", { fin: false }), peer.frame(continuation, "b", { rsv }))
        )
      ])
    )
  )

  it.effect(`${role} fails the connection for a reserved opcode at two bytes of its header (attack case 33)`, () =>
    each([3, 4, 5, 6, 7, 11, 12, 13, 14, 15], (opcode) =>
      assertRefused(role, 1002, "ReservedOpcode", (peer) => peer.send(header(peer, 0x80 | opcode, 127)))
    )
  )

  it.effect(
    `${role} fails the connection for a control frame that is long or in parts, at its header (attack case 34)`,
    () =>
      each([opcodes.close, ping, pong], (opcode) =>
        Effect.all([
          assertRefused(role, 1002, "ControlFrameTooLong", (peer) => peer.send(header(peer, 0x80 | opcode, 126))),
          assertRefused(role, 1002, "ControlFrameTooLong", (peer) => peer.send(header(peer, 0x80 | opcode, 127))),
          assertRefused(role, 1002, "FragmentedControlFrame", (peer) => peer.send(header(peer, opcode, 5)))
        ])
      )
  )

  it.effect(`${role} fails the connection for fragments out of order (attack case 35)`, () =>
    Effect.all([
      ...[true, false].map((fin) =>
        assertRefused(role, 1002, "UnexpectedContinuation", (peer) => peer.send(peer.frame(continuation, "a", { fin })))
      ),
      ...[text, opcodes.binary].map((opcode) =>
        assertRefused(role, 1002, "ExpectedContinuation", (peer) =>
          peer.send(peer.frame(text, "a", { fin: false }), peer.frame(opcode, "b"))
        )
      )
    ])
  )

  it.effect(`${role} delivers what came in front of a fault in the same chunk (attack case 35)`, () =>
    leavesNothing(
      Effect.gen(function* () {
        const { peer, socket } = yield* open(role)
        peer.send(peer.text("a"), peer.text("b"), peer.frame(continuation, "c"), peer.text("d"))
        assert.deepInclude(yield* socket.receive, { text: "a" })
        assert.deepInclude(yield* socket.receive, { text: "b" })
        assert.strictEqual(tagOf(yield* Effect.flip(socket.receive)), "UnexpectedContinuation")
      })
    )
  )

  it.effect(`${role} fails the connection for a length that is no length (attack case 36)`, () => {
    const withLength = (short: number, length: ReadonlyArray<number>) => (peer: Peer) =>
      peer.send(header(peer, 0x82, short, ...length), keyOf(peer))
    return Effect.all([
      ...[0, 1, 125].map((size) => assertRefused(role, 1002, "NonMinimalLength", withLength(126, [0, size]))),
      ...[0, 125, 126, 65_535].map((size) =>
        assertRefused(role, 1002, "NonMinimalLength", withLength(127, long(size)))
      ),
      assertRefused(role, 1002, "LengthOutOfRange", withLength(127, [0x80, 0, 0, 0, 0, 0, 0, 1])),
      assertRefused(role, 1002, "LengthOutOfRange", withLength(127, [255, 255, 255, 255, 255, 255, 255, 255])),
      // The RFC allows these: they are too large for anybody, and not wrong.
      assertRefused(role, 1009, "MessageTooBig", withLength(127, long(2 ** 53))),
      assertRefused(role, 1009, "MessageTooBig", withLength(127, [127, 255, 255, 255, 255, 255, 255, 255]))
    ])
  })

  it.effect(`${role} refuses a size as soon as it is announced, and reserves nothing for one (attack case 37)`, () =>
    Effect.gen(function* () {
      const error = yield* assertRefused(role, 1009, "MessageTooBig", (peer) =>
        peer.send(header(peer, 0x82, 127, ...long(16 * 1024 * 1024 + 1)), keyOf(peer))
      )
      assert.deepInclude(error, { limit: 16 * 1024 * 1024, size: 16 * 1024 * 1024 + 1 })
      yield* leavesNothing(
        Effect.gen(function* () {
          const { ops, peer, socket } = yield* openCounting(role)
          peer.send(header(peer, 0x82, 127, ...long(16 * 1024 * 1024)), keyOf(peer))
          yield* settled
          assert.strictEqual(ops.allocated, 0)
          for (let i = 0; i < 1000; i++) peer.send(Uint8Array.of(i & 255))
          yield* settled
          yield* settled
          assert.isAbove(ops.allocated, 999)
          assert.isBelow(ops.allocated, 3 * 1000)
          assert.deepInclude(yield* socket.status, { state: "open", incoming: 0 })
          // Nothing else can follow it.
          peer.destroy()
        })
      )
    })
  )

  it.effect(`${role} refuses fragments as soon as they can't fit together (attack case 38)`, () =>
    Effect.gen(function* () {
      const options = { socket: { maxMessageSize: 1000 } }
      const error = yield* assertRefused(
        role,
        1009,
        "MessageTooBig",
        (peer) =>
          peer.send(
            peer.frame(opcodes.binary, bytesOf(600), { fin: false }),
            peer.frame(continuation, bytesOf(400), { fin: false }),
            header(peer, 0, 1),
            keyOf(peer)
          ),
        options
      )
      assert.deepInclude(error, { limit: 1000, size: 1001 })
      yield* leavesNothing(
        Effect.gen(function* () {
          const { peer, socket } = yield* open(role, options)
          peer.send(peer.frame(opcodes.binary, bytesOf(600), { fin: false }), peer.frame(continuation, bytesOf(400)))
          assert.strictEqual((yield* socket.receive).byteLength, 1000)
        })
      )
    })
  )

  it.effect(`${role} takes 100 000 fragments, for memory in proportion to their bytes (attack case 41)`, () =>
    leavesNothing(
      Effect.gen(function* () {
        const count = 100_000
        const { ops, peer, socket } = yield* openCounting(role)
        for (const payload of ["", "a"]) {
          ops.allocated = 0
          peer.send(peer.frame(opcodes.binary, payload, { fin: false }))
          peer.send(repeat(peer.frame(continuation, payload, { fin: false }), count))
          yield* settled
          assert.isAtMost(ops.allocated, 3 * count * payload.length)
          peer.send(peer.frame(continuation, payload))
          const { byteLength, bytes } = yield* socket.receive
          assert.strictEqual(byteLength, (count + 2) * payload.length)
          assert.isTrue(bytes.every((byte) => byte === 0x61))
        }
      })
    )
  )

  it.effect(`${role} ends a connection whose message never does, with 1008 (attack case 41)`, () =>
    leavesNothing(
      Effect.gen(function* () {
        const { ops, peer, socket } = yield* openCounting(role)
        peer.send(peer.frame(text, "", { fin: false }))
        for (let minute = 0; minute < 5; minute++) {
          peer.send(repeat(peer.frame(continuation, "", { fin: false }), 1000))
          yield* settled
          assert.deepInclude(yield* socket.status, { state: "open", incoming: 0 })
          yield* TestClock.adjust("1 minute")
        }
        yield* TestClock.adjust("15 seconds")
        assert.deepInclude(yield* socket.closed, { _tag: "ConnectionTimeout", phase: "message" })
        assert.deepStrictEqual(peer.said, ["close 1008 message timeout"])
        // The Close frame is the only thing that was written.
        assert.isBelow(ops.allocated, 100)
      })
    )
  )

  it.effect(`${role} looks at each byte of a frame once that comes byte by byte (attack case 42)`, () =>
    leavesNothing(
      Effect.gen(function* () {
        const { ops, peer, socket } = yield* openCounting(role, { pair: { readSize: 1 } })
        const payload = "aé€😀".repeat(1000)
        const size = Frames.utf8(payload).length
        peer.sendText(payload)
        assert.deepInclude(yield* socket.receive, { text: payload })
        assert.strictEqual(ops.masked, role === "server" ? size : 0)
        assert.isAtMost(ops.allocated, 3 * size)
      })
    )
  )

  const invalid: ReadonlyArray<[what: string, bytes: string]> = [
    ["a lone continuation byte", "61 80"],
    ["an overlong U+002F", "c0 af"],
    ["an overlong U+0000 of four bytes", "f0 80 80 80"],
    ["a surrogate", "ed a0 80"],
    ["a pair of surrogates", "ed a0 bd ed b8 80"],
    ["U+110000", "f4 90 80 80"],
    ["a byte that never is", "61 ff"],
    ["a code point cut short", "e2 82 28"]
  ]

  it.effect(`${role} fails the connection for text that isn't UTF-8, in one frame (attack case 43)`, () =>
    each([...invalid, ["the beginning of a code point", "61 e2 82"]], ([, bytes]) =>
      assertRefused(role, 1007, "InvalidUtf8", (peer) => peer.send(peer.frame(text, Frames.hex(bytes))))
    )
  )

  it.effect(
    `${role} fails the connection for such text before its message has ended, split anywhere (attack case 43)`,
    () =>
      each(invalid, ([, hex]) => {
        const bytes = Frames.hex(hex)
        return each(bytes.keys(), (at) =>
          assertRefused(role, 1007, "InvalidUtf8", (peer) =>
            peer.send(
              peer.frame(text, bytes.subarray(0, at), { fin: false }),
              peer.frame(continuation, bytes.subarray(at), { fin: false })
            )
          )
        )
      })
  )

  it.effect(`${role} fails the connection inside of a frame, when the rest of it hasn't come (attack case 43)`, () =>
    each(invalid, ([, hex]) =>
      assertRefused(role, 1007, "InvalidUtf8", (peer) => {
        const frame = peer.frame(text, Frames.concat([Frames.hex(hex), bytesOf(100)]))
        peer.send(frame.subarray(0, frame.length - 90))
      })
    )
  )

  it.effect(`${role} takes code points that are cut in two by fragments and chunks (attack case 43)`, () =>
    leavesNothing(
      Effect.gen(function* () {
        const { peer, socket } = yield* open(role, { pair: { readSize: 1 } })
        const whole = Frames.utf8("aé€😀")
        for (const at of whole.keys()) {
          peer.send(
            peer.frame(text, whole.subarray(0, at), { fin: false }),
            peer.frame(continuation, whole.subarray(at))
          )
          assert.deepInclude(yield* socket.receive, { text: "aé€😀" })
        }
      })
    )
  )

  it.effect(`${role} fails the connection for a Close frame that says what none may say (attack case 44)`, () =>
    Effect.all([
      assertRefused(role, 1002, "ClosePayloadTooShort", (peer) =>
        peer.send(peer.frame(opcodes.close, Uint8Array.of(3)))
      ),
      ...[0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535].map((code) =>
        assertRefused(role, 1002, "InvalidCloseCode", (peer) => peer.send(peer.close(code)))
      ),
      ...["c3 28", "ed a0 80", "e2 82"].map((bytes) =>
        assertRefused(role, 1007, "InvalidCloseReason", (peer) =>
          peer.send(peer.frame(opcodes.close, Frames.concat([Frames.hex("03 e8"), Frames.hex(bytes)])))
        )
      )
    ])
  )

  it.effect(`${role} answers each code that may be said with the same (attack case 44)`, () =>
    each([1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999], (code) =>
      leavesNothing(
        Effect.gen(function* () {
          const { peer, socket } = yield* open(role)
          peer.sendClose(code, "why")
          yield* peer.awaitFrames(1)
          if (role === "client") peer.end()
          assert.deepInclude(yield* socket.closed, { _tag: "ConnectionClosed", received: { code, reason: "why" } })
          assert.deepStrictEqual(peer.said, [`close ${code}`])
        })
      )
    )
  )

  it.effect(`${role} doesn't send a Close frame that none may send, and lives on (attack case 44)`, () =>
    leavesNothing(
      Effect.gen(function* () {
        const { peer, socket } = yield* open(role)
        const wrong: ReadonlyArray<[code: number, reason: string, tag: string]> = [
          ...[0, 999, 1004, 1006, 1015, 1016, 2999, 5000, 1000.5, Number.NaN].map(
            (code) => [code, "", "ForbiddenCloseCode"] as [number, string, string]
          ),
          [1005, "why", "ForbiddenCloseCode"],
          [1000, "x".repeat(124), "CloseReasonTooLong"],
          [1000, "é".repeat(62), "CloseReasonTooLong"]
        ]
        for (const [code, reason, tag] of wrong) {
          const refused = CloseReason.make(code, reason)
          assert.strictEqual("_tag" in refused ? refused._tag : "none", tag)
          const exit = yield* Effect.exit(socket.close({ code, reason }))
          assert.isTrue(Exit.isFailure(exit) && Cause.isDie(exit.cause), `${code}`)
        }
        yield* socket.send("still there")
        assert.deepStrictEqual(yield* peer.awaitFrames(1), ["text still there"])
        assert.deepStrictEqual(CloseReason.make(4999, "x".repeat(123)), { code: 4999, reason: "x".repeat(123) })
      })
    )
  )

  it.effect(`${role} neither reads nor answers what comes behind a Close frame (attack case 45)`, () =>
    leavesNothing(
      Effect.gen(function* () {
        const { peer, socket } = yield* open(role)
        peer.send(peer.text("before"), peer.close(1000), peer.text("after"), peer.frame(ping, "1"), "ff ff ff")
        peer.sendClose(1011)
        assert.deepInclude(yield* socket.receive, { text: "before" })
        const fiber = yield* Effect.fork(Effect.flip(socket.receive))
        yield* peer.awaitFrames(1)
        peer.send(repeat(peer.frame(ping, "2"), 10), peer.close(1002))
        if (role === "client") peer.end()
        assert.deepInclude(yield* Fiber.join(fiber), { _tag: "ConnectionClosed", received: { code: 1000, reason: "" } })
        yield* socket.closed
        assert.deepStrictEqual(peer.said, ["close 1000"])
      })
    )
  )

  it.effect(`${role} reads on behind its own Close frame until the peer's has come (attack case 45)`, () =>
    leavesNothing(
      Effect.gen(function* () {
        const { peer, socket } = yield* open(role, { peer: { polite: false } })
        const closing = yield* Effect.fork(socket.close())
        yield* peer.awaitFrames(1)
        for (const expected of ["a", "b", "c"]) {
          peer.sendText(expected)
          assert.deepInclude(yield* socket.receive, { text: expected })
        }
        peer.sendClose(1000)
        peer.sendText("d")
        peer.end()
        assert.deepInclude(yield* Fiber.join(closing), { clean: true, initiator: "local" })
        assert.deepInclude(yield* Effect.flip(socket.receive), { _tag: "ConnectionClosed" })
      })
    )
  )
})

describe.each(roles)("Attack cases of control frames and bytes: %s", (role) => {
  it.effect(`${role} holds one Pong for all the Pings of a peer that doesn't read, the newest (attack case 46)`, () =>
    leavesNothing(
      Effect.gen(function* () {
        const { peer, socket } = yield* open(role, { pair: { readSize: 4096 } })
        peer.transport.pause()
        const payload = (i: number) => Frames.concat([Frames.utf8(`${i}`.padStart(5, "0")), bytesOf(120)])
        const [count, atOnce, pongSize] = [10_000, 20, role === "server" ? 127 : 131]
        for (let i = 0; i < count; i += atOnce) {
          peer.send(...Array.from({ length: atOnce }, (_, j) => peer.frame(ping, payload(i + j))))
          yield* settled
        }
        const { outgoing, state } = yield* socket.status
        assert.strictEqual(state, "open")
        // What the transport takes until it says that it is full.
        assert.isBelow(outgoing, 16 * 1024 + atOnce * pongSize)
        peer.transport.resume()
        const newest = `pong ${Frames.toHex(payload(count - 1))}`
        yield* peer.until("the newest Pong", () => peer.said.at(-1) === newest)
        assert.isBelow(peer.frames.length, (16 * 1024) / pongSize + atOnce + 2)
      })
    )
  )

  it.effect(`${role} holds nothing of the Pongs that nobody asked for (attack case 47)`, () =>
    leavesNothing(
      Effect.gen(function* () {
        const { ops, peer, socket, transport } = yield* openCounting(role)
        for (let i = 0; i < 10; i++) {
          peer.send(repeat(peer.frame(pong, bytesOf(i * 12)), 10_000))
          yield* settled
          assert.deepInclude(yield* socket.status, { incoming: 0, outgoing: 0, state: "open" })
        }
        assert.strictEqual(ops.allocated, 0)
        assert.deepStrictEqual([peer.said, transport.ledger.pauses], [[], 0])
        peer.sendText("and now")
        assert.deepInclude(yield* socket.receive, { text: "and now" })
      })
    )
  )

  it.effect(`${role} leaves the caller's bytes alone, and is done with them when send is (attack case 49)`, () =>
    leavesNothing(
      Effect.gen(function* () {
        const { peer, socket } = yield* open(role, { pair: { highWaterMark: 10_000_000 } })
        const sizes = [1, 3, 125, 126, 4096, 4097, 70_000]
        for (const size of sizes) {
          const bytes = bytesOf(size)
          yield* socket.send(bytes)
          assert.isTrue(bytes.every((byte) => byte === 0x61))
          bytes.fill(0x7a)
          if (size > 125) continue
          const control = bytesOf(size)
          yield* socket.sendPing(control)
          control.fill(0x7a)
        }
        yield* peer.awaitFrames(sizes.length + 3)
        const data = peer.frames.filter(({ opcode }) => opcode === opcodes.binary)
        assert.deepStrictEqual(
          data.map(({ payload }) => payload.length),
          sizes
        )
        for (const { payload } of peer.frames) assert.isTrue(payload.every((byte) => byte === 0x61))
      })
    )
  )

  it.effect(`${role} leaves alone the bytes that wait for room, until send is done (attack case 49)`, () =>
    leavesNothing(
      Effect.gen(function* () {
        const { peer, socket } = yield* open(role, { socket: { sendHighWaterMark: 100 }, pair: { highWaterMark: 100 } })
        peer.transport.pause()
        yield* socket.send(bytesOf(200))
        const bytes = bytesOf(300)
        const sending = yield* Effect.fork(socket.send(bytes))
        yield* settled
        assert.isTrue(Option.isNone(yield* sending.poll))
        peer.transport.resume()
        yield* Fiber.join(sending)
        assert.isTrue(bytes.every((byte) => byte === 0x61))
        bytes.fill(0x7a)
        yield* peer.awaitFrames(2)
        assert.isTrue(peer.frames[1]!.payload.every((byte) => byte === 0x61))
      })
    )
  )

  it.effect(`${role} never writes to a message that it has delivered (attack case 50)`, () =>
    leavesNothing(
      Effect.gen(function* () {
        for (const readSize of [7, 4096, undefined]) {
          const { peer, socket } = yield* open(role, { pair: { readSize } })
          const sizes = [1, 20, 64, 65, 600, 1024, 5000, 9000]
          for (const [i, size] of sizes.entries()) peer.send(peer.binary(bytesOf(size, i)))
          const messages = yield* Effect.replicateEffect(socket.receive, sizes.length)
          peer.send(...sizes.map((size) => peer.binary(bytesOf(size, 0xff))))
          yield* Effect.replicateEffect(socket.receive, sizes.length)
          for (const [i, size] of sizes.entries()) {
            const { bytes } = messages[i]!
            assert.deepStrictEqual([bytes.length, bytes.every((byte) => byte === i)], [size, true])
          }
        }
      })
    )
  )

  it.effect(`${role} sends the bytes that a view shows, and no other memory (attack case 51)`, () =>
    leavesNothing(
      Effect.gen(function* () {
        const { peer, socket } = yield* openCounting(role)
        const memory = Uint8Array.from({ length: 64 }, (_, i) => i)
        const { buffer } = memory
        const views: ReadonlyArray<[WebSocket.Sendable, from: number, to: number]> = [
          [buffer, 0, 64],
          [new DataView(buffer, 3, 5), 3, 8],
          [new Uint16Array(buffer, 2, 4), 2, 10],
          [new Float64Array(buffer, 8, 2), 8, 24],
          [new BigInt64Array(buffer, 16), 16, 64],
          [memory.subarray(9, 9), 9, 9],
          [memory.subarray(63), 63, 64]
        ]
        for (const [view] of views) yield* socket.send(view)
        for (const [view] of views) yield* socket.send(WebSocket.prepare(view))
        const said = yield* peer.awaitFrames(2 * views.length)
        const expected = views.map(([, from, to]) => `binary ${Frames.toHex(memory.subarray(from, to))}`.trim())
        assert.deepStrictEqual(said, [...expected, ...expected])
      })
    )
  )
})

describe("Attack cases of masking", () => {
  it.effect("server reads frames with a key of zeros, and with the same one again (attack case 48)", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { peer, socket } = yield* open("server")
        for (const repeated of [new Uint8Array(4), key]) {
          peer.send(...["a", "bc", "x".repeat(1000)].map((payload) => peer.frame(text, payload, { key: repeated })))
          for (const length of [1, 2, 1000]) assert.strictEqual((yield* socket.receive).byteLength, length)
          peer.send(peer.frame(ping, "1", { key: repeated }))
        }
        assert.deepStrictEqual(yield* peer.awaitFrames(2), ["pong 31", "pong 31"])
      })
    )
  )

  it.effect("client masks each frame with four bytes of Entropy that it uses for nothing else (attack case 48)", () =>
    leavesNothing(
      Effect.gen(function* () {
        const drawn: Array<Uint8Array> = []
        const source = {
          fill: (bytes: Uint8Array) => {
            crypto.getRandomValues(bytes)
            drawn.push(bytes.slice())
          }
        }
        const { peer, socket } = yield* Effect.provideService(open("client"), Entropy, source)
        for (let i = 0; i < 700; i++) yield* i % 3 === 0 ? socket.sendPing() : socket.send("x".repeat(i))
        yield* peer.awaitFrames(700)
        // The first 16 are those of the key of the handshake.
        const words = Frames.concat(drawn).subarray(16)
        const keys = Frames.concat(peer.frames.map((frame) => frame.key!))
        assert.deepStrictEqual(keys, words.slice(0, keys.length))
      })
    )
  )

  it.effect("client draws from the generator of the platform unless it is told otherwise (attack case 48)", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { peer, socket } = yield* open("client")
        const draw = vi.spyOn(crypto, "getRandomValues")
        for (let i = 0; i < 300; i++) yield* socket.send("a")
        yield* peer.awaitFrames(300)
        const drawn = draw.mock.calls.length
        draw.mockRestore()
        assert.isAbove(drawn, 0)
      })
    )
  )
})

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
