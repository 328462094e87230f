import * as fc from "fast-check"
import { assert, describe, it } from "vitest"
import { copyBytes, copyWords, memoryOf, phaseOf } from "../../src/internal/UnmaskedCopy.ts"
import { hex, sequence, toHex } from "../support/Hex.ts"

const memory = (size: number, offset: number) => memoryOf(new Uint8Array(new ArrayBuffer(size + offset), offset))

describe("5.3 a copy that is unmasked on the way", () => {
  it("server unmasks the sample of 5.7 in a copy", () => {
    const copy = new Uint8Array(7)
    assert.isTrue(copyBytes(copy, 1, hex("00 7f 9f 4d 51 58"), 1, 6, 0x37fa213d))
    assert.strictEqual(toHex(copy), "00 48 65 6c 6c 6f 00")
  })

  it("server copies words as it copies bytes, wherever both lie alike, and alters nothing else", () => {
    const sizes = fc.oneof(fc.nat(12), fc.nat(200))
    fc.assert(
      fc.property(sizes, fc.nat(7), fc.nat(7), fc.nat(9), fc.nat(9), fc.integer(), fc.nat(255), (...drawn) => {
        const [size, sourceOffset, targetOffset, start, lead, key, first] = drawn
        const source = memory(300, sourceOffset)
        source.bytes.set(sequence(300).map((byte) => (byte + first) & 0xff))
        const before = source.bytes.slice()
        const target = memory(300, targetOffset)
        target.bytes.fill(0xee)
        const to = lead + ((phaseOf(source, start) - phaseOf(target, lead)) & 3)
        const expected = new Uint8Array(300).fill(0xee)
        const isAscii = copyBytes(expected, to, source.bytes, start, start + size, key)
        assert.strictEqual(copyWords(target, to, source, start, start + size, key), isAscii)
        assert.deepStrictEqual(target.bytes, expected)
        assert.deepStrictEqual(source.bytes, before)
        assert.strictEqual(
          isAscii,
          expected.subarray(to, to + size).every((byte) => byte < 0x80)
        )
      }),
      { numRuns: 2000 }
    )
  })

  it.each([copyBytes.name, copyWords.name])(
    "server says by %s whether all is ASCII, wherever a byte of another kind is",
    (name) => {
      for (let length = 1; length <= 40; length++) {
        for (let at = -1; at < length; at++) {
          const [source, target] = [memory(40, 0), memory(40, 0)]
          source.bytes.fill(0x7f).fill(0xff, length)
          if (at >= 0) source.bytes[at] = 0x80
          const isAscii =
            name === "copyBytes"
              ? copyBytes(target.bytes, 0, source.bytes, 0, length, 0)
              : copyWords(target, 0, source, 0, length, 0)
          assert.strictEqual(isAscii, at === -1, `${at} of ${length}`)
        }
      }
    }
  )
})
