/** RFC 6455 5.4: what holds for every message that is taken piece by piece, and for every one that is sent in fragments. */
import * as fc from "fast-check"
import { assert, describe, it } from "vitest"
import type { ByteOps } from "../../../src/ByteOps.ts"
import * as Message from "../../../src/Message.ts"
import * as PreparedMessage from "../../../src/PreparedMessage.ts"
import type * as Protocol from "../../../src/Protocol.ts"
import { peerOf, type Role } from "../../../src/Role.ts"
import {
  describeEvent,
  endpoint,
  eventsOf,
  outcomeOf,
  outputOf,
  Reassembly,
  roles,
  streamedOutcomeOf
} from "../Endpoints.ts"
import { hex, toHex, utf8 } from "../Hex.ts"
import { assertDocumented, chunkSizes, cutBy, encodeAll, expectedOf, noise, payloads, sent } from "./properties.ts"

/** Answers over and over what was drawn. */
const inTurn = (answers: ReadonlyArray<boolean>): (() => boolean) => {
  let asked = 0
  return () => answers[asked++ % answers.length]!
}

const asks = fc.array(fc.boolean(), { minLength: 1, maxLength: 12 })

/** How a message leaves: as a whole in each way there is, or in fragments with control frames between. */
interface Leaving {
  readonly how: "data" | "message" | "prepared" | "fragments"
  readonly text: string | undefined
  readonly bytes: Uint8Array
  readonly cuts: ReadonlyArray<number>
  readonly pings: boolean
}

const leaving: fc.Arbitrary<Leaving> = fc.record({
  how: fc.constantFrom("data", "message", "prepared", "fragments"),
  text: fc.option(fc.string({ unit: "binary", maxLength: 100 }), { nil: undefined }),
  bytes: payloads,
  cuts: fc.array(fc.nat(20_000), { maxLength: 4 }),
  pings: fc.boolean()
})

/** Sends a message in its way and returns what the peer is to receive. */
const send = (protocol: Protocol.Protocol, { bytes, cuts, how, pings, text }: Leaving): Array<string> => {
  const payload = text === undefined ? bytes : utf8(text)
  const received = text === undefined ? `Binary ${toHex(bytes)}`.trim() : `Text ${text}`
  if (how === "data") assert.isTrue(text === undefined ? protocol.sendBinary(bytes) : protocol.sendText(text))
  else if (how === "message") assert.isTrue(protocol.sendMessage(messageOf(text, bytes)))
  else if (how === "prepared") assert.isTrue(protocol.sendPrepared(PreparedMessage.make(text ?? bytes)))
  if (how !== "fragments") return [received]
  const edges = [0, ...cuts.map((cut) => cut % (payload.length + 1)).sort((a, b) => a - b), payload.length]
  const events: Array<string> = []
  for (let index = 0; index + 1 < edges.length; index++) {
    const part = payload.subarray(edges[index], edges[index + 1])
    assert.isTrue(protocol.sendFragment(text === undefined ? "Binary" : "Text", part, index + 2 === edges.length))
    if (!pings || index + 2 === edges.length) continue
    assert.isTrue(protocol.ping(hex("07")))
    events.push("Ping 07")
  }
  return [...events, received]
}

const messageOf = (text: string | undefined, bytes: Uint8Array): Message.Message =>
  text === undefined ? Message.binary(bytes) : Message.text(text)

/** An endpoint with small limits, so that all of them are met. */
const limited = (role: Role, byteOps: ByteOps): Protocol.Protocol =>
  endpoint(role, byteOps, { maxMessageSize: 100, maxStreamedSize: 300 })

export const streamingProperties = (byteOps: ByteOps): void => {
  describe("5.4 properties of messages piece by piece", () => {
    for (const role of roles) {
      it(`${role} receives exactly what was sent, with pieces asked for at any moment`, () => {
        fc.assert(
          fc.property(fc.array(sent, { maxLength: 6 }), chunkSizes, asks, (messages, sizes, asks) => {
            const chunks = cutBy(encodeAll(peerOf(role), byteOps, messages), sizes)
            const outcome = streamedOutcomeOf(endpoint(role, byteOps), chunks, inTurn(asks))
            assert.deepStrictEqual(outcome.events, expectedOf(messages))
          }),
          { numRuns: 300 }
        )
      })

      it(`${role} meets arbitrary bytes alike, with pieces asked for at any moment`, () => {
        fc.assert(
          fc.property(noise(peerOf(role)), chunkSizes, asks, (bytes, sizes, asks) => {
            const whole = outcomeOf(limited(role, byteOps), [bytes])
            assertDocumented(role, whole, byteOps)
            assert.deepStrictEqual(streamedOutcomeOf(limited(role, byteOps), cutBy(bytes, sizes), inTurn(asks)), whole)
          }),
          { numRuns: 1000 }
        )
      })

      it(`${role} that drops messages at any moment receives all the others`, () => {
        fc.assert(
          fc.property(fc.array(sent, { maxLength: 6 }), chunkSizes, asks, (messages, sizes, asks) => {
            const protocol = endpoint(role, byteOps)
            const [drops, pieces, events] = [inTurn(asks), new Reassembly(protocol), new Array<string>()]
            let dropped = 0
            for (const chunk of cutBy(encodeAll(peerOf(role), byteOps, messages), sizes)) {
              if (drops() && protocol.streamMessage() !== undefined) {
                protocol.dropMessage()
                dropped++
              }
              protocol.receive(chunk)
              for (const event of protocol.takeEvents()) events.push(...pieces.take(event).map(describeEvent))
            }
            // What is left is what was sent without those that were dropped, in order.
            const expected = expectedOf(messages)
            let at = 0
            for (const event of events)
              at = expected.indexOf(event, at) + 1 || assert.fail(`${event} wasn't sent there`)
            assert.strictEqual(events.length, expected.length - dropped)
          }),
          { numRuns: 300 }
        )
      })
    }
  })

  describe("5.4 properties of what is sent", () => {
    for (const role of roles) {
      it(`${role} sends what its peer receives, in any way and frames of any size`, () => {
        const fragmentSize = fc.oneof(
          fc.constant(undefined),
          fc.integer({ min: 1, max: 20 }),
          fc.integer({ min: 1, max: 9000 })
        )
        fc.assert(
          fc.property(
            fc.array(leaving, { maxLength: 6 }),
            fragmentSize,
            chunkSizes,
            (messages, fragmentSize, sizes) => {
              const protocol = endpoint(role, byteOps, { fragmentSize })
              const expected = messages.flatMap((message) => send(protocol, message))
              const peer = endpoint(peerOf(role), byteOps)
              for (const chunk of cutBy(outputOf(protocol), sizes)) peer.receive(chunk)
              assert.deepStrictEqual(eventsOf(peer), expected)
            }
          ),
          { numRuns: 300 }
        )
      })
    }
  })
}
