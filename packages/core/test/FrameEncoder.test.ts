import { assert, describe, it } from "vitest"
import { portable } from "../src/ByteOps.ts"
import * as Frame from "../src/Frame.ts"
import { encodeUnmasked, FrameEncoder } from "../src/FrameEncoder.ts"
import * as Slab from "../src/internal/Slab.ts"
import { CountingByteOps } from "./support/CountingByteOps.ts"
import { concat, hex, sequence, toHex } from "./support/Hex.ts"
import { readFrames } from "./support/Wire.ts"

const server = (byteOps = new CountingByteOps(portable)) => new FrameEncoder(byteOps, undefined)
const client = (byteOps = new CountingByteOps(portable)) => new FrameEncoder(byteOps, () => 0x37fa213d)
const taken = (encoder: FrameEncoder): string => toHex(concat(encoder.take()))

describe("5.2 frames", () => {
  it("server writes FIN and opcode into the first byte", () => {
    const encoder = server()
    for (const opcode of [Frame.Continuation, Frame.Text, Frame.Binary, Frame.Close, Frame.Ping, Frame.Pong] as const) {
      encoder.encode(true, opcode, hex(""))
      encoder.encode(false, opcode, hex(""))
    }
    assert.strictEqual(taken(encoder), "80 00 00 00 81 00 01 00 82 00 02 00 88 00 08 00 89 00 09 00 8a 00 0a 00")
  })

  it("client writes the fragments of a message each with a key", () => {
    const encoder = client()
    encoder.encode(false, Frame.Text, hex("48 65 6c"))
    encoder.encode(true, Frame.Continuation, hex("6c 6f"))
    assert.strictEqual(taken(encoder), "01 83 37 fa 21 3d 7f 9f 4d 80 82 37 fa 21 3d 5b 95")
  })

  it("client and server write immutable pieces as fragments, too", () => {
    for (const encoder of [client(), server()]) {
      for (const size of [10, 10_000]) {
        encoder.encodeImmutable(false, Frame.Binary, [sequence(size)], size)
        encoder.encodeImmutable(true, Frame.Continuation, [sequence(size), sequence(1)], size + 1)
        const frames = readFrames(concat(encoder.take()))
        assert.deepStrictEqual(
          frames.map(({ fin, opcode }) => [fin, opcode]),
          [
            [false, 2],
            [true, 0]
          ]
        )
        assert.deepStrictEqual(
          frames.map(({ payload }) => payload),
          [sequence(size), concat([sequence(size), sequence(1)])]
        )
      }
    }
  })

  it("server writes a length over 32 bits into eight bytes", () => {
    const encoder = server()
    // A payload of 5 GiB would be needed; the pieces of an immutable one are not measured.
    encoder.encodeImmutable(true, Frame.Binary, [hex("")], 5 * 2 ** 30)
    assert.strictEqual(taken(encoder), "82 7f 00 00 00 01 40 00 00 00")
  })
})

describe("6.1 pieces", () => {
  it("server begins a new piece behind a frame that stands alone, in order", () => {
    const encoder = server()
    encoder.encodeText("a")
    encoder.encode(true, Frame.Binary, sequence(5000))
    encoder.encodeText("b")
    encoder.encodeText("x".repeat(5000))
    encoder.encodeText("c")
    const pieces = encoder.take()
    assert.deepStrictEqual(
      pieces.map(({ length }) => length),
      [3, 5004, 3, 5004, 3]
    )
    assert.deepStrictEqual(
      readFrames(concat(pieces)).map(({ payload }) => payload.length),
      [1, 5000, 1, 5000, 1]
    )
  })

  it("server writes a frame of up to 4096 bytes into the slab, and a larger one alone", () => {
    for (const [payload, pieces] of [
      [Slab.largest - 4, 1],
      [Slab.largest - 3, 3]
    ] as const) {
      const encoder = server()
      encoder.encodeText("a")
      encoder.encode(true, Frame.Binary, sequence(payload))
      encoder.encodeText("b")
      assert.strictEqual(encoder.take().length, pieces)
    }
  })

  it("server hands out nothing when nothing was encoded", () => {
    assert.deepStrictEqual(server().take(), [])
  })

  it("server joins what is little, where another connection wrote in between", () => {
    const byteOps = new CountingByteOps(portable)
    const one = server(byteOps)
    const other = server(byteOps)
    one.encodeText("a")
    other.encodeText("b")
    one.encodeText("c")
    one.encodeText("d")
    assert.deepStrictEqual(one.take().map(toHex), ["81 01 61 81 01 63 81 01 64"])
    assert.deepStrictEqual(other.take().map(toHex), ["81 01 62"])
  })

  it("server joins no more than 4096 bytes", () => {
    for (const [size, count] of [
      [Slab.largest - 4 - 3, 1],
      [Slab.largest - 4 - 2, 2]
    ] as const) {
      const byteOps = new CountingByteOps(portable)
      const [one, other] = [server(byteOps), server(byteOps)]
      one.encodeText("a")
      other.encodeText("b")
      one.encode(true, Frame.Binary, sequence(size))
      const pieces = one.take()
      assert.strictEqual(pieces.length, count)
      assert.deepStrictEqual(
        readFrames(concat(pieces)).map(({ payload }) => payload.length),
        [1, size]
      )
    }
  })

  it("server goes on behind what it handed out, in the same slab", () => {
    const encoder = server()
    encoder.encodeText("a")
    const [first] = encoder.take()
    encoder.encodeText("b")
    const [second] = encoder.take()
    assert.strictEqual(first!.buffer, second!.buffer)
    assert.strictEqual(second!.byteOffset, first!.byteOffset + 3)
  })

  it("server takes a new slab when one is full, and loses nothing", () => {
    const byteOps = new CountingByteOps(portable)
    const encoder = server(byteOps)
    for (let index = 0; index < 20; index++) encoder.encode(true, Frame.Binary, sequence(2000))
    const pieces = encoder.take()
    assert.deepStrictEqual(
      readFrames(concat(pieces)).map(({ payload }) => payload),
      Array.from({ length: 20 }, () => sequence(2000))
    )
    assert.strictEqual(pieces.length, byteOps.allocations)
  })

  it("client masks no byte beyond the frame", () => {
    const encoder = client()
    encoder.encodeText("a")
    encoder.encode(true, Frame.Binary, sequence(70))
    encoder.encodeText("\u20ac".repeat(10))
    encoder.encodeText("b")
    const frames = readFrames(concat(encoder.take())).map(({ payload }) => payload.length)
    assert.deepStrictEqual(frames, [1, 70, 30, 1])
  })
})

