/** RFC 6455 5.4: a message that is taken piece by piece while it arrives, and one that is too large as a whole. */
import { assert, describe, it } from "vitest"
import type { ByteOps } from "../../../src/ByteOps.ts"
import * as Frame from "../../../src/Frame.ts"
import type * as Protocol from "../../../src/Protocol.ts"
import { CountingByteOps } from "../CountingByteOps.ts"
import {
  chunksOf,
  eachByte,
  endpoint,
  eventsOf,
  inEveryCut,
  peerOfRole,
  Reassembly,
  roles,
  sentBy,
  streamedOutcomeOf
} from "../Endpoints.ts"
import { concat, hex, sequence, toHex, utf8 } from "../Hex.ts"
import { invalidSequences, validTexts } from "../Utf8Samples.ts"
import type { Wire } from "../Wire.ts"

/** Takes the message that has begun, in short: `Text 61 62` when "ab" has come of it. */
const startOf = (protocol: Protocol.Protocol): string | undefined => {
  const start = protocol.streamMessage()
  return start === undefined ? undefined : `${start.type} ${toHex(concat(start.pieces))}`.trim()
}

/** Whether a message has begun that can be streamed, whether one is coming in, and whether it is too large as a whole. */
const marksOf = (protocol: Protocol.Protocol): ReadonlyArray<boolean> => [
  protocol.hasMessageBegun,
  protocol.isInMessage,
  protocol.isOversized
]

export const streaming = (byteOps: ByteOps): void => {
  for (const role of roles) {
    const peer = peerOfRole(role)
    const make = (options: Partial<Protocol.Options> = {}) => endpoint(role, byteOps, options)

    describe("5.4 a message piece by piece", () => beginnings(role, peer, make))
    describe("5.4 a message piece by piece and what else comes", () => neighbours(role, peer, make))
    describe("8.1 text piece by piece", () => texts(role, peer, make))
    describe("5.4 a message that is dropped", () => dropping(role, peer, make, byteOps))
    describe("7.4.1 the limits of a message piece by piece", () => oversized(role, peer, make))

    describe("10.4 what a message piece by piece holds", () => holding(role, peer, make, byteOps))
  }
}

type Make = (options?: Partial<Protocol.Options>) => Protocol.Protocol

const beginnings = (role: string, peer: Wire, make: Make): void => {
  it(`${role} has no message to hand out before one begins, and none after it ended`, () => {
    const protocol = make()
    assert.deepStrictEqual([startOf(protocol), ...marksOf(protocol)], [undefined, false, false, false])
    protocol.receive(concat([peer.text("a"), peer.binary(hex("01"), false), peer.continuation(hex("02")), peer.ping()]))
    assert.deepStrictEqual([startOf(protocol), ...marksOf(protocol)], [undefined, false, false, false])
    assert.deepStrictEqual(eventsOf(protocol), ["Text a", "Binary 01 02", "Ping"])
  })

  it(`${role} has a message to hand out from the end of its first header on, of the type it says`, () => {
    for (const [opcode, type] of [
      [Frame.Text, "Text"],
      [Frame.Binary, "Binary"]
    ] as const) {
      const protocol = make()
      const header = peer.header(opcode, 16, 200n)
      protocol.receive(header.slice(0, -1))
      assert.deepStrictEqual(marksOf(protocol), [false, false, false])
      protocol.receive(header.slice(-1))
      assert.deepStrictEqual(marksOf(protocol), [true, true, false])
      assert.strictEqual(startOf(protocol), type)
      assert.deepStrictEqual(marksOf(protocol), [false, true, false], "it is handed out once")
      assert.isUndefined(protocol.streamMessage())
    }
  })

  it(`${role} hands out what has come of many fragments, then the rest as it comes, and the end once`, () => {
    const protocol = make()
    protocol.receive(concat([peer.binary(hex("01 02"), false), peer.continuation(hex("03"), false)]))
    protocol.receive(peer.continuation(hex("04 05"), false))
    assert.strictEqual(startOf(protocol), "Binary 01 02 03 04 05")
    assert.deepStrictEqual(eventsOf(protocol), [])
    protocol.receive(concat([peer.continuation(hex("06"), false), peer.continuation(hex("07"), false)]))
    assert.deepStrictEqual(eventsOf(protocol), ["Pieces 06 07"])
    protocol.receive(peer.continuation("", false))
    assert.deepStrictEqual(eventsOf(protocol), [], "an empty fragment brings nothing")
    protocol.receive(peer.continuation(hex("08")))
    assert.deepStrictEqual(eventsOf(protocol), ["Pieces 08 end"])
    assert.deepStrictEqual(marksOf(protocol), [false, false, false])
  })

  it(`${role} tells the end of a message whose last fragment is empty`, () => {
    const protocol = make()
    protocol.receive(peer.text("a", false))
    assert.strictEqual(startOf(protocol), "Text 61")
    protocol.receive(peer.continuation(""))
    assert.deepStrictEqual(eventsOf(protocol), ["Pieces end"])
  })

  it(`${role} hands out one frame as its bytes come`, () => {
    const protocol = make()
    const frame = peer.binary(hex("01 02 03"))
    const chunks = eachByte(frame)
    for (const byte of chunks.slice(0, -2)) protocol.receive(byte)
    assert.strictEqual(startOf(protocol), "Binary 01")
    for (const byte of chunks.slice(-2)) protocol.receive(byte)
    assert.deepStrictEqual(eventsOf(protocol), ["Pieces 02", "Pieces 03 end"])
  })

  it(`${role} never writes again to a piece that it has handed out`, () => {
    const protocol = make()
    const part = (index: number) => new Uint8Array(10).fill(index)
    protocol.receive(peer.binary(part(0), false))
    const pieces = [...protocol.streamMessage()!.pieces]
    for (let index = 1; index < 256; index++) protocol.receive(peer.continuation(part(index), false))
    for (const event of protocol.takeEvents()) if (event._tag === "Pieces") pieces.push(...event.pieces)
    assert.deepStrictEqual(concat(pieces), concat(Array.from({ length: 256 }, (_, index) => part(index))))
  })
}

