/** RFC 6455 5, 7: what holds for every input. */
import * as fc from "fast-check"
import { assert, describe, it } from "vitest"
import type { ByteOps } from "../../../src/ByteOps.ts"
import * as CloseCode from "../../../src/CloseCode.ts"
import * as CloseReason from "../../../src/CloseReason.ts"
import * as Frame from "../../../src/Frame.ts"
import { FrameEncoder } from "../../../src/FrameEncoder.ts"
import * as ProtocolState from "../../../src/ProtocolState.ts"
import { peerOf, type Role } from "../../../src/Role.ts"
import { countedKeys, endpoint, type Outcome, outcomeOf, peerOfRole, roles } from "../Endpoints.ts"
import { concat, hex, toHex, utf8 } from "../Hex.ts"
import { readFrames, Wire } from "../Wire.ts"

/** A message, where its payload is torn into fragments, and a control frame that goes before each further fragment. */
export interface Sent {
  readonly text: string | undefined
  readonly payload: Uint8Array
  readonly cuts: ReadonlyArray<number>
  readonly control: "Ping" | "Pong" | undefined
}

export const payloads = fc.oneof(
  fc.uint8Array({ maxLength: 40 }),
  fc.uint8Array({ maxLength: 300 }),
  fc.integer({ min: 0, max: 20_000 }).map((length) => new Uint8Array(length).fill(0x5a))
)

export const sent: fc.Arbitrary<Sent> = fc
  .record({
    text: fc.option(fc.string({ unit: "binary", maxLength: 100 }), { nil: undefined }),
    bytes: payloads,
    cuts: fc.array(fc.nat(20_000), { maxLength: 5 }),
    control: fc.constantFrom("Ping", "Pong", undefined)
  })
  .map(({ bytes, control, cuts, text }) => {
    const payload = text === undefined ? bytes : utf8(text)
    return { text, payload, control, cuts: cuts.map((cut) => cut % (payload.length + 1)).sort((a, b) => a - b) }
  })

export const chunkSizes = fc.array(fc.oneof(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 3000 })), {
  minLength: 1,
  maxLength: 10
})

/** Cuts bytes into chunks of the sizes given, over and over. */
export const cutBy = (bytes: Uint8Array, sizes: ReadonlyArray<number>): Array<Uint8Array> => {
  const chunks: Array<Uint8Array> = []
  for (let at = 0; at < bytes.length; at += chunks.at(-1)!.length) {
    chunks.push(bytes.slice(at, at + sizes[chunks.length % sizes.length]!))
  }
  return chunks
}

export const encodeAll = (sender: Role, byteOps: ByteOps, messages: ReadonlyArray<Sent>): Uint8Array => {
  const encoder = new FrameEncoder(byteOps, sender === "client" ? countedKeys() : undefined)
  for (const { control, cuts, payload, text } of messages) {
    const edges = [0, ...cuts, payload.length]
    for (let index = 0; index + 1 < edges.length; index++) {
      const opcode = index > 0 ? Frame.Continuation : text === undefined ? Frame.Binary : Frame.Text
      if (index > 0 && control !== undefined) encoder.encode(true, Frame[control], hex("07"))
      encoder.encode(index + 2 === edges.length, opcode, payload.subarray(edges[index], edges[index + 1]))
    }
  }
  return concat(encoder.take())
}

export const expectedOf = (messages: ReadonlyArray<Sent>): Array<string> =>
  messages.flatMap(({ control, cuts, payload, text }) => [
    ...(control === undefined ? [] : cuts.map(() => `${control} 07`)),
    text === undefined ? `Binary ${toHex(payload)}`.trim() : `Text ${text}`
  ])

/** Frames that nearly make sense, whole or cut off: they reach further into the codec than noise does. */
const nearlyFrame = (sender: Role): fc.Arbitrary<Uint8Array> =>
  fc
    .record({
      fin: fc.boolean(),
      rsv: fc.oneof({ weight: 20, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(7) }),
      opcode: fc.oneof(
        { weight: 20, arbitrary: fc.constantFrom(0, 1, 2, 9, 10) },
        { weight: 2, arbitrary: fc.constant(8) },
        { weight: 1, arbitrary: fc.nat(15) }
      ),
      payload: fc.oneof(fc.uint8Array({ maxLength: 200 }), fc.string({ unit: "binary", maxLength: 60 }).map(utf8)),
      lost: fc.oneof({ weight: 20, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(20) })
    })
    .map(({ lost, ...fields }) => {
      const bytes = new Wire(sender).frame(fields)
      return bytes.subarray(0, Math.max(0, bytes.length - lost))
    })

export const noise = (sender: Role): fc.Arbitrary<Uint8Array> =>
  fc.oneof(fc.uint8Array({ maxLength: 100 }), fc.array(nearlyFrame(sender), { maxLength: 12 }).map(concat))

