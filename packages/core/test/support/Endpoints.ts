/** Endpoints under test, what they report in a form that can be compared, and every way to cut their input. */
import { assert } from "vitest"
import type { ByteOps } from "../../src/ByteOps.ts"
import type { MaskingKeys } from "../../src/FrameEncoder.ts"
import * as Protocol from "../../src/Protocol.ts"
import { peerOf, type Role } from "../../src/Role.ts"
import { concat, toHex } from "./Hex.ts"
import { describeEvent, type Outcome, outcomeOf } from "./Outcome.ts"
import { readFrames, Wire, type WireFrame } from "./Wire.ts"

export { describeEvent, lend, type Outcome, outcomeOf, Reassembly, streamedOutcomeOf } from "./Outcome.ts"

export const roles: ReadonlyArray<Role> = ["client", "server"]

/** Draws keys that can be foretold: 1, 2, 3 and so on, spread over the four bytes. */
export const countedKeys = (): MaskingKeys => {
  let drawn = 0
  return () => Math.imul(++drawn, 0x9e3779b1)
}

/** Makes an endpoint; a client draws counted keys unless others are given. */
export const endpoint = (role: Role, byteOps: ByteOps, options: Partial<Protocol.Options> = {}): Protocol.Protocol =>
  Protocol.make({ role, byteOps, ...(role === "client" ? { maskingKeys: countedKeys() } : {}), ...options })

/** Writes the frames that the peer of `role` sends. */
export const peerOfRole = (role: Role): Wire => new Wire(peerOf(role))

/** Takes the output as the bytes that go over the wire. */
export const outputOf = (protocol: Protocol.Protocol): Uint8Array => concat(protocol.takeOutput())

/** Takes the output as frames, and asserts what holds for all of them: a client masks, a server doesn't, no bit is lost. */
export const framesOf = (protocol: Protocol.Protocol): Array<WireFrame> => {
  const frames = readFrames(outputOf(protocol))
  for (const frame of frames) {
    assert.strictEqual(frame.key !== undefined, protocol.role === "client", "masked")
    assert.strictEqual(frame.rsv, 0, "reserved bits")
  }
  return frames
}

/** Takes the output in short: `9 68 69` is a Ping with "hi", a frame that isn't final has a minus before it. */
export const sentBy = (protocol: Protocol.Protocol): Array<string> =>
  framesOf(protocol).map(({ fin, opcode, payload }) => `${fin ? "" : "-"}${opcode} ${toHex(payload)}`.trim())

/** Takes the events in short, as `describeEvent` tells them. */
export const eventsOf = (protocol: Protocol.Protocol): Array<string> => protocol.takeEvents().map(describeEvent)

/**
 * Gives a transcript to fresh endpoints whole, byte by byte and split at every offset, asserts that all end alike, and
 * returns how. A long transcript is split at the offsets near both ends and at some between.
 */
export const inEveryCut = (make: () => Protocol.Protocol, bytes: Uint8Array): Outcome => {
  const whole = outcomeOf(make(), [bytes])
  assert.deepStrictEqual(outcomeOf(make(), [bytes.subarray(0, 0), bytes]), whole, "lent")
  assert.deepStrictEqual(outcomeOf(make(), eachByte(bytes)), whole, "byte by byte")
  for (const offset of offsetsOf(bytes.length)) {
    const halves = [bytes.subarray(0, offset), bytes.subarray(offset)]
    assert.deepStrictEqual(outcomeOf(make(), halves), whole, `split at ${offset}`)
  }
  return whole
}

/** Cuts bytes into chunks of one. */
export const eachByte = (bytes: Uint8Array): Array<Uint8Array> => Array.from(bytes, (byte) => Uint8Array.of(byte))

/** Cuts bytes into chunks of `size`, the last one may be shorter. */
export const chunksOf = (bytes: Uint8Array, size: number): Array<Uint8Array> =>
  Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) => bytes.slice(index * size, (index + 1) * size))

const offsetsOf = (length: number): Array<number> => {
  const step = Math.max(1, Math.floor(length / 16))
  const near = 40
  return Array.from({ length: length + 1 }, (_, offset) => offset).filter(
    (offset) => length <= 400 || offset < near || offset > length - near || offset % step === 0
  )
}
