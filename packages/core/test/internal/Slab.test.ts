import { assert, describe, it } from "vitest"
import { portable } from "../../src/ByteOps.ts"
import * as Slab from "../../src/internal/Slab.ts"
import { CountingByteOps } from "../support/CountingByteOps.ts"

describe("6.1 the memory of outgoing frames", () => {
  it("client and server with the same ByteOps share a slab, others don't", () => {
    const one = new CountingByteOps(portable)
    assert.strictEqual(Slab.shared(one), Slab.shared(one))
    assert.notStrictEqual(Slab.shared(one), Slab.shared(new CountingByteOps(portable)))
    assert.strictEqual(one.allocations, 1)
  })

  it("server has room for what it asked, in the same memory while it lasts", () => {
    const counting = new CountingByteOps(portable)
    const slab = new Slab.Slab(counting)
    const first = slab.bytes
    while (slab.bytes === first) {
      slab.offset += Slab.largest
      slab.reserve(Slab.largest)
      assert.isAtLeast(slab.bytes.length - slab.offset, Slab.largest)
    }
    assert.strictEqual(slab.offset, 0)
    assert.strictEqual(counting.allocatedBytes, 2 * first.length)
  })

  it("server fills a slab to its last byte", () => {
    const slab = new Slab.Slab(portable)
    const first = slab.bytes
    slab.offset = first.length - 10
    slab.reserve(10)
    assert.strictEqual(slab.bytes, first)
    slab.reserve(11)
    assert.notStrictEqual(slab.bytes, first)
  })
})
