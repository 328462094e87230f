import * as BasicAuthorization from "@effect-ws/api/BasicAuthorization"
import type { Headers } from "@effect-ws/core/Headers"
import { assert, describe, it, vi } from "@effect/vitest"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { inspect } from "node:util"

const base64 = (text: string | Uint8Array) => Buffer.from(text as string).toString("base64")

const request = (...values: ReadonlyArray<string>): { readonly fields: Headers } => ({
  fields: [["Host", "a"], ...values.map((value) => ["authorization", value] as const)]
})

const read = (...values: ReadonlyArray<string>): readonly [username: string, password: string] | undefined => {
  const found = Option.getOrUndefined(BasicAuthorization.credentials(request(...values)))
  return found && [found.username, Redacted.value(found.password)]
}

describe("BasicAuthorization.credentials", () => {
  it("server reads the samples of RFC 7617 2 and 2.1", () => {
    assert.deepStrictEqual(read("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="), ["Aladdin", "open sesame"])
    assert.deepStrictEqual(read("Basic dGVzdDoxMjPCow=="), ["test", "123\u00a3"])
  })

  it("server takes the first colon for the end of the name, and either part may be empty", () => {
    assert.deepStrictEqual(read(`Basic ${base64("a:b:c:")}`), ["a", "b:c:"])
    assert.deepStrictEqual(read(`Basic ${base64(":b")}`), ["", "b"])
    assert.deepStrictEqual(read(`Basic ${base64("a:")}`), ["a", ""])
    assert.deepStrictEqual(read(`Basic ${base64(":")}`), ["", ""])
    assert.isUndefined(read(`Basic ${base64("nobody")}`))
  })

  it("server takes the scheme in any case, behind it at least one space, and nothing behind the credentials", () => {
    const encoded = base64("a:b")
    for (const scheme of ["basic", "BASIC", "bAsIc"]) assert.isDefined(read(`${scheme} ${encoded}`), scheme)
    assert.isDefined(read(`Basic    ${encoded}`))
    for (const value of [
      "",
      "Basic",
      "Basic ",
      `Basic${encoded}`,
      `Basic\t${encoded}`,
      `Bearer ${encoded}`,
      `Digest Basic ${encoded}`,
      `Basic ${encoded} ${encoded}`,
      `Basic ${encoded}, Basic ${encoded}`,
      `Basic "${encoded}"`
    ]) {
      assert.isUndefined(read(value), value)
    }
  })

  it("server reads no credentials from a request without the field, or with two", () => {
    assert.isUndefined(read())
    const value = `Basic ${base64("a:b")}`
    assert.isDefined(read(value))
    assert.isUndefined(read(value, value))
    assert.isUndefined(read(value, "Bearer x"))
  })

  it("server refuses base64 that isn't canonical, padded and of the usual alphabet", () => {
    // "a:b?" ends in padding, and has four bits that mean nothing.
    assert.deepStrictEqual(read("Basic YTpiPw=="), ["a", "b?"])
    for (const encoded of ["YTpiPw", "YTpiPw=", "YTpiPx==", "YTpiPz==", "YTpiPw===", "YTpi=Pw=", "=", "====", "Y==="]) {
      assert.isUndefined(read(`Basic ${encoded}`), encoded)
    }
    assert.deepStrictEqual(read(`Basic ${base64("a:??>>")}`), ["a", "??>>"])
    assert.include(base64("a:??>>"), "/")
    assert.isUndefined(read(`Basic ${base64("a:??>>").replaceAll("/", "_").replaceAll("+", "-")}`))
    assert.isUndefined(read("Basic YTpi\nPw=="))
  })

  it("server refuses bytes that are no UTF-8, and keeps a byte order mark", () => {
    for (const bytes of [[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xe2, 0x82]]) {
      assert.isUndefined(read(`Basic ${base64(Uint8Array.of(0x61, 0x3a, ...bytes))}`), inspect(bytes))
    }
    assert.deepStrictEqual(read(`Basic ${base64("\ufeffa:\ufeff\u{1f600}")}`), ["\ufeffa", "\ufeff\u{1f600}"])
  })

  it("server refuses control characters in the name and in the password", () => {
    for (const character of ["\0", "\t", "\r", "\n", "\u001f", "\u007f", "\u0085"]) {
      assert.isUndefined(read(`Basic ${base64(`a${character}:b`)}`), inspect(character))
      assert.isUndefined(read(`Basic ${base64(`a:b${character}`)}`), inspect(character))
    }
    assert.isDefined(read(`Basic ${base64("a b:c d")}`))
  })

  it("server never shows the password of the credentials", () => {
    const found = Option.getOrThrow(BasicAuthorization.credentials(request(`Basic ${base64("alice:wonderland")}`)))
    const shown = [inspect(found, { depth: Infinity, showHidden: true }), JSON.stringify(found), `${found.password}`]
    for (const text of shown) assert.notInclude(text, "wonderland")
    assert.include(shown[0], "alice")
  })
})

