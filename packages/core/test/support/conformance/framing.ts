/** RFC 6455 5.2: every bit of the header. */
import { assert, describe, it } from "vitest"
import { portable } from "../../../src/ByteOps.ts"
import type { Role } from "../../../src/Role.ts"
import { endpoint, roles } from "../Endpoints.ts"
import { hex } from "../Hex.ts"
import { rule } from "./Case.ts"

export const framing = (): void => {
  rule("5.2", "FIN: the first fragment MAY also be the final fragment", [
    { does: "delivers a text of one fragment", receives: "81 01 | 61", events: ["Text a"] },
    { does: "delivers a binary message of one fragment", receives: "82 01 | 61", events: ["Binary 61"] },
    { does: "waits for more of a text that is not final", receives: "01 01 | 61", events: [] },
    { does: "waits for more of a binary message that is not final", receives: "02 01 | 61", events: [] },
    { does: "delivers a message with its final fragment", receives: "01 01 | 61 \n 80 01 | 62", events: ["Text ab"] }
  ])

  rule("5.2", "RSV1, RSV2, RSV3: if a nonzero value is received the endpoint MUST fail the connection", [
    ...(["c1 00", "a1 00", "91 00", "f1 00", "c2 00", "42 00", "22 00", "12 00"] as const).map((bytes) => ({
      does: `refuses a data frame that begins with ${bytes}`,
      receives: bytes,
      events: ["Failed ReservedBits"],
      sends: ["8 03 ea"]
    })),
    ...(["c8 00", "a9 00", "9a 00", "f8 02 | 03 e8"] as const).map((bytes) => ({
      does: `refuses a control frame that begins with ${bytes.slice(0, 5)}`,
      receives: bytes,
      events: ["Failed ReservedBits"],
      sends: ["8 03 ea"]
    })),
    {
      does: "refuses a continuation with a reserved bit, and delivers nothing of the message",
      receives: "01 01 | 61 \n 90 01 | 62",
      events: ["Failed ReservedBits"],
      sends: ["8 03 ea"]
    }
  ])

  rule("5.2", "Opcode: if an unknown opcode is received, the receiving endpoint MUST fail the connection", [
    ...(["83 00", "84 00", "85 00", "86 00", "87 00", "8b 00", "8c 00", "8d 00", "8e 00", "8f 00"] as const).map(
      (bytes) => ({
        does: `refuses the opcode ${bytes[1]}, between messages and inside one`,
        receives: `81 01 | 61 \n 02 01 | 62 \n ${bytes}`,
        events: ["Text a", "Failed ReservedOpcode"],
        sends: ["8 03 ea"]
      })
    )
  ])

  rule("5.2", "Payload length: if 0-125, that is the payload length", [
    { does: "takes 0 bytes", receives: "82 00", events: ["Binary"] },
    { does: "takes 1 byte", receives: "82 01 | 61", events: ["Binary 61"] },
    { does: "takes 125 bytes", receives: "82 7d | 61 * 125", events: [binary(125)] }
  ])

  rule("5.2", "Payload length: if 126, the following 2 bytes interpreted as a 16-bit unsigned integer", [
    { does: "takes 126 bytes", receives: "82 7e 00 7e | 61 * 126", events: [binary(126)] },
    { does: "takes 127 bytes", receives: "82 7e 00 7f | 61 * 127", events: [binary(127)] },
    { does: "takes 255 bytes", receives: "82 7e 00 ff | 61 * 255", events: [binary(255)] },
    { does: "takes 256 bytes", receives: "82 7e 01 00 | 61 * 256", events: [binary(256)] },
    { does: "takes 32768 bytes", receives: "82 7e 80 00 | 61 * 32768", events: [binary(32_768)] },
    { does: "takes 65535 bytes", receives: "82 7e ff ff | 61 * 65535", events: [binary(65_535)] }
  ])

  rule("5.2", "Payload length: if 127, the following 8 bytes interpreted as a 64-bit unsigned integer", [
    { does: "takes 65536 bytes", receives: "82 7f 00 00 00 00 00 01 00 00 | 61 * 65536", events: [binary(65_536)] },
    {
      does: "refuses 4294967296 bytes as too many, not as none",
      receives: "82 7f 00 00 00 01 00 00 00 00",
      events: ["Failed MessageTooBig"],
      sends: ["8 03 f1"]
    },
    {
      does: "refuses 9223372036854775807 bytes as too many",
      receives: "82 7f 7f ff ff ff ff ff ff ff",
      events: ["Failed MessageTooBig"],
      sends: ["8 03 f1"]
    }
  ])

  rule("5.2", "Payload length: the most significant bit MUST be 0", [
    ...(["80 00 00 00 00 00 00 00", "80 00 00 00 00 01 00 00", "ff ff ff ff ff ff ff ff"] as const).map((length) => ({
      does: `refuses the length ${length}`,
      receives: `82 7f ${length}`,
      events: ["Failed LengthOutOfRange"],
      sends: ["8 03 ea"]
    }))
  ])

  rule("5.2", "in all cases, the minimal number of bytes MUST be used to encode the length", [
    ...(["00 00", "00 01", "00 7d"] as const).map((length) => ({
      does: `refuses the length ${length} in 16 bits`,
      receives: `82 7e ${length} | 61`,
      events: ["Failed NonMinimalLength"],
      sends: ["8 03 ea"]
    })),
    ...(
      [
        "00 00 00 00 00 00 00 00",
        "00 00 00 00 00 00 00 7d",
        "00 00 00 00 00 00 00 7e",
        "00 00 00 00 00 00 ff ff"
      ] as const
    ).map((length) => ({
      does: `refuses the length ${length} in 64 bits`,
      receives: `82 7f ${length} | 61`,
      events: ["Failed NonMinimalLength"],
      sends: ["8 03 ea"]
    })),
    {
      does: "refuses a continuation with a length in too many bytes",
      receives: "02 01 | 61 \n 80 7e 00 01 | 62",
      events: ["Failed NonMinimalLength"],
      sends: ["8 03 ea"]
    }
  ])

  describe("RFC 6455 5.2: all 65536 beginnings of a frame", () => {
    for (const role of roles) {
      it(`${role} refuses those that break a rule, for a rule they break, and waits for more of the others`, () => {
        eachBeginning(role, "", false)
      })

      it(`${role} refuses inside a message those that break a rule there`, () => {
        eachBeginning(role, role === "client" ? "01 00" : "01 80 00 00 00 00", true)
      })
    }
  })
}

