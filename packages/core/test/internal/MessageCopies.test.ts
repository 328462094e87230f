import * as fc from "fast-check"
import { assert, describe, it } from "vitest"
import { portable } from "../../src/ByteOps.ts"
import * as MessageCopies from "../../src/internal/MessageCopies.ts"
import { CountingByteOps } from "../support/CountingByteOps.ts"
import { sequence } from "../support/Hex.ts"
import { xor } from "../support/Wire.ts"

const payload = (size: number): Uint8Array => sequence(8192).slice(0, size)

/** Copies what lies in a chunk of its own, and gives the copy with the memory that it lies in. */
const copyOf = (copies: MessageCopies.MessageCopies, size: number, rest = 0) => {
  const chunk = new Uint8Array(6 + size + rest)
  chunk.set(payload(size), 6)
  copies.copy(chunk, 6, 6 + size, 0)
  const { at, block } = copies
  copies.leave()
  return { bytes: block.bytes.subarray(at, at + size), held: block.bytes.length }
}

describe("6.2 the memory of messages whose chunk isn't kept", () => {
  it("client and server with the same ByteOps share it, others don't", () => {
    const one = new CountingByteOps(portable)
    assert.strictEqual(MessageCopies.shared(one), MessageCopies.shared(one))
    assert.notStrictEqual(MessageCopies.shared(one), MessageCopies.shared(new CountingByteOps(portable)))
  })

  it("server copies and unmasks exactly what it was given, and never writes to the same place twice", () => {
    const sizes = fc.array(fc.oneof(fc.nat(40), fc.nat(300), fc.nat(3000), fc.nat(20_000)), {
      minLength: 1,
      maxLength: 12
    })
    fc.assert(
      fc.property(fc.array(sizes, { minLength: 1, maxLength: 5 }), fc.nat(5), (chunks, gap) => {
        const copies = new MessageCopies.MessageCopies(portable)
        const made: Array<readonly [copy: Uint8Array, size: number]> = []
        const key = Uint8Array.of(0x37, 0xfa, 0x21, 0x3d)
        for (const sizes of chunks) {
          const chunk = new Uint8Array(sizes.reduce((sum, size) => sum + size + 6 + gap, 0))
          let at = 6
          for (const size of sizes) {
            chunk.set(xor(sequence(size), key), at)
            copies.copy(chunk, at, at + size, 0x37fa213d)
            made.push([copies.block.bytes.subarray(copies.at, copies.at + size), size])
            at += size + 6 + gap
          }
          copies.leave()
        }
        for (const [copy, size] of made) assert.strictEqual(Buffer.compare(copy, sequence(size)), 0)
      }),
      { numRuns: 200 }
    )
  })

  it("server copies the messages of a chunk one behind the other, with the shortest headers between them", () => {
    for (const [size, header] of [
      [20, 2],
      [125, 2],
      [126, 4],
      [1000, 4]
    ] as const) {
      const copies = new MessageCopies.MessageCopies(portable)
      const chunk = new Uint8Array(7 + 3 * (size + header + 4))
      const places = [0, 1, 2].map((count) => {
        const at = 7 + count * (size + header + 4)
        copies.copy(chunk, at, at + size, 1)
        return [copies.block, copies.at] as const
      })
      const [first] = places
      assert.deepStrictEqual(
        places.map(([block, at]) => [block === first![0], at - first![1]]),
        [0, 1, 2].map((count) => [true, count * (size + header)])
      )
      assert.isAtLeast(first![1], header)
    }
  })

  it("server keeps at most 4 KiB alive for one small message, and allocates once for many", () => {
    const counting = new CountingByteOps(portable)
    const copies = new MessageCopies.MessageCopies(counting)
    for (let i = 0; i < 30; i++) assert.strictEqual(copyOf(copies, 100).held, 4096)
    assert.deepStrictEqual([counting.allocations, counting.allocatedBytes], [1, 4096])
    for (let i = 0; i < 30; i++) copyOf(copies, 100)
    assert.strictEqual(counting.allocations, 2)
  })

  it("server copies the messages of two chunks into one block, if there is room for all of the second", () => {
    const counting = new CountingByteOps(portable)
    const copies = new MessageCopies.MessageCopies(counting)
    const place = (chunk: Uint8Array, index: number) => {
      const at = 8 + index * 1032
      copies.copy(chunk, at, at + 1024, 1)
      return [copies.block, copies.at] as const
    }
    const places = [0, 1, 2, 3].map(() => {
      const chunk = new Uint8Array(8 * 1032)
      const all = Array.from({ length: 8 }, (_, index) => place(chunk, index))
      copies.leave()
      return all
    })
    assert.deepStrictEqual([counting.allocations, counting.allocatedBytes], [3, 4096 + 2 * 16 * 1031])
    for (const all of places) {
      for (const [index, [block, at]] of all.entries())
        assert.deepStrictEqual([block, at], [all[0]![0], all[0]![1] + index * 1028])
    }
    assert.deepStrictEqual(
      places.map(([first]) => first![0] === places[0]![0]![0]),
      [true, true, false, false]
    )
  })

  it("server keeps no block alive for each chunk in which little is a message", () => {
    const counting = new CountingByteOps(portable)
    const copies = new MessageCopies.MessageCopies(counting)
    for (let i = 0; i < 100; i++) copyOf(copies, 10, 3500)
    assert.deepStrictEqual([counting.allocations, counting.allocatedBytes], [1, 4096])
  })

  it.each([
    ["a small message in a large chunk no more than 4 KiB", 100, 60_000, 4096],
    ["one that is a sixteenth of what is left no more than sixteen of its kind", 1000, 12_000, 16 * 1007],
    ["a larger one no more than 16 KiB and some headers", 2000, 12_000, 16_640],
    ["one with little behind it no more than that", 6000, 5000, 11_007],
    ["one that is less than a sixteenth no more than 4 KiB", 700, 12_000, 4096],
    ["one that is less than a quarter of a large chunk no more than itself", 8000, 50_000, 8007],
    ["one that is alone no more than itself", 8000, 0, 8007]
  ])("server keeps alive for %s", (_what, size, rest, held) => {
    const copies = new MessageCopies.MessageCopies(portable)
    assert.strictEqual(copyOf(copies, size, rest).held, held)
    // Nor does the next one live in it.
    assert.strictEqual(copyOf(copies, 10).held, 4096)
  })
})