const neighbours = (role: string, peer: Wire, make: Make): void => {
  it(`${role} tells pieces and the control frames between them in the order of the wire`, () => {
    const protocol = make()
    protocol.receive(peer.text("a", false))
    protocol.streamMessage()
    protocol.receive(
      concat([
        peer.continuation("b", false),
        peer.continuation("c", false),
        peer.ping("1"),
        peer.pong("2"),
        peer.continuation("d", false),
        peer.pong("3"),
        peer.continuation("e")
      ])
    )
    const expected = ["Pieces 62 63", "Ping 31", "Pong 32", "Pieces 64", "Pong 33", "Pieces 65 end"]
    assert.deepStrictEqual(eventsOf(protocol), expected)
    assert.deepStrictEqual(sentBy(protocol), ["10 31"])
  })

  it(`${role} takes the next message as a whole again, in the chunk in which the one before ends`, () => {
    const protocol = make()
    protocol.receive(peer.text("a", false))
    protocol.streamMessage()
    protocol.receive(concat([peer.continuation("b"), peer.text("c"), peer.binary(hex("01"), false)]))
    assert.deepStrictEqual(eventsOf(protocol), ["Pieces 62 end", "Text c"])
    assert.deepStrictEqual(marksOf(protocol), [true, true, false], "the one after it waits to be asked for")
    protocol.receive(peer.continuation(hex("02")))
    assert.deepStrictEqual(eventsOf(protocol), ["Binary 01 02"])
  })

  it(`${role} tells the pieces before a fault of the framing, however the bytes are cut`, () => {
    for (const chunks of [1, 2, 3, 100]) {
      const protocol = make()
      protocol.receive(peer.binary(hex("01"), false))
      const pieces = new Reassembly(protocol)
      pieces.ask()
      const rest = concat([peer.continuation(hex("02 03"), false), peer.binary(hex("04"))])
      for (const chunk of chunksOf(rest, chunks)) protocol.receive(chunk)
      const events = protocol.takeEvents().flatMap((event) => pieces.take(event))
      assert.deepStrictEqual([toHex(pieces.held), events.length, events[0]?._tag], ["01 02 03", 1, "Failed"])
      assert.deepStrictEqual(marksOf(protocol), [false, false, false])
    }
  })

  it(`${role} tells the pieces before a Close frame, and nothing behind it`, () => {
    const protocol = make()
    protocol.receive(peer.binary(hex("01"), false))
    protocol.streamMessage()
    protocol.receive(concat([peer.continuation(hex("02"), false), peer.close(1001), peer.continuation(hex("03"))]))
    assert.deepStrictEqual(eventsOf(protocol), ["Pieces 02", "Close 1001"])
    assert.deepStrictEqual(marksOf(protocol), [false, false, false])
  })

  it(`${role} goes on to hand out pieces after it has sent a Close frame`, () => {
    const protocol = make()
    protocol.receive(peer.text("a", false))
    protocol.close({ code: 1000, reason: "" })
    assert.strictEqual(startOf(protocol), "Text 61")
    protocol.receive(concat([peer.continuation("b"), peer.close(1000)]))
    assert.deepStrictEqual(eventsOf(protocol), ["Pieces 62 end", "Close 1000"])
  })

  it(`${role} has nothing more to hand out after the end of the transport`, () => {
    const protocol = make()
    protocol.receive(peer.text("a", false))
    protocol.receiveEnd()
    assert.deepStrictEqual([startOf(protocol), ...marksOf(protocol)], [undefined, false, false, false])
  })
}