const equal = (given: string, expected: string): boolean =>
  BasicAuthorization.isEqual(Redacted.make(given), Redacted.make(expected))

/** How many characters are looked at. */
const steps = (given: string, expected: string): number => {
  const secrets = [Redacted.make(given), Redacted.make(expected)] as const
  const looks = vi.spyOn(String.prototype, "charCodeAt")
  BasicAuthorization.isEqual(...secrets)
  const count = looks.mock.calls.length
  looks.mockRestore()
  return count
}

describe("BasicAuthorization.isEqual", () => {
  it("server finds equal what is the same text, and nothing else", () => {
    const texts = [
      "",
      "a",
      "b",
      "aa",
      "ab",
      "aba",
      "abab",
      "\0",
      "\0\0",
      "a\0",
      "\u00e9",
      "e\u0301",
      "\u{1f600}",
      "\u{1f601}"
    ]
    for (const given of texts) {
      for (const expected of texts)
        assert.strictEqual(equal(given, expected), given === expected, inspect([given, expected]))
    }
  })

  it("server finds a text that is repeated no equal of it, though each character has its like", () => {
    assert.isFalse(equal("abab", "ab"))
    assert.isFalse(equal("aaaa", "a"))
    assert.isFalse(equal("a".repeat(65_537), "a"))
  })

  it("server looks at as many characters for any text as for the right one, however long that is", () => {
    const given = "0123456789"
    const expected = [given, "x123456789", "012345678x", "x", "", "0".repeat(10_000)]
    assert.strictEqual(steps(given, given), 2 * given.length)
    for (const text of expected) assert.strictEqual(steps(given, text), 2 * given.length, text.slice(0, 20))
    assert.strictEqual(steps("", given), 0)
  })
})

describe("BasicAuthorization.headers", () => {
  const headers = (username: string, password: string) =>
    BasicAuthorization.headers({ username, password: Redacted.make(password) })

  it("client writes the samples of RFC 7617 2 and 2.1", () => {
    assert.deepStrictEqual(headers("Aladdin", "open sesame"), { Authorization: "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==" })
    assert.deepStrictEqual(headers("test", "123\u00a3"), { Authorization: "Basic dGVzdDoxMjPCow==" })
  })

  it("client writes what a server reads", () => {
    for (const [username, password] of [
      ["a", "b:c:"],
      ["", ""],
      ["\u00e4@\u{1f600}", "\u2028 /+="]
    ] as const) {
      assert.deepStrictEqual(read(headers(username, password).Authorization), [username, password])
    }
  })

  it("client refuses what nobody could read again, and doesn't show it", () => {
    for (const [username, password] of [
      ["a:b", "secret"],
      ["a", "secret\n"],
      ["a\0", "secret"],
      ["a", "secret\u0085"]
    ] as const) {
      assert.throws(() => headers(username, password), RangeError, /^(?!.*secret)/)
    }
  })
})
