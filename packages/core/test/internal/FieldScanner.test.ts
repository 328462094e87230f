import { assert, describe, it } from "vitest"
import * as FieldScanner from "../../src/internal/FieldScanner.ts"

describe("RFC 9110 5.6: the pieces of a field value", () => {
  it("both roles read tokens, blanks and single characters from left to right", () => {
    const scanner = FieldScanner.make(" \ta-b ;c")
    FieldScanner.skipBlanks(scanner)
    assert.strictEqual(FieldScanner.token(scanner), "a-b")
    assert.strictEqual(FieldScanner.token(scanner), "")
    FieldScanner.skipBlanks(scanner)
    assert.isFalse(FieldScanner.skip(scanner, ","))
    assert.isTrue(FieldScanner.skip(scanner, ";"))
    assert.isFalse(FieldScanner.isAtEnd(scanner))
    assert.strictEqual(FieldScanner.token(scanner), "c")
    assert.isTrue(FieldScanner.isAtEnd(scanner))
  })

  it("both roles read nothing at the end", () => {
    const scanner = FieldScanner.make("")
    FieldScanner.skipBlanks(scanner)
    assert.strictEqual(FieldScanner.token(scanner), "")
    assert.isFalse(FieldScanner.skip(scanner, ","))
    assert.isUndefined(FieldScanner.quotedString(scanner))
  })

  it("both roles stop behind the closing quote", () => {
    const scanner = FieldScanner.make('a\\"b"c')
    assert.strictEqual(FieldScanner.quotedString(scanner), 'a"b')
    assert.strictEqual(scanner.at, 5)
  })
})
