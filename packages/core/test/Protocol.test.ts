import { assert, describe, it } from "vitest"
import * as ByteOps from "../src/ByteOps.ts"
import * as Protocol from "../src/Protocol.ts"
import { eventsOf, peerOfRole, roles } from "./support/Endpoints.ts"
import { protocolSuite } from "./support/protocolSuite.ts"

protocolSuite("ByteOps.portable", ByteOps.portable)

describe("5.1 the options", () => {
  it("client without masking keys is a mistake", () => {
    assert.throws(() => Protocol.make({ role: "client" }), RangeError, "maskingKeys")
  })

  it("server with masking keys is a mistake", () => {
    assert.throws(() => Protocol.make({ role: "server", maskingKeys: () => 1 }), RangeError, "maskingKeys")
  })

  for (const role of roles) {
    const keys = role === "client" ? { maskingKeys: () => 1 } : {}

    for (const maxMessageSize of [Number.NaN, Number.POSITIVE_INFINITY, -1, 0, 1.5, 2 ** 53]) {
      it(`${role} with a limit of ${maxMessageSize} is a mistake`, () => {
        assert.throws(() => Protocol.make({ role, ...keys, maxMessageSize }), RangeError, `${maxMessageSize}`)
      })
    }

    it(`${role} works with the portable ByteOps and a limit of 16 MiB by default`, () => {
      const protocol = Protocol.make({ role, ...keys })
      const peer = peerOfRole(role)
      protocol.receive(peer.text("hé"))
      protocol.receive(peer.header(2, 64, BigInt(Protocol.defaultMaxMessageSize) + 1n))
      assert.deepStrictEqual(eventsOf(protocol), ["Text hé", "Failed MessageTooBig"])
      assert.strictEqual(Protocol.defaultMaxMessageSize, 16 * 1024 * 1024)
    })
  }
})
