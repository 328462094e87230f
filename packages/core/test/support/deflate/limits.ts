/** RFC 7692 8: what comes out is bounded while it does, whatever the frames announce. */
import * as Zlib from "node:zlib"
import { assert, describe, it } from "vitest"
import type { ByteOps } from "../../../src/ByteOps.ts"
import * as Frame from "../../../src/Frame.ts"
import type * as Protocol from "../../../src/Protocol.ts"
import type { Role } from "../../../src/Role.ts"
import { chunksOf, eventsOf, inEveryCut, outcomeOf, peerOfRole, roles } from "../Endpoints.ts"
import { concat, sequence, toHex } from "../Hex.ts"
import { agreements, compressedFrame, compressing, deflated, rsv1, type Settings } from "./Compressed.ts"
import { ZlibCodec } from "./ZlibCodec.ts"

export const limits = (byteOps: ByteOps): void => {
  describe("8 limits", () => {
    for (const role of roles) {
      for (const [agreement, parameters] of agreements) {
        const make = (settings: Settings) => compressing(role, byteOps, { parameters, ...settings })
        const whole = (payload: Uint8Array) => compressedFrame(role, { opcode: Frame.Binary, payload })

        it(`${role} ${agreement} takes a message of exactly the limit, and refuses one of a byte more`, () => {
          for (const level of [0, 6]) {
            for (const size of [1, 10, 300]) {
              const bytes = sequence(size)
              const fits = (maxMessageSize: number) =>
                inEveryCut(() => make({ maxMessageSize }), whole(deflated(bytes, { level }))).events
              assert.deepStrictEqual(fits(size), [`Binary ${toHex(bytes)}`])
              if (size > 1) assert.deepStrictEqual(fits(size - 1), ["Failed MessageTooBig"])
            }
          }
          for (const more of [1, 2, 3, 4, 5, 6]) {
            const events = inEveryCut(() => make({ maxMessageSize: 100 }), whole(deflated(new Uint8Array(100 + more))))
            assert.deepStrictEqual(events.events, ["Failed MessageTooBig"], `${more} over the limit`)
          }
        })

        it(`${role} ${agreement} takes a message within the limit that got longer by compression`, () => {
          const bytes = sequence(256)
          const payload = deflated(bytes, { level: 0 })
          assert.isAbove(payload.length, 256)
          const events = [`Binary ${toHex(bytes)}`]
          assert.deepStrictEqual(inEveryCut(() => make({ maxMessageSize: 256 }), whole(payload)).events, events)
          const inTwo = concat([
            compressedFrame(role, { fin: false, opcode: Frame.Binary, payload: payload.subarray(0, 255) }),
            peerOfRole(role).continuation(payload.subarray(255))
          ])
          assert.deepStrictEqual(inEveryCut(() => make({ maxMessageSize: 256 }), inTwo).events, events)
        })

        it(`${role} ${agreement} refuses what is announced far over the limit before any of it has come`, () => {
          const header = role === "server" ? 8 : 4
          const payload = deflated(sequence(700), { level: 0 })
          const halves = [
            compressedFrame(role, { fin: false, opcode: Frame.Binary, payload }),
            peerOfRole(role).continuation(payload).slice(0, header)
          ]
          for (const bytes of [whole(sequence(2000)).slice(0, header), concat(halves)]) {
            const { events } = inEveryCut(() => make({ maxMessageSize: 1000 }), bytes)
            assert.deepStrictEqual(events, ["Failed MessageTooBig"])
            const protocol = make({ maxMessageSize: 1000, maxStreamedSize: 5000 })
            protocol.receive(bytes.slice())
            assert.isTrue(protocol.isOversized)
            protocol.refuseOversized()
            assert.deepStrictEqual(eventsOf(protocol), ["Failed MessageTooBig"])
          }
        })

        it(`${role} ${agreement} refuses a bomb with no more of it than the limit`, () => {
          const bomb = deflated(new Uint8Array(2 ** 22))
          assert.isBelow(bomb.length, 5000)
          assertDefused(make, whole(bomb), Infinity)
          assertDefused(make, whole(bomb), 100)
        })

        it(`${role} ${agreement} refuses a bomb over fragments, cut everywhere`, () => {
          const bomb = deflated(new Uint8Array(2 ** 22))
          assertDefused(make, inFragments(role, bomb, 500), Infinity)
          assertDefused(make, inFragments(role, bomb, 500), 100)
        })

        it(`${role} ${agreement} refuses a bomb in the last block`, () => {
          const harmless = deflated(sequence(900), { level: 0 })
          const payload = concat([harmless, Uint8Array.of(0, 0, 0xff, 0xff), deflated(new Uint8Array(2 ** 20))])
          assertDefused(make, whole(payload), Infinity)
          assertDefused(make, inFragments(role, payload, 200), 50)
          const final = concat([Zlib.deflateRawSync(sequence(900)), deflated(new Uint8Array(2 ** 20))])
          assertDefused(make, whole(final), Infinity)
        })

        it(`${role} ${agreement} counts each message for itself`, () => {
          const bytes = new Uint8Array(90)
          const protocol = make({ maxMessageSize: 100 })
          const message = inFragments(role, deflated(bytes, { level: 0 }), 50)
          for (let count = 0; count < 5; count++) protocol.receive(message.slice())
          assert.deepStrictEqual(
            eventsOf(protocol),
            Array.from({ length: 5 }, () => `Binary ${toHex(bytes)}`)
          )
        })

        it(`${role} ${agreement} takes a larger message piece by piece, up to its own limit`, () => {
          const bytes = sequence(250_000)
          const payload = deflated(bytes, { level: 0 })
          for (const [maxStreamedSize, ends] of [
            [250_000, true],
            [249_999, false]
          ] as const) {
            const codec = new ZlibCodec()
            const protocol = make({ codec, maxMessageSize: 1000, maxStreamedSize })
            const [first, ...rest] = chunksOf(whole(payload), 40_000)
            protocol.receive(first!.slice(0, 14))
            const pieces: Array<Uint8Array> = [...protocol.streamMessage()!.pieces]
            protocol.receive(first!.slice(14))
            for (const chunk of rest) protocol.receive(chunk)
            const events = protocol.takeEvents()
            const last = events.at(-1)!
            for (const event of events) if (event._tag === "Pieces") pieces.push(...event.pieces)
            if (ends) assert.deepStrictEqual(toHex(concat(pieces)), toHex(bytes))
            else
              assert.deepNestedInclude(last, { _tag: "Failed", "fault._tag": "MessageTooBig", "fault.limit": 249_999 })
            assert.isAtMost(codec.inflated, 250_004, "no more than the limit and what is asked to check the end")
          }
        })

        it(`${role} ${agreement} drops a compressed message that nobody wants, and checks it all the same`, () => {
          const text = "é".repeat(50_000)
          for (const wrong of [false, true]) {
            const payload = deflated(wrong ? concat([new TextEncoder().encode(text), Uint8Array.of(0xff)]) : text)
            const next = compressedFrame(role, { opcode: Frame.Text, payload: deflated("next") })
            const bytes = concat([compressedFrame(role, { opcode: Frame.Text, payload }), next])
            const protocol = make({ maxMessageSize: 200_000 })
            protocol.receive(bytes.slice(0, 20))
            assert.strictEqual(protocol.streamMessage()?.type, "Text")
            protocol.dropMessage()
            protocol.receive(bytes.slice(20))
            assert.deepStrictEqual(eventsOf(protocol), wrong ? ["Failed InvalidUtf8"] : ["Text next"])
          }
        })
      }
    }
  })
}

const inFragments = (role: Role, payload: Uint8Array, size: number): Uint8Array => {
  const parts = chunksOf(payload, size)
  return concat(
    parts.map((part, index) =>
      peerOfRole(role).frame({
        fin: index === parts.length - 1,
        rsv: index === 0 ? rsv1 : 0,
        opcode: index === 0 ? Frame.Binary : Frame.Continuation,
        payload: part
      })
    )
  )
}

/** 1009, and all that came out is the limit, the byte over it, and what is asked to check the end. */
const assertDefused = (make: (settings: Settings) => Protocol.Protocol, bytes: Uint8Array, chunkSize: number): void => {
  const codec = new ZlibCodec()
  const maxMessageSize = 10_000
  const chunks = chunksOf(bytes, Math.min(chunkSize, bytes.length))
  const outcome = outcomeOf(make({ codec, maxMessageSize }), chunks)
  assert.deepStrictEqual(outcome.events, ["Failed MessageTooBig"])
  assert.propertyVal(outcome.closeSent, "code", 1009)
  assert.deepNestedInclude(outcome.faults[0], { limit: maxMessageSize, size: maxMessageSize + 1 })
  assert.isAtMost(codec.inflated, maxMessageSize + 5)
}
