/** All that is expected of a `ByteOps`, held against Node's `Buffer` and the plainest possible code. */
import * as fc from "fast-check"
import { isUtf8 } from "node:buffer"
import { assert, describe, it } from "vitest"
import type { ByteOps } from "../../src/ByteOps.ts"
import { hex, sequence, toHex, utf8 } from "./Hex.ts"
import { invalidSequences, validTexts } from "./Utf8Samples.ts"

const texts = fc.oneof(
  fc.string({ unit: "binary", maxLength: 200 }),
  fc.array(fc.nat(0xffff), { maxLength: 100 }).map((units) => String.fromCharCode(...units)),
  // Surrogates in every order.
  fc
    .array(fc.constantFrom("\ud83d", "\ude00", "a", "é", "\ud800", "\udfff"), { maxLength: 30 })
    .map((units) => units.join(""))
)

// The values at which a byte of UTF-8 changes its meaning.
const edges = hex("00 7f 80 8f 90 9f a0 bf c0 c1 c2 df e0 e1 ec ed ee ef f0 f1 f3 f4 f5 ff")

const toBytes = (key: number): ReadonlyArray<number> => [key >>> 24, (key >>> 16) & 255, (key >>> 8) & 255, key & 255]

export const byteOpsSuite = (name: string, byteOps: ByteOps): void => {
  const encode = (text: string): Uint8Array => {
    const target = byteOps.allocate(byteOps.textByteLength(text))
    assert.strictEqual(byteOps.writeText(text, target, 0), target.length)
    return target
  }

  const decodeAll = (bytes: Uint8Array): string => byteOps.decodeText(bytes, 0, bytes.length)

  describe(`5.3 masking with ${name}`, () => {
    for (let alignment = 0; alignment <= 8; alignment++) {
      it(`masks every length up to 200 at every phase, ${alignment} bytes behind a boundary`, () => {
        const key = 0x8f01fe37 | 0
        const keyBytes = toBytes(key)
        for (let length = 0; length <= 200; length++) {
          for (let phase = 0; phase < 8; phase++) {
            const memory = new ArrayBuffer(length + alignment + 20)
            const view = new Uint8Array(memory, alignment)
            view.set(sequence(view.length))
            const expected = sequence(view.length)
            for (let i = 0; i < length; i++) expected[3 + i]! ^= keyBytes[(phase + i) & 3]!
            byteOps.mask(view, 3, 3 + length, key, phase)
            if (Buffer.compare(view, expected) !== 0) assert.fail(`length ${length}, phase ${phase}`)
          }
        }
      })
    }

    it("masks any bytes with any key, in any cuts, and back", () => {
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 1000 }), fc.maxSafeInteger(), fc.nat(1000), (bytes, drawn, cut) => {
          const key = drawn | 0
          const at = Math.min(cut, bytes.length)
          const whole = bytes.slice()
          byteOps.mask(whole, 0, whole.length, key, 0)
          const cutInTwo = bytes.slice()
          byteOps.mask(cutInTwo, 0, at, key, 0)
          byteOps.mask(cutInTwo, at, cutInTwo.length, key, at)
          assert.deepStrictEqual(cutInTwo, whole)
          byteOps.mask(whole, 0, whole.length, key, 0)
          assert.deepStrictEqual(whole, bytes)
        })
      )
    })

    it("masks large payloads in Buffers and at odd offsets", () => {
      for (const start of [0, 1, 2, 3, 7]) {
        const buffer = Buffer.from(sequence(70_000))
        const keyBytes = toBytes(0x01020304)
        byteOps.mask(buffer, start, 69_999, 0x01020304, 1)
        const expected = sequence(70_000)
        for (let i = start; i < 69_999; i++) expected[i]! ^= keyBytes[(1 + i - start) & 3]!
        assert.strictEqual(Buffer.compare(buffer, expected), 0)
      }
    })

    it("takes keys with and without a sign as the same", () => {
      for (const length of [10, 500]) {
        const [signed, unsigned] = [sequence(length), sequence(length)]
        byteOps.mask(signed, 0, length, -559038737, 3)
        byteOps.mask(unsigned, 0, length, 0xdeadbeef, 3)
        assert.deepStrictEqual(signed, unsigned)
      }
    })
  })

  describe(`8.1 UTF-8 with ${name}`, () => {
    it("encodes text as Buffer does, lone surrogates and byte order marks too", () => {
      fc.assert(
        fc.property(texts, (text) => {
          assert.strictEqual(byteOps.textByteLength(text), Buffer.byteLength(text))
          assert.strictEqual(toHex(encode(text)), toHex(Buffer.from(text)))
        }),
        { numRuns: 1000 }
      )
    })

    it("writes text at an offset and nothing around it", () => {
      fc.assert(
        fc.property(texts, fc.nat(70), (text, offset) => {
          const bytes = utf8(text)
          const target = new Uint8Array(offset + bytes.length + 5).fill(0xee)
          assert.strictEqual(byteOps.writeText(text, target, offset), bytes.length)
          assert.deepStrictEqual(target.slice(offset, offset + bytes.length), bytes)
          target.fill(0xee, offset, offset + bytes.length)
          assert.isTrue(target.every((byte) => byte === 0xee))
        })
      )
    })

    it("writes into a view that begins in the middle of its memory", () => {
      const memory = new Uint8Array(40).fill(0xee)
      assert.strictEqual(byteOps.writeText("aé€😀", memory.subarray(7, 30), 3), 10)
      assert.strictEqual(toHex(memory.subarray(9, 21)), "ee 61 c3 a9 e2 82 ac f0 9f 98 80 ee")
    })

    it("decodes what it encoded, from any view and any size", () => {
      fc.assert(
        fc.property(texts, fc.nat(10), (text, offset) => {
          const bytes = Buffer.concat([Buffer.alloc(offset, 0xff), Buffer.from(text), Buffer.alloc(3, 0xff)])
          const view = new Uint8Array(bytes.buffer, bytes.byteOffset + offset, bytes.length - offset - 3)
          assert.strictEqual(decodeAll(view), Buffer.from(text).toString())
          assert.strictEqual(byteOps.decodeText(bytes, offset, bytes.length - 3), Buffer.from(text).toString())
        }),
        { numRuns: 500 }
      )
      for (const [, text] of validTexts) {
        assert.strictEqual(decodeAll(utf8(text.repeat(5000))), text.repeat(5000))
      }
    })

    it("decodes ASCII, from anywhere", () => {
      for (const size of [0, 1, 3, 100, 1023, 1024, 70_000]) {
        const text = Array.from({ length: size }, (_, i) => String.fromCharCode((i * 7) % 128)).join("")
        const bytes = Uint8Array.from([0xff, ...utf8(text), 0xff])
        assert.strictEqual(byteOps.decodeAscii(bytes, 1, size + 1), text)
      }
    })

    it("keeps a byte order mark, wherever it stands", () => {
      assert.strictEqual(decodeAll(hex("ef bb bf 61 ef bb bf")), "\ufeffa\ufeff")
      assert.strictEqual(decodeAll(hex("ef bb bf")), "\ufeff")
      assert.strictEqual(decodeAll(hex("")), "")
    })

    it("tells well-formed bytes from others, only between the bounds", () => {
      for (const [title, text] of validTexts) {
        const bytes = Uint8Array.from([0xff, ...utf8(text), 0xff])
        assert.isTrue(byteOps.isUtf8(bytes, 1, bytes.length - 1), title)
      }
      for (const [title, text] of invalidSequences) {
        assert.isFalse(byteOps.isUtf8(hex(text), 0, hex(text).length), title)
        assert.isFalse(byteOps.isUtf8(hex(`61 ${text} 61`), 0, hex(text).length + 2), title)
      }
      assert.isTrue(byteOps.isUtf8(hex("ff"), 1, 1), "nothing is well-formed")
      assert.isTrue(byteOps.isUtf8(hex("ff"), 0, 0), "nothing is well-formed")
    })

    it("agrees with Node on every sequence of up to four bytes at the edges", () => {
      const bytes = new Uint8Array(4)
      for (let index = 0; index < edges.length ** 4; index++) {
        for (let at = 0, rest = index; at < 4; at++, rest = Math.floor(rest / edges.length)) {
          bytes[at] = edges[rest % edges.length]!
        }
        for (const end of [1, 2, 3, 4]) {
          // A shorter one was seen already when the rest is not all zero.
          if (index >= edges.length ** end) continue
          if (byteOps.isUtf8(bytes, 0, end) !== isUtf8(bytes.subarray(0, end)))
            assert.fail(toHex(bytes.subarray(0, end)))
        }
      }
    })

    it("agrees with Node on noise and on texts with one byte changed", () => {
      const changed = fc.tuple(texts.map(utf8), fc.nat(), fc.nat(255)).map(([bytes, at, value]) => {
        if (bytes.length > 0) bytes[at % bytes.length] = value
        return bytes
      })
      fc.assert(
        fc.property(fc.oneof(changed, fc.uint8Array({ maxLength: 20 })), (bytes) => {
          assert.strictEqual(byteOps.isUtf8(bytes, 0, bytes.length), isUtf8(bytes))
        }),
        { numRuns: 1000 }
      )
    })
  })

  describe(`memory with ${name}`, () => {
    it("allocates exactly what is asked for, and no memory twice", () => {
      for (const size of [0, 1, 100, 4096, 16_384, 1_000_000]) {
        const [one, other] = [byteOps.allocate(size), byteOps.allocate(size)]
        assert.deepStrictEqual([one.length, other.length], [size, size])
        one.fill(1)
        other.fill(2)
        assert.isTrue(one.every((byte) => byte === 1))
        assert.isAtMost(one.buffer.byteLength, Math.max(4096, 4 * size), "a small message pins no pool")
      }
    })
  })
}
