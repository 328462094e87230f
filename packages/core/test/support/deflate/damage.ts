/** RFC 7692 7.2.2: what can't be decompressed. */
import { assert, describe, it } from "vitest"
import type { ByteOps } from "../../../src/ByteOps.ts"
import * as Frame from "../../../src/Frame.ts"
import { chunksOf, eachByte, inEveryCut, outcomeOf, peerOfRole, roles } from "../Endpoints.ts"
import { concat, hex, sequence, toHex, utf8 } from "../Hex.ts"
import { agreements, compressedFrame, compressing, deflated, noTakeover } from "./Compressed.ts"

const corrupt: ReadonlyArray<readonly [title: string, payload: string]> = [
  ["a block of the reserved type", "06"],
  ["a stored block whose length is not confirmed", "00 05 00 fb ff 48 65 6c 6c 6f 00"],
  ["a distance that goes back behind the beginning", "f2 00 11 00 00"],
  ["bad codes of a dynamic block", "04 ff ff ff ff"],
  ["plain text", "48 65 6c 6c 6f 20 77 6f 72 6c 64"]
]

export const damage = (byteOps: ByteOps): void => {
  describe("7.2.2 damage", () => {
    for (const role of roles) {
      const peer = peerOfRole(role)
      const binary = (payload: Uint8Array) => compressedFrame(role, { opcode: Frame.Binary, payload })

      for (const [agreement, parameters] of agreements) {
        const make = () => compressing(role, byteOps, { parameters })

        for (const [title, payload] of corrupt) {
          it(`${role} ${agreement} refuses ${title} with 1007, and what came before is told`, () => {
            const before = compressedFrame(role, { opcode: Frame.Text, payload: deflated("before") })
            for (const bytes of [
              binary(hex(payload)),
              concat([
                compressedFrame(role, { fin: false, opcode: Frame.Binary, payload: hex(payload).subarray(0, 1) }),
                peer.ping(),
                peer.continuation(hex(payload).subarray(1))
              ])
            ]) {
              const all = payload.startsWith("f2") ? bytes : concat([before, bytes])
              const { closeSent, events } = inEveryCut(make, concat([all, peer.text("behind")]))
              assert.strictEqual(events.at(-1), "Failed InvalidCompressedData")
              assert.notInclude(events, "Text behind")
              if (all !== bytes) assert.strictEqual(events[0], "Text before")
              assert.propertyVal(closeSent, "code", 1007)
            }
          })
        }

        it(`${role} ${agreement} refuses bad data behind a final block`, () => {
          const { events } = inEveryCut(make, binary(hex("f3 48 cd c9 c9 07 00 06")))
          assert.deepStrictEqual(events, ["Failed InvalidCompressedData"])
        })
      }

      const forgetting = () => compressing(role, byteOps, { parameters: noTakeover })

      it(`${role} without takeover refuses a message that was cut off inside a block`, () => {
        // A text with matches in it, stored and with both kinds of codes; its empty block at the end may be cut to nothing.
        const text = "What is cut off, what is cut off, what is cut off, and what isn't. ÿþýü"
        for (const options of [{ level: 0 }, { strategy: 4 }, { level: 9 }]) {
          const payload = deflated(text.repeat(4), options)
          for (let end = 0; end < payload.length - 1; end++) {
            const bytes = binary(payload.subarray(0, end))
            const { events } = outcomeOf(forgetting(), [bytes])
            assert.deepStrictEqual(outcomeOf(forgetting(), eachByte(bytes)).events, events)
            // A header alone is an empty block, and in a stored block the tail may be just what is missing: nobody can tell.
            const isStored = "level" in options && options.level === 0
            const isCompleted = isStored && (end === 1 || end === payload.length - 5)
            assert.strictEqual(events.join().startsWith("Binary"), isCompleted, `cut at ${end} of ${payload.length}`)
            if (!isCompleted) assert.deepStrictEqual(events, ["Failed InvalidCompressedData"])
          }
        }
      })

      it(`${role} without takeover refuses a message without the header of the empty block at its end`, () => {
        // The tail then is the beginning of a stored block, which would swallow all that comes behind.
        assert.deepStrictEqual(inEveryCut(forgetting, binary(hex(""))).events, ["Failed InvalidCompressedData"])
        const ending = deflated("XXXX", { level: 0 })
        assert.strictEqual(toHex(ending), "00 04 00 fb ff 58 58 58 58 00")
        const { events } = inEveryCut(forgetting, binary(ending.subarray(0, -1)))
        assert.deepStrictEqual(events, ["Failed InvalidCompressedData"])
      })

      it(`${role} without takeover takes messages that end as its own mark does`, () => {
        const endings = ["58", "ff fe fd fc", "fa ff ef ef 1f 00", "00 00 ff ff", "00 01 00 fe ff 58"]
        for (const ending of endings) {
          for (const level of [0, 6]) {
            const bytes = concat([utf8("ends with "), hex(ending)])
            const { events } = inEveryCut(forgetting, binary(deflated(bytes, { level })))
            assert.deepStrictEqual(events, [`Binary ${toHex(bytes)}`])
          }
        }
      })

      it(`${role} without takeover refuses a cut message of more than it gathers`, () => {
        const payload = deflated(
          sequence(200_000).map((byte, index) => byte ^ (index >> 8) ^ (index * index)),
          {
            level: 0
          }
        )
        assert.isAbove(payload.length, 200_000)
        const { events } = inEveryCutOfLarge(binary(payload.subarray(0, -100)))
        assert.deepStrictEqual(events, ["Failed InvalidCompressedData"])
        const whole = inEveryCutOfLarge(binary(payload))
        assert.match(whole.events.join(), /^Binary [0-9a-f ]{599999}$/)
      })

      const inEveryCutOfLarge = (bytes: Uint8Array) => inChunks(forgetting, bytes)
    }
  })
}

const inChunks = (make: () => Parameters<typeof outcomeOf>[0], bytes: Uint8Array) => {
  const whole = outcomeOf(make(), [bytes])
  for (const size of [1400, 65_536]) assert.deepStrictEqual(outcomeOf(make(), chunksOf(bytes, size)), whole)
  return whole
}
