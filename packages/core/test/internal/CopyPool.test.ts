import { assert, describe, it } from "vitest"
import { portable } from "../../src/ByteOps.ts"
import * as CopyPool from "../../src/internal/CopyPool.ts"
import { CountingByteOps } from "../support/CountingByteOps.ts"

const sequence = Uint8Array.from({ length: 8192 }, (_, i) => i % 251)

describe("6.2 the memory of small messages", () => {
  it("client and server with the same ByteOps share a pool, others don't", () => {
    const one = new CountingByteOps(portable)
    assert.strictEqual(CopyPool.shared(one), CopyPool.shared(one))
    assert.notStrictEqual(CopyPool.shared(one), CopyPool.shared(new CountingByteOps(portable)))
  })

  it("server copies exactly what it was given, whatever the size", () => {
    const pool = new CopyPool.CopyPool(portable)
    const copies: Array<readonly [copy: Uint8Array, start: number, end: number]> = []
    for (let size = 0; size <= 1100; size++) copies.push([pool.copy(sequence, size, 2 * size), size, 2 * size])
    for (const [copy, start, end] of copies) assert.deepStrictEqual(copy, sequence.slice(start, end))
  })

  it("server keeps at most 4 KiB alive for one small message, and allocates once for many", () => {
    const counting = new CountingByteOps(portable)
    const pool = new CopyPool.CopyPool(counting)
    for (let i = 0; i < 40; i++) assert.strictEqual(pool.copy(sequence, i, i + 100).buffer.byteLength, 4096)
    assert.deepStrictEqual([counting.allocations, counting.allocatedBytes], [1, 4096])
    pool.copy(sequence, 0, 100)
    assert.strictEqual(counting.allocations, 2)
  })

  it("server gives the smallest and the large ones memory of their own", () => {
    const pool = new CopyPool.CopyPool(portable)
    assert.strictEqual(pool.copy(sequence, 0, 64).buffer.byteLength, 64)
    assert.strictEqual(pool.copy(sequence, 0, 65).buffer.byteLength, 4096)
    assert.strictEqual(pool.copy(sequence, 0, 1024).buffer.byteLength, 4096)
    assert.strictEqual(pool.copy(sequence, 0, 1025).buffer.byteLength, 1025)
  })
})
