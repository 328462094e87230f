import { assert, describe, it } from "vitest"
import { portable } from "../src/ByteOps.ts"
import * as CloseReason from "../src/CloseReason.ts"
import * as ProtocolFault from "../src/ProtocolFault.ts"
import { utf8 } from "./support/Hex.ts"

type Fault = ProtocolFault.ProtocolFault | ProtocolFault.MessageTooBig

// One entry for each tag, made from the widest values there are: the compiler misses an entry, the test a long message.
const faults: { readonly [Tag in Fault["_tag"]]: readonly [fault: Fault, closeCode: number, section: string] } = {
  ReservedOpcode: [ProtocolFault.reservedOpcode(15), 1002, "5.2"],
  ReservedBits: [ProtocolFault.reservedBits(7), 1002, "5.2"],
  UnmaskedFrame: [ProtocolFault.unmaskedFrame(), 1002, "5.1"],
  MaskedFrame: [ProtocolFault.maskedFrame(), 1002, "5.1"],
  NonMinimalLength: [ProtocolFault.nonMinimalLength(65535), 1002, "5.2"],
  LengthOutOfRange: [ProtocolFault.lengthOutOfRange(), 1002, "5.2"],
  FragmentedControlFrame: [ProtocolFault.fragmentedControlFrame(10), 1002, "5.5"],
  ControlFrameTooLong: [ProtocolFault.controlFrameTooLong(10), 1002, "5.5"],
  ExpectedContinuation: [ProtocolFault.expectedContinuation(2), 1002, "5.4"],
  UnexpectedContinuation: [ProtocolFault.unexpectedContinuation(), 1002, "5.4"],
  InvalidUtf8: [ProtocolFault.invalidUtf8(), 1007, "8.1"],
  InvalidCompressedData: [ProtocolFault.invalidCompressedData(), 1007, "7.2.2"],
  ClosePayloadTooShort: [ProtocolFault.closePayloadTooShort(), 1002, "5.5.1"],
  InvalidCloseCode: [ProtocolFault.invalidCloseCode(65535), 1002, "7.4"],
  InvalidCloseReason: [ProtocolFault.invalidCloseReason(), 1007, "8.1"],
  MessageTooBig: [ProtocolFault.messageTooBig(2 ** 64, Number.MAX_SAFE_INTEGER), 1009, "7.4.1"]
}

describe("7.4.1 the faults of a peer", () => {
  for (const [tag, [fault, closeCode, section]] of Object.entries(faults)) {
    it(`client and server answer ${tag} with ${closeCode} and a message that fits into the Close frame`, () => {
      assert.deepStrictEqual([fault._tag, fault.closeCode, fault.section], [tag, closeCode, section] as never)
      const rfc = tag === "InvalidCompressedData" ? "RFC 7692" : "RFC 6455"
      assert.isTrue(fault.message.endsWith(` (${rfc} ${section})`), fault.message)
      assert.isAtMost(utf8(fault.message).length, CloseReason.maxReasonSize)
      const reason = { code: fault.closeCode, reason: fault.message }
      assert.isUndefined(CloseReason.validate(reason))
      assert.deepStrictEqual(CloseReason.decode(CloseReason.encode(reason, portable), portable), reason)
    })
  }

  it("client and server say what came", () => {
    assert.strictEqual(ProtocolFault.reservedOpcode(3).opcode, 3)
    assert.strictEqual(ProtocolFault.reservedBits(2).bits, 2)
    assert.include(ProtocolFault.reservedBits(2).message, "010")
    assert.strictEqual(ProtocolFault.nonMinimalLength(7).length, 7)
    assert.strictEqual(ProtocolFault.fragmentedControlFrame(9).opcode, 9)
    assert.strictEqual(ProtocolFault.controlFrameTooLong(8).opcode, 8)
    assert.strictEqual(ProtocolFault.expectedContinuation(1).opcode, 1)
    assert.strictEqual(ProtocolFault.invalidCloseCode(1004).code, 1004)
    const { limit, size } = ProtocolFault.messageTooBig(11, 10)
    assert.deepStrictEqual([size, limit], [11, 10])
  })
})
