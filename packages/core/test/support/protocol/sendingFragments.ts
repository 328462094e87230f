/** RFC 6455 5.4, 6.1: a message that is sent fragment by fragment, and one that is encoded once for many. */
import { assert, describe, it } from "vitest"
import { type ByteOps, portable } from "../../../src/ByteOps.ts"
import * as Frame from "../../../src/Frame.ts"
import { peerOf, type Role } from "../../../src/Role.ts"
import * as Slab from "../../../src/internal/Slab.ts"
import * as Message from "../../../src/Message.ts"
import * as PreparedMessage from "../../../src/PreparedMessage.ts"
import type * as Protocol from "../../../src/Protocol.ts"
import { CountingByteOps } from "../CountingByteOps.ts"
import { endpoint, eventsOf, framesOf, outputOf, peerOfRole, roles, sentBy } from "../Endpoints.ts"
import { concat, hex, sequence, toHex, utf8 } from "../Hex.ts"

type Make = (options?: Partial<Protocol.Options>) => Protocol.Protocol

export const sendingFragments = (byteOps: ByteOps): void => {
  for (const role of roles) {
    const make = (options: Partial<Protocol.Options> = {}) => endpoint(role, byteOps, options)

    describe("5.4 a message sent fragment by fragment", () => fragments(role, make))
    describe("5.4 a message sent in frames of a given size", () => frameSizes(role, make))
    describe("6.1 a prepared message", () => prepared(role, make))
  }
  describe("6.1 a prepared message", () => preparedOnce(byteOps))
}

const fragments = (role: Role, make: Make): void => {
  it(`${role} sends the first fragment with its type, the others as continuations, and FIN with the last one`, () => {
    const protocol = make()
    for (const type of ["Text", "Binary"] as const) {
      assert.isTrue(protocol.sendFragment(type, hex("61"), false))
      assert.isTrue(protocol.sendFragment(type, hex(""), false))
      assert.isTrue(protocol.sendFragment(type, hex("62"), false))
      assert.isTrue(protocol.sendFragment(type, hex("63"), true))
    }
    assert.deepStrictEqual(sentBy(protocol), ["-1 61", "-0", "-0 62", "0 63", "-2 61", "-0", "-0 62", "0 63"])
  })

  it(`${role} sends a first fragment that is final as a whole message, be it empty`, () => {
    const protocol = make()
    assert.isTrue(protocol.sendFragment("Text", hex("61"), true))
    assert.isTrue(protocol.sendFragment("Binary", hex(""), true))
    assert.deepStrictEqual(sentBy(protocol), ["1 61", "2"])
    assert.isTrue(protocol.sendsMessages)
  })

  it(`${role} copies a fragment, and never alters the bytes of the caller`, () => {
    for (const size of [1, 40, 5000]) {
      const protocol = make()
      const bytes = sequence(size)
      protocol.sendFragment("Binary", bytes, false)
      assert.deepStrictEqual(bytes, sequence(size))
      bytes.fill(0xaa)
      assert.deepStrictEqual(framesOf(protocol)[0]!.payload, sequence(size))
    }
  })

  it(`${role} sends no other message between fragments`, () => {
    const protocol = make()
    const message = Message.binary(sequence(10))
    protocol.sendFragment("Text", hex("61"), false)
    assert.isTrue(protocol.sends)
    assert.isFalse(protocol.sendsMessages)
    assert.isFalse(protocol.sendText("no"))
    assert.isFalse(protocol.sendBinary(hex("00")))
    assert.isFalse(protocol.sendMessage(message))
    assert.isFalse(protocol.sendPrepared(PreparedMessage.make(message)))
    protocol.sendFragment("Text", hex("62"), true)
    assert.isTrue(protocol.sendText("c"))
    assert.deepStrictEqual(sentBy(protocol), ["-1 61", "0 62", "1 63"])
  })

  it(`${role} sends control frames between fragments`, () => {
    const protocol = make()
    protocol.sendFragment("Text", hex("61"), false)
    assert.isTrue(protocol.ping(hex("01")))
    assert.isTrue(protocol.pong(hex("02")))
    protocol.receive(peerOfRole(role).ping("3"))
    protocol.sendFragment("Text", hex("62"), true)
    assert.deepStrictEqual(sentBy(protocol), ["-1 61", "9 01", "10 02", "10 33", "0 62"])
  })

  it(`${role} sends nothing more of a message once it has sent a Close frame`, () => {
    const protocol = make()
    protocol.sendFragment("Binary", hex("61"), false)
    assert.isTrue(protocol.close({ code: 1011, reason: "" }))
    assert.isFalse(protocol.sendFragment("Binary", hex("62"), true))
    assert.isFalse(protocol.sendsMessages)
    assert.deepStrictEqual(sentBy(protocol), ["-2 61", "8 03 f3"])
  })

  it(`${role} may end its message before it answers a Close frame`, () => {
    const protocol = make({ deferClose: true })
    protocol.sendFragment("Binary", hex("61"), false)
    protocol.receive(peerOfRole(role).close(1000))
    assert.isTrue(protocol.sendFragment("Binary", hex("62"), true))
    assert.isTrue(protocol.sendsMessages)
    protocol.answerClose()
    assert.deepStrictEqual(sentBy(protocol), ["-2 61", "0 62", "8 03 e8"])
    assert.isFalse(protocol.sendsMessages)
  })

  it(`${role} sends nothing after the end of the transport`, () => {
    const protocol = make()
    protocol.receiveEnd()
    assert.isFalse(protocol.sendFragment("Text", hex("61"), true))
    assert.isFalse(protocol.sendsMessages)
    assert.strictEqual(protocol.pendingOutput, 0)
  })
}

