import * as Transport from "@effect-ws/api/Transport"
import { assert, describe, it } from "@effect/vitest"

describe("Transport", () => {
  it("transport that knows nothing of its ends says so", () => {
    assert.deepStrictEqual(Transport.emptyInfo, { localAddress: undefined, remoteAddress: undefined, tls: undefined })
  })
})
