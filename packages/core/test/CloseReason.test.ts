import * as fc from "fast-check"
import { assert, describe, it } from "vitest"
import { portable } from "../src/ByteOps.ts"
import * as CloseCode from "../src/CloseCode.ts"
import * as CloseReason from "../src/CloseReason.ts"
import { hex, toHex, utf8 } from "./support/Hex.ts"

const encode = (reason: CloseReason.CloseReason): string => toHex(CloseReason.encode(reason, portable))
const decode = (bytes: string) => CloseReason.decode(hex(bytes), portable)

describe("5.5.1 the payload of a Close frame", () => {
  it("client and server encode the code in two bytes and the reason behind it", () => {
    assert.strictEqual(encode({ code: 1000, reason: "" }), "03 e8")
    assert.strictEqual(encode({ code: 4999, reason: "é" }), "13 87 c3 a9")
    assert.strictEqual(encode({ code: 3000, reason: "a\ud800" }), "0b b8 61 ef bf bd")
  })

  it("client and server encode no reason at all as nothing", () => {
    assert.strictEqual(encode(CloseReason.none), "")
    assert.strictEqual(encode({ code: 1005, reason: "" }), "")
  })

  it("client and server decode an empty payload as 1005", () => {
    assert.strictEqual(decode(""), CloseReason.none)
    assert.deepStrictEqual(CloseReason.none, { code: CloseCode.NoStatusReceived, reason: "" })
  })

  it("client and server decode the code and the reason", () => {
    assert.deepStrictEqual(decode("03 e8"), CloseReason.normal)
    assert.deepStrictEqual(decode("0f a0 ef bb bf 61"), { code: 4000, reason: "\ufeffa" })
  })

  for (const byte of ["00", "03", "ff"]) {
    it(`client and server refuse a payload of the single byte ${byte}`, () => {
      assert.propertyVal(decode(byte), "_tag", "ClosePayloadTooShort")
    })
  }

  it("client and server refuse a code before they look at the reason", () => {
    assert.propertyVal(decode("03 ed ff"), "_tag", "InvalidCloseCode")
    assert.propertyVal(decode("03 e8 ff"), "_tag", "InvalidCloseReason")
  })

  it("client and server only read the payload", () => {
    const payload = hex("03 e8 61 62")
    const reason = CloseReason.decode(payload, portable)
    assert.strictEqual(toHex(payload), "03 e8 61 62")
    payload.fill(0)
    assert.deepStrictEqual(reason, { code: 1000, reason: "ab" })
  })

  it("client and server decode every reason that may be sent to what was encoded", () => {
    const codes = fc.nat(0xffff).filter(CloseCode.isAllowed)
    const text = fc.string({ unit: "binary", maxLength: 123 }).filter((reason) => utf8(reason).length <= 123)
    fc.assert(
      fc.property(codes, text, (code, reason) => {
        const made = CloseReason.make(code, reason) as CloseReason.CloseReason
        assert.deepStrictEqual(CloseReason.decode(CloseReason.encode(made, portable), portable), { code, reason })
      })
    )
  })
})

describe("7.4 what may be sent", () => {
  it("client and server make a reason from a code, with or without a text", () => {
    assert.deepStrictEqual(CloseReason.make(1000), { code: 1000, reason: "" })
    assert.deepStrictEqual(CloseReason.make(4001, "bye"), { code: 4001, reason: "bye" })
  })

  it("client and server may close without saying why, but then without a text", () => {
    assert.deepStrictEqual(CloseReason.make(1005), CloseReason.none)
    assert.propertyVal(CloseReason.make(1005, "why"), "_tag", "ForbiddenCloseCode")
    assert.isTrue(CloseReason.isNone(CloseReason.none))
    assert.isFalse(CloseReason.isNone({ code: 1005, reason: "why" }))
    assert.isFalse(CloseReason.isNone(CloseReason.normal))
  })

  for (const code of [0, 999, 1004, 1006, 1015, 1016, 2999, 5000, 65536, Number.NaN, 1000.5]) {
    it(`client and server can't send ${code}`, () => {
      const fault = CloseReason.make(code) as CloseReason.ForbiddenCloseCode
      assert.deepStrictEqual([fault._tag, fault.code], ["ForbiddenCloseCode", code])
      assert.include(fault.message, `${code}`)
      assert.include(fault.message, "RFC 6455 7.4")
    })
  }

  it("client and server send a text of 123 bytes, and none longer", () => {
    for (const text of ["x".repeat(123), "é".repeat(61), "€".repeat(41), "\ud800".repeat(41), "😀".repeat(30)]) {
      assert.notProperty(CloseReason.make(1000, text), "_tag")
    }
    for (const text of ["x".repeat(124), "é".repeat(62), "€".repeat(41) + "x", "\ud800".repeat(42), "😀".repeat(31)]) {
      const fault = CloseReason.make(1000, text) as CloseReason.CloseReasonTooLong
      assert.deepStrictEqual([fault._tag, fault.size, fault.limit], ["CloseReasonTooLong", utf8(text).length, 123])
      assert.include(fault.message, "RFC 6455 5.5")
    }
  })
})
