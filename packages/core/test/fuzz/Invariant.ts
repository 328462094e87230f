/** What holds for an endpoint at every moment, whatever its peer sends and its caller asks for. */
import * as assert from "node:assert"
import { portable } from "../../src/ByteOps.ts"
import * as CloseReason from "../../src/CloseReason.ts"
import * as Frame from "../../src/Frame.ts"
import type * as Protocol from "../../src/Protocol.ts"
import type { ProtocolEvent } from "../../src/ProtocolEvent.ts"
import * as ProtocolFault from "../../src/ProtocolFault.ts"
import * as ProtocolState from "../../src/ProtocolState.ts"
import type { Role } from "../../src/Role.ts"
import { rsv1 } from "../support/deflate/deflated.ts"
import { readFrames, type WireFrame } from "../support/Wire.ts"

/** All faults, as their own constructors make them: the documented ones and no others. */
const faults: ReadonlySet<string> = new Set(
  [
    ProtocolFault.reservedOpcode(3),
    ProtocolFault.reservedBits(1),
    ProtocolFault.unmaskedFrame(),
    ProtocolFault.maskedFrame(),
    ProtocolFault.nonMinimalLength(1),
    ProtocolFault.lengthOutOfRange(),
    ProtocolFault.fragmentedControlFrame(9),
    ProtocolFault.controlFrameTooLong(9),
    ProtocolFault.expectedContinuation(1),
    ProtocolFault.unexpectedContinuation(),
    ProtocolFault.invalidUtf8(),
    ProtocolFault.invalidCompressedData(),
    ProtocolFault.closePayloadTooShort(),
    ProtocolFault.invalidCloseCode(1005),
    ProtocolFault.invalidCloseReason(),
    ProtocolFault.messageTooBig(2, 1)
  ].map(({ _tag }) => _tag)
)

/** A move from one state to another has to be written in the table; one call may make several. */
export const assertLegalMove = (from: ProtocolState.ProtocolState, to: ProtocolState.ProtocolState): void => {
  assert.ok(reachable.get(from)?.has(to), `${from} moved to ${to}`)
}

const reachable: ReadonlyMap<string, ReadonlySet<string>> = new Map(
  Object.keys(ProtocolState.table).map((state) => {
    const found = new Set([state])
    for (const one of found) {
      const { transitions } = ProtocolState.table[one as ProtocolState.ProtocolState]
      for (const next of Object.values(transitions)) found.add(next)
    }
    return [state, found]
  })
)

/** What the endpoint says of itself has to be what the table says of its state. */
export const assertConsistent = (protocol: Protocol.Protocol): void => {
  const rules = ProtocolState.table[protocol.state]
  assert.strictEqual(protocol.sends, rules.sends, "sends")
  assert.strictEqual(protocol.receives, rules.receives, "receives")
  assert.ok(protocol.receives || !protocol.isInMessage, "a message goes on after the end")
  assert.ok(protocol.isInMessage || !protocol.hasMessageBegun, "a message has begun that isn't there")
  assert.ok(protocol.hasMessageBegun || !protocol.isOversized, "a message is too large that nobody waits for")
}

export interface Limits {
  readonly maxStreamedSize: number
  readonly validateText: boolean
}

/** Events end with the one that ended the connection, and hold what is documented. */
export const assertEvents = (events: ReadonlyArray<ProtocolEvent>, limits: Limits): void => {
  for (const [index, event] of events.entries()) {
    if (event._tag === "Failed" || event._tag === "Close") {
      assert.strictEqual(index, events.length - 1, `something came behind ${event._tag}`)
      if (event._tag === "Failed") assert.ok(faults.has(event.fault._tag), event.fault._tag)
    } else if (event._tag === "Text" || event._tag === "Binary") {
      assert.ok(event.byteLength <= limits.maxStreamedSize, "a message is over the limit")
      assert.strictEqual(event.bytes.length, event.byteLength)
      if (event._tag === "Text" && limits.validateText) decoder.decode(event.bytes)
      assert.ok(heldBy(event.pieces) <= Math.max(4096, 4 * event.byteLength), "a message keeps too much alive")
    } else if (event._tag !== "Pieces") {
      assert.ok(event.payload.length <= Frame.maxControlPayload)
    }
  }
}

const decoder = new TextDecoder("utf-8", { fatal: true })

const heldBy = (pieces: ReadonlyArray<Uint8Array>): number => {
  let held = 0
  for (const buffer of new Set(pieces.map((piece) => piece.buffer))) held += buffer.byteLength
  return held
}

/** The output is whole frames that its peer has to accept, and nothing behind a Close frame. */
export const assertOutput = (role: Role, output: Uint8Array, compresses: boolean): ReadonlyArray<WireFrame> => {
  const frames = readFrames(output)
  let isInMessage = false
  for (const [index, { fin, key, opcode, payload, rsv }] of frames.entries()) {
    const begins = opcode === Frame.Text || opcode === Frame.Binary
    assert.ok(rsv === 0 || (rsv === rsv1 && compresses && begins), "reserved bits")
    assert.strictEqual(key !== undefined, role === "client", "mask")
    if (Frame.isControl(opcode)) {
      assert.ok(fin && payload.length <= Frame.maxControlPayload, "a control frame is torn or too long")
    } else {
      assert.strictEqual(
        opcode === Frame.Continuation,
        isInMessage,
        `opcode ${opcode} inside a message: ${isInMessage}`
      )
      isInMessage = !fin
    }
    assert.ok(!Frame.isReserved(opcode))
    if (opcode !== Frame.Close) continue
    assert.strictEqual(index, frames.length - 1, "something was sent behind a Close frame")
    assert.ok(!("_tag" in CloseReason.decode(payload, portable)), "the Close frame is invalid")
  }
  return frames
}

/**
 * What was allocated is in proportion to what came and went: one slab and one pool for small messages, a block of 128 bytes
 * at least for each message that came in pieces. What a header announces counts for nothing.
 */
export const assertBounded = (allocated: number, received: number, sent: number): void => {
  const limit = 64 * 1024 + 64 * received + 4 * sent
  assert.ok(allocated <= limit, `${allocated} bytes were allocated for ${received} received and ${sent} sent`)
}
