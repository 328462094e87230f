import type { EntropySource } from "@effect-ws/api/Entropy"
import { assert, describe, it } from "@effect/vitest"
import * as EntropyPool from "../../src/internal/EntropyPool.ts"
import { toHex } from "../support/frames.ts"

/** Gives 0, 1, 2 and so on, two bytes each, and counts its calls. */
const counting = () => {
  const source = {
    next: 0,
    calls: 0,
    fill: (bytes: Uint8Array) => {
      source.calls++
      for (let i = 0; i < bytes.length; i += 2) {
        bytes[i] = source.next >> 8
        bytes[i + 1] = source.next++ & 0xff
      }
    }
  }
  return source
}

describe("EntropyPool", () => {
  it("pool hands out the bytes of its source in order", () => {
    const pool = EntropyPool.shared(counting())
    assert.strictEqual(toHex(pool.bytes(4)), "00 00 00 01")
    assert.strictEqual(pool.maskingKey(), 0x00020003)
    assert.strictEqual(toHex(pool.bytes(2)), "00 04")
  })

  it("pool draws many at once, and hands no byte out twice", () => {
    const source = counting()
    const pool = EntropyPool.shared(source)
    const keys = Array.from({ length: 2000 }, () => pool.maskingKey())
    assert.strictEqual(new Set(keys).size, keys.length)
    assert.isAtMost(source.calls, 8)
  })

  it("pool draws anew rather than hand out fewer bytes than were asked for", () => {
    const pool = EntropyPool.shared(counting())
    pool.bytes(1020)
    assert.strictEqual(toHex(pool.bytes(16)), toHex(Uint8Array.from({ length: 16 }, (_, i) => [2, i >> 1][i & 1]!)))
  })

  it("pool gives bytes of their own", () => {
    const pool = EntropyPool.shared(counting())
    const first = pool.bytes(4)
    first.fill(9)
    assert.strictEqual(toHex(pool.bytes(2)), "00 02")
    assert.strictEqual(first.buffer.byteLength, 4)
  })

  it("pool is one for each source", () => {
    const source = counting()
    assert.strictEqual(EntropyPool.shared(source), EntropyPool.shared(source))
    assert.notStrictEqual(EntropyPool.shared(source), EntropyPool.shared(counting()))
  })

  it("pool hands out nothing while its source fails, and nothing old", () => {
    let fails = true
    const inner = counting()
    const source: EntropySource = {
      fill: (bytes) => {
        if (fails) throw new Error("no entropy")
        inner.fill(bytes)
      }
    }
    const pool = EntropyPool.shared(source)
    const seen = new Set<number>()
    const draw = (count: number) => {
      for (let i = 0; i < count; i++) {
        const key = pool.maskingKey()
        assert.isFalse(seen.has(key))
        seen.add(key)
      }
    }
    for (let i = 0; i < 2; i++) assert.throws(() => pool.maskingKey(), "no entropy")
    fails = false
    draw(256)
    fails = true
    for (let i = 0; i < 2; i++) assert.throws(() => pool.maskingKey(), "no entropy")
    fails = false
    draw(256)
  })
})
