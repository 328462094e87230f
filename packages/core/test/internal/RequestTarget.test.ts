import * as fc from "fast-check"
import { assert, describe, it } from "vitest"
import { parse } from "../../src/internal/RequestTarget.ts"

describe("RFC 9112 3.2: request target", () => {
  it("server splits the two forms", () => {
    assert.deepStrictEqual(parse("/a?b"), { path: "/a", query: "b", host: undefined })
    assert.deepStrictEqual(parse("HtTpS://h:1?b"), { path: "/", query: "b", host: "h:1" })
  })

  it("server reads back what the parts say", () => {
    const path = fc.stringMatching(/^\/[!"$->@-~]{0,12}$/)
    const query = fc.option(fc.stringMatching(/^[!"$-~]{0,12}$/), { nil: undefined })
    fc.assert(
      fc.property(path, query, fc.option(fc.domain(), { nil: undefined }), (path, query, host) => {
        const text = (host === undefined ? "" : `ws://${host}`) + path + (query === undefined ? "" : `?${query}`)
        assert.deepStrictEqual(parse(text), { path, query, host })
      })
    )
  })

  it("server answers for any text", () => {
    fc.assert(fc.property(fc.string(), (text) => void parse(text)))
    for (const unit of ["/", "?", "http://", "a"]) parse(`ws://${unit.repeat(300_000)}`)
  })
})
