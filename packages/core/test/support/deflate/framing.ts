/** RFC 7692 6, 7.2: RSV1, fragments with control frames between them, and text after it was decompressed. */
import { assert, describe, it } from "vitest"
import type { ByteOps } from "../../../src/ByteOps.ts"
import * as Frame from "../../../src/Frame.ts"
import { endpoint, inEveryCut, peerOfRole, roles } from "../Endpoints.ts"
import { concat, hex, sequence, toHex, utf8 } from "../Hex.ts"
import { agreements, compressedFrame, compressing, deflated, rsv1 } from "./Compressed.ts"

export const framing = (byteOps: ByteOps): void => {
  describe("7.2 the reserved bits", () => {
    const hello = hex("f2 48 cd c9 c9 07 00")
    for (const role of roles) {
      const peer = peerOfRole(role)
      const make = () => compressing(role, byteOps)
      const refuses = (bytes: Uint8Array, by = make) => {
        const { closeSent, events } = inEveryCut(by, bytes)
        assert.strictEqual(events.at(-1), "Failed ReservedBits")
        assert.propertyVal(closeSent, "code", 1002)
        return events
      }

      it(`${role} refuses RSV1 where nothing was agreed on`, () => {
        const plain = () => endpoint(role, byteOps)
        assert.lengthOf(refuses(compressedFrame(role, { opcode: Frame.Text, payload: hello }), plain), 1)
      })

      it(`${role} refuses RSV1 on a continuation, of a compressed message or a plain one`, () => {
        for (const rsv of [rsv1, 0]) {
          const first = peer.frame({ fin: false, rsv, opcode: Frame.Binary, payload: hello.subarray(0, 3) })
          for (const fin of [true, false]) {
            const next = compressedFrame(role, { fin, opcode: Frame.Continuation, payload: hello.subarray(3) })
            assert.lengthOf(refuses(concat([first, next])), 1)
          }
        }
      })

      it(`${role} refuses RSV1 on control frames, between messages and inside one`, () => {
        for (const opcode of [Frame.Close, Frame.Ping, Frame.Pong]) {
          const control = compressedFrame(role, { opcode })
          assert.lengthOf(refuses(control), 1)
          const first = compressedFrame(role, { fin: false, opcode: Frame.Text, payload: hello })
          assert.lengthOf(refuses(concat([first, control])), 1)
        }
      })

      it(`${role} refuses RSV2 and RSV3 on every frame, with and without RSV1`, () => {
        for (const rsv of [1, 2, 3, 5, 6, 7]) {
          for (const opcode of [Frame.Text, Frame.Binary, Frame.Close, Frame.Ping, Frame.Pong]) {
            assert.lengthOf(refuses(peer.frame({ rsv, opcode, payload: hello })), 1)
          }
          const first = compressedFrame(role, { fin: false, opcode: Frame.Text, payload: hello })
          refuses(concat([first, peer.frame({ rsv, opcode: Frame.Continuation })]))
        }
      })

      it(`${role} takes plain and compressed messages in turn`, () => {
        const { events } = inEveryCut(
          make,
          concat([
            peer.text("a"),
            compressedFrame(role, { opcode: Frame.Text, payload: hello }),
            peer.text("b", false),
            peer.continuation("c"),
            compressedFrame(role, { opcode: Frame.Binary, payload: hello }),
            peer.text("")
          ])
        )
        assert.deepStrictEqual(events, ["Text a", "Text Hello", "Text bc", "Binary 48 65 6c 6c 6f", "Text "])
      })
    }
  })

  describe("7.2.2 fragments", () => {
    for (const role of roles) {
      const peer = peerOfRole(role)
      for (const [agreement, parameters] of agreements) {
        it(`${role} ${agreement} handles control frames between the fragments of a compressed message`, () => {
          const bytes = sequence(300)
          const compressed = deflated(bytes)
          const cuts = [0, 1, 2, 50, 51, compressed.length]
          const fragments = cuts.slice(1).flatMap((end, index) => [
            peer.frame({
              fin: end === compressed.length,
              rsv: index === 0 ? rsv1 : 0,
              opcode: index === 0 ? Frame.Binary : Frame.Continuation,
              payload: compressed.subarray(cuts[index], end)
            }),
            peer.ping(String(index))
          ])
          const { events, output } = inEveryCut(() => compressing(role, byteOps, { parameters }), concat(fragments))
          const pings = ["Ping 30", "Ping 31", "Ping 32", "Ping 33", "Ping 34"]
          assert.deepStrictEqual(events, [...pings.slice(0, 4), `Binary ${toHex(bytes)}`, "Ping 34"])
          assert.notStrictEqual(output, "")
        })

        it(`${role} ${agreement} drops an unfinished message when a Close frame comes`, () => {
          const first = compressedFrame(role, { fin: false, opcode: Frame.Text, payload: hex("f2 48 cd") })
          const outcome = inEveryCut(
            () => compressing(role, byteOps, { parameters }),
            concat([first, peer.close(1001), peer.continuation(hex("c9 c9 07 00"))])
          )
          assert.deepStrictEqual([outcome.events, outcome.state], [["Close 1001"], "CloseExchanged"])
        })
      }
    }
  })

  describe("7.2.2 text", () => {
    for (const role of roles) {
      for (const [agreement, parameters] of agreements) {
        const make = () => compressing(role, byteOps, { parameters })
        const inTwo = (payload: Uint8Array, cut: number) =>
          concat([
            compressedFrame(role, { fin: false, opcode: Frame.Text, payload: payload.subarray(0, cut) }),
            compressedFrame(role, { rsv: 0, opcode: Frame.Continuation, payload: payload.subarray(cut) })
          ])

        it(`${role} ${agreement} takes text that is cut anywhere`, () => {
          const text = "é€😀 aé€😀"
          // Stored, so that a cut of the bytes is a cut of the text.
          const stored = deflated(text, { level: 0 })
          for (let cut = 0; cut <= stored.length; cut++) {
            assert.deepStrictEqual(inEveryCut(make, inTwo(stored, cut)).events, [`Text ${text}`])
          }
        })

        it(`${role} ${agreement} refuses what isn't UTF-8 once it is decompressed`, () => {
          for (const wrong of ["ff", "61 c3", "61 c3 28", "ed a0 80", "f0 9f 98", "61 62 63 80"]) {
            for (const level of [0, 6]) {
              const payload = deflated(hex(wrong), { level })
              for (const cut of [0, 1, payload.length - 1]) {
                const { closeSent, events } = inEveryCut(make, inTwo(payload, cut))
                assert.deepStrictEqual(events, ["Failed InvalidUtf8"])
                assert.propertyVal(closeSent, "code", 1007)
              }
            }
          }
        })

        it(`${role} ${agreement} takes compressed bytes that aren't UTF-8 for the text that they are`, () => {
          const payload = deflated("Hello")
          assert.throws(() => new TextDecoder("utf-8", { fatal: true }).decode(payload))
          const frame = compressedFrame(role, { opcode: Frame.Text, payload })
          assert.deepStrictEqual(inEveryCut(make, frame).events, ["Text Hello"])
        })

        it(`${role} ${agreement} takes any bytes for text where it trusts the peer`, () => {
          const trusting = () => compressing(role, byteOps, { parameters, validateText: false })
          const frame = compressedFrame(role, { opcode: Frame.Text, payload: deflated(concat([utf8("a"), hex("ff")])) })
          assert.deepStrictEqual(inEveryCut(trusting, frame).events, ["Text a\ufffd"])
        })
      }
    }
  })
}
