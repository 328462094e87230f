/** RFC 6455 5.4: fragmentation, and the limit that holds for the sum of the fragments. */
import { assert, describe, it } from "vitest"
import type { ByteOps } from "../../../src/ByteOps.ts"
import * as Frame from "../../../src/Frame.ts"
import { endpoint, inEveryCut, peerOfRole, roles } from "../Endpoints.ts"
import { concat, hex, sequence, toHex } from "../Hex.ts"

export const fragmentation = (byteOps: ByteOps): void => {
  describe("5.4 fragmentation", () => {
    for (const role of roles) {
      const peer = peerOfRole(role)
      const make = () => endpoint(role, byteOps)
      const empty = new Uint8Array(0)

      it(`${role} puts a binary message of three fragments together`, () => {
        const parts = [sequence(3), sequence(200), sequence(1)] as const
        const outcome = inEveryCut(
          make,
          concat([peer.binary(parts[0], false), peer.continuation(parts[1], false), peer.continuation(parts[2])])
        )
        assert.deepStrictEqual(outcome.events, [`Binary ${toHex(concat(parts))}`])
        assert.strictEqual(outcome.output, "")
      })

      it(`${role} handles control frames between the fragments at once`, () => {
        const outcome = inEveryCut(
          make,
          concat([
            peer.text("He", false),
            peer.ping("1"),
            peer.continuation("ll", false),
            peer.pong("2"),
            peer.ping(),
            peer.continuation("o"),
            peer.text("next")
          ])
        )
        assert.deepStrictEqual(outcome.events, ["Ping 31", "Pong 32", "Ping", "Text Hello", "Text next"])
      })

      it(`${role} drops an unfinished message when a Close frame comes between its fragments`, () => {
        const outcome = inEveryCut(make, concat([peer.text("He", false), peer.close(1001), peer.continuation("llo")]))
        assert.deepStrictEqual(outcome.events, ["Close 1001"])
        assert.strictEqual(outcome.state, "CloseExchanged")
      })

      it(`${role} accepts empty fragments in every place`, () => {
        const outcome = inEveryCut(
          make,
          concat([
            peer.text("", false),
            peer.continuation("", false),
            peer.continuation("a", false),
            peer.continuation(""),
            peer.binary(empty, false),
            peer.continuation(""),
            peer.binary(empty),
            peer.text("")
          ])
        )
        assert.deepStrictEqual(outcome.events, ["Text a", "Binary", "Binary", "Text "])
      })

      it(`${role} delivers one message after the other, whole and fragmented`, () => {
        const outcome = inEveryCut(
          make,
          concat([
            peer.text("1"),
            peer.binary(hex("02"), false),
            peer.continuation(hex("02")),
            peer.text("3", false),
            peer.continuation("3"),
            peer.binary(hex("04"))
          ])
        )
        assert.deepStrictEqual(outcome.events, ["Text 1", "Binary 02 02", "Text 33", "Binary 04"])
      })
    }
  })

  describe("7.4.1 the limit of a message", () => {
    for (const role of roles) {
      const peer = peerOfRole(role)
      const make = () => endpoint(role, byteOps, { maxMessageSize: 10 })
      const tooBig = (outcome: { readonly faults: ReadonlyArray<unknown> }, size: number): void => {
        const fault = outcome.faults[0] as { _tag: string; size: number; limit: number; closeCode: number }
        assert.strictEqual(fault._tag, "MessageTooBig")
        assert.deepStrictEqual([fault.size, fault.limit, fault.closeCode], [size, 10, 1009])
      }

      it(`${role} takes a message as large as the limit`, () => {
        const outcome = inEveryCut(make, concat([peer.text("0123456789"), peer.text("0123456789")]))
        assert.deepStrictEqual(outcome.events, ["Text 0123456789", "Text 0123456789"])
      })

      it(`${role} refuses a message over the limit at its header`, () => {
        tooBig(inEveryCut(make, peer.header(Frame.Text, 7, 11n)), 11)
        tooBig(inEveryCut(make, peer.header(Frame.Binary, 64, 1n << 52n)), 2 ** 52)
      })

      it(`${role} refuses the fragment that takes a message over the limit at its header`, () => {
        const bytes = concat([peer.text("01234", false), peer.ping(), peer.header(0, 7, 6n, false)])
        tooBig(inEveryCut(make, bytes), 11)
      })

      it(`${role} takes fragments that reach the limit and begins to count anew with each message`, () => {
        const message = [peer.text("01234", false), peer.continuation("56789", false), peer.continuation("")]
        const outcome = inEveryCut(make, concat([...message, ...message]))
        assert.deepStrictEqual(outcome.events, ["Text 0123456789", "Text 0123456789"])
      })

      it(`${role} doesn't count control frames`, () => {
        const bytes = concat([peer.text("01234", false), peer.ping("x".repeat(125)), peer.continuation("56789")])
        assert.strictEqual(inEveryCut(make, bytes).events.at(-1), "Text 0123456789")
      })
    }
  })
}
