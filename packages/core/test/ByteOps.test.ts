import { assert, describe, it } from "vitest"
import * as ByteOps from "../src/ByteOps.ts"
import { byteOpsSuite } from "./support/byteOpsSuite.ts"
import { hex, toHex } from "./support/Hex.ts"

byteOpsSuite("ByteOps.portable", ByteOps.portable)

describe("5.3 masking", () => {
  it("client masks with the first byte of the key in its highest bits", () => {
    const bytes = hex("48 65 6c 6c 6f")
    ByteOps.mask(bytes, 0, 5, 0x37fa213d, 0)
    assert.strictEqual(toHex(bytes), "7f 9f 4d 51 58")
  })

  it("server unmasks the rest of a payload from where the first part ended", () => {
    const bytes = hex("7f 9f 4d 51 58")
    ByteOps.mask(bytes, 0, 3, 0x37fa213d, 0)
    ByteOps.mask(bytes, 3, 5, 0x37fa213d, 3)
    assert.strictEqual(toHex(bytes), "48 65 6c 6c 6f")
  })
})
