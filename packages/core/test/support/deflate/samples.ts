/** RFC 7692 7.2.3: the examples, byte by byte. */
import { assert, describe, it } from "vitest"
import type { ByteOps } from "../../../src/ByteOps.ts"
import * as Frame from "../../../src/Frame.ts"
import { inEveryCut, roles } from "../Endpoints.ts"
import { concat, hex, utf8 } from "../Hex.ts"
import { agreements, compressedFrame, compressing, noTakeover, rsv1, sentCompressedBy, takeover } from "./Compressed.ts"

/** Messages that come, as payloads of frames, and what they say. */
const received: ReadonlyArray<readonly [title: string, payloads: ReadonlyArray<string>, says: string]> = [
  ["7.2.3.1 one compressed block", ["f2 48 cd c9 c9 07 00"], "Text Hello"],
  ["7.2.3.1 one compressed block in two fragments", ["f2 48 cd", "c9 c9 07 00"], "Text Hello"],
  ["7.2.3.3 a block without compression", ["00 05 00 fa ff 48 65 6c 6c 6f 00"], "Text Hello"],
  ["7.2.3.4 a block with BFINAL", ["f3 48 cd c9 c9 07 00 00"], "Text Hello"],
  ["7.2.3.5 two blocks", ["f2 48 05 00 00 00 ff ff ca c9 c9 07 00"], "Text Hello"],
  ["7.2.3.6 an empty block", ["00"], "Text "],
  ["7.2.3.6 an empty block with fixed codes", ["02 00"], "Text "],
  ["an empty block with BFINAL", ["03 00 00"], "Text "],
  ["several blocks with BFINAL", ["f3 48 cd c9 c9 07 00 f3 48 cd c9 c9 07 00 00"], "Text HelloHello"],
  ["a block with BFINAL that the tail completes", ["f2 48 cd c9 c9 07 00 00 00 ff ff 01"], "Text Hello"],
  ["fragments without payload", ["", "f2 48 cd c9", "", "c9 07 00", ""], "Text Hello"]
]

export const samples = (byteOps: ByteOps): void => {
  describe("7.2.3 the examples", () => {
    for (const role of roles) {
      for (const [agreement, parameters] of agreements) {
        const make = () => compressing(role, byteOps, { parameters })

        for (const [title, payloads, says] of received) {
          it(`${role} ${agreement} receives ${title}`, () => {
            const frames = framesOf(payloads)
            const outcome = inEveryCut(make, concat(frames.map((frame) => compressedFrame(role, frame))))
            assert.deepStrictEqual([outcome.events, outcome.output, outcome.state], [[says], "", "Open"])
          })
        }

        it(`${role} ${agreement} receives all of them on one connection, plain messages between them`, () => {
          const all = received.flatMap(([, payloads]) => [
            ...framesOf(payloads).map((frame) => compressedFrame(role, frame)),
            compressedFrame(role, { opcode: Frame.Text, rsv: 0, payload: utf8("plain") })
          ])
          const { events } = inEveryCut(make, concat(all))
          assert.deepStrictEqual(
            events,
            received.flatMap(([, , says]) => [says, "Text plain"])
          )
        })

        it(`${role} ${agreement} sends 7.2.3.1 one compressed block and 7.2.3.6 an empty one`, () => {
          const sender = make()
          sender.sendText("Hello")
          assert.deepStrictEqual(sentCompressedBy(sender), [
            parameters === takeover ? "R1 1 f2 48 cd c9 c9 07 00" : "1 48 65 6c 6c 6f"
          ])
          const empty = make()
          empty.sendText("")
          assert.deepStrictEqual(sentCompressedBy(empty), [parameters === takeover ? "R1 1 00" : "1"])
          empty.sendFragment("Text", utf8(""), true)
          assert.deepStrictEqual(sentCompressedBy(empty), ["R1 1 00"])
        })

        it(`${role} ${agreement} sends 7.2.3.5 two blocks as two fragments`, () => {
          const sender = make()
          sender.sendFragment("Text", utf8("He"), false)
          sender.sendFragment("Text", utf8("llo"), true)
          assert.deepStrictEqual(sentCompressedBy(sender), ["-R1 1 f2 48 05 00 00 00 ff ff", "0 ca c9 c9 07 00"])
        })
      }

      it(`${role} receives 7.2.3.2 a message that shares the window of the one before`, () => {
        const hello = compressedFrame(role, { opcode: Frame.Text, payload: hex("f2 48 cd c9 c9 07 00") })
        const again = compressedFrame(role, { opcode: Frame.Text, payload: hex("f2 00 11 00 00") })
        const remembering = () => compressing(role, byteOps, { parameters: takeover })
        assert.deepStrictEqual(inEveryCut(remembering, concat([hello, again, again])).events, [
          "Text Hello",
          "Text Hello",
          "Text Hello"
        ])
        const forgetting = () => compressing(role, byteOps, { parameters: noTakeover })
        assert.deepStrictEqual(inEveryCut(forgetting, concat([hello, again])).events, [
          "Text Hello",
          "Failed InvalidCompressedData"
        ])
      })

      it(`${role} sends 7.2.3.2 a message that shares the window of the one before`, () => {
        const sender = compressing(role, byteOps, { parameters: takeover })
        sender.sendText("Hello")
        sender.sendText("Hello")
        assert.deepStrictEqual(sentCompressedBy(sender), ["R1 1 f2 48 cd c9 c9 07 00", "R1 1 f2 00 11 00 00"])
      })
    }
  })
}

const framesOf = (payloads: ReadonlyArray<string>) =>
  payloads.map((payload, index) => ({
    fin: index === payloads.length - 1,
    opcode: index === 0 ? Frame.Text : Frame.Continuation,
    rsv: index === 0 ? rsv1 : 0,
    payload: hex(payload)
  }))
