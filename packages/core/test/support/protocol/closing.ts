/** RFC 6455 5.5.1, 7.1, 7.4: the closing handshake. */
import { assert, describe, it } from "vitest"
import type { ByteOps } from "../../../src/ByteOps.ts"
import * as CloseReason from "../../../src/CloseReason.ts"
import { ConnectionPair } from "../ConnectionPair.ts"
import { eachByte, endpoint, eventsOf, inEveryCut, peerOfRole, roles, sentBy } from "../Endpoints.ts"
import { concat, hex, sequence, utf8 } from "../Hex.ts"
import { closeBody } from "../Wire.ts"

/** Every boundary between codes that may be sent and codes that may not, and some between. */
const allowed = [
  1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3001, 3999, 4000, 4001, 4999
]
const refused = [
  0, 1, 255, 256, 500, 999, 1004, 1005, 1006, 1015, 1016, 1017, 1099, 1100, 1999, 2000, 2001, 2998, 2999, 5000, 5001,
  9999, 10000, 32767, 32768, 64536, 65534, 65535
]

export const closing = (byteOps: ByteOps): void => {
  describe("5.5.1 Close", () => {
    for (const role of roles) {
      const peer = peerOfRole(role)
      const make = () => endpoint(role, byteOps)

      for (const code of allowed) {
        it(`${role} accepts the code ${code} and echoes it without the reason`, () => {
          for (const reason of ["", "bye", "é".repeat(61), "x".repeat(123)]) {
            const outcome = inEveryCut(make, peer.close(code, reason))
            assert.deepStrictEqual(outcome.events, [`Close ${code} ${reason}`.trim()])
            assert.deepStrictEqual(outcome.closeReceived, { code, reason })
            assert.deepStrictEqual(outcome.closeSent, { code, reason: "" })
            assert.strictEqual(outcome.state, "CloseExchanged")
          }
          const protocol = make()
          protocol.receive(peer.close(code, "bye"))
          assert.deepStrictEqual(sentBy(protocol), [`8 ${[code >> 8, code & 255].map(asHex).join(" ")}`])
        })
      }

      for (const code of refused) {
        it(`${role} refuses the code ${code}, with and without a reason`, () => {
          for (const reason of ["", "bye"]) {
            const outcome = inEveryCut(make, peer.close(code, reason))
            assert.deepStrictEqual(outcome.events, ["Failed InvalidCloseCode"])
            assert.strictEqual((outcome.faults[0] as { code: number }).code, code)
            assert.isUndefined(outcome.closeReceived)
          }
        })
      }

      it(`${role} answers an empty Close frame with an empty one`, () => {
        const outcome = inEveryCut(make, peer.close())
        assert.deepStrictEqual(outcome.events, ["Close 1005"])
        assert.deepStrictEqual(outcome.closeSent, CloseReason.none)
        const protocol = make()
        protocol.receive(peer.close())
        assert.deepStrictEqual(sentBy(protocol), ["8"])
      })

      for (const [title, bytes] of [
        ["a lone continuation byte", "80"],
        ["an unfinished code point", "61 e2 82"],
        ["a surrogate", "ed a0 80"],
        ["an overlong form", "c0 80"]
      ] as const) {
        it(`${role} refuses a reason with ${title}, with 1007`, () => {
          const outcome = inEveryCut(make, peer.close(1000, hex(bytes)))
          assert.deepStrictEqual(outcome.events, ["Failed InvalidCloseReason"])
          assert.strictEqual((outcome.closeSent as CloseReason.CloseReason).code, 1007)
        })
      }

      it(`${role} receives a byte order mark and U+0000 in a reason as text`, () => {
        assert.deepStrictEqual(inEveryCut(make, peer.close(1000, "\ufeff\u0000a")).events, ["Close 1000 \ufeff\u0000a"])
      })
    }
  })

  describe("7.1 the closing handshake", () => {
    for (const role of roles) {
      const peer = peerOfRole(role)
      const make = () => endpoint(role, byteOps)
      const reasons = [
        CloseReason.none,
        CloseReason.normal,
        { code: 4000, reason: "" },
        { code: 1001, reason: "à bientôt" },
        { code: 3000, reason: "x".repeat(123) }
      ]

      for (const reason of reasons) {
        it(`${role} closes with ${reason.code} and ${utf8(reason.reason).length} bytes, and both know`, () => {
          const pair = new ConnectionPair(byteOps, eachByte)
          pair.close(role, reason)
          pair.assertReceivedEqualsSent()
          assert.deepStrictEqual([pair.client.state, pair.server.state], ["CloseExchanged", "CloseExchanged"])
        })
      }

      it(`${role} sends the code and the reason in this form`, () => {
        const protocol = make()
        assert.isTrue(protocol.close({ code: 1000, reason: "é\ud800" }))
        assert.deepStrictEqual(sentBy(protocol), ["8 03 e8 c3 a9 ef bf bd"])
        assert.deepStrictEqual(protocol.closeSent, { code: 1000, reason: "é\ud800" })
      })

      for (const [code, reason] of [
        [1006, ""],
        [999, ""],
        [1005, "why"],
        [1000, "x".repeat(124)]
      ] as const) {
        it(`${role} can't close with ${code} and ${reason.length} bytes: that is a mistake of the caller`, () => {
          const protocol = make()
          assert.throws(() => protocol.close({ code, reason }), RangeError, "RFC 6455")
          assert.deepStrictEqual([protocol.state, protocol.pendingOutput], ["Open", 0])
        })
      }

      it(`${role} ignores what comes behind a Close frame, be it a frame or not`, () => {
        for (const rest of [
          peer.text("late"),
          peer.ping(),
          peer.close(1001),
          hex("ff ff ff ff"),
          hex("83"),
          hex("81")
        ]) {
          const outcome = inEveryCut(make, concat([peer.text("in time"), peer.close(1000), rest, rest]))
          assert.deepStrictEqual(outcome.events, ["Text in time", "Close 1000"])
          assert.deepStrictEqual(outcome.closeReceived, { code: 1000, reason: "" })
          assert.strictEqual(outcome.state, "CloseExchanged")
        }
      })

      it(`${role} answers only the first Close frame`, () => {
        const protocol = make()
        protocol.receive(peer.close(1000))
        protocol.receive(peer.close(1001))
        assert.deepStrictEqual(sentBy(protocol), ["8 03 e8"])
        assert.deepStrictEqual(eventsOf(protocol), ["Close 1000"])
      })

      it(`${role} closes once`, () => {
        const protocol = make()
        assert.isTrue(protocol.close({ code: 1000, reason: "" }))
        assert.isFalse(protocol.close({ code: 1001, reason: "" }))
        assert.deepStrictEqual(sentBy(protocol), ["8 03 e8"])
        assert.deepStrictEqual(protocol.closeSent, { code: 1000, reason: "" })
      })

      it(`${role} that has sent a Close frame still receives, until the Close frame of the peer`, () => {
        const protocol = make()
        protocol.close({ code: 1000, reason: "" })
        protocol.takeOutput()
        protocol.receive(concat([peer.text("a"), peer.binary(sequence(3), false)]))
        assert.deepStrictEqual(eventsOf(protocol), ["Text a"])
        protocol.receive(concat([peer.continuation(hex("ff")), peer.close(4001, "done"), peer.text("late")]))
        assert.deepStrictEqual(eventsOf(protocol), ["Binary 07 26 45 ff", "Close 4001 done"])
        assert.deepStrictEqual(sentBy(protocol), [])
        assert.strictEqual(protocol.state, "CloseExchanged")
      })

      it(`${role} keeps its own reason when both close at the same time`, () => {
        const protocol = make()
        protocol.close({ code: 4001, reason: "mine" })
        protocol.takeOutput()
        protocol.receive(peer.close(4002, "yours"))
        assert.deepStrictEqual(sentBy(protocol), [])
        assert.deepStrictEqual(protocol.closeSent, { code: 4001, reason: "mine" })
        assert.deepStrictEqual(protocol.closeReceived, { code: 4002, reason: "yours" })
      })

      it(`${role} that has sent a Close frame takes no more messages to send`, () => {
        const protocol = make()
        protocol.close({ code: 1000, reason: "" })
        protocol.takeOutput()
        assert.isFalse(protocol.sends)
        assert.isFalse(protocol.sendText("late"))
        assert.isFalse(protocol.sendBinary(hex("00")))
        assert.isFalse(protocol.ping(hex("00")))
        assert.isFalse(protocol.pong(hex("00")))
        assert.deepStrictEqual(sentBy(protocol), [])
      })

      it(`${role} reads all 65536 codes as the registry has them`, () => {
        for (let code = 0; code <= 0xffff; code++) {
          const decoded = CloseReason.decode(closeBody(code), byteOps)
          const valid =
            (code >= 1000 && code <= 1014 && code !== 1004 && code !== 1005 && code !== 1006) ||
            (code >= 3000 && code <= 4999)
          if ("_tag" in decoded === valid) assert.fail(`code ${code}`)
        }
      })
    }
  })
}

const asHex = (byte: number): string => byte.toString(16).padStart(2, "0")