const frameSizes = (role: Role, make: Make): void => {
  const sized = (fragmentSize: number) => make({ fragmentSize })

  it(`${role} sends text in frames of at most so many bytes, torn inside a character`, () => {
    const protocol = sized(2)
    protocol.sendText("a€b")
    protocol.sendText("é")
    protocol.sendText("éa")
    protocol.sendText("")
    const expected = ["-1 61 e2", "-0 82 ac", "0 62", "1 c3 a9", "-1 c3 a9", "0 61", "1"]
    assert.deepStrictEqual(sentBy(protocol), expected)
    const peer = make({ fragmentSize: 1, maxMessageSize: 10 })
    assert.isTrue(peer.sendText("\ud800"), "a lone surrogate is three bytes")
    assert.deepStrictEqual(sentBy(peer), ["-1 ef", "-0 bf", "0 bd"])
  })

  it(`${role} sends bytes, messages and prepared messages in frames of at most so many bytes`, () => {
    const whole = sequence(7)
    const message = Message.fromPieces(Frame.Binary, [whole.slice(0, 2), whole.slice(2)], 7, portable)
    const expected = [`-2 ${toHex(whole.slice(0, 3))}`, `-0 ${toHex(whole.slice(3, 6))}`, `0 ${toHex(whole.slice(6))}`]
    const protocol = sized(3)
    protocol.sendBinary(whole)
    assert.deepStrictEqual(sentBy(protocol), expected)
    protocol.sendMessage(message)
    assert.deepStrictEqual(sentBy(protocol), expected)
    protocol.sendPrepared(PreparedMessage.make(message))
    assert.deepStrictEqual(sentBy(protocol), expected)
    assert.deepStrictEqual(whole, sequence(7))
  })

  it(`${role} sends as one frame what is exactly as large, and nothing empty behind a multiple`, () => {
    const protocol = sized(3)
    protocol.sendBinary(sequence(3))
    protocol.sendMessage(Message.binary(sequence(3)))
    protocol.sendPrepared(PreparedMessage.make("abc"))
    protocol.sendText("abc")
    protocol.sendBinary(sequence(6))
    assert.deepStrictEqual(
      framesOf(protocol).map(({ fin, opcode, payload }) => [fin, opcode, payload.length]),
      [
        [true, 2, 3],
        [true, 2, 3],
        [true, 1, 3],
        [true, 1, 3],
        [false, 2, 3],
        [true, 0, 3]
      ]
    )
  })

  it(`${role} sends a fragment that is larger in several frames, FIN with the last one if it is final`, () => {
    const protocol = sized(2)
    protocol.sendFragment("Text", utf8("abc"), false)
    protocol.sendFragment("Text", utf8(""), false)
    protocol.sendFragment("Text", utf8("defg"), true)
    protocol.sendFragment("Binary", hex("01 02 03"), true)
    const expected = ["-1 61 62", "-0 63", "-0", "-0 64 65", "0 66 67", "-2 01 02", "0 03"]
    assert.deepStrictEqual(sentBy(protocol), expected)
  })

  it(`${role} sends a control frame whole, however small the frames are`, () => {
    const protocol = sized(1)
    protocol.ping(hex("01 02"))
    protocol.close({ code: 1000, reason: "bye" })
    assert.deepStrictEqual(sentBy(protocol), ["9 01 02", "8 03 e8 62 79 65"])
  })

  it(`${role} sends what its peer receives, whatever the size of the frames`, () => {
    const text = "aé€😀".repeat(40)
    for (const fragmentSize of [1, 2, 3, 5, 100, 399, 400, 401, 4096]) {
      const protocol = sized(fragmentSize)
      protocol.sendText(text)
      protocol.sendBinary(sequence(1000))
      const output = outputOf(protocol)
      const peer = endpoint(peerOf(role), portable)
      peer.receive(output)
      assert.deepStrictEqual(eventsOf(peer), [`Text ${text}`, `Binary ${toHex(sequence(1000))}`])
    }
  })
}

