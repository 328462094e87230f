/** RFC 6455 5.5.1: an endpoint may delay its Close frame until its current message is sent. */
import { assert, describe, it } from "vitest"
import type { ByteOps } from "../../../src/ByteOps.ts"
import { endpoint, eventsOf, inEveryCut, peerOfRole, roles, sentBy } from "../Endpoints.ts"
import { concat, hex } from "../Hex.ts"

export const deferring = (byteOps: ByteOps): void => {
  describe("5.5.1 a Close frame that waits for the replies", () => {
    for (const role of roles) {
      const peer = peerOfRole(role)
      const make = () => endpoint(role, byteOps, { deferClose: true })

      it(`${role} answers a Close frame when it is told to, behind what it sends until then`, () => {
        const protocol = make()
        protocol.receive(concat([peer.text("a"), peer.close(4001, "bye")]))
        assert.deepStrictEqual(eventsOf(protocol), ["Text a", "Close 4001 bye"])
        assert.deepStrictEqual([protocol.state, protocol.owesClose, protocol.sends], ["CloseReceived", true, true])
        assert.isTrue(protocol.sendText("a"))
        protocol.answerClose()
        assert.deepStrictEqual(sentBy(protocol), ["1 61", "8 0f a1"])
        assert.deepStrictEqual([protocol.state, protocol.owesClose, protocol.sends], ["CloseExchanged", false, false])
        protocol.answerClose()
        assert.deepStrictEqual(sentBy(protocol), [])
      })

      it(`${role} answers an empty Close frame with an empty one, later too`, () => {
        const protocol = make()
        protocol.receive(peer.close())
        protocol.answerClose()
        assert.deepStrictEqual(sentBy(protocol), ["8"])
      })

      it(`${role} may answer with a reason of its own`, () => {
        const protocol = make()
        protocol.receive(peer.close(1000))
        assert.isTrue(protocol.close({ code: 3000, reason: "" }))
        assert.deepStrictEqual(sentBy(protocol), ["8 0b b8"])
        assert.strictEqual(protocol.state, "CloseExchanged")
      })

      it(`${role} tells of a fault when it is told to, whatever reason is given`, () => {
        for (const end of ["answerClose", "close"] as const) {
          const protocol = make()
          protocol.receive(concat([peer.text("a"), peer.text(hex("ff")), peer.text("late")]))
          assert.deepStrictEqual(eventsOf(protocol), ["Text a", "Failed InvalidUtf8"])
          assert.deepStrictEqual([protocol.state, protocol.owesClose, protocol.sends], ["Failing", true, true])
          assert.isTrue(protocol.sendText("a"))
          if (end === "close") protocol.close({ code: 1000, reason: "" })
          else protocol.answerClose()
          const [reply, close] = sentBy(protocol)
          assert.strictEqual(reply, "1 61")
          assert.match(close ?? "", /^8 03 ef /)
          assert.deepStrictEqual([protocol.state, protocol.owesClose, protocol.sends], ["Failed", false, false])
        }
      })

      it(`${role} owes nothing after a Close frame of its own`, () => {
        for (const bytes of [peer.close(1000), peer.text(hex("ff"))]) {
          const protocol = make()
          protocol.close({ code: 1001, reason: "" })
          protocol.takeOutput()
          protocol.receive(bytes)
          assert.isFalse(protocol.owesClose)
          protocol.answerClose()
          assert.deepStrictEqual(sentBy(protocol), [])
        }
      })

      it(`${role} receives nothing while it owes a Close frame, and can end`, () => {
        const protocol = make()
        protocol.receive(peer.close(1000))
        eventsOf(protocol)
        protocol.receive(concat([peer.text("late"), peer.ping("late"), peer.close(1001)]))
        assert.deepStrictEqual([eventsOf(protocol), sentBy(protocol)], [[], []])
        protocol.receiveEnd()
        assert.deepStrictEqual([protocol.state, protocol.owesClose], ["Closed", false])
        protocol.answerClose()
        assert.deepStrictEqual(sentBy(protocol), [])
      })

      it(`${role} owes the same, however the bytes are cut`, () => {
        const outcome = inEveryCut(make, concat([peer.text("a"), peer.close(1000, "bye"), peer.text("late")]))
        assert.deepStrictEqual([outcome.events, outcome.output], [["Text a", "Close 1000 bye"], ""])
      })
    }
  })
}
