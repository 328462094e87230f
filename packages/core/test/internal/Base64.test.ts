import * as fc from "fast-check"
import { assert, describe, it } from "vitest"
import * as Base64 from "../../src/internal/Base64.ts"
import { bytes } from "../heads.ts"

describe("RFC 4648 10: base64", () => {
  it("both roles encode the samples", () => {
    const samples = [
      ["", ""],
      ["f", "Zg=="],
      ["fo", "Zm8="],
      ["foo", "Zm9v"],
      ["foob", "Zm9vYg=="],
      ["fooba", "Zm9vYmE="]
    ]
    for (const [text, encoded] of [...samples, ["foobar", "Zm9vYmFy"]]) {
      assert.strictEqual(Base64.encode(bytes(text)), encoded)
    }
  })

  it("both roles encode any bytes as others do", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        assert.strictEqual(Base64.encode(bytes), Buffer.from(bytes).toString("base64"))
      })
    )
  })

  it("both roles know the value of each character", () => {
    assert.deepStrictEqual(["A", "Z", "a", "z", "0", "9", "+", "/"].map(Base64.sextet), [0, 25, 26, 51, 52, 61, 62, 63])
    for (const other of ["", "=", "-", "_", "\u00e9"]) assert.strictEqual(Base64.sextet(other), -1)
  })
})
