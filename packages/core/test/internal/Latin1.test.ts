import * as fc from "fast-check"
import { assert, describe, it } from "vitest"
import * as Latin1 from "../../src/internal/Latin1.ts"

describe("latin1", () => {
  it("both roles read what they write, whatever the bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        assert.deepStrictEqual(Latin1.encode(Latin1.decode(bytes, bytes.length)), bytes)
      })
    )
  })

  it("both roles read more bytes than a call may have arguments", () => {
    const bytes = Uint8Array.from({ length: 300_001 }, (_, i) => i)
    assert.strictEqual(Latin1.decode(bytes, bytes.length), Buffer.from(bytes).toString("latin1"))
  })

  it("both roles read no more than they are told", () => {
    assert.strictEqual(Latin1.decode(Uint8Array.of(0x61, 0x62, 0x63), 2), "ab")
    assert.strictEqual(Latin1.decode(Uint8Array.of(0x61), 0), "")
  })
})
