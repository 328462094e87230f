import * as Extension from "@effect-ws/core/Extension"
import * as fc from "fast-check"
import { assert, describe, it } from "vitest"
import { assertFault, fields, ok } from "./heads.ts"

const parse = (...values: ReadonlyArray<string>) =>
  Extension.parse(fields(...values.map((value) => ["Sec-WebSocket-Extensions", value] as const)))

describe("RFC 6455 9.1: extensions", () => {
  it("both roles read names with parameters, all lines combined", () => {
    assert.deepStrictEqual(ok(parse("foo, bar; baz=2", "permessage-deflate; client_max_window_bits")), [
      { name: "foo", parameters: [] },
      { name: "bar", parameters: [{ name: "baz", value: "2" }] },
      { name: "permessage-deflate", parameters: [{ name: "client_max_window_bits" }] }
    ])
    assert.deepStrictEqual(parse(), [])
  })

  it("both roles keep a valueless last parameter before a comma, and each extension's parameters with it", () => {
    assert.deepStrictEqual(ok(parse("x; a=1; b, permessage-deflate")), [
      { name: "x", parameters: [{ name: "a", value: "1" }, { name: "b" }] },
      { name: "permessage-deflate", parameters: [] }
    ])
  })

  it("both roles read quoted values that are tokens", () => {
    assert.strictEqual(ok(parse('a; b="1\\0"'))[0].parameters[0].value, "10")
  })

  it("both roles refuse quoted values that are no tokens", () => {
    for (const value of ['""', '"a b"', '"a,b"', '"\\""', '"\u00e9"']) {
      assertFault(parse(`a; b=${value}`), "MalformedField", { field: "Sec-WebSocket-Extensions" })
    }
  })

  it("both roles refuse unclosed quotes, bad escapes and lists of nothing", () => {
    for (const value of ['a; b="', 'a; b="\\', 'a; b="c\\"', "", ",", " , ", "a;", "a; =b", "a b"]) {
      assertFault(parse(value), "MalformedField", { field: "Sec-WebSocket-Extensions", section: "RFC 6455 9.1" })
    }
  })

  it("both roles take names of object properties for unknown names", () => {
    const names = ["__proto__", "constructor", "toString", "hasOwnProperty"]
    const list = ok(parse(names.map((name) => `${name}; ${name}=${name}`).join(", ")))
    assert.deepStrictEqual(
      list,
      names.map((name) => ({ name, parameters: [{ name, value: name }] }))
    )
    assert.lengthOf(Extension.named(list, "__PROTO__"), 1)
    assert.lengthOf(Extension.named([], "constructor"), 0)
  })

  it("both roles keep repeated offers and parameters for the extension to judge", () => {
    const list = ok(parse("p; b=8; b=9, P, q"))
    assert.deepStrictEqual(
      Extension.named(list, "p").map(({ name }) => name),
      ["p", "P"]
    )
    assert.lengthOf(list[0].parameters, 2)
  })

  it("both roles read hostile values in linear time", () => {
    for (const unit of [" ", ",", '"', "a;", 'a;b="\\"', "\\", "a;b,"]) parse(unit.repeat(200_000 / unit.length))
  })

  it("both roles refuse to write what is not made of tokens", () => {
    const wrong: ReadonlyArray<Extension.Extension> = [
      { name: "", parameters: [] },
      { name: "a b", parameters: [] },
      { name: "a", parameters: [{ name: "b\r\n" }] },
      { name: "a", parameters: [{ name: "b", value: "" }] },
      { name: "a", parameters: [{ name: "b", value: "1; c" }] }
    ]
    for (const extension of wrong) {
      const fault = Extension.validate([{ name: "ok", parameters: [] }, extension])
      assertFault(fault, "InvalidExtension", { extension: extension.name })
    }
  })

  it("both roles read what they write", () => {
    const token = fc.stringMatching(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,8}$/)
    const parameter = fc.oneof(fc.record({ name: token }), fc.record({ name: token, value: token }))
    const extension = fc.record({ name: token, parameters: fc.array(parameter, { maxLength: 3 }) })
    fc.assert(
      fc.property(fc.array(extension, { minLength: 1, maxLength: 4 }), (list) => {
        assert.strictEqual(Extension.validate(list), list)
        assert.deepEqual(parse(Extension.format(list)), list)
      })
    )
  })
})
