import * as Headers from "@effect-ws/core/Headers"
import * as fc from "fast-check"
import { assert, describe, it } from "vitest"
import { assertFault, fields, ok } from "./heads.ts"

const sample = fields(["Host", "a"], ["X-Trace", "1"], ["HOST", "b"], ["x-trace", "2"])

describe("RFC 9110 5: field lines", () => {
  it("both roles keep order, spelling and repeated lines", () => {
    const entries: Array<[string, string]> = [
      ["B", "1"],
      ["a", "2"],
      ["b", "3"]
    ]
    const headers = Headers.fromEntries(entries)
    entries[0][1] = "changed"
    assert.deepStrictEqual(
      [...headers],
      [
        ["B", "1"],
        ["a", "2"],
        ["b", "3"]
      ]
    )
    assert.deepStrictEqual(Headers.fromEntries(new Map([["k", "v"]])), [["k", "v"]])
    assert.deepStrictEqual(Headers.empty, [])
  })

  it("both roles find a field without regard to ASCII case", () => {
    assert.deepStrictEqual(Headers.getAll(sample, "hOsT"), ["a", "b"])
    assert.isTrue(Headers.has(sample, "host"))
    assert.isFalse(Headers.has(sample, "hos"))
    // The Kelvin sign has the lower case k in Unicode, and no place in a field name.
    assert.isFalse(Headers.has(fields(["\u212aey", "1"]), "key"))
    assert.isFalse(Headers.has(fields(["a[", "1"]), "a{"))
  })

  it("both roles get the value of a field that is there once", () => {
    assert.strictEqual(Headers.get(fields(["A", "1"]), "a"), "1")
    assert.isUndefined(Headers.get(sample, "Host"))
    assert.isUndefined(Headers.get(sample, "Missing"))
  })

  it("both roles refuse a single field that is repeated", () => {
    assert.strictEqual(Headers.single(fields(["A", "1"]), "a"), "1")
    assert.isUndefined(Headers.single(sample, "Missing"))
    assertFault(Headers.single(sample, "Host"), "RepeatedField", { field: "Host" })
  })

  it("both roles set, append and remove without changing the list", () => {
    const before = JSON.stringify(sample)
    assert.deepStrictEqual(Headers.set(sample, "host", "c"), [
      ["host", "c"],
      ["X-Trace", "1"],
      ["x-trace", "2"]
    ])
    assert.deepStrictEqual(Headers.set(sample, "X-TRACE", "3"), [
      ["Host", "a"],
      ["X-TRACE", "3"],
      ["HOST", "b"]
    ])
    assert.deepStrictEqual(Headers.set([], "a", "1"), [["a", "1"]])
    assert.deepStrictEqual(Headers.set(sample, "new", "1"), [...sample, ["new", "1"]])
    assert.deepStrictEqual(Headers.append(sample, "Host", "c"), [...sample, ["Host", "c"]])
    assert.deepStrictEqual(Headers.remove(sample, "host"), [
      ["X-Trace", "1"],
      ["x-trace", "2"]
    ])
    assert.strictEqual(JSON.stringify(sample), before)
  })

  it("both roles treat names of object properties as names", () => {
    for (const name of ["__proto__", "constructor", "toString", "hasOwnProperty"]) {
      assert.isUndefined(Headers.get([], name))
      assert.isFalse(Headers.has([], name))
      assert.strictEqual(Headers.get(Headers.set([], name, "1"), name), "1")
    }
  })

  it("both roles refuse names that are no tokens", () => {
    for (const name of ["", "a b", "a:", "a\r\nb", "a\0", "(a)", "\u00e9", "a\u0100"]) {
      assertFault(Headers.validate(fields(["ok", "1"], [name, "1"])), "InvalidFieldName", { field: name })
    }
  })

  it("both roles refuse values with CR, LF, NUL, other controls or characters beyond a byte", () => {
    for (const value of ["a\r\nb: c", "\r", "\n", "\0", "\x07", "\x1f", "\x7f", "\u0100", "\u{1f600}"]) {
      const fault = Headers.validate(fields(["Authorization", `secret${value}`]))
      assertFault(fault, "InvalidFieldValue", { field: "Authorization" })
      assert.notInclude(JSON.stringify(fault), "secret")
    }
    const fine = fields(["A", ""], ["B", "a\tb c~\u0080\u00ff"])
    assert.strictEqual(Headers.validate(fine), fine)
  })
})