const texts = (role: string, peer: Wire, make: Make): void => {
  for (const [title, text] of validTexts) {
    it(`${role} hands out ${title} in pieces torn anywhere`, () => {
      const bytes = utf8(text)
      const parts = eachByte(bytes).map((byte) => peer.continuation(byte, false))
      const frames = concat([peer.text("", false), ...parts, peer.continuation(""), peer.text(bytes)])
      for (let size = 1; size < frames.length; size++) {
        const outcome = streamedOutcomeOf(make(), chunksOf(frames, size), () => true)
        assert.deepStrictEqual(outcome.events, [`Text ${text}`, `Text ${text}`], `chunks of ${size}`)
      }
    })
  }

  for (const [title, sequence, impossibleAt] of invalidSequences) {
    it(`${role} refuses ${title} in pieces torn at every byte`, () => {
      const bytes = concat([utf8("é"), hex(sequence)])
      for (let at = 0; at <= bytes.length; at++) {
        const protocol = make()
        protocol.receive(peer.text(bytes.subarray(0, at), false))
        const begun = protocol.streamMessage()
        const isRefused = impossibleAt !== undefined && at > 2 + impossibleAt
        assert.strictEqual(begun === undefined, isRefused, `torn at ${at}`)
        protocol.receive(peer.continuation(bytes.subarray(at)))
        assert.strictEqual(eventsOf(protocol).at(-1), "Failed InvalidUtf8", `torn at ${at}`)
        assert.strictEqual(protocol.closeSent?.code, 1007)
      }
    })
  }

  it(`${role} that trusts its peer takes text that is not UTF-8, whole, in fragments and in pieces`, () => {
    const trusting = () => make({ validateText: false })
    const bad = hex("61 ff c3")
    const frames = concat([peer.text(bad), peer.text(bad, false), peer.continuation(bad)])
    assert.deepStrictEqual(inEveryCut(trusting, frames).events, [
      "Text a\ufffd\ufffd",
      "Text a\ufffd\ufffda\ufffd\ufffd"
    ])
    const protocol = trusting()
    protocol.receive(peer.text(bad, false))
    assert.strictEqual(startOf(protocol), "Text 61 ff c3")
    protocol.receive(peer.continuation(bad))
    assert.deepStrictEqual(eventsOf(protocol), ["Pieces 61 ff c3 end"])
  })

  it(`${role} that trusts its peer checks the reason of a Close frame all the same`, () => {
    const outcome = inEveryCut(() => make({ validateText: false }), peer.close(1000, hex("ff")))
    assert.deepStrictEqual(outcome.events, ["Failed InvalidCloseReason"])
  })
}

