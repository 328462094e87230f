import * as fc from "fast-check"
import { assert, describe, it } from "vitest"
import { portable } from "../src/ByteOps.ts"
import * as Utf8 from "../src/Utf8.ts"
import { CountingByteOps } from "./support/CountingByteOps.ts"
import { eachByte } from "./support/Endpoints.ts"
import { concat, hex, toHex, utf8 } from "./support/Hex.ts"
import { invalidSequences, validTexts } from "./support/Utf8Samples.ts"

const make = () => Utf8.makeValidator(portable)
const pushAll = (validator: Utf8.Utf8Validator, bytes: Uint8Array): boolean => validator.push(bytes, 0, bytes.length)

describe("RFC 3629 4 well-formed sequences", () => {
  for (const [title, text] of validTexts) {
    const bytes = utf8(text)

    it(`server accepts ${title}, cut into any three pieces`, () => {
      for (let one = 0; one <= bytes.length; one++) {
        for (let two = one; two <= bytes.length; two++) {
          const validator = make()
          for (const [from, to] of [
            [0, one],
            [one, two],
            [two, bytes.length]
          ] as const) {
            assert.isTrue(validator.push(bytes, from, to), `${from} to ${to}`)
          }
          assert.isTrue(validator.isComplete())
        }
      }
    })
  }

  for (const [title, sequence, impossibleAt] of invalidSequences) {
    const bytes = hex(sequence)

    it(`server refuses ${title} in one piece`, () => {
      const validator = make()
      assert.isFalse(pushAll(validator, bytes) && validator.isComplete())
      assert.isFalse(Utf8.isValid(bytes, 0, bytes.length))
    })

    it(`server refuses ${title} at the first byte that is impossible`, () => {
      const validator = make()
      const accepted = eachByte(bytes).findIndex((byte) => !pushAll(validator, byte))
      assert.strictEqual(accepted, impossibleAt ?? -1)
    })
  }

  it("server agrees with a streaming TextDecoder about every piece", () => {
    const edges = fc.constantFrom(...hex("00 61 7f 80 8f 90 9f a0 bf c0 c2 df e0 e2 ed ef f0 f1 f4 f5 ff"))
    const torn = fc.tuple(fc.string({ unit: "binary" }).map(utf8), fc.array(edges, { maxLength: 6 }))
    const pieces = fc.array(fc.oneof(torn.map(([text, tail]) => concat([text, Uint8Array.from(tail)]))), {
      maxLength: 5
    })
    fc.assert(
      fc.property(pieces, (pieces) => {
        const validator = make()
        const decoder = new TextDecoder("utf-8", { fatal: true })
        for (const piece of pieces) {
          const possible = succeeds(() => decoder.decode(piece, { stream: true }))
          assert.strictEqual(pushAll(validator, piece), possible, toHex(piece))
          if (!possible) return
        }
        assert.strictEqual(
          validator.isComplete(),
          succeeds(() => decoder.decode())
        )
      }),
      { numRuns: 1000 }
    )
  })

  it("server begins a new text after a reset, wherever the last one stopped", () => {
    for (const begun of ["c3", "e0", "ed", "f0", "f4", "f0 9f", "ff"]) {
      const validator = make()
      pushAll(validator, hex(begun))
      validator.reset()
      assert.isTrue(validator.isComplete())
      // Torn, so that the validator follows each byte itself.
      for (const byte of eachByte(utf8("é€\ud7ff\u0800😀"))) assert.isTrue(pushAll(validator, byte), begun)
      assert.isTrue(validator.isComplete())
      validator.reset()
      assert.isFalse(pushAll(validator, hex("80")), begun)
    }
  })

  it("server looks at nothing outside the bounds", () => {
    const validator = make()
    const bytes = hex("ff 61 c3 ff")
    assert.isTrue(validator.push(bytes, 1, 3))
    assert.isTrue(validator.push(bytes, 2, 2))
    assert.isFalse(validator.isComplete())
    assert.isTrue(Utf8.isValid(bytes, 1, 2))
    assert.isFalse(Utf8.isValid(bytes, 1, 3))
  })

  it("server leaves whole code points to the ByteOps, each byte once", () => {
    const counting = new CountingByteOps(portable)
    const validator = Utf8.makeValidator(counting)
    const bytes = utf8("€".repeat(1000))
    for (let at = 0; at < bytes.length; at += 100) assert.isTrue(validator.push(bytes, at, at + 100))
    assert.isTrue(validator.isComplete())
    assert.isAtMost(counting.checkedBytes, bytes.length)
    assert.isAtLeast(counting.checkedBytes, bytes.length - 30 * 4)
  })
})

const succeeds = (run: () => unknown): boolean => {
  try {
    run()
    return true
  } catch {
    return false
  }
}