describe("RFC 9110 5.6.1: lists", () => {
  const tokens = (...values: ReadonlyArray<string>) =>
    Headers.tokens(fields(...values.map((v) => ["L", v] as const)), "l")

  it("both roles combine all lines of a list", () => {
    assert.deepStrictEqual(tokens("a,b", "c"), ["a", "b", "c"])
    assert.deepStrictEqual(tokens(), [])
  })

  it("both roles skip empty elements and blanks around elements", () => {
    assert.deepStrictEqual(tokens(", a ,\t,b\t ,,"), ["a", "b"])
    assert.deepStrictEqual(tokens("", " ", ",,"), [])
  })

  it("both roles refuse elements that are no tokens", () => {
    for (const value of ["a b", "a;b", '"a"', "a/1", "a,\u00e9", "a, b c", "a\u0100", "="]) {
      assertFault(tokens("fine", value), "MalformedField", { field: "l" })
    }
  })

  it("both roles read versions of protocols", () => {
    const protocols = (value: string) => Headers.protocols(fields(["Upgrade", value]), "Upgrade")
    assert.deepStrictEqual(protocols("HTTP/2.0, websocket , RTA/x11"), ["HTTP/2.0", "websocket", "RTA/x11"])
    for (const value of ["a/", "/1", "a/1/2", "a /1", "a/ 1"]) assertFault(protocols(value), "MalformedField")
  })

  it("both roles look for an element without regard to case", () => {
    assert.isTrue(Headers.includes(["keep-alive", "UpGrade"], "upgrade"))
    assert.isFalse(Headers.includes(["upgraded"], "upgrade"))
  })
})

describe("RFC 9110 5.6.6: lists with parameters", () => {
  const elements = (value: string) => Headers.elements(fields(["L", value]), "L")

  it("both roles read parameters with and without values", () => {
    assert.deepStrictEqual(ok(elements('a; b=1;c ; d = "x" , e,,f;g')), [
      { name: "a", parameters: [{ name: "b", value: "1" }, { name: "c" }, { name: "d", value: "x" }] },
      { name: "e", parameters: [] },
      { name: "f", parameters: [{ name: "g" }] }
    ])
  })

  it("both roles unescape quoted strings", () => {
    const value = (quoted: string) => ok(elements(`a;b=${quoted}`))[0].parameters[0].value
    assert.strictEqual(value('""'), "")
    assert.strictEqual(value('"x, y; z=\\"q\\\\\\a"'), 'x, y; z="q\\a')
    assert.strictEqual(value('"\\""'), '"')
    assert.strictEqual(value('"\t\u00e9"'), "\t\u00e9")
  })

  it("both roles refuse what the grammar doesn't have", () => {
    const wrong = ["a;", "a;;b", ";a", "a;=1", "a;b=", "a;b= ", "a b", "a;b c", 'a;b="x', 'a;b="x\\', 'a;b="x"y']
    for (const value of [...wrong, 'a;b="\0"', 'a;b="\\\0"', '"a"', "a=1", "a;b=1=2", 'a;b="\u0100"']) {
      assertFault(elements(value), "MalformedField", { field: "L" })
    }
  })

  it("both roles don't let a quoted string run into the next line", () => {
    assertFault(Headers.elements(fields(["L", 'a;b="x'], ["L", 'y"']), "L"), "MalformedField")
  })

  it("both roles read what was written for any names and values", () => {
    const token = fc.stringMatching(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,8}$/)
    const text = fc.stringMatching(/^[\t -~\u0080-\u00ff]{0,12}$/)
    const parameter = fc.record({ name: token, value: fc.option(text, { nil: undefined }) })
    const quote = (value: string) => `"${value.replace(/["\\]/g, "\\$&")}"`
    fc.assert(
      fc.property(fc.array(fc.record({ name: token, parameters: fc.array(parameter) })), (list) => {
        const written = list.map(({ name, parameters }) =>
          [name, ...parameters.map((p) => (p.value === undefined ? p.name : `${p.name}=${quote(p.value)}`))].join(";")
        )
        const plain = (value: unknown) => JSON.parse(JSON.stringify(value))
        assert.deepStrictEqual(plain(elements(written.join(","))), plain(list))
      })
    )
  })

  it("both roles read hostile values in linear time", () => {
    const hostile = ['a;b="', "\\", '"\\"', " ", ",", ", ", ";", "=", "a", "a,", "a ", "\t", '"', '\\"', 'a;b="\\"']
    for (const unit of hostile) {
      const value = unit.repeat(200_000 / unit.length)
      Headers.tokens(fields(["L", value]), "L")
      Headers.protocols(fields(["L", value]), "L")
      elements(value)
      elements(`a;b="${value}`)
    }
  })

  it("both roles end in a list or a fault for any value", () => {
    const hostile = fc.string({ unit: fc.constantFrom(...'ab,;= \t"\\/\0\u00e9\u0100'), maxLength: 40 })
    fc.assert(
      fc.property(hostile, (value) => {
        for (const read of [Headers.tokens, Headers.protocols, Headers.elements]) {
          const list = read(fields(["L", value]), "L")
          if (!Array.isArray(list)) assertFault(list, "MalformedField", { field: "L" })
        }
      })
    )
  })
})
