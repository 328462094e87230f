import * as Forwarded from "@effect-ws/core/Forwarded"
import * as HandshakeFault from "@effect-ws/core/HandshakeFault"
import * as fc from "fast-check"
import { assert, describe, it } from "vitest"
import { assertFault, fields, ok } from "./heads.ts"

const parse = (...lines: ReadonlyArray<string>) =>
  Forwarded.parse(fields(...lines.map((line) => ["Forwarded", line] as const)))

const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value))

/** Asserts the hops, where a member that is undefined counts as absent. */
const assertHops = (lines: ReadonlyArray<string>, expected: ReadonlyArray<Forwarded.Hop>): void =>
  assert.deepStrictEqual(plain(ok(parse(...lines))), plain(expected))

describe("RFC 7239 4: the Forwarded field", () => {
  it("server reads the examples of the RFC", () => {
    assertHops(['for="_gazonk"'], [{ for: "_gazonk" }])
    assertHops(['For="[2001:db8:cafe::17]:4711"'], [{ for: "[2001:db8:cafe::17]:4711" }])
    assertHops(["for=192.0.2.60;proto=http;by=203.0.113.43"], [{ for: "192.0.2.60", proto: "http" }])
    assertHops(["for=192.0.2.43, for=198.51.100.17"], [{ for: "192.0.2.43" }, { for: "198.51.100.17" }])
    assertHops(["for=_hidden, for=_SEVKISEK"], [{ for: "_hidden" }, { for: "_SEVKISEK" }])
  })

  it("server combines all lines, the leftmost hop first", () => {
    const headers = fields(["forwarded", "for=a, for=b"], ["X-Forwarded-For", "x"], ["FORWARDED", "for=c"])
    assert.deepStrictEqual(plain(ok(Forwarded.parse(headers))), [{ for: "a" }, { for: "b" }, { for: "c" }])
  })

  it("server finds no hop where there is no field, or one without an element", () => {
    assert.deepStrictEqual(Forwarded.parse(fields(["X-Forwarded-For", "x"])), [])
    assertHops(["", " ", ", ,\t,"], [])
  })

  it("server skips empty elements and blanks around elements", () => {
    assertHops([", for=a\t,, for=b ,"], [{ for: "a" }, { for: "b" }])
  })

  it("server reads names without regard to case, and values as they are", () => {
    assertHops(['FOR=A;Host="Example.com:80";pRoTo=HTTPS'], [{ for: "A", host: "Example.com:80", proto: "HTTPS" }])
  })

  it("server skips parameters it doesn't know, whatever their name", () => {
    assertHops(["for=a;by=b;secret=c;__proto__=d;constructor=e"], [{ for: "a" }])
    assertHops(["by=b"], [{}])
  })

  it("server skips empty pairs of an element, and counts an element of empty pairs alone as a hop", () => {
    assertHops([";for=a;;host=b;"], [{ for: "a", host: "b" }])
    assertHops([";, for=a"], [{}, { for: "a" }])
  })

  it("server unquotes values", () => {
    assertHops(['for="a\\"b\\\\c, d;e=f"'], [{ for: 'a"b\\c, d;e=f' }])
    assertHops(['for=""'], [{ for: "" }])
  })

  it.each([
    ["a name alone", "for"],
    ["an empty value", "for="],
    ["an empty value before another pair", "for=;host=a"],
    ["no name", "=a"],
    ["a value that is no token", "for=a:80"],
    ["an address in brackets that is not quoted", "for=[::1]"],
    ["a blank before the equals sign", "for =a"],
    ["a blank behind the equals sign", "for= a"],
    ["a blank before the semicolon", "for=a ;host=b"],
    ["a blank behind the semicolon", "for=a; host=b"],
    ["two values", "for=a b"],
    ["text behind a quoted value", 'for="a"b'],
    ["a quoted value that never ends", 'for="a'],
    ["a quoted value that ends in a backslash", 'for="a\\'],
    ["a control character", 'for="\0"'],
    ["a character beyond a byte", 'for="\u0100"'],
    ["a name that is not ASCII", "f\u00f6r=a"],
    ["a repeated parameter", "for=a;for=b"],
    ["a repeated parameter of another case", "for=a;FOR=a"],
    ["a repeated parameter that it doesn't know", "for=a;x=1;y=2;X=3"]
  ])("server refuses the whole field for an element with %s", (_, element) => {
    assertFault(parse(element), "MalformedField", { field: "Forwarded" })
    assertFault(parse(`for=a, ${element}`), "MalformedField", { field: "Forwarded" })
    assertFault(parse(`${element}, for=a`), "MalformedField", { field: "Forwarded" })
    assertFault(parse("for=a", element), "MalformedField", { field: "Forwarded" })
  })

  it("server doesn't let a quoted string run into the next line or the next element", () => {
    assertFault(parse('for="a', 'b"'), "MalformedField")
    assertFault(parse('for="a, for="[::1]"'), "MalformedField")
  })

  it("server reads what was written for any hops", () => {
    const text = fc.stringMatching(/^[\t -~\u0080-\u00ff]{0,12}$/)
    const quote = (value: string) => `"${value.replace(/["\\]/g, "\\$&")}"`
    const hop = fc.record({ for: text, host: text, proto: text }, { requiredKeys: ["for"] })
    fc.assert(
      fc.property(fc.array(hop), (hops) => {
        const written = hops.map((hop) =>
          Object.entries(hop)
            .map(([name, value]) => `${name}=${quote(value)}`)
            .join(";")
        )
        assertHops([written.join(", ")], hops)
        assertHops(written, hops)
      })
    )
  })

  it("server reads hostile values in linear time, and ends in hops or a fault", () => {
    for (const unit of ['for="', "\\", '"', " ", ",", ";", "=", "a", "a=b;", "a=b,", 'a="\\""', ",;"]) {
      parse(unit.repeat(200_000 / unit.length))
      parse(`for="${unit.repeat(200_000 / unit.length)}`)
    }
    parse(Array.from({ length: 50_000 }, (_, i) => `a${i}=b`).join(";"))
    const hostile = fc.string({ unit: fc.constantFrom(...'ab,;= \t"\\/\0\u00e9\u0100', "for=", "host"), maxLength: 40 })
    fc.assert(
      fc.property(fc.array(hostile, { maxLength: 3 }), (lines) => {
        const hops = parse(...lines)
        if (HandshakeFault.is(hops)) assertFault(hops, "MalformedField", { field: "Forwarded" })
        else assert.isArray(hops)
      })
    )
  })
})

