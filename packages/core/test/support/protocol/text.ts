/** RFC 6455 5.6, 8.1: text is UTF-8, refused as soon as it can't be. */
import { assert, describe, it } from "vitest"
import type { ByteOps } from "../../../src/ByteOps.ts"
import { eachByte, endpoint, eventsOf, inEveryCut, peerOfRole, roles } from "../Endpoints.ts"
import { concat, hex, utf8 } from "../Hex.ts"
import { invalidSequences, validTexts } from "../Utf8Samples.ts"

export const text = (byteOps: ByteOps): void => {
  describe("8.1 text", () => {
    for (const role of roles) {
      const peer = peerOfRole(role)
      const make = () => endpoint(role, byteOps)

      for (const [title, text] of validTexts) {
        const bytes = utf8(text)

        it(`${role} receives ${title}, whole`, () => {
          assert.deepStrictEqual(inEveryCut(make, peer.text(bytes)).events, [`Text ${text}`])
        })

        it(`${role} receives ${title}, in fragments torn at every byte`, () => {
          for (let at = 0; at <= bytes.length; at++) {
            const frames = [peer.text(bytes.subarray(0, at), false), peer.continuation(bytes.subarray(at))]
            const outcome = inEveryCut(make, concat(frames))
            assert.deepStrictEqual(outcome.events, [`Text ${text}`], `torn at ${at}`)
          }
        })

        it(`${role} receives ${title}, in fragments of one byte`, () => {
          const parts = eachByte(bytes).map((byte) => peer.continuation(byte, false))
          const frames = concat([peer.text("", false), ...parts, peer.continuation("")])
          assert.deepStrictEqual(inEveryCut(make, frames).events, [`Text ${text}`])
        })
      }

      for (const [title, sequence, impossibleAt] of invalidSequences) {
        const bytes = concat([utf8("é"), hex(sequence)])

        it(`${role} refuses ${title} in one frame`, () => {
          assert.deepStrictEqual(inEveryCut(make, peer.text(bytes)).events, ["Failed InvalidUtf8"])
        })

        it(`${role} refuses ${title} in fragments torn at every byte`, () => {
          for (let at = 0; at <= bytes.length; at++) {
            const frames = [peer.text(bytes.subarray(0, at), false), peer.continuation(bytes.subarray(at))]
            assert.deepStrictEqual(inEveryCut(make, concat(frames)).events, ["Failed InvalidUtf8"], `torn at ${at}`)
          }
        })

        if (impossibleAt !== undefined) {
          it(`${role} refuses ${title} at its first impossible byte, in the middle of a frame`, () => {
            const protocol = make()
            const frame = peer.text(concat([bytes, new Uint8Array(50)]))
            const start = frame.length - bytes.length - 50
            const first = start + utf8("é").length + impossibleAt
            protocol.receive(frame.slice(0, first))
            assert.strictEqual(protocol.state, "Open", "the byte before is still possible")
            protocol.receive(frame.slice(first, first + 1))
            assert.deepStrictEqual(eventsOf(protocol), ["Failed InvalidUtf8"])
          })
        }
      }

      for (const begun of ["c3", "e2", "e2 82", "f0", "f0 9f", "f0 9f 98"]) {
        it(`${role} refuses a text that ends inside a code point (${begun})`, () => {
          assert.deepStrictEqual(inEveryCut(make, peer.text(hex(begun))).events, ["Failed InvalidUtf8"])
        })

        it(`${role} refuses an empty final fragment behind the beginning of a code point (${begun})`, () => {
          const frames = concat([peer.text(hex(begun), false), peer.continuation("")])
          assert.deepStrictEqual(inEveryCut(make, frames).events, ["Failed InvalidUtf8"])
        })

        it(`${role} waits for the rest of a code point (${begun}) behind empty fragments and a Ping`, () => {
          const protocol = make()
          protocol.receive(concat([peer.text(hex(begun), false), peer.continuation("", false), peer.ping()]))
          assert.strictEqual(protocol.state, "Open")
        })
      }

      it(`${role} begins each text anew`, () => {
        const binary = [peer.binary(hex("c3"), false), peer.continuation(hex("28"))]
        const frames = [peer.text("a", false), peer.continuation("é"), ...binary, peer.text("b", false)]
        const outcome = inEveryCut(make, concat([...frames, peer.continuation("c"), peer.text("d")]))
        assert.deepStrictEqual(outcome.events, ["Text aé", "Binary c3 28", "Text bc", "Text d"])
      })

      it(`${role} takes any bytes in a binary message`, () => {
        const outcome = inEveryCut(
          make,
          concat([peer.binary(hex("ff fe c0 80"), false), peer.continuation(hex("ed a0"))])
        )
        assert.deepStrictEqual(outcome.events, ["Binary ff fe c0 80 ed a0"])
      })

      it(`${role} receives what it is told not to render: U+0000, U+FEFF, U+FFFE, U+FFFF`, () => {
        const outcome = inEveryCut(make, peer.text("\ufeff\u0000\ufffe\uffff\ufeff"))
        assert.deepStrictEqual(outcome.events, ["Text \ufeff\u0000\ufffe\uffff\ufeff"])
      })
    }
  })
}
