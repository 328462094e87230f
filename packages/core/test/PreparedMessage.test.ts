import { assert, describe, it } from "vitest"
import { portable } from "../src/ByteOps.ts"
import * as Frame from "../src/Frame.ts"
import * as Slab from "../src/internal/Slab.ts"
import * as Message from "../src/Message.ts"
import * as PreparedMessage from "../src/PreparedMessage.ts"
import { concat, hex, sequence, toHex, utf8 } from "./support/Hex.ts"
import { readFrames } from "./support/Wire.ts"

describe("5.2 a message that is encoded once", () => {
  it("server prepares text for a string, with a lone surrogate as U+FFFD", () => {
    const prepared = PreparedMessage.make("é\ud800")
    assert.deepStrictEqual([prepared._tag, prepared.message._tag, prepared.byteLength], ["Prepared", "Text", 5])
    assert.deepStrictEqual(prepared.frame.map(toHex), ["81 05 c3 a9 ef bf bd"])
  })

  it("server prepares a binary message for bytes, of a view those it shows", () => {
    const prepared = PreparedMessage.make(sequence(10).subarray(2, 4))
    assert.deepStrictEqual([prepared.message._tag, prepared.byteLength], ["Binary", 2])
    assert.deepStrictEqual(prepared.frame.map(toHex), [`82 02 ${toHex(sequence(4).subarray(2))}`])
  })

  it("server prepares a message as what it is", () => {
    const text = Message.textFromBytes(utf8("abc"))
    assert(text._tag === "Text")
    const prepared = PreparedMessage.make(text)
    assert.strictEqual(prepared.message, text)
    assert.deepStrictEqual(prepared.frame.map(toHex), ["81 03 61 62 63"])
    const torn = Message.fromPieces(Frame.Binary, [hex("01"), hex(""), hex("02 03")], 3, portable)
    assert.deepStrictEqual(PreparedMessage.make(torn).frame.map(toHex), ["82 03 01 02 03"])
    assert.strictEqual(torn.pieces.length, 3, "its pieces are not joined for that")
  })

  it("server prepares an empty message as two bytes", () => {
    assert.deepStrictEqual(PreparedMessage.make("").frame.map(toHex), ["81 00"])
    assert.deepStrictEqual(PreparedMessage.make(hex("")).frame.map(toHex), ["82 00"])
  })

  for (const [length, header] of [
    [125, "82 7d"],
    [126, "82 7e 00 7e"],
    [Slab.largest, "82 7e 10 00"],
    [Slab.largest + 1, "82 7e 10 01"],
    [65535, "82 7e ff ff"],
    [65536, "82 7f 00 00 00 00 00 01 00 00"]
  ] as const) {
    it(`server prepares ${length} bytes with the shortest header`, () => {
      const { frame } = PreparedMessage.make(sequence(length))
      const bytes = concat(frame)
      assert.strictEqual(toHex(bytes.subarray(0, hex(header).length)), header)
      const [read, ...others] = readFrames(bytes)
      assert.deepStrictEqual([read!.payload, others], [sequence(length), []])
    })
  }

  it("server copies a small payload behind its header, and passes on a large one in its pieces", () => {
    const small = sequence(Slab.largest)
    const [piece, ...others] = PreparedMessage.make(small).frame
    assert.deepStrictEqual([piece!.length, others.length], [Slab.largest + 4, 0])
    assert.notStrictEqual(piece!.buffer, small.buffer)
    const halves = [sequence(Slab.largest), sequence(1)]
    const large = Message.fromPieces(Frame.Binary, halves, Slab.largest + 1, portable)
    const { frame } = PreparedMessage.make(large)
    assert.strictEqual(frame.length, 3)
    assert.strictEqual(frame[1], halves[0])
    assert.strictEqual(frame[2], halves[1])
  })

  it("server keeps what was compressed for a window, and no memory of whoever compressed it", () => {
    const scratch = Buffer.from([1, 2, 3, 4])
    const prepared = PreparedMessage.make("one")
    const made = PreparedMessage.compressedFor(prepared, 15, () => scratch.subarray(0, 2))
    scratch.fill(9)
    assert.deepStrictEqual(made, Uint8Array.of(1, 2))
    assert.strictEqual(made.buffer.byteLength, 2)
    assert.strictEqual(
      PreparedMessage.compressedFor(prepared, 15, () => assert.fail("compressed again")),
      made
    )
  })

  it("server prepares a frame that nothing writes to later: it is no memory of others", () => {
    const one = PreparedMessage.make("one")
    const two = PreparedMessage.make("two")
    assert.notStrictEqual(one.frame[0]!.buffer, two.frame[0]!.buffer)
    assert.strictEqual(one.frame[0]!.buffer.byteLength, 5)
  })
})