describe("RFC 7239 6: nodes", () => {
  it.each([
    ["192.0.2.43", "192.0.2.43", undefined],
    ["0.0.0.0", "0.0.0.0", undefined],
    ["255.255.255.255:0", "255.255.255.255", "0"],
    ["192.0.2.43:47011", "192.0.2.43", "47011"],
    ["192.0.2.43:_p-1", "192.0.2.43", "_p-1"],
    ["[2001:db8:cafe::17]", "2001:db8:cafe::17", undefined],
    ["[2001:DB8:cafe::17]:4711", "2001:DB8:cafe::17", "4711"],
    ["[::]", "::", undefined],
    ["[::1]", "::1", undefined],
    ["[1::]", "1::", undefined],
    ["[1:2:3:4:5:6:7:8]", "1:2:3:4:5:6:7:8", undefined],
    ["[1:2:3:4:5:6:7::]", "1:2:3:4:5:6:7::", undefined],
    ["[::ffff:192.0.2.1]:80", "::ffff:192.0.2.1", "80"],
    ["[1:2:3:4:5:6:192.0.2.1]", "1:2:3:4:5:6:192.0.2.1", undefined]
  ])("server reads the address and port of %s", (node, address, port) => {
    assert.deepStrictEqual(Forwarded.node(node), { address, port })
  })

  it.each([
    ["unknown", undefined],
    ["Unknown:80", "80"],
    ["_gazonk", undefined],
    ["_a.B-9_:_x", "_x"]
  ])("server takes %s for a node whose address nobody tells", (node, port) => {
    assert.deepStrictEqual(Forwarded.node(node), { address: undefined, port })
  })

  it.each([
    ...["", ":80", "_", "_a b", "a", "example.com", "localhost:80", "unknown_", "unknown:", "_a:x", "_a:_"],
    ...["192.0.2", "192.0.2.1.1", "192.0.2.256", "192.0.2.01", "192.0.2.1 ", " 192.0.2.1", "0x7f.0.0.1", "1921"],
    ...["192.0.2.1:", "192.0.2.1:123456", "192.0.2.1:-1", "192.0.2.1:8a", "192.0.2.1:80:80", "192.0.2.1\n"],
    ...["::1", "2001:db8::1", "[]", "[::1", "::1]", "[::1]80", "[::1]:", "[[::1]]", "[192.0.2.1]", "[::1%eth0]"],
    ...["[:]", "[:::]", "[1::2::3]", "[1:2:3:4:5:6:7]", "[1:2:3:4:5:6:7:8:9]", "[1:2:3:4:5:6:7:8::]", "[::12345]"],
    ...["[1:2:3:4:5:6:7:192.0.2.1]", "[::192.0.2.1:1]", "[192.0.2.1::]", "[::192.0.2.256]", "[1:]", "[:1]", "[::g]"]
  ])("server reads nothing from the node %j", (node) => {
    assert.deepStrictEqual(Forwarded.node(node), { address: undefined, port: undefined })
  })

  it("server reads hostile nodes in linear time", () => {
    for (const unit of ["1", ":", "1:", "::", ".", "1.", "[", "]", "_", "a", "f:"]) {
      const text = unit.repeat(200_000 / unit.length)
      for (const node of [text, `[${text}]`, `[${text}`, `_${text}:`, `1.1.1.1:${text}!`]) {
        assert.isUndefined(Forwarded.node(node).address)
      }
    }
  })
})
