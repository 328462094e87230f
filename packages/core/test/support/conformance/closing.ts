/** RFC 6455 7: closing the connection. */
import { assert, describe, it } from "vitest"
import { portable } from "../../../src/ByteOps.ts"
import type * as Protocol from "../../../src/Protocol.ts"
import type { Role } from "../../../src/Role.ts"
import { endpoint, eventsOf, roles, sentBy } from "../Endpoints.ts"
import { hex } from "../Hex.ts"
import { type Case, rule, transcript } from "./Case.ts"

/** 7.4.1, 7.4.2 and the registry: each code as it is on the wire, and whether a Close frame may hold it. */
const codes: ReadonlyArray<readonly [code: number, bytes: string, isAllowed: boolean]> = [
  [0, "00 00", false],
  [999, "03 e7", false],
  [1000, "03 e8", true],
  [1001, "03 e9", true],
  [1002, "03 ea", true],
  [1003, "03 eb", true],
  [1004, "03 ec", false],
  [1005, "03 ed", false],
  [1006, "03 ee", false],
  [1007, "03 ef", true],
  [1008, "03 f0", true],
  [1009, "03 f1", true],
  [1010, "03 f2", true],
  [1011, "03 f3", true],
  [1012, "03 f4", true],
  [1013, "03 f5", true],
  [1014, "03 f6", true],
  [1015, "03 f7", false],
  [1016, "03 f8", false],
  [1999, "07 cf", false],
  [2000, "07 d0", false],
  [2999, "0b b7", false],
  [3000, "0b b8", true],
  [3999, "0f 9f", true],
  [4000, "0f a0", true],
  [4999, "13 87", true],
  [5000, "13 88", false],
  [65535, "ff ff", false]
]

export const closing = (): void => {
  rule("7.1.4", "the closing handshake: what comes behind a Close frame is not looked at", [
    ...(["81 01 | 61", "89 00", "88 02 | 03 e9", "80 00", "f1 7f", "83 00"] as const).map((behind) => ({
      does: `closes cleanly whatever follows (${behind.slice(0, 5)})`,
      receives: `81 01 | 61 \n 88 02 | 03 e8 \n ${behind}`,
      events: ["Text a", "Close 1000"],
      sends: ["8 03 e8"]
    }))
  ])

  rule("7.1.5", "if this Close frame contains no status code, the code is considered to be 1005", [
    { does: "reads 1005 and an empty reason", receives: "88 00", events: ["Close 1005"], sends: ["8"] }
  ])

  rule("7.1.6", "the close reason is the UTF-8-encoded data following the status code", [
    {
      does: "reads the reason of the first Close frame",
      receives: "88 04 | 03 e8 68 69",
      events: ["Close 1000 hi"],
      sends: ["8 03 e8"]
    },
    {
      does: "reads no reason where there is none",
      receives: "88 02 | 03 e8",
      events: ["Close 1000"],
      sends: ["8 03 e8"]
    }
  ])

  rule(
    "7.1.7",
    "the endpoint SHOULD send a Close frame with an appropriate status code, and MUST NOT continue to process data",
    [
      {
        does: "ignores a valid message behind a fault",
        receives: "83 00 \n 81 01 | 61",
        events: ["Failed ReservedOpcode"],
        sends: ["8 03 ea"]
      },
      {
        does: "ignores a Close frame behind a fault",
        receives: "81 01 | ff \n 88 02 | 03 e8",
        events: ["Failed InvalidUtf8"],
        sends: ["8 03 ef"]
      },
      {
        does: "ignores another fault behind a fault",
        receives: "c1 00 \n 83 00",
        events: ["Failed ReservedBits"],
        sends: ["8 03 ea"]
      },
      {
        does: "delivers what came in front of a fault",
        receives: "81 01 | 61 \n 89 01 | 31 \n 83 00",
        events: ["Text a", "Ping 31", "Failed ReservedOpcode"],
        sends: ["10 31", "8 03 ea"]
      }
    ]
  )

  rule("7.4.1", "1009: a message that is too big for it to process", [
    {
      does: "takes a message as large as the limit",
      receives: "82 04 | 01 02 03 04",
      events: ["Binary 01 02 03 04"],
      options: { maxMessageSize: 4 }
    },
    {
      does: "refuses a larger one with 1009",
      receives: "82 05 | 01 02 03 04 05",
      events: ["Failed MessageTooBig"],
      sends: ["8 03 f1"],
      options: { maxMessageSize: 4 }
    },
    {
      does: "refuses the fragment that makes it larger",
      receives: "02 04 | 01 02 03 04 \n 00 00 \n 80 01 | 05",
      events: ["Failed MessageTooBig"],
      sends: ["8 03 f1"],
      options: { maxMessageSize: 4 }
    }
  ])

  rule("7.4", "status codes: which a Close frame may hold, and which not", [
    ...codes.flatMap(([code, bytes, isAllowed]): ReadonlyArray<Case> =>
      isAllowed
        ? [
            {
              does: `takes ${code} and answers with it`,
              receives: `88 02 | ${bytes}`,
              events: [`Close ${code}`],
              sends: [`8 ${bytes}`]
            },
            {
              does: `takes ${code} with a reason`,
              receives: `88 03 | ${bytes} 61`,
              events: [`Close ${code} a`],
              sends: [`8 ${bytes}`]
            }
          ]
        : [
            {
              does: `refuses ${code}`,
              receives: `88 02 | ${bytes}`,
              events: ["Failed InvalidCloseCode"],
              sends: ["8 03 ea"]
            },
            {
              does: `refuses ${code} with a reason`,
              receives: `88 03 | ${bytes} 61`,
              events: ["Failed InvalidCloseCode"],
              sends: ["8 03 ea"]
            }
          ]
    )
  ])

  describe("RFC 6455 7.1.2: to start the closing handshake, an endpoint sends a Close frame", () => {
    for (const role of roles) initiating(role)
  })

  describe("RFC 6455 7.4: status codes that an endpoint may send", () => {
    for (const role of roles) {
      for (const [code, bytes, isAllowed] of codes) {
        it(`${role} ${isAllowed ? "sends" : "can't send"} ${code}`, () => {
          const protocol = endpoint(role, portable)
          if (isAllowed) assert.isTrue(protocol.close({ code, reason: "" }))
          else assert.throws(() => protocol.close({ code, reason: "why" }), RangeError, "7.4")
          assert.deepStrictEqual(sentBy(protocol), isAllowed ? [`8 ${bytes}`] : [])
        })
      }
    }
  })
}

