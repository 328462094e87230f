/** RFC 6455 5.2: the payload length, in the fewest bytes, in both directions. */
import { assert, describe, it } from "vitest"
import type { ByteOps } from "../../../src/ByteOps.ts"
import * as Frame from "../../../src/Frame.ts"
import * as Message from "../../../src/Message.ts"
import { chunksOf, endpoint, inEveryCut, outputOf, peerOfRole, roles } from "../Endpoints.ts"
import { hex, sequence, toHex } from "../Hex.ts"
import { readFrames } from "../Wire.ts"
import { CountingByteOps } from "../CountingByteOps.ts"

const boundaries: ReadonlyArray<readonly [length: number, unmasked: string, masked: string]> = [
  [0, "82 00", "82 80"],
  [1, "82 01", "82 81"],
  [124, "82 7c", "82 fc"],
  [125, "82 7d", "82 fd"],
  [126, "82 7e 00 7e", "82 fe 00 7e"],
  [127, "82 7e 00 7f", "82 fe 00 7f"],
  [128, "82 7e 00 80", "82 fe 00 80"],
  [256, "82 7e 01 00", "82 fe 01 00"],
  [65535, "82 7e ff ff", "82 fe ff ff"],
  [65536, "82 7f 00 00 00 00 00 01 00 00", "82 ff 00 00 00 00 00 01 00 00"],
  [65537, "82 7f 00 00 00 00 00 01 00 01", "82 ff 00 00 00 00 00 01 00 01"]
]

export const lengths = (byteOps: ByteOps): void => {
  describe("5.2 payload length", () => {
    for (const role of roles) {
      const peer = peerOfRole(role)
      const make = () => endpoint(role, byteOps)

      for (const [length, unmasked, masked] of boundaries) {
        const payload = sequence(length)

        it(`${role} sends the length ${length} in the fewest bytes`, () => {
          const start = role === "client" ? masked : unmasked
          const text = "x".repeat(length)
          const sends = [make(), make(), make(), make()] as const
          sends[0].sendBinary(payload)
          sends[1].sendMessage(Message.binary(payload))
          const halves = [payload.slice(0, length >> 1), payload.slice(length >> 1)]
          sends[2].sendMessage(Message.fromPieces(Frame.Binary, halves, length, byteOps))
          sends[3].sendText(text)
          for (const protocol of sends) {
            const output = outputOf(protocol)
            const expected = protocol === sends[3] ? start.replace(/^82/, "81") : start
            assert.strictEqual(toHex(output.subarray(0, hex(start).length)), expected)
            const [frame] = readFrames(output)
            assert.deepStrictEqual(frame!.payload, protocol === sends[3] ? new TextEncoder().encode(text) : payload)
          }
        })

        it(`${role} receives the length ${length}`, () => {
          const outcome = inEveryCut(make, peer.binary(payload))
          assert.deepStrictEqual(outcome.events, [`Binary ${toHex(payload)}`.trim()])
        })
      }

      const wasteful: ReadonlyArray<readonly [16 | 64, bigint]> = [
        [16, 0n],
        [16, 1n],
        [16, 125n],
        [64, 0n],
        [64, 125n],
        [64, 126n],
        [64, 65535n]
      ]
      for (const [bits, length] of wasteful) {
        it(`${role} refuses the length ${length} in ${bits} bits`, () => {
          const outcome = inEveryCut(make, peer.header(Frame.Binary, bits, length))
          assert.deepStrictEqual(outcome.events, ["Failed NonMinimalLength"])
          assert.strictEqual((outcome.faults[0] as { length: number }).length, Number(length))
        })
      }

      for (const length of [1n << 63n, (1n << 63n) | 5n, (1n << 64n) - 1n]) {
        it(`${role} refuses the length 0x${length.toString(16)}, whose highest bit is set`, () => {
          const outcome = inEveryCut(make, peer.header(Frame.Text, 64, length))
          assert.deepStrictEqual(outcome.events, ["Failed LengthOutOfRange"])
        })
      }

      for (const length of [1n << 53n, (1n << 53n) + 1n, (1n << 63n) - 1n]) {
        it(`${role} refuses the length 0x${length.toString(16)}, which a number can't count`, () => {
          const make = () => endpoint(role, byteOps, { maxMessageSize: Number.MAX_SAFE_INTEGER })
          const outcome = inEveryCut(make, peer.header(Frame.Text, 64, length))
          assert.deepStrictEqual(outcome.events, ["Failed MessageTooBig"])
        })
      }

      it(`${role} waits for 2^53 - 1 announced bytes where the limit is that high, and reserves nothing`, () => {
        const counting = new CountingByteOps(byteOps)
        const protocol = endpoint(role, counting, { maxMessageSize: Number.MAX_SAFE_INTEGER })
        const before = counting.allocatedBytes
        protocol.receive(peer.header(Frame.Binary, 64, (1n << 53n) - 1n))
        for (const chunk of chunksOf(sequence(100), 10)) protocol.receive(chunk)
        assert.strictEqual(protocol.state, "Open")
        assert.isAtMost(counting.allocatedBytes - before, 256)
      })
    }
  })
}
