import { assert, describe, it } from "vitest"
import { portable } from "../../src/ByteOps.ts"
import * as FrameDecoder from "../../src/FrameDecoder.ts"
import { type Limits, MessageReceiver } from "../../src/internal/MessageReceiver.ts"
import { describeEvent, peerOfRole } from "../support/Endpoints.ts"
import { concat, hex, sequence, toHex } from "../support/Hex.ts"

const peer = peerOfRole("client")

/** A receiver behind the decoder of a client, up to the first fault. */
class Behind {
  readonly decoder = new FrameDecoder.FrameDecoder("client", portable)
  readonly receiver: MessageReceiver

  constructor(limits: Partial<Limits> = {}) {
    const defaults = { maxMessageSize: 10, maxStreamedSize: 20, validateText: true }
    this.receiver = new MessageReceiver(portable, { ...defaults, ...limits })
  }

  receive(...frames: ReadonlyArray<Uint8Array>): Array<string> {
    const chunk = concat(frames)
    const events: Array<string> = []
    this.decoder.push(chunk)
    while (this.decoder.next() === FrameDecoder.Piece) {
      const event = this.receiver.receive(this.decoder, chunk)
      const { fault } = this.receiver
      if (event !== undefined) events.push(describeEvent(event))
      if (fault !== undefined) return [...events, fault.message.replace(/ \(RFC.*/, "")]
    }
    return events
  }

  get marks(): string {
    const { isGathering, isInMessage, isOversized } = this.receiver
    return `${isGathering ? "G" : "-"}${isInMessage ? "I" : "-"}${isOversized ? "O" : "-"}`
  }
}

describe("5.4 the message in progress", () => {
  it("client hands out a message when it ends, in one frame or many", () => {
    const behind = new Behind()
    assert.deepStrictEqual(behind.receive(peer.text("a"), peer.binary(hex("01"), false)), ["Text a"])
    assert.strictEqual(behind.marks, "GI-")
    assert.deepStrictEqual(behind.receive(peer.continuation("")), ["Binary 01"])
    assert.strictEqual(behind.marks, "---")
  })

  it("client streams only what is gathered, and once", () => {
    const behind = new Behind()
    assert.isUndefined(behind.receiver.stream())
    behind.receive(peer.binary(hex("01"), false))
    const start = behind.receiver.stream()
    assert.deepStrictEqual([start?.type, start?.pieces.map(toHex)], ["Binary", ["01"]])
    assert.strictEqual(behind.marks, "-I-")
    assert.isUndefined(behind.receiver.stream())
    behind.receiver.drop()
    assert.isUndefined(behind.receiver.stream())
    assert.strictEqual(behind.marks, "-I-")
  })

  it("client hands out the pieces of a chunk when asked, and only while it streams", () => {
    const behind = new Behind()
    behind.receive(peer.binary(hex("01"), false))
    assert.isUndefined(behind.receiver.takePieces())
    behind.receiver.stream()
    assert.isUndefined(behind.receiver.takePieces(), "nothing has come since")
    assert.deepStrictEqual(behind.receive(peer.continuation(hex("02"), false)), [])
    assert.strictEqual(describeEvent(behind.receiver.takePieces()!), "Pieces 02")
    assert.isUndefined(behind.receiver.takePieces())
    behind.receive(peer.continuation(hex("03"), false))
    behind.receiver.drop()
    assert.isUndefined(behind.receiver.takePieces())
  })

  it("client ends a message that it streams with the pieces that are left, and one that it drops without a word", () => {
    const behind = new Behind()
    behind.receive(peer.text("a", false))
    behind.receiver.stream()
    assert.deepStrictEqual(behind.receive(peer.continuation("b", false), peer.continuation("c")), ["Pieces 62 63 end"])
    behind.receive(peer.text("a", false))
    behind.receiver.stream()
    behind.receiver.drop()
    assert.deepStrictEqual(behind.receive(peer.continuation("b"), peer.text("next")), ["Text next"])
    assert.strictEqual(behind.marks, "---")
  })

  it("client forgets the message in progress when told to, streamed or not", () => {
    for (const streams of [false, true]) {
      const behind = new Behind({ maxMessageSize: 1 })
      behind.receive(peer.text("ab", false))
      assert.strictEqual(behind.marks, "GIO")
      if (streams) behind.receiver.stream()
      behind.receive(peer.continuation("c", false))
      behind.receiver.discard()
      assert.strictEqual(behind.marks, "---")
      assert.isUndefined(behind.receiver.stream())
      assert.isUndefined(behind.receiver.takePieces())
    }
  })
})

describe("7.4.1 the limits of the message in progress", () => {
  it("client refuses at the header what is over the larger limit, with both figures", () => {
    assert.deepStrictEqual(new Behind().receive(peer.header(2, 7, 21n)), [
      "A message of 21 bytes is over the limit of 20"
    ])
    assert.deepStrictEqual(new Behind().receive(peer.binary(sequence(21)), peer.text("late")), [
      "A message of 21 bytes is over the limit of 20"
    ])
    const behind = new Behind()
    behind.receive(peer.binary(sequence(15), false))
    assert.deepStrictEqual(behind.receive(peer.header(0, 7, 6n)), ["A message of 21 bytes is over the limit of 20"])
  })

  it("client says what is over the smaller limit, and what to tell of it", () => {
    const behind = new Behind()
    behind.receive(peer.binary(sequence(10), false))
    assert.strictEqual(behind.marks, "GI-")
    behind.receive(peer.header(0, 7, 5n, false))
    assert.strictEqual(behind.marks, "GIO")
    assert.deepInclude(behind.receiver.tooBig(), { _tag: "MessageTooBig", size: 15, limit: 10, closeCode: 1009 })
    behind.receiver.stream()
    assert.strictEqual(behind.marks, "-I-")
  })

  it("client marks nothing that lies in one frame and chunk, however large, and nothing that ended", () => {
    const behind = new Behind()
    assert.deepStrictEqual(behind.receive(peer.binary(sequence(20))), [`Binary ${toHex(sequence(20))}`])
    assert.strictEqual(behind.marks, "---")
    behind.receive(peer.binary(sequence(10), false), peer.continuation(sequence(1)))
    assert.strictEqual(behind.marks, "---")
  })
})

describe("8.1 the text of the message in progress", () => {
  it("client checks it whole, gathered, streamed and dropped", () => {
    const refused = ["A text message is not UTF-8"]
    assert.deepStrictEqual(new Behind().receive(peer.text(hex("ff"))), refused)
    for (const reception of ["whole", "pieces", "dropped"]) {
      for (const [bytes, fin] of [
        ["ff", false],
        ["c3", true]
      ] as const) {
        const behind = new Behind()
        behind.receive(peer.text("a", false))
        if (reception !== "whole") behind.receiver.stream()
        if (reception === "dropped") behind.receiver.drop()
        assert.deepStrictEqual(behind.receive(peer.continuation(hex(bytes), fin)), refused)
      }
    }
  })

  it("client forgets half a character with the message", () => {
    const behind = new Behind()
    behind.receive(peer.text(hex("c3"), false))
    behind.receiver.discard()
    const next = new FrameDecoder.FrameDecoder("client", portable)
    const chunk = peer.text("a", false)
    next.push(chunk)
    next.next()
    assert.isUndefined(behind.receiver.receive(next, chunk))
    assert.isUndefined(behind.receiver.fault)
  })

  it("client that trusts its peer checks none of it, and never bytes", () => {
    const trusting = new Behind({ validateText: false })
    assert.deepStrictEqual(trusting.receive(peer.text(hex("ff"))), ["Text \ufffd"])
    assert.deepStrictEqual(trusting.receive(peer.text(hex("ff"), false), peer.continuation(hex("c3"))), [
      "Text \ufffd\ufffd"
    ])
    const checking = new Behind()
    const frames = [peer.binary(hex("ff")), peer.binary(hex("ff"), false), peer.continuation(hex("c3"))]
    assert.deepStrictEqual(checking.receive(...frames), ["Binary ff", "Binary ff c3"])
  })
})
