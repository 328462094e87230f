import * as Subprotocol from "@effect-ws/core/Subprotocol"
import { assert, describe, it } from "vitest"
import { assertFault, fields } from "./heads.ts"

const parse = (...values: ReadonlyArray<string>) =>
  Subprotocol.parseOffers(fields(...values.map((value) => ["Sec-WebSocket-Protocol", value] as const)))

describe("RFC 6455 1.9: subprotocols", () => {
  it("server reads the offers of all lines in order", () => {
    assert.deepStrictEqual(parse("chat, superchat"), ["chat", "superchat"])
    assert.deepStrictEqual(parse("v2.chat,", " v1.chat"), ["v2.chat", "v1.chat"])
    assert.deepStrictEqual(parse(), [])
  })

  it("server refuses offers that are no tokens", () => {
    for (const value of ["a b", "a;b", '"a"', "a/b", "a,{b}", "\u00e9"]) {
      assertFault(parse(value), "InvalidSubprotocolOffer", { detail: "malformed" })
    }
  })

  it("server refuses a field that offers nothing", () => {
    for (const value of ["", " ", ",", " , ,\t"])
      assertFault(parse(value), "InvalidSubprotocolOffer", { detail: "empty" })
  })

  it("server refuses an offer made twice, in one line or two, but tells case apart", () => {
    assertFault(parse("a, b, a"), "InvalidSubprotocolOffer", { detail: "duplicate" })
    assertFault(parse("a", "b, a"), "InvalidSubprotocolOffer", { detail: "duplicate" })
    assert.deepStrictEqual(parse("a, A"), ["a", "A"])
  })

  it("server repeats nothing of an offer, which may be a credential", () => {
    assert.notInclude(JSON.stringify(parse("bearer.secret, bearer.secret")), "secret")
  })

  it("server reads tens of KiB of blanks, commas and quotes in linear time", () => {
    assertFault(parse(" ".repeat(200_000)), "InvalidSubprotocolOffer", { detail: "empty" })
    assertFault(parse(",".repeat(200_000)), "InvalidSubprotocolOffer", { detail: "empty" })
    assertFault(parse('"'.repeat(200_000)), "InvalidSubprotocolOffer", { detail: "malformed" })
    assertFault(parse("a,".repeat(100_000)), "InvalidSubprotocolOffer", { detail: "duplicate" })
  })

  it("server chooses by its own preference", () => {
    assert.strictEqual(Subprotocol.select(["v3", "v2", "v1"], ["v1", "v2"]), "v2")
    assert.isUndefined(Subprotocol.select(["v3"], ["v1"]))
    assert.isUndefined(Subprotocol.select([], ["v1"]))
    assert.isUndefined(Subprotocol.select(["V1"], ["v1"]))
  })

  it("client offers tokens, none of them twice", () => {
    const list = ["chat", "v2.chat"]
    assert.strictEqual(Subprotocol.validate(list), list)
    assert.strictEqual(Subprotocol.format(list), "chat, v2.chat")
    for (const subprotocol of ["", "a b", "a,b", "a\r\nb", "\u00e9"]) {
      assertFault(Subprotocol.validate(["ok", subprotocol]), "InvalidSubprotocol", { subprotocol, detail: "malformed" })
    }
    assertFault(Subprotocol.validate(["a", "a"]), "InvalidSubprotocol", { subprotocol: "a", detail: "duplicate" })
  })
})
