import * as Headers from "@effect-ws/core/Headers"
import * as Fields from "@effect-ws/api/Fields"
import { assert, describe, it } from "@effect/vitest"

describe("Fields", () => {
  it("fields may be a record, pairs, a Map, or none", () => {
    const expected: Headers.Headers = [
      ["A", "1"],
      ["b", "2"]
    ]
    assert.deepEqual(Fields.toHeaders({ A: "1", b: "2" }), expected)
    assert.deepEqual(Fields.toHeaders(expected), expected)
    assert.deepEqual(Fields.toHeaders(new Map(expected)), expected)
    assert.strictEqual(Fields.toHeaders(undefined), Headers.empty)
    assert.deepEqual(Fields.toHeaders({}), [])
  })

  it("fields keep their order and names that come more than once", () => {
    const pairs = [
      ["X", "1"],
      ["A", "2"],
      ["x", "3"]
    ] as const
    assert.deepEqual(Fields.toHeaders(pairs), pairs)
  })
})
