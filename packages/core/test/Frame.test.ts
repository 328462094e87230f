import { assert, describe, it } from "vitest"
import * as Frame from "../src/Frame.ts"

describe("5.2 opcodes", () => {
  const known = [Frame.Continuation, Frame.Text, Frame.Binary, Frame.Close, Frame.Ping, Frame.Pong]

  it("client and server know six opcodes", () => {
    assert.deepStrictEqual(known, [0, 1, 2, 8, 9, 10])
  })

  for (let opcode = 0; opcode < 16; opcode++) {
    it(`client and server tell what opcode ${opcode} is`, () => {
      assert.strictEqual(Frame.isControl(opcode), opcode >= 8)
      assert.strictEqual(Frame.isReserved(opcode), !known.some((one) => one === opcode))
    })
  }
})

describe("5.2 header", () => {
  const sizes: ReadonlyArray<readonly [length: number, size: number]> = [
    [0, 2],
    [125, 2],
    [126, 4],
    [65535, 4],
    [65536, 10],
    [Number.MAX_SAFE_INTEGER, 10]
  ]
  for (const [length, size] of sizes) {
    it(`server writes ${size} bytes before a payload of ${length}, a client four more`, () => {
      assert.deepStrictEqual([Frame.headerSize(length, false), Frame.headerSize(length, true)], [size, size + 4])
      assert.isAtMost(size + 4, Frame.maxHeaderSize)
    })
  }

  it("client and server send at most 125 bytes in a control frame", () => {
    assert.strictEqual(Frame.maxControlPayload, 125)
  })
})