const initiating = (role: Role): void => {
  const closed = (frames: string): Protocol.Protocol => {
    const protocol = endpoint(role, portable)
    assert.isTrue(protocol.close({ code: 1001, reason: "" }))
    assert.deepStrictEqual(sentBy(protocol), ["8 03 e9"])
    protocol.receive(transcript(role, frames))
    return protocol
  }

  it(`${role} takes what the peer still says, then its Close frame, and sends nothing more`, () => {
    const protocol = closed("81 01 | 61 \n 02 01 | 01 \n 89 01 | 31 \n 80 01 | 02 \n 88 02 | 03 e9 \n 81 00")
    assert.deepStrictEqual(eventsOf(protocol), ["Text a", "Ping 31", "Binary 01 02", "Close 1001"])
    assert.deepStrictEqual([sentBy(protocol), protocol.state], [[], "CloseExchanged"])
  })

  it(`${role} takes a Close frame without a code, or with another one`, () => {
    assert.deepStrictEqual(eventsOf(closed("88 00")), ["Close 1005"])
    assert.deepStrictEqual(eventsOf(closed("88 02 | 0f a0")), ["Close 4000"])
  })

  it(`${role} fails for a fault all the same, without another Close frame`, () => {
    for (const [frames, fault] of [
      ["83 00", "ReservedOpcode"],
      ["81 01 | ff", "InvalidUtf8"],
      ["88 01 | 03", "ClosePayloadTooShort"]
    ] as const) {
      const protocol = closed(frames)
      assert.deepStrictEqual([eventsOf(protocol), sentBy(protocol)], [[`Failed ${fault}`], []])
      assert.strictEqual(protocol.state, "Failed")
    }
  })

  it(`${role} whose transport ends without a Close frame has received none (7.1.5, 1006)`, () => {
    const protocol = endpoint(role, portable)
    protocol.receive(transcript(role, "81 01 | 61").slice(0, -1))
    protocol.receiveEnd()
    protocol.receive(hex("61"))
    assert.deepStrictEqual([eventsOf(protocol), sentBy(protocol)], [[], []])
    assert.deepStrictEqual(
      [protocol.state, protocol.closeReceived, protocol.closeSent],
      ["Closed", undefined, undefined]
    )
  })
}
