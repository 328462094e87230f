import * as fc from "fast-check"
import { assert, describe, it } from "vitest"
import { shared } from "../../src/internal/CommonStrings.ts"

describe("what heads have in common", () => {
  it("server reads every name and value as it was sent", () => {
    const common = [
      "Host",
      "host",
      "Upgrade",
      "upgrade",
      "UPGRADE",
      "websocket",
      "WebSocket",
      "13",
      "",
      "constructor",
      "__proto__"
    ]
    fc.assert(fc.property(fc.oneof(fc.string(), fc.constantFrom(...common)), (text) => shared(text) === text))
    for (const text of common) assert.strictEqual(shared(text), text)
  })
})
