/** What a hostile peer may send over an open connection: frames that are none, and masking. */
import { Entropy } from "@effect-ws/api/Entropy"
import * as CloseReason from "@effect-ws/core/CloseReason"
import { assert, describe, it, vi } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import { open, roles } from "./support/connections.ts"
import * as Frames from "./support/frames.ts"
import { leavesNothing, settled } from "./support/leaks.ts"
import type { Peer } from "./support/Peer.ts"
import {
  tagOf,
  assertRefused,
  each,
  key,
  bytesOf,
  header,
  keyOf,
  long,
  repeat,
  openCounting
} from "./support/attacks.ts"

const { opcodes } = Frames
const { continuation, ping, pong, text } = opcodes

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