const eachBeginning = (role: Role, before: string, inMessage: boolean): void => {
  for (let first = 0; first < 256; first++) {
    for (let second = 0; second < 256; second++) {
      const protocol = endpoint(role, portable)
      if (before !== "") protocol.receive(hex(before))
      protocol.receive(Uint8Array.of(first, second))
      const broken = rulesBrokenBy(first, second, role, inMessage)
      const failed = protocol.takeEvents().flatMap((event) => (event._tag === "Failed" ? [event.fault._tag] : []))
      const isRight = broken.length === 0 ? failed.length === 0 : failed.length === 1 && broken.includes(failed[0]!)
      if (!isRight)
        assert.fail(`${first.toString(16)} ${second.toString(16)}: ${failed[0]}, not ${broken.join(" or ")}`)
    }
  }
}

/** The rules as the RFC lists them, each by itself. */
const rulesBrokenBy = (first: number, second: number, role: Role, inMessage: boolean): Array<string> => {
  const opcode = first % 16
  const isFinal = first >= 128
  const isMasked = second >= 128
  const isControl = opcode >= 8
  const rules: ReadonlyArray<readonly [string, boolean]> = [
    ["ReservedBits", Math.floor(first / 16) % 8 !== 0],
    ["ReservedOpcode", ![0, 1, 2, 8, 9, 10].includes(opcode)],
    ["UnmaskedFrame", role === "server" && !isMasked],
    ["MaskedFrame", role === "client" && isMasked],
    ["FragmentedControlFrame", isControl && !isFinal],
    ["ControlFrameTooLong", isControl && second % 128 > 125],
    ["UnexpectedContinuation", opcode === 0 && !inMessage],
    ["ExpectedContinuation", (opcode === 1 || opcode === 2) && inMessage]
  ]
  // A Close frame of one byte is wrong as well, but that shows only when the byte has come.
  return rules.filter(([, isBroken]) => isBroken).map(([name]) => name)
}

const binary = (length: number): string => `Binary ${"61 ".repeat(length)}`.trim()
