import { assert, describe, it } from "vitest"
import * as CloseCode from "../src/CloseCode.ts"

describe("7.4.1 defined close codes", () => {
  const names: ReadonlyArray<readonly [name: keyof typeof CloseCode, code: number, onTheWire: boolean]> = [
    ["NormalClosure", 1000, true],
    ["GoingAway", 1001, true],
    ["ProtocolError", 1002, true],
    ["UnsupportedData", 1003, true],
    ["NoStatusReceived", 1005, false],
    ["AbnormalClosure", 1006, false],
    ["InvalidPayload", 1007, true],
    ["PolicyViolation", 1008, true],
    ["MessageTooBig", 1009, true],
    ["MandatoryExtension", 1010, true],
    ["InternalError", 1011, true],
    ["ServiceRestart", 1012, true],
    ["TryAgainLater", 1013, true],
    ["BadGateway", 1014, true],
    ["TlsHandshake", 1015, false]
  ]
  for (const [name, code, onTheWire] of names) {
    it(`client and server ${onTheWire ? "may" : "must not"} send ${code}, ${name}`, () => {
      assert.strictEqual(CloseCode[name], code)
      assert.strictEqual(CloseCode.isAllowed(code), onTheWire)
    })
  }

  it("client and server have a name for every code of the registry", () => {
    assert.sameMembers(
      Object.values(CloseCode).filter((value) => typeof value === "number"),
      names.map(([, code]) => code)
    )
  })
})

describe("7.4.2 reserved ranges", () => {
  it("client and server may send 1000 to 1003, 1007 to 1014 and 3000 to 4999, and no other code", () => {
    const ranges: Array<readonly [from: number, to: number]> = []
    for (let code = -1; code <= 0x1_0000; code++) {
      if (!CloseCode.isAllowed(code)) continue
      const last = ranges.at(-1)
      if (last?.[1] === code - 1) ranges[ranges.length - 1] = [last[0], code]
      else ranges.push([code, code])
    }
    assert.deepStrictEqual(ranges, [
      [1000, 1003],
      [1007, 1014],
      [3000, 4999]
    ])
  })

  for (const code of [Number.NaN, Number.POSITIVE_INFINITY, 1000.5, -1000, 66536]) {
    it(`client and server can't send ${code}`, () => {
      assert.isFalse(CloseCode.isAllowed(code))
    })
  }
})