const prepared = (role: Role, make: Make): void => {
  const data = [
    "",
    "é".repeat(20),
    "x".repeat(126),
    "€".repeat(3000),
    hex(""),
    ...[1, 125, 126, 1020, 1021, Slab.largest - 4, Slab.largest, Slab.largest + 1, 65535, 65536].map(sequence)
  ]

  it(`${role} writes a prepared message byte for byte as the message itself`, () => {
    for (const one of data) {
      const [plain, protocol] = [make(), make()]
      const message = PreparedMessage.make(one)
      for (const behind of ["", "a"]) {
        if (behind !== "") assert.isTrue(plain.sendText(behind) && protocol.sendText(behind))
        assert.isTrue(plain.sendMessage(message.message))
        assert.isTrue(protocol.sendPrepared(message))
        assert.isTrue(plain.sendText("after") && protocol.sendText("after"))
        assert.strictEqual(protocol.pendingOutput, plain.pendingOutput)
        assert.strictEqual(Buffer.compare(outputOf(protocol), outputOf(plain)), 0, `${message.byteLength} bytes`)
      }
    }
  })

  it(`${role} never alters a prepared message, and sends it again and again`, () => {
    for (const one of data) {
      const message = PreparedMessage.make(one)
      const [payload, frame] = [message.message.bytes.slice(), concat(message.frame)]
      const protocol = make()
      for (let count = 0; count < 3; count++) protocol.sendPrepared(message)
      for (const sent of framesOf(protocol)) assert.strictEqual(Buffer.compare(sent.payload, payload), 0)
      assert.strictEqual(Buffer.compare(message.message.bytes, payload), 0)
      assert.strictEqual(Buffer.compare(concat(message.frame), frame), 0)
    }
  })

  it(`${role} that has closed declines a prepared message`, () => {
    const protocol = make()
    protocol.close({ code: 1000, reason: "" })
    protocol.takeOutput()
    assert.isFalse(protocol.sendPrepared(PreparedMessage.make("a")))
    assert.strictEqual(protocol.pendingOutput, 0)
  })
}

const preparedOnce = (byteOps: ByteOps): void => {
  it("server joins a small prepared message to the output that waits, and shares one that waits for nothing", () => {
    const message = PreparedMessage.make("abc")
    const protocol = endpoint("server", new CountingByteOps(byteOps))
    protocol.sendPrepared(message)
    assert.strictEqual(protocol.takeOutput()[0], message.frame[0])
    protocol.sendText("before")
    protocol.sendPrepared(message)
    protocol.sendText("after")
    assert.deepStrictEqual(protocol.takeOutput().map(toHex), [
      "81 06 62 65 66 6f 72 65 81 03 61 62 63 81 05 61 66 74 65 72"
    ])
  })

  it("server passes on a large prepared message without a copy, in order", () => {
    for (const size of [4090, 10_000]) {
      const message = PreparedMessage.make(sequence(size))
      const counting = new CountingByteOps(byteOps)
      const protocol = endpoint("server", counting)
      const before = counting.allocations
      protocol.sendText("before")
      protocol.sendPrepared(message)
      protocol.sendText("after")
      const output = protocol.takeOutput()
      assert.strictEqual(output.length, message.frame.length + 2)
      for (const [index, piece] of message.frame.entries()) assert.strictEqual(output[index + 1], piece)
      assert.strictEqual(counting.allocations, before)
    }
  })

  it("client saves the encoding of a prepared text, and draws a key for each frame", () => {
    const counting = new CountingByteOps(byteOps)
    const protocol = endpoint("client", counting)
    const message = PreparedMessage.make("é".repeat(100))
    for (let count = 0; count < 3; count++) protocol.sendPrepared(message)
    const keys = framesOf(protocol).map(({ key }) => toHex(key!))
    assert.deepStrictEqual([counting.encodedTexts, new Set(keys).size], [0, 3])
  })
}
