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

    for (const fragmentSize of [Number.NaN, Number.POSITIVE_INFINITY, -1, 0, 1.5, 2 ** 53]) {
      it(`${role} with frames of ${fragmentSize} bytes is a mistake`, () => {
        assert.throws(() => Protocol.make({ role, ...keys, fragmentSize }), RangeError, `fragmentSize must`)
      })
    }

    it(`${role} with a limit for pieces below the one for whole messages is a mistake`, () => {
      for (const maxStreamedSize of [9, 0, Number.NaN, Number.POSITIVE_INFINITY, 10.5]) {
        const options = { role, ...keys, maxMessageSize: 10, maxStreamedSize }
        assert.throws(
          () => Protocol.make(options),
          RangeError,
          "maxStreamedSize must be an integer of bytes from 10 on"
        )
      }
      const smaller = Protocol.defaultMaxMessageSize - 1
      assert.throws(() => Protocol.make({ role, ...keys, maxStreamedSize: smaller }), RangeError, `${smaller}`)
      Protocol.make({ role, ...keys, maxMessageSize: 10, maxStreamedSize: 10 })
      Protocol.make({ role, ...keys, maxMessageSize: 1, maxStreamedSize: Number.MAX_SAFE_INTEGER, fragmentSize: 1 })
    })

    it(`${role} takes as much piece by piece as it takes as a whole by default`, () => {
      const protocol = Protocol.make({ role, ...keys, maxMessageSize: 10 })
      const peer = peerOfRole(role)
      protocol.receive(peer.header(2, 7, 10n, false))
      assert.isFalse(protocol.isOversized)
      protocol.streamMessage()
      protocol.receive(new Uint8Array(10))
      protocol.receive(peer.header(0, 7, 1n))
      assert.strictEqual(eventsOf(protocol).at(-1), "Failed MessageTooBig")
    })

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
