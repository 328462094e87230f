import { assert, describe, it } from "vitest"
import * as HeadGrammar from "../../src/internal/HeadGrammar.ts"

/** Follows the bytes of a text from a state, as a decoder does. */
const follow = (state: HeadGrammar.State, text: string): HeadGrammar.Next =>
  Array.from(text).reduce<HeadGrammar.Next>((at, character) => {
    if (typeof at === "string" || "_tag" in at) return at
    return at.next(character.charCodeAt(0))
  }, state)

describe("RFC 9112 2.1: the grammar of a head", () => {
  it("both roles end behind the empty line", () => {
    assert.strictEqual(follow(HeadGrammar.request, "G / HTTP/1.1\r\n\r\n"), HeadGrammar.done)
    assert.strictEqual(follow(HeadGrammar.response, "HTTP/1.1 101 \r\n\r\n"), HeadGrammar.done)
  })

  it("both roles get nothing more of a head that has ended", () => {
    assert.strictEqual(HeadGrammar.done.next(0x20), "the head has ended")
  })

  it("both roles enter the name of each field once", () => {
    assert.strictEqual(follow(HeadGrammar.request, "G / HTTP/1.1\r\nA"), HeadGrammar.fieldName)
    assert.strictEqual(follow(HeadGrammar.response, "HTTP/1.1 101 \r\nA:\r\nB"), HeadGrammar.fieldName)
  })
})