const faultTags = [
  ..."ReservedOpcode ReservedBits UnmaskedFrame MaskedFrame NonMinimalLength LengthOutOfRange".split(" "),
  ..."FragmentedControlFrame ControlFrameTooLong ExpectedContinuation UnexpectedContinuation InvalidUtf8".split(" "),
  ..."ClosePayloadTooShort InvalidCloseCode InvalidCloseReason MessageTooBig".split(" ")
]

/** Asserts that an endpoint which only received ended in one of the ways that are documented. */
export const assertDocumented = (role: Role, outcome: Outcome, byteOps: ByteOps): void => {
  assert.property(ProtocolState.table, outcome.state)
  const last = outcome.events.findIndex((event) => /^(Failed|Close) /.test(event))
  if (last !== -1) assert.strictEqual(last, outcome.events.length - 1, "nothing comes behind the end")
  for (const fault of outcome.faults) assert.include(faultTags, (fault as { _tag: string })._tag)
  const frames = readFrames(hex(outcome.output))
  const pings = outcome.events.filter((event) => event.startsWith("Ping")).map((event) => event.slice(5))
  const pongs = frames.filter(({ opcode }) => opcode === Frame.Pong).map(({ payload }) => toHex(payload))
  assert.deepStrictEqual(pongs, pings, "each Ping is answered")
  const closes = frames.filter(({ opcode }) => opcode === Frame.Close)
  assert.strictEqual(closes.length, outcome.state === "Open" ? 0 : 1)
  assert.strictEqual(frames.length, pongs.length + closes.length)
  for (const frame of frames) {
    assert.isTrue(frame.fin && frame.rsv === 0 && (frame.key !== undefined) === (role === "client"))
    if (frame.opcode === Frame.Close) assert.notProperty(CloseReason.decode(frame.payload, byteOps), "_tag")
  }
}

export const properties = (byteOps: ByteOps): void => {
  describe("5 properties of the framing", () => {
    for (const role of roles) {
      it(`${role} receives exactly what was sent, in any fragmentation and chunking`, () => {
        fc.assert(
          fc.property(fc.array(sent, { maxLength: 6 }), chunkSizes, (messages, sizes) => {
            const outcome = outcomeOf(endpoint(role, byteOps), cutBy(encodeAll(peerOf(role), byteOps, messages), sizes))
            assert.deepStrictEqual(outcome.events, expectedOf(messages))
          }),
          { numRuns: 300 }
        )
      })

      it(`${role} meets arbitrary bytes in documented ways, alike in any chunking`, () => {
        fc.assert(
          fc.property(noise(peerOf(role)), chunkSizes, (bytes, sizes) => {
            const make = () => endpoint(role, byteOps, { maxMessageSize: 300 })
            const whole = outcomeOf(make(), [bytes])
            assertDocumented(role, whole, byteOps)
            assert.deepStrictEqual(outcomeOf(make(), cutBy(bytes, sizes)), whole)
          }),
          { numRuns: 1000 }
        )
      })

      it(`${role} meets valid transcripts that were tampered with in documented ways`, () => {
        const tampering = fc.array(fc.tuple(fc.nat(3), fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 3 })
        fc.assert(
          fc.property(
            fc.array(sent, { minLength: 1, maxLength: 3 }),
            tampering,
            chunkSizes,
            (messages, changes, sizes) => {
              let bytes = encodeAll(peerOf(role), byteOps, messages)
              for (const [kind, at, value] of changes) bytes = tamper(bytes, kind, at, value)
              const whole = outcomeOf(endpoint(role, byteOps), [bytes])
              assertDocumented(role, whole, byteOps)
              assert.deepStrictEqual(outcomeOf(endpoint(role, byteOps), cutBy(bytes, sizes)), whole)
            }
          ),
          { numRuns: 500 }
        )
      })

      it(`${role} accepts a Close frame exactly when its payload is legal`, () => {
        const body = fc.tuple(fc.nat(0xffff), fc.oneof(fc.uint8Array({ maxLength: 20 }), fc.string().map(utf8)))
        fc.assert(
          fc.property(body, ([code, reason]) => {
            const text = reason.subarray(0, 123)
            const legal = CloseCode.isAllowed(code) && Buffer.from(text).equals(utf8(Buffer.from(text).toString()))
            const outcome = outcomeOf(endpoint(role, byteOps), [peerOfRole(role).close(code, text)])
            assert.strictEqual(outcome.state, legal ? "CloseExchanged" : "Failed")
          })
        )
      })
    }
  })
}

/** Flips bits, drops a byte, adds one, or doubles the rest. */
const tamper = (bytes: Uint8Array, kind: number, at: number, value: number): Uint8Array => {
  const offset = bytes.length === 0 ? 0 : at % bytes.length
  const [before, after] = [bytes.subarray(0, offset), bytes.subarray(offset)]
  if (kind === 0) return concat([before, after.subarray(0, 1).map((byte) => byte ^ value), after.subarray(1)])
  if (kind === 1) return concat([before, after.subarray(1)])
  return kind === 2 ? concat([before, Uint8Array.of(value), after]) : concat([before, after, after])
}
