/** RFC 6455 5.5.2, 5.5.3: Ping and Pong. */
import { assert, describe, it } from "vitest"
import type { ByteOps } from "../../../src/ByteOps.ts"
import { ConnectionPair } from "../ConnectionPair.ts"
import { eachByte, endpoint, eventsOf, framesOf, inEveryCut, peerOfRole, roles, sentBy } from "../Endpoints.ts"
import { concat, hex, sequence, utf8 } from "../Hex.ts"

export const control = (byteOps: ByteOps): void => {
  describe("5.5.2 Ping", () => {
    for (const role of roles) {
      const peer = peerOfRole(role)
      const make = () => endpoint(role, byteOps)

      for (const size of [0, 1, 124, 125]) {
        it(`${role} answers a Ping with ${size} bytes with the same bytes`, () => {
          const payload = "p".repeat(size)
          inEveryCut(make, peer.ping(payload))
          const protocol = make()
          protocol.receive(peer.ping(payload))
          const frames = framesOf(protocol)
          assert.strictEqual(frames.length, 1)
          assert.deepStrictEqual([frames[0]!.fin, frames[0]!.opcode], [true, 0xa])
          assert.deepStrictEqual(frames[0]!.payload, utf8(payload))
        })
      }

      it(`${role} answers every Ping, in order`, () => {
        const protocol = make()
        for (const byte of eachByte(concat([peer.ping("a"), peer.ping("b"), peer.ping()]))) protocol.receive(byte)
        assert.deepStrictEqual(sentBy(protocol), ["10 61", "10 62", "10"])
      })

      it(`${role} delivers a Ping in memory of its own`, () => {
        const protocol = make()
        const chunk = concat([peer.ping("a"), peer.pong("b")])
        protocol.receive(chunk)
        chunk.fill(0)
        assert.deepStrictEqual(eventsOf(protocol), ["Ping 61", "Pong 62"])
        assert.deepStrictEqual(sentBy(protocol), ["10 61"])
      })

      it(`${role} doesn't answer a Ping once it has sent a Close frame`, () => {
        const protocol = make()
        protocol.close({ code: 1000, reason: "" })
        assert.deepStrictEqual(sentBy(protocol), ["8 03 e8"])
        protocol.receive(concat([peer.ping("a"), peer.text("b"), peer.ping()]))
        assert.deepStrictEqual(eventsOf(protocol), ["Ping 61", "Text b", "Ping"])
        assert.deepStrictEqual(sentBy(protocol), [])
      })

      it(`${role} sends a Ping with at most 125 bytes, and leaves them as they are`, () => {
        const protocol = make()
        const payload = sequence(125)
        assert.isTrue(protocol.ping(payload))
        assert.deepStrictEqual(framesOf(protocol)[0]!.payload, sequence(125))
        assert.deepStrictEqual(payload, sequence(125))
      })

      it(`${role} can't send more than 125 bytes in a Ping or a Pong: that is a mistake of the caller`, () => {
        const protocol = make()
        assert.throws(() => protocol.ping(sequence(126)), RangeError, "126")
        assert.throws(() => protocol.pong(sequence(126)), RangeError, "5.5")
        assert.strictEqual(protocol.pendingOutput, 0)
      })

      it(`${role} gets its own bytes back in the Pong`, () => {
        const pair = new ConnectionPair(byteOps, eachByte)
        pair.ping(role, hex("01 02 03"))
        pair.ping(role, new Uint8Array(0))
        pair.ping(role, sequence(125))
        pair.assertReceivedEqualsSent()
      })
    }
  })

  describe("5.5.3 Pong", () => {
    for (const role of roles) {
      const peer = peerOfRole(role)
      const make = () => endpoint(role, byteOps)

      it(`${role} takes a Pong that it didn't ask for, and doesn't answer it`, () => {
        const outcome = inEveryCut(make, concat([peer.pong(), peer.pong("x".repeat(125))]))
        assert.deepStrictEqual(outcome.events.length, 2)
        assert.strictEqual(outcome.output, "")
      })

      it(`${role} sends a Pong that nobody asked for`, () => {
        const protocol = make()
        assert.isTrue(protocol.pong(hex("01")))
        assert.deepStrictEqual(sentBy(protocol), ["10 01"])
      })

      it(`${role} whose transport is full answers only the newest of a flood of Pings`, () => {
        const protocol = make()
        protocol.holdPongs()
        for (let round = 0; round < 100; round++) {
          protocol.receive(concat(Array.from({ length: 100 }, (_, index) => peer.ping(`${round}.${index}`))))
          assert.strictEqual(protocol.pendingOutput, 0)
          assert.strictEqual(protocol.takeEvents().length, 100)
        }
        protocol.releasePongs()
        assert.deepStrictEqual(
          framesOf(protocol).map(({ payload }) => payload),
          [utf8("99.99")]
        )
      })

      it(`${role} answers each Ping again after the Pongs were released`, () => {
        const protocol = make()
        protocol.holdPongs()
        protocol.receive(peer.ping("a"))
        protocol.releasePongs()
        protocol.receive(concat([peer.ping("b"), peer.ping("c")]))
        protocol.releasePongs()
        assert.deepStrictEqual(sentBy(protocol), ["10 61", "10 62", "10 63"])
      })

      it(`${role} holds back no Pong that it was told to send`, () => {
        const protocol = make()
        protocol.holdPongs()
        protocol.pong(hex("07"))
        assert.deepStrictEqual(sentBy(protocol), ["10 07"])
      })

      it(`${role} sends nothing for releasing when no Ping came`, () => {
        const protocol = make()
        protocol.holdPongs()
        protocol.releasePongs()
        assert.deepStrictEqual(sentBy(protocol), [])
      })

      for (const [title, end] of [
        ["it closes", (protocol) => protocol.close({ code: 1000, reason: "" })],
        ["the peer closes", (protocol) => protocol.receive(peer.close(1000))],
        ["the peer breaks the protocol", (protocol) => protocol.receive(hex("ff ff"))],
        ["the transport ends", (protocol) => protocol.receiveEnd()]
      ] as ReadonlyArray<readonly [string, (protocol: ReturnType<typeof make>) => unknown]>) {
        it(`${role} sends no held Pong behind the end when ${title}`, () => {
          const protocol = make()
          protocol.holdPongs()
          protocol.receive(peer.ping("a"))
          end(protocol)
          const before = protocol.pendingOutput
          protocol.releasePongs()
          assert.strictEqual(protocol.pendingOutput, before)
        })
      }
    }
  })
}
