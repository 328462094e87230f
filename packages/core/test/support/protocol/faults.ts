/** Every rule that a peer can break, with the Close frame that answers (RFC 6455 5, 7.1.7, 7.4.1, 8.1). */
import { assert, describe, it } from "vitest"
import type { ByteOps } from "../../../src/ByteOps.ts"
import type { Role } from "../../../src/Role.ts"
import { endpoint, eventsOf, inEveryCut, outputOf, peerOfRole, roles } from "../Endpoints.ts"
import { concat, hex, toHex, utf8 } from "../Hex.ts"

interface Case {
  readonly title: string
  readonly tag: string
  readonly message: string
  // The code of the Close frame, 1002 unless told.
  readonly code?: string
  // What each role receives; a case without one has no meaning for that role.
  readonly server?: string
  readonly client?: string
}

const k = "00 00 00 00"

const atTheSecondByte: ReadonlyArray<Case> = [
  ...[3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map((opcode) => ({
    title: `a frame with the reserved opcode ${opcode}`,
    tag: "ReservedOpcode",
    message: `Opcode ${opcode} is reserved (RFC 6455 5.2)`,
    server: `8${opcode.toString(16)} 80`,
    client: `8${opcode.toString(16)} 00`
  })),
  ...(
    [
      ["RSV1 on a text frame", "100", "c1"],
      ["RSV2 on a text frame", "010", "a1"],
      ["RSV3 on a binary frame", "001", "92"],
      ["all reserved bits on a fragment", "111", "71"],
      ["RSV1 on a Ping", "100", "c9"],
      ["RSV2 on a Pong", "010", "aa"],
      ["RSV1 on a Close frame", "100", "c8"]
    ] as const
  ).map(([title, bits, first]) => ({
    title,
    tag: "ReservedBits",
    message: `Reserved bits are set that no extension uses: ${bits} (RFC 6455 5.2)`,
    server: `${first} 80`,
    client: `${first} 00`
  })),
  {
    title: "RSV1 on a continuation frame",
    tag: "ReservedBits",
    message: "Reserved bits are set that no extension uses: 100 (RFC 6455 5.2)",
    server: `01 80 ${k} c0 80`,
    client: "01 00 c0 00"
  },
  ...["81 05", "02 00", "89 00", "88 02", "8a 7d", "81 7e", "81 7f"].map((start) => ({
    title: `an unmasked frame that begins with ${start}`,
    tag: "UnmaskedFrame",
    message: "A frame of the client is not masked (RFC 6455 5.1)",
    server: start
  })),
  ...["81 85", "02 80", "89 80", "88 82", "8a fd", "81 fe", "81 ff"].map((start) => ({
    title: `a masked frame that begins with ${start}`,
    tag: "MaskedFrame",
    message: "A frame of the server is masked (RFC 6455 5.1)",
    client: start
  })),
  ...[8, 9, 10].flatMap((opcode): ReadonlyArray<Case> => [
    {
      title: `a fragment of a control frame with opcode ${opcode}`,
      tag: "FragmentedControlFrame",
      message: `A control frame (opcode ${opcode}) is fragmented (RFC 6455 5.5)`,
      server: `0${opcode.toString(16)} 80`,
      client: `0${opcode.toString(16)} 00`
    },
    {
      title: `a control frame with opcode ${opcode} and a length of 16 bits`,
      tag: "ControlFrameTooLong",
      message: `A control frame (opcode ${opcode}) is longer than 125 bytes (RFC 6455 5.5)`,
      server: `8${opcode.toString(16)} fe`,
      client: `8${opcode.toString(16)} 7e`
    },
    {
      title: `a control frame with opcode ${opcode} and a length of 64 bits`,
      tag: "ControlFrameTooLong",
      message: `A control frame (opcode ${opcode}) is longer than 125 bytes (RFC 6455 5.5)`,
      server: `8${opcode.toString(16)} ff`,
      client: `8${opcode.toString(16)} 7f`
    }
  ]),
  ...(["00", "80"] as const).map((first) => ({
    title: `a continuation that begins with ${first} where no message has begun`,
    tag: "UnexpectedContinuation",
    message: "A continuation frame came without a message to continue (RFC 6455 5.4)",
    server: `${first} 81`,
    client: `${first} 01`
  })),
  {
    title: "a continuation behind a whole message",
    tag: "UnexpectedContinuation",
    message: "A continuation frame came without a message to continue (RFC 6455 5.4)",
    server: `01 80 ${k} 80 80 ${k} 80 80`,
    client: "01 00 80 00 80 00"
  },
  ...[1, 2].flatMap((opcode) =>
    ["0", "8"].map((fin) => ({
      title: `a message with opcode ${opcode} and FIN ${fin === "0" ? 0 : 1} inside another one`,
      tag: "ExpectedContinuation",
      message: `A message begins (opcode ${opcode}) inside another one (RFC 6455 5.4)`,
      server: `01 80 ${k} ${fin}${opcode} 80`,
      client: `01 00 ${fin}${opcode} 00`
    }))
  )
]

const later: ReadonlyArray<Case> = [
  {
    title: "a length that is not the shortest",
    tag: "NonMinimalLength",
    message: "Length 125 is not encoded in the fewest bytes (RFC 6455 5.2)",
    server: `82 fe 00 7d ${k}`,
    client: "82 7e 00 7d"
  },
  {
    title: "a length with its highest bit set",
    tag: "LengthOutOfRange",
    message: "The highest bit of a 64-bit length is set (RFC 6455 5.2)",
    server: `82 ff 80 00 00 00 00 00 00 00 ${k}`,
    client: "82 7f 80 00 00 00 00 00 00 00"
  },
  {
    title: "a message over the limit",
    tag: "MessageTooBig",
    message: "A message of 16777217 bytes is over the limit of 16777216 (RFC 6455 7.4.1)",
    code: "03 f1",
    server: `82 ff 00 00 00 00 01 00 00 01 ${k}`,
    client: "82 7f 00 00 00 00 01 00 00 01"
  },
  {
    title: "text that is not UTF-8",
    tag: "InvalidUtf8",
    message: "A text message is not UTF-8 (RFC 6455 8.1)",
    code: "03 ef",
    server: `81 81 ${k} ff`,
    client: "81 01 ff"
  },
  {
    title: "a Close frame with one byte",
    tag: "ClosePayloadTooShort",
    message: "The payload of a Close frame is a single byte (RFC 6455 5.5.1)",
    server: `88 81 ${k} 03`,
    client: "88 01 03"
  },
  {
    title: "a Close frame with the code 1005",
    tag: "InvalidCloseCode",
    message: "Close code 1005 must not be sent (RFC 6455 7.4)",
    server: `88 82 ${k} 03 ed`,
    client: "88 02 03 ed"
  },
  {
    title: "a Close frame whose reason is not UTF-8",
    tag: "InvalidCloseReason",
    message: "The reason in a Close frame is not UTF-8 (RFC 6455 8.1)",
    code: "03 ef",
    server: `88 83 ${k} 03 e8 80`,
    client: "88 03 03 e8 80"
  }
]

const answer = (role: Role, { code = "03 ea", message }: Case): string => {
  const body = concat([hex(code), utf8(message)])
  assert.isAtMost(body.length, 125)
  // The key of the endpoints below is 0: a masked payload reads like one that isn't.
  const second = (role === "client" ? 0x80 : 0) | body.length
  return toHex(concat([Uint8Array.of(0x88, second), hex(role === "client" ? k : ""), body]))
}

export const faults = (byteOps: ByteOps): void => {
  const make = (role: Role) => endpoint(role, byteOps, role === "client" ? { maskingKeys: () => 0 } : {})

  const refuses = (role: Role, one: Case, bytes: Uint8Array): void => {
    const outcome = inEveryCut(() => make(role), bytes)
    assert.strictEqual(outcome.events.at(-1), `Failed ${one.tag}`)
    assert.strictEqual(outcome.output, answer(role, one))
    assert.strictEqual(outcome.state, "Failed")
    assert.isUndefined(outcome.closeReceived)
    assert.strictEqual((outcome.closeSent as { reason: string }).reason, one.message)
  }

  describe("5.1 to 5.5 what the first two bytes break", () => {
    for (const role of roles) {
      for (const one of atTheSecondByte) {
        const start = one[role]
        if (start === undefined) continue

        it(`${role} refuses ${one.title}, at its second byte`, () => {
          refuses(role, one, hex(start))
          const protocol = make(role)
          protocol.receive(hex(start).subarray(0, -1))
          assert.strictEqual(protocol.state, "Open", "not before")
        })
      }
    }
  })

  describe("7.1.7 fail the connection", () => {
    for (const role of roles) {
      const peer = peerOfRole(role)

      for (const one of later) {
        const bytes = hex(one[role]!)

        it(`${role} refuses ${one.title}`, () => refuses(role, one, bytes))

        it(`${role} ignores all that follows ${one.title}`, () => {
          refuses(role, one, concat([bytes, peer.text("late"), peer.ping("late"), peer.close(1000)]))
        })

        it(`${role} delivers the messages before ${one.title}`, () => {
          const protocol = make(role)
          protocol.receive(concat([peer.text("one"), peer.ping("two"), peer.binary(hex("03")), bytes]))
          assert.deepStrictEqual(eventsOf(protocol), ["Text one", "Ping 74 77 6f", "Binary 03", `Failed ${one.tag}`])
        })

        it(`${role} that has sent a Close frame sends none for ${one.title}`, () => {
          const protocol = make(role)
          protocol.close({ code: 1001, reason: "" })
          outputOf(protocol)
          protocol.receive(bytes)
          assert.strictEqual(outputOf(protocol).length, 0)
          assert.deepStrictEqual(eventsOf(protocol), [`Failed ${one.tag}`])
          assert.deepStrictEqual(protocol.closeSent, { code: 1001, reason: "" })
          assert.strictEqual(protocol.state, "Failed")
        })
      }
    }

    it("server answers an unmasked frame with these bytes", () => {
      const protocol = make("server")
      protocol.receive(hex("81 05"))
      assert.strictEqual(
        toHex(outputOf(protocol)),
        "88 34 03 ea 41 20 66 72 61 6d 65 20 6f 66 20 74 68 65 20 63 6c 69 65 6e 74 20 69 73 20 6e 6f 74 20 6d 61 73 " +
          "6b 65 64 20 28 52 46 43 20 36 34 35 35 20 35 2e 31 29"
      )
    })

    it("client answers text that is not UTF-8 with these bytes", () => {
      const protocol = make("client")
      protocol.receive(hex("81 01 ff"))
      assert.strictEqual(
        toHex(outputOf(protocol)),
        "88 ac 00 00 00 00 03 ef 41 20 74 65 78 74 20 6d 65 73 73 61 67 65 20 69 73 20 6e 6f 74 20 55 54 46 2d 38 20 " +
          "28 52 46 43 20 36 34 35 35 20 38 2e 31 29"
      )
    })
  })
}