describe("6.1 a frame that was encoded before", () => {
  const encoded = (size: number) => encodeUnmasked(Frame.Binary, [sequence(size)], size, portable)
  const frameOf = (size: number) => [sequence(size)]

  it("server joins one of up to 1024 bytes to what waits, in the same piece", () => {
    const encoder = server()
    encoder.encodeText("a")
    encoder.passEncoded(frameOf(1024))
    encoder.encodeText("b")
    assert.strictEqual(encoder.pending, 3 + 1024 + 3)
    const [piece, ...others] = encoder.take()
    assert.strictEqual(others.length, 0)
    assert.deepStrictEqual(piece, concat([hex("81 01 61"), sequence(1024), hex("81 01 62")]))
  })

  it("server passes on one that is large, or in large pieces, and counts it", () => {
    for (const frame of [frameOf(Slab.largest), [sequence(4000), sequence(500)]]) {
      const encoder = server()
      encoder.encodeText("a")
      encoder.passEncoded(frame)
      assert.strictEqual(encoder.pending, concat(frame).length + 3)
      encoder.encodeText("b")
      const pieces = encoder.take()
      assert.deepStrictEqual(pieces.slice(1, -1), frame)
      for (const [index, piece] of frame.entries()) assert.strictEqual(pieces[index + 1], piece)
      assert.strictEqual(encoder.pending, 0)
    }
  })

  it("server passes on one that is alone, without a copy", () => {
    const encoder = server()
    const frame = frameOf(4)
    encoder.passEncoded(frame)
    assert.strictEqual(encoder.take()[0], frame[0])
  })

  it("server passes on several to everybody in the same memory, and to nobody what others were sent", () => {
    const byteOps = new CountingByteOps(portable)
    const [one, other, third] = [server(byteOps), server(byteOps), server(byteOps)]
    const frames = [frameOf(4), frameOf(5), frameOf(4)]
    for (const frame of frames) for (const encoder of [one, other]) encoder.passEncoded(frame)
    third.passEncoded(frames[0]!)
    third.passEncoded(frames[1]!)
    third.passEncoded(frameOf(4))
    const [first] = one.take()
    assert.deepStrictEqual(first, concat(frames.flat()))
    assert.strictEqual(other.take()[0], first)
    const [last] = third.take()
    assert.notStrictEqual(last, first)
    assert.deepStrictEqual(last, first)
  })

  it("server joins one behind a piece that stands alone", () => {
    const encoder = server()
    encoder.encode(true, Frame.Binary, sequence(5000))
    encoder.passEncoded([hex("81 01 61")])
    encoder.passEncoded([hex("81 01 62")])
    const pieces = encoder.take()
    assert.deepStrictEqual([pieces.length, toHex(pieces[1]!)], [2, "81 01 61 81 01 62"])
  })

  it("server writes as one piece what fits into a slab, and as header and payload what does not", () => {
    const [whole, ...none] = encoded(Slab.largest)
    assert.deepStrictEqual([whole!.length, none.length], [Slab.largest + 4, 0])
    const payload = [sequence(Slab.largest), hex("01")]
    const parts = encodeUnmasked(Frame.Text, payload, Slab.largest + 1, portable)
    assert.deepStrictEqual([toHex(parts[0]!), parts.length], ["81 7e 10 01", 3])
    assert.strictEqual(parts[1], payload[0])
  })

  it("server writes it into memory of its own", () => {
    const counting = new CountingByteOps(portable)
    assert.deepStrictEqual(encodeUnmasked(Frame.Text, [hex("61"), hex("62")], 2, counting).map(toHex), ["81 02 61 62"])
    assert.deepStrictEqual([counting.allocations, counting.allocatedBytes], [1, 4])
  })
})