const dropping = (role: string, peer: Wire, make: Make, byteOps: ByteOps): void => {
  const dropped = (options: Partial<Protocol.Options> = {}): Protocol.Protocol => {
    const protocol = make(options)
    protocol.receive(peer.text("a", false))
    protocol.streamMessage()
    protocol.dropMessage()
    return protocol
  }

  it(`${role} tells nothing more of a message that is dropped, and takes the next one as a whole`, () => {
    const protocol = dropped()
    assert.deepStrictEqual(marksOf(protocol), [false, true, false])
    assert.isUndefined(protocol.streamMessage())
    protocol.receive(concat([peer.continuation("b", false), peer.ping("1"), peer.continuation("c", false)]))
    assert.deepStrictEqual(eventsOf(protocol), ["Ping 31"])
    protocol.receive(concat([peer.continuation("d"), peer.text("next"), peer.text("a", false)]))
    assert.deepStrictEqual(eventsOf(protocol), ["Text next"])
    assert.strictEqual(startOf(protocol), "Text 61")
  })

  it(`${role} checks the text of a message that is dropped, in the middle and at its end`, () => {
    for (const rest of [peer.continuation(hex("ff"), false), peer.continuation(hex("c3"))]) {
      const protocol = dropped()
      protocol.receive(rest)
      assert.deepStrictEqual(eventsOf(protocol), ["Failed InvalidUtf8"])
    }
  })

  it(`${role} counts a message that is dropped against the limit`, () => {
    const protocol = dropped({ maxMessageSize: 4 })
    protocol.receive(peer.continuation("bcd", false))
    assert.strictEqual(protocol.state, "Open")
    protocol.receive(peer.header(Frame.Continuation, 7, 1n))
    assert.deepStrictEqual(eventsOf(protocol), ["Failed MessageTooBig"])
  })

  it(`${role} holds nothing of a message that is dropped`, () => {
    const counting = new CountingByteOps(byteOps)
    const protocol = dropped({ byteOps: counting })
    const before = counting.allocatedBytes
    for (let count = 0; count < 100; count++) protocol.receive(peer.continuation("x".repeat(1000), false))
    assert.strictEqual(counting.allocatedBytes, before)
  })

  it(`${role} drops only what is taken piece by piece`, () => {
    const protocol = make()
    protocol.dropMessage()
    protocol.receive(peer.text("a", false))
    protocol.dropMessage()
    protocol.receive(peer.continuation("b"))
    assert.deepStrictEqual(eventsOf(protocol), ["Text ab"])
  })
}

