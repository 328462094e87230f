import * as fc from "fast-check"
import { assert, describe, it } from "vitest"
import * as Ascii from "../../src/internal/Ascii.ts"

const all = Array.from({ length: 0x180 }, (_, code) => String.fromCharCode(code))

describe("RFC 9110 5.6: character classes", () => {
  it("both roles agree with the grammar on every character", () => {
    for (const character of all) {
      assert.strictEqual(
        Ascii.isToken(character),
        /[!#$%&'*+\-.^_`|~0-9A-Za-z]/.test(character),
        JSON.stringify(character)
      )
      assert.strictEqual(Ascii.isVisible(character), /[!-~]/.test(character), JSON.stringify(character))
      assert.strictEqual(Ascii.isText(character), /[\t -~\u0080-\u00ff]/.test(character), JSON.stringify(character))
    }
  })

  it("both roles take no empty token or target, but an empty value", () => {
    assert.deepStrictEqual([Ascii.isToken(""), Ascii.isVisible(""), Ascii.isText("")], [false, false, true])
  })

  it("both roles compare letters of ASCII without case, and nothing else", () => {
    for (const left of all) {
      for (const right of all.slice(0x30, 0x80)) {
        const fold = (text: string) => text.replace(/[A-Z]/, (letter) => letter.toLowerCase())
        if (Ascii.equalsIgnoreCase(left, right) !== (fold(left) === fold(right))) assert.fail(left + right)
      }
    }
    assert.isFalse(Ascii.equalsIgnoreCase("a", "aa"))
  })

  it("both roles trim spaces and tabs only", () => {
    assert.strictEqual(Ascii.trimBlank(" \t a \u00a0\t "), "a \u00a0")
    assert.strictEqual(Ascii.trimBlank("\t "), "")
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(" ", "\t", "a", "\u00a0") }), (text) => {
        assert.strictEqual(Ascii.trimBlank(text), text.replace(/^[ \t]+/, "").replace(/[ \t]+$/, ""))
      })
    )
  })
})
