import { inspect } from "node:util"
import { assert, describe, it } from "vitest"
import { portable } from "../src/ByteOps.ts"
import * as Frame from "../src/Frame.ts"
import * as Message from "../src/Message.ts"
import { CountingByteOps } from "./support/CountingByteOps.ts"
import { hex, sequence, toHex, utf8 } from "./support/Hex.ts"

describe("5.6 text messages", () => {
  it("client makes one from a string", () => {
    const message = Message.text("aé€😀")
    assert.strictEqual(message._tag, "Text")
    assert.strictEqual(message.text, "aé€😀")
    assert.strictEqual(message.byteLength, 10)
    assert.deepStrictEqual(message.bytes, utf8("aé€😀"))
  })

  it("client makes U+FFFD of a lone surrogate, in the bytes and in the text", () => {
    const message = Message.text("\ud800a\udc00")
    assert.strictEqual(toHex(message.bytes), "ef bf bd 61 ef bf bd")
    assert.strictEqual(message.text, "\ufffda\ufffd")
  })

  it("client makes one from bytes, without a copy, if they are UTF-8", () => {
    const bytes = utf8("\ufeffé")
    const message = Message.textFromBytes(bytes) as Message.TextMessage
    assert.strictEqual(message.bytes, bytes)
    assert.strictEqual(message.text, "\ufeffé")
    assert.propertyVal(Message.textFromBytes(hex("ff")), "_tag", "InvalidUtf8")
    assert.propertyVal(Message.textFromBytes(hex("c3")), "_tag", "InvalidUtf8")
    assert.propertyVal(Message.textFromBytes(hex("")), "_tag", "Text")
  })

  it("server decodes a text when it is asked for it, and once", () => {
    const counting = new CountingByteOps(portable)
    const message = Message.fromPieces(Frame.Text, [utf8("a"), utf8("b")], 2, counting) as Message.TextMessage
    assert.strictEqual(counting.decodedTexts, 0)
    assert.deepStrictEqual([message.text, message.text], ["ab", "ab"])
    assert.strictEqual(counting.decodedTexts, 1)
  })

  it("server decodes an empty text once, too", () => {
    const counting = new CountingByteOps(portable)
    const message = Message.fromPieces(Frame.Text, [hex("")], 0, counting) as Message.TextMessage
    assert.deepStrictEqual([message.text, message.text], ["", ""])
    assert.strictEqual(counting.decodedTexts, 1)
  })
})

describe("5.6 binary messages", () => {
  it("client makes one from bytes, without a copy", () => {
    const bytes = sequence(5)
    const message = Message.binary(bytes)
    assert.strictEqual(message._tag, "Binary")
    assert.strictEqual(message.bytes, bytes)
    assert.strictEqual(message.pieces[0], bytes)
    assert.strictEqual(message.byteLength, 5)
  })

  for (const opcode of [Frame.Text, Frame.Binary] as const) {
    it(`server joins the pieces of a message with opcode ${opcode} when it is asked for the bytes, and once`, () => {
      const pieces = [utf8("ab"), utf8(""), utf8("cde")]
      const message = Message.fromPieces(opcode, pieces, 5, portable)
      assert.strictEqual(message.pieces, pieces)
      const bytes = message.bytes
      assert.strictEqual(toHex(bytes), "61 62 63 64 65")
      assert.strictEqual(message.bytes, bytes)
      assert.deepStrictEqual(message.pieces, [bytes], "the pieces are not held twice")
    })

    it(`server reads a message with opcode ${opcode} and no pieces as an empty one`, () => {
      const message = Message.fromPieces(opcode, [], 0, portable)
      assert.deepStrictEqual([message.byteLength, message.bytes.length], [0, 0])
    })
  }
})

describe("5.6 messages", () => {
  it("server tells messages from other values", () => {
    for (const message of [Message.text("a"), Message.binary(hex("00"))]) assert.isTrue(Message.isMessage(message))
    for (const value of [undefined, null, "a", hex("00"), { _tag: "Text" }, Message.textFromBytes(hex("ff"))]) {
      assert.isFalse(Message.isMessage(value))
    }
  })
})

describe("5.6 a message that is logged", () => {
  it("both roles show what a message says, not how it is held", () => {
    const text = Message.text("hé")
    const binary = Message.binary(Uint8Array.of(1, 2))
    assert.deepStrictEqual(JSON.parse(JSON.stringify([text, binary])), [
      { _tag: "Text", text: "hé" },
      { _tag: "Binary", byteLength: 2 }
    ])
    assert.deepStrictEqual([String(text), String(binary)], ["hé", "2 bytes"])
    assert.deepStrictEqual(
      [inspect(text), inspect(binary)],
      ["{ _tag: 'Text', text: 'hé' }", "{ _tag: 'Binary', byteLength: 2 }"]
    )
  })
})
