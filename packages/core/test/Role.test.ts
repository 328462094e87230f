import { assert, describe, it } from "vitest"
import { peerOf } from "../src/Role.ts"

describe("1.2 roles", () => {
  it("client and server are each other's peers", () => {
    assert.deepStrictEqual([peerOf("client"), peerOf("server")], ["server", "client"])
  })
})