const oversized = (role: string, peer: Wire, make: Make): void => {
  const limited = () => make({ maxMessageSize: 4, maxStreamedSize: 10 })

  it(`${role} says at the header that a message is too large as a whole, and takes it piece by piece`, () => {
    const protocol = limited()
    const frame = peer.binary(sequence(10))
    protocol.receive(frame.slice(0, -10))
    assert.deepStrictEqual(marksOf(protocol), [true, true, true])
    assert.strictEqual(startOf(protocol), "Binary")
    assert.deepStrictEqual(marksOf(protocol), [false, true, false])
    protocol.receive(concat([frame.subarray(-10), peer.text("next")]))
    assert.deepStrictEqual(eventsOf(protocol), [`Pieces ${toHex(sequence(10))} end`, "Text next"])
  })

  it(`${role} says at the header of a later fragment that a message is too large as a whole`, () => {
    const protocol = limited()
    protocol.receive(peer.text("abc", false))
    protocol.receive(peer.continuation("d", false))
    assert.isFalse(protocol.isOversized, "as large as the limit")
    protocol.receive(peer.header(Frame.Continuation, 7, 1n, false))
    assert.isTrue(protocol.isOversized)
    assert.strictEqual(startOf(protocol), "Text 61 62 63 64")
    protocol.receive(peer.ping())
    assert.isFalse(protocol.isOversized)
  })

  it(`${role} doesn't say of a message that is taken piece by piece already that it is too large`, () => {
    for (const drops of [false, true]) {
      const protocol = limited()
      protocol.receive(peer.text("abc", false))
      protocol.streamMessage()
      if (drops) protocol.dropMessage()
      protocol.receive(peer.continuation("def", false))
      assert.isFalse(protocol.isOversized)
      protocol.refuseOversized()
      assert.strictEqual(protocol.state, "Open")
    }
  })

  it(`${role} refuses with both figures and 1009 what is too large as a whole`, () => {
    const protocol = limited()
    protocol.receive(concat([peer.text("abc", false), peer.header(Frame.Continuation, 7, 4n)]))
    protocol.refuseOversized()
    const [event] = protocol.takeEvents()
    assert(event?._tag === "Failed" && event.fault._tag === "MessageTooBig")
    assert.deepStrictEqual([event.fault.size, event.fault.limit], [7, 4])
    assert.strictEqual(protocol.closeSent?.code, 1009)
    assert.include(protocol.closeSent?.reason, "7 bytes is over the limit of 4")
    assert.deepStrictEqual(marksOf(protocol), [false, false, false])
    assert.match(sentBy(protocol)[0]!, /^8 03 f1 /)
  })

  it(`${role} refuses nothing when nothing is too large`, () => {
    const protocol = limited()
    protocol.refuseOversized()
    protocol.receive(peer.text("abc", false))
    protocol.refuseOversized()
    assert.deepStrictEqual([protocol.state, eventsOf(protocol)], ["Open", []])
  })

  it(`${role} refuses what is too large piece by piece at its header, whoever takes it`, () => {
    const refused = (protocol: Protocol.Protocol, header: Uint8Array, size: number): void => {
      protocol.receive(header)
      const event = protocol.takeEvents().at(-1)
      assert(event?._tag === "Failed" && event.fault._tag === "MessageTooBig")
      assert.deepStrictEqual([event.fault.size, event.fault.limit, event.fault.closeCode], [size, 10, 1009])
    }
    refused(limited(), peer.header(Frame.Binary, 7, 11n), 11)
    for (const asks of [true, false]) {
      const protocol = limited()
      protocol.receive(peer.binary(sequence(9), false))
      if (asks) protocol.streamMessage()
      refused(protocol, peer.header(Frame.Continuation, 7, 2n), 11)
    }
  })

  it(`${role} tells the pieces in front of what is too large`, () => {
    const protocol = limited()
    protocol.receive(peer.binary(hex("01"), false))
    protocol.streamMessage()
    protocol.receive(concat([peer.continuation(hex("02"), false), peer.header(Frame.Continuation, 7, 9n)]))
    assert.deepStrictEqual(eventsOf(protocol), ["Pieces 02", "Failed MessageTooBig"])
  })

  it(`${role} delivers what lies in one chunk as a whole, up to the limit of what comes in pieces`, () => {
    const protocol = limited()
    const frames = [peer.binary(sequence(10)), peer.text("01234", false), peer.continuation("56789"), peer.text("next")]
    protocol.receive(concat(frames))
    const expected = [`Binary ${toHex(sequence(10))}`, "Text 0123456789", "Text next"]
    assert.deepStrictEqual(eventsOf(protocol), expected)
    assert.deepStrictEqual(marksOf(protocol), [false, false, false])
    assert.deepStrictEqual(inEveryCut(limited, concat(frames)).events, expected, "nobody refuses it")
  })

  it(`${role} measures each message anew`, () => {
    const protocol = limited()
    protocol.receive(peer.text("012345", false))
    assert.isTrue(protocol.isOversized)
    protocol.receive(concat([peer.continuation("6789"), peer.text("abc", false)]))
    assert.deepStrictEqual(marksOf(protocol), [true, true, false])
  })
}

const holding = (role: string, peer: Wire, make: Make, byteOps: ByteOps): void => {
  it(`${role} holds no more of a message piece by piece than what a chunk brought`, () => {
    const counting = new CountingByteOps(byteOps)
    const protocol = make({ byteOps: counting, maxStreamedSize: 2 ** 40 })
    const before = counting.allocatedBytes
    const many = concat(Array.from({ length: 1024 }, () => peer.continuation(sequence(64), false)))
    protocol.receive(peer.binary(hex(""), false))
    protocol.streamMessage()
    for (let round = 0; round < 64; round++) {
      protocol.receive(many.slice())
      const [event, ...others] = protocol.takeEvents()
      assert(event?._tag === "Pieces" && others.length === 0)
      assert.strictEqual(concat(event.pieces).length, 1024 * 64)
      assert.isAtMost(event.pieces.length, 20)
    }
    // 4 MiB came, in fragments of 64 bytes: each byte was copied once.
    assert.isAtMost(counting.allocatedBytes - before, 4 * 1024 * 1024 + 2 * 64 * 1024)
  })
}
