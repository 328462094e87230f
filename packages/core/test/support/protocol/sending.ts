/** RFC 6455 5.3, 6.1: what is written, in which memory, under which masking key. */
import { assert, describe, it } from "vitest"
import type { ByteOps } from "../../../src/ByteOps.ts"
import * as Frame from "../../../src/Frame.ts"
import * as Message from "../../../src/Message.ts"
import { ConnectionPair } from "../ConnectionPair.ts"
import { CountingByteOps } from "../CountingByteOps.ts"
import {
  eachByte,
  endpoint,
  eventsOf,
  framesOf,
  inEveryCut,
  outputOf,
  peerOfRole,
  roles,
  sentBy
} from "../Endpoints.ts"
import { concat, hex, sequence, toHex, utf8 } from "../Hex.ts"
import { Wire } from "../Wire.ts"

const sizes = [0, 1, 3, 31, 32, 33, 64, 125, 126, 4081, 4082, 4090, 4092, 4096, 4097, 16384, 65535, 65536, 100_000]

export const sending = (byteOps: ByteOps): void => {
  describe("5.3 masking", () => {
    it("client asks for a key for every frame, and for no other reason", () => {
      let asked = 0
      const protocol = endpoint("client", byteOps, { maskingKeys: () => ++asked })
      protocol.sendText("a")
      protocol.sendText("b".repeat(60))
      protocol.sendText("c".repeat(6000))
      protocol.sendBinary(sequence(5))
      protocol.sendBinary(sequence(50_000))
      protocol.sendMessage(Message.binary(sequence(6)))
      protocol.sendMessage(Message.binary(sequence(60_000)))
      protocol.sendMessage(Message.fromPieces(Frame.Binary, [sequence(2), sequence(2)], 4, byteOps))
      protocol.ping(hex("01"))
      protocol.pong(new Uint8Array(0))
      protocol.receive(new Wire("server").ping("x"))
      protocol.close({ code: 1000, reason: "" })
      const keys = framesOf(protocol).map(({ key }) => toHex(key!))
      assert.strictEqual(asked, 12)
      assert.deepStrictEqual(
        keys,
        Array.from({ length: 12 }, (_, index) => `00 00 00 ${(index + 1).toString(16).padStart(2, "0")}`)
      )
    })

    it("client writes a key as it was drawn, whatever its sign", () => {
      for (const key of [0x80000000, 0xdeadbeef, -1, 0x37fa213d | 0, 0xffffffff, 1]) {
        const protocol = endpoint("client", byteOps, { maskingKeys: () => key })
        protocol.sendBinary(sequence(300))
        const [frame] = framesOf(protocol)
        assert.strictEqual(
          toHex(frame!.key!),
          toHex(hex((key >>> 0).toString(16).padStart(8, "0").replace(/../g, "$& ")))
        )
        assert.deepStrictEqual(frame!.payload, sequence(300))
      }
    })

    it("client may draw the key 0, and masks with it", () => {
      const protocol = endpoint("client", byteOps, { maskingKeys: () => 0 })
      protocol.sendText("Hello")
      assert.strictEqual(toHex(outputOf(protocol)), "81 85 00 00 00 00 48 65 6c 6c 6f")
    })

    it("server accepts the key 0, and one key for all frames", () => {
      for (const key of ["00 00 00 00", "01 02 03 04"]) {
        const peer = new Wire("client", hex(key))
        const bytes = concat([peer.text("Hello"), peer.ping("x"), peer.text("Hello"), peer.binary(sequence(100))])
        const outcome = inEveryCut(() => endpoint("server", byteOps), bytes)
        assert.deepStrictEqual(outcome.events, [
          "Text Hello",
          "Ping 78",
          "Text Hello",
          `Binary ${toHex(sequence(100))}`
        ])
      }
    })

    for (const role of roles) {
      it(`${role} never alters the bytes that it was given, and needs them no longer`, () => {
        for (const size of sizes) {
          const protocol = endpoint(role, byteOps)
          const bytes = sequence(size)
          const control = sequence(Math.min(size, 125))
          protocol.sendBinary(bytes)
          protocol.ping(control)
          protocol.pong(control)
          assert.deepStrictEqual(bytes, sequence(size))
          assert.deepStrictEqual(control, sequence(control.length))
          bytes.fill(0xaa)
          control.fill(0xaa)
          const payloads = framesOf(protocol).map(({ payload }) => payload)
          assert.deepStrictEqual(payloads, [
            sequence(size),
            sequence(payloads[1]!.length),
            sequence(payloads[2]!.length)
          ])
        }
      })

      it(`${role} never alters a message, however it sends it`, () => {
        for (const size of sizes) {
          const whole = sequence(size)
          const cut = size >> 1
          const message = Message.fromPieces(Frame.Binary, [whole.slice(0, cut), whole.slice(cut)], size, byteOps)
          const protocol = endpoint(role, byteOps)
          protocol.sendMessage(message)
          protocol.sendMessage(Message.binary(whole))
          assert.deepStrictEqual(
            framesOf(protocol).map(({ payload }) => payload),
            [sequence(size), sequence(size)]
          )
          assert.deepStrictEqual(concat(message.pieces), sequence(size))
          assert.deepStrictEqual(whole, sequence(size))
        }
      })

      it(`${role} sends exactly the bytes of a view, wherever it lies`, () => {
        const protocol = endpoint(role, byteOps)
        const words = Uint16Array.from({ length: 40 }, (_, index) => index * 257)
        const middle = words.subarray(3, 20)
        protocol.sendBinary(new Uint8Array(middle.buffer, middle.byteOffset, middle.byteLength))
        protocol.sendBinary(sequence(9000).subarray(17, 8000))
        protocol.sendMessage(Message.binary(sequence(9000).subarray(17, 8000)))
        assert.deepStrictEqual(
          framesOf(protocol).map(({ payload }) => payload),
          [new Uint8Array(middle.slice().buffer), sequence(9000).slice(17, 8000), sequence(9000).slice(17, 8000)]
        )
      })
    }
  })

  describe("5.6 data frames", () => {
    const texts = ["", "a", "é", "€".repeat(13), "€".repeat(14), "€".repeat(41), "€".repeat(42), "x".repeat(41)]
    const longTexts = ["x".repeat(42), "x".repeat(125), "x".repeat(126), "😀".repeat(5000), "é".repeat(32768)]
    const torn = ["\ud800", "\udc00", "a\ud800b", "\ud800\ud800\udc00", "\udc00".repeat(50), "x".repeat(50) + "\ud83d"]

    for (const role of roles) {
      it(`${role} sends text, and a lone surrogate as U+FFFD`, () => {
        const protocol = endpoint(role, byteOps)
        for (const text of [...texts, ...longTexts, ...torn]) {
          protocol.sendText(text)
          protocol.sendMessage(Message.text(text))
          const frames = framesOf(protocol)
          for (const frame of frames) {
            assert.deepStrictEqual([frame.fin, frame.opcode], [true, 1])
            assert.deepStrictEqual(frame.payload, utf8(text))
          }
          assert.strictEqual(frames.length, 2)
        }
      })

      it(`${role} sends messages of all kinds and sizes, which the peer receives`, () => {
        const pair = new ConnectionPair(byteOps)
        for (const text of [...texts, ...longTexts]) pair.sendText(role, text)
        for (const size of sizes) pair.sendBinary(role, sequence(size))
        for (const size of sizes) pair.sendMessage(role, Message.binary(sequence(size)))
        pair.ping(role, sequence(9))
        pair.assertReceivedEqualsSent()
      })

      it(`${role} passes on what it received, fragmented or not, without decoding the text`, () => {
        const counting = new CountingByteOps(byteOps)
        const peer = peerOfRole(role)
        const protocol = endpoint(role, counting)
        const parts = Array.from({ length: 300 }, (_, index) => peer.continuation(`${index},`, false))
        const chunks = [peer.text("aé"), peer.text("x", false), ...parts, peer.continuation("z".repeat(9000))]
        for (const chunk of chunks) protocol.receive(chunk)
        for (const event of protocol.takeEvents()) protocol.sendMessage(event as Message.Message)
        assert.deepStrictEqual([counting.decodedTexts, counting.encodedTexts], [0, 0])
        const long = `x${Array.from({ length: 300 }, (_, index) => `${index},`).join("")}${"z".repeat(9000)}`
        assert.deepStrictEqual(
          framesOf(protocol).map(({ payload }) => payload),
          [utf8("aé"), utf8(long)]
        )
      })

      it(`${role} and its peer talk at the same time, cut into single bytes`, () => {
        const pair = new ConnectionPair(byteOps, eachByte)
        for (const side of roles) {
          pair.sendText(side, `from the ${side}`)
          pair.sendBinary(side, sequence(300))
        }
        pair.ping(role, hex("01"))
        pair.settle()
        pair.close(role, { code: 1000, reason: "bye" })
        pair.assertReceivedEqualsSent()
      })
    }
  })

  describe("6.1 the pieces of the output", () => {
    for (const role of roles) {
      it(`${role} writes many small frames as one piece`, () => {
        const protocol = endpoint(role, new CountingByteOps(byteOps))
        for (let index = 0; index < 100; index++) {
          protocol.sendText(`message ${index}`)
          protocol.sendBinary(sequence(10))
          protocol.ping(hex("01"))
        }
        const pending = protocol.pendingOutput
        const pieces = protocol.takeOutput()
        assert.strictEqual(pieces.length, 1)
        assert.strictEqual(pieces[0]!.length, pending)
        assert.deepStrictEqual([protocol.pendingOutput, protocol.takeOutput().length], [0, 0])
      })

      it(`${role} writes a small message that came in fragments as one piece with its neighbours`, () => {
        const protocol = endpoint(role, new CountingByteOps(byteOps))
        protocol.sendText("before")
        const pieces = Array.from({ length: 20 }, (_, index) => sequence(index))
        protocol.sendMessage(Message.fromPieces(Frame.Binary, pieces, 190, byteOps))
        protocol.sendText("after")
        const output = protocol.takeOutput()
        assert.strictEqual(output.length, 1)
      })

      it(`${role} shares memory with another connection, and their bytes don't mix`, () => {
        const one = endpoint(role, byteOps)
        const other = endpoint(role, byteOps)
        const expected: [Array<string>, Array<string>] = [[], []]
        for (let index = 0; index < 2000; index++) {
          const bytes = sequence(index % 50)
          one.sendBinary(bytes)
          expected[0].push(`2 ${toHex(bytes)}`.trim())
          if (index % 3 === 0) continue
          other.sendText(`n${index}`)
          expected[1].push(`1 ${toHex(utf8(`n${index}`))}`)
        }
        assert.deepStrictEqual([sentBy(one), sentBy(other)], expected)
      })

      it(`${role} never writes again to what it has handed out`, () => {
        const one = endpoint(role, byteOps)
        const taken: Array<Uint8Array> = []
        const copies: Array<string> = []
        for (let index = 0; index < 3000; index++) {
          one.sendBinary(sequence(index % 40))
          if (index % 7 !== 0) continue
          const pieces = one.takeOutput()
          taken.push(...pieces)
          copies.push(...pieces.map(toHex))
        }
        assert.deepStrictEqual(taken.map(toHex), copies)
      })

      it(`${role} counts the output that is pending`, () => {
        const protocol = endpoint(role, byteOps)
        for (const size of sizes) {
          protocol.sendBinary(sequence(size))
          protocol.sendMessage(Message.binary(sequence(size)))
          protocol.sendText("y".repeat(size))
        }
        assert.strictEqual(protocol.pendingOutput, outputOf(protocol).length)
        assert.strictEqual(protocol.pendingOutput, 0)
      })

      it(`${role} never shows old memory in its output`, () => {
        const protocol = endpoint(role, new CountingByteOps(byteOps), role === "client" ? { maskingKeys: () => 0 } : {})
        for (const size of sizes) {
          protocol.sendBinary(new Uint8Array(size))
          protocol.sendText("\u0001".repeat(size))
          protocol.sendMessage(Message.binary(new Uint8Array(size)))
        }
        assert.isFalse(framesOf(protocol).some(({ payload }) => payload.includes(0xee)))
      })
    }

    it("server passes a large message on by reference", () => {
      const protocol = endpoint("server", byteOps)
      const bytes = sequence(10_000)
      protocol.sendText("before")
      protocol.sendMessage(Message.binary(bytes))
      protocol.sendText("after")
      const pieces = protocol.takeOutput()
      assert.deepStrictEqual(
        pieces.map(({ length }) => length),
        [8 + 4, 10_000, 7]
      )
      assert.strictEqual(pieces[1], bytes)
    })

    it("server allocates nothing for a large message, a client one copy", () => {
      const message = Message.fromPieces(Frame.Binary, [sequence(100_000), sequence(50_000)], 150_000, byteOps)
      for (const [role, limit] of [
        ["server", 0],
        ["client", 150_014]
      ] as const) {
        const counting = new CountingByteOps(byteOps)
        const protocol = endpoint(role, counting)
        const before = counting.allocatedBytes
        protocol.sendMessage(message)
        assert.isAtMost(counting.allocatedBytes - before, limit)
        assert.strictEqual(counting.maskedBytes, role === "client" ? 150_000 : 0)
      }
    })
  })

  describe("events", () => {
    it("server hands out events once, and never adds to what it handed out", () => {
      const protocol = endpoint("server", byteOps)
      const nothing = protocol.takeEvents()
      protocol.receive(peerOfRole("server").text("a"))
      assert.strictEqual(nothing.length, 0)
      assert.deepStrictEqual(eventsOf(protocol), ["Text a"])
      assert.deepStrictEqual(eventsOf(protocol), [])
    })
  })
}
