/** RFC 7692 6.1, 7.2.1: which messages are compressed, and how they are framed. */
import { assert, describe, it } from "vitest"
import type { ByteOps } from "../../../src/ByteOps.ts"
import * as Frame from "../../../src/Frame.ts"
import * as Message from "../../../src/Message.ts"
import * as PreparedMessage from "../../../src/PreparedMessage.ts"
import type * as Protocol from "../../../src/Protocol.ts"
import { peerOf, type Role } from "../../../src/Role.ts"
import { eventsOf, outputOf, roles } from "../Endpoints.ts"
import { concat, sequence, toHex, utf8 } from "../Hex.ts"
import { readFrames, type WireFrame } from "../Wire.ts"
import {
  agreements,
  compressing,
  noTakeover,
  type Parameters,
  sentCompressedBy,
  type Settings,
  takeover
} from "./Compressed.ts"
import { ZlibCodec } from "./ZlibCodec.ts"

export const sending = (byteOps: ByteOps): void => {
  describe("6.1 which messages are compressed", () => {
    for (const role of roles) {
      const make = (parameters: Parameters, threshold = 0) => compressing(role, byteOps, { parameters, threshold })

      it(`${role} compresses from the threshold on, whatever a message is made of`, () => {
        const sends: ReadonlyArray<(to: Protocol.Protocol, size: number) => boolean> = [
          (to, size) => to.sendText("a".repeat(size)),
          (to, size) => to.sendBinary(new Uint8Array(size)),
          (to, size) => to.sendMessage(Message.text("a".repeat(size))),
          (to, size) => to.sendMessage(Message.binary(new Uint8Array(size))),
          (to, size) => to.sendPrepared(PreparedMessage.make("a".repeat(size)))
        ]
        for (const [, parameters] of agreements) {
          for (const send of sends) {
            const sender = make(parameters, 30)
            for (const size of [0, 9, 10, 11, 29, 30, 31, 5000]) assert.isTrue(send(sender, size))
            assert.deepStrictEqual(
              readFrames(outputOf(sender)).map(({ rsv }) => rsv),
              [0, 0, 0, 0, 0, 4, 4, 4]
            )
          }
        }
      })

      it(`${role} counts the threshold in bytes, not in characters`, () => {
        const sender = make(noTakeover, 30)
        for (const text of ["€".repeat(9), "€".repeat(10)]) sender.sendText(text)
        assert.deepStrictEqual(
          readFrames(outputOf(sender)).map(({ payload, rsv }) => [payload.length < 30, rsv]),
          [
            [true, 0],
            [true, 4]
          ]
        )
      })

      it(`${role} sends what gets no shorter as it is, unless the peer needs it for what follows`, () => {
        for (const [parameters, rsv] of [
          [noTakeover, 0],
          [takeover, 4]
        ] as const) {
          const sender = make(parameters)
          const bytes = crypto.getRandomValues(new Uint8Array(200))
          sender.sendBinary(bytes)
          sender.sendPrepared(PreparedMessage.make(bytes))
          sender.sendMessage(Message.binary(bytes))
          const frames = readFrames(outputOf(sender))
          assert.deepStrictEqual(
            frames.map((frame) => frame.rsv),
            [rsv, rsv, rsv]
          )
          if (rsv === 0) for (const { payload } of frames) assert.deepStrictEqual(payload, bytes)
          else assert.isBelow(frames[1]!.payload.length, 20)
        }
      })

      it(`${role} never alters the bytes that it is given, and needs them no longer`, () => {
        const bytes = new Uint8Array(300).fill(7)
        const sender = make(takeover)
        const receiver = compressing(peerOf(role), byteOps, { parameters: takeover })
        sender.sendBinary(bytes)
        assert.deepStrictEqual(bytes, new Uint8Array(300).fill(7))
        bytes.fill(8)
        sender.sendBinary(bytes)
        receiver.receive(outputOf(sender))
        assert.deepStrictEqual(
          eventsOf(receiver),
          [7, 8].map((n) => `Binary ${toHex(new Uint8Array(300).fill(n))}`)
        )
      })

      it(`${role} with a window of 8 bits of its own sends all messages as they are, and receives compressed ones`, () => {
        const own = role === "server" ? "serverMaxWindowBits" : "clientMaxWindowBits"
        for (const [, agreement] of agreements) {
          const parameters = { ...agreement, [own]: 8 }
          const codec = new ZlibCodec()
          const sender = compressing(role, byteOps, { parameters, codec })
          sender.sendText("a".repeat(100))
          sender.sendFragment("Text", utf8("b"), true)
          sender.sendPrepared(PreparedMessage.make("c".repeat(100)))
          assert.deepStrictEqual(
            readFrames(outputOf(sender)).map(({ rsv }) => rsv),
            [0, 0, 0]
          )
          const peer = compressing(peerOf(role), byteOps, { parameters, codec })
          peer.sendText("d".repeat(100))
          sender.receive(outputOf(peer))
          assert.deepStrictEqual(eventsOf(sender), [`Text ${"d".repeat(100)}`])
          assert.notInclude(codec.asked.join(), "deflater 8")
        }
      })

      it(`${role} compresses with its own window, and expects that of its peer`, () => {
        const codec = new ZlibCodec()
        const parameters = { ...takeover, serverMaxWindowBits: 9, clientMaxWindowBits: 12 }
        const one = compressing(role, byteOps, { parameters, codec })
        one.sendText("a")
        const [sends, receives] = role === "server" ? [9, 12] : [12, 9]
        assert.sameMembers(codec.asked, [`deflater ${sends} takeover`, `inflater ${receives} takeover`])
        const parametersOfNone = { ...noTakeover, serverMaxWindowBits: 9, clientMaxWindowBits: 12 }
        const none = new ZlibCodec()
        const other = compressing(role, byteOps, { parameters: parametersOfNone, codec: none })
        other.sendText("a")
        assert.deepStrictEqual(none.asked, [`deflater ${sends}`])
      })
    }
  })

  describe("6.1 fragments", () => {
    for (const role of roles) {
      for (const [agreement, parameters] of agreements) {
        it(`${role} ${agreement} compresses fragments, RSV1 on the first frame alone`, () => {
          const { frames, received } = exchange(role, byteOps, { parameters, threshold: 1000 }, (sender) => {
            sender.sendFragment("Text", utf8("He"), false)
            sender.ping(utf8("p"))
            sender.sendFragment("Text", utf8(""), false)
            sender.sendFragment("Text", utf8("llo"), false)
            sender.sendFragment("Text", utf8(""), true)
            sender.sendFragment("Binary", utf8("Hello"), true)
          })
          assert.deepStrictEqual(
            frames.map(({ fin, opcode, rsv }) => [fin, opcode, rsv]),
            [
              [false, Frame.Text, 4],
              [true, Frame.Ping, 0],
              [false, Frame.Continuation, 0],
              [false, Frame.Continuation, 0],
              [true, Frame.Continuation, 0],
              [true, Frame.Binary, 4]
            ]
          )
          assert.deepStrictEqual(received, ["Ping 70", "Text Hello", "Binary 48 65 6c 6c 6f"])
        })

        it(`${role} ${agreement} cuts a compressed message into frames of the size that was set`, () => {
          const bytes = sequence(3000).map((byte, index) => byte ^ (index >> 4))
          const settings = { parameters, fragmentSize: 100 }
          const { frames, received } = exchange(role, byteOps, settings, (sender) => {
            sender.sendBinary(bytes)
            sender.sendFragment("Binary", bytes, false)
            sender.sendFragment("Binary", bytes, true)
            sender.sendPrepared(PreparedMessage.make(bytes))
            sender.sendText("a".repeat(1000))
          })
          assert.isTrue(frames.every(({ payload }) => payload.length <= 100))
          assert.isAbove(frames.length, 10)
          for (const { opcode, rsv } of frames) assert.strictEqual(rsv, opcode === Frame.Continuation ? 0 : 4)
          assert.strictEqual(frames.filter(({ fin }) => fin).length, 4)
          const told = `Binary ${toHex(bytes)}`
          const twice = `Binary ${toHex(concat([bytes, bytes]))}`
          assert.deepStrictEqual(received, [told, twice, told, `Text ${"a".repeat(1000)}`])
        })

        it(`${role} ${agreement} sends nothing else inside a compressed message`, () => {
          const sender = compressing(role, byteOps, { parameters })
          sender.sendFragment("Text", utf8("He"), false)
          assert.isFalse(sender.sendText("x") || sender.sendBinary(utf8("x")))
          assert.isFalse(sender.sendPrepared(PreparedMessage.make("x")) || sender.sendMessage(Message.text("x")))
          sender.sendFragment("Text", utf8("llo"), true)
          assert.deepStrictEqual(sentCompressedBy(sender), ["-R1 1 f2 48 05 00 00 00 ff ff", "0 ca c9 c9 07 00"])
        })
      }
    }
  })

  describe("6.1 prepared messages", () => {
    for (const role of roles) {
      const text = "once for all, ".repeat(30)

      it(`${role} compresses a prepared message once for all peers without takeover and with the same window`, () => {
        const codec = new ZlibCodec()
        const prepared = PreparedMessage.make(text)
        for (const bits of [15, 15, 15, 10, 10, 15]) {
          const parameters = { ...noTakeover, serverMaxWindowBits: bits, clientMaxWindowBits: bits }
          const { frames, received } = exchange(role, byteOps, { codec, parameters }, (sender) => {
            sender.sendPrepared(prepared)
            sender.sendPrepared(prepared)
          })
          assert.deepStrictEqual(received, [`Text ${text}`, `Text ${text}`])
          assert.deepStrictEqual(
            frames.map(({ rsv }) => rsv),
            [4, 4]
          )
        }
        assert.strictEqual(codec.deflations, 2)
      })

      it(`${role} compresses a prepared message for each peer that remembers, and not for one below the threshold`, () => {
        const codec = new ZlibCodec()
        const prepared = PreparedMessage.make(text)
        for (const settings of [
          { parameters: takeover, threshold: 0 },
          { parameters: takeover, threshold: 0 },
          { parameters: noTakeover, threshold: 1000 }
        ]) {
          const { received } = exchange(role, byteOps, { codec, ...settings }, (sender) =>
            sender.sendPrepared(prepared)
          )
          assert.deepStrictEqual(received, [`Text ${text}`])
        }
        assert.strictEqual(codec.deflations, 2)
      })
    }
  })
}

interface Exchange {
  readonly frames: ReadonlyArray<WireFrame>
  readonly received: ReadonlyArray<string>
}

/** What goes over the wire, and what the peer makes of it. */
const exchange = (
  role: Role,
  byteOps: ByteOps,
  settings: Settings,
  send: (sender: Protocol.Protocol) => unknown
): Exchange => {
  const sender = compressing(role, byteOps, settings)
  send(sender)
  const bytes = outputOf(sender)
  const receiver = compressing(peerOf(role), byteOps, { parameters: settings.parameters ?? noTakeover })
  receiver.receive(bytes.slice())
  return { frames: readFrames(bytes), received: eventsOf(receiver) }
}
