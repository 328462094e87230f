import * as fc from "fast-check"
import { assert, describe, it } from "vitest"
import { portable } from "../../src/ByteOps.ts"
import * as Frame from "../../src/Frame.ts"
import type { Held } from "../../src/internal/HeldMessage.ts"
import { isWorthKeeping, MessageAssembler } from "../../src/internal/MessageAssembler.ts"
import { CountingByteOps } from "../support/CountingByteOps.ts"
import { concat, hex, sequence, toHex } from "../support/Hex.ts"

const headroomOf = (message: unknown): number => (message as Held).headroom

const held = (pieces: ReadonlyArray<Uint8Array>): number =>
  [...new Set(pieces.map((piece) => piece.buffer))].reduce((sum, buffer) => sum + buffer.byteLength, 0)

describe("5.4 the fragments of a message", () => {
  it("server puts pieces of all sizes together in order", () => {
    const sizes = fc.array(fc.oneof(fc.nat(5), fc.nat(300), fc.nat(20_000), fc.nat(150_000)), { maxLength: 30 })
    fc.assert(
      fc.property(sizes, fc.constantFrom(1, 3, 9), (sizes, slack) => {
        const assembler = new MessageAssembler(portable)
        assembler.begin(Frame.Binary)
        const parts = sizes.map((size) => sequence(size))
        for (const part of parts) {
          const chunk = new Uint8Array(part.length * slack)
          chunk.set(part, (slack - 1) * part.length)
          assembler.append(chunk, (slack - 1) * part.length, chunk.length, false)
        }
        assert.strictEqual(assembler.size, concat(parts).length)
        const message = assembler.finish()
        assert.strictEqual(Buffer.compare(message.bytes, concat(parts)), 0)
        assert.strictEqual(message.byteLength, concat(parts).length)
      }),
      { numRuns: 100 }
    )
  })

  it("server holds at most four times the bytes that came, in whatever sizes", () => {
    const sizes = fc.array(fc.oneof(fc.integer({ min: 1, max: 5 }), fc.constant(4096), fc.nat(9000)), {
      maxLength: 200
    })
    fc.assert(
      fc.property(sizes, (sizes) => {
        const assembler = new MessageAssembler(portable)
        assembler.begin(Frame.Binary)
        for (const size of sizes) assembler.append(new Uint8Array(16 * 1024), 0, size, false)
        const message = assembler.finish()
        assert.isAtMost(held(message.pieces), 4 * message.byteLength + 128)
      }),
      { numRuns: 300 }
    )
  })

  it("server keeps a large piece where it is and copies a small one", () => {
    const assembler = new MessageAssembler(portable)
    assembler.begin(Frame.Text)
    const large = new Uint8Array(4096)
    const small = new Uint8Array(4095)
    assembler.append(large, 0, 4096, false)
    assembler.append(small, 0, 4095, false)
    const { pieces } = assembler.finish()
    assert.strictEqual(pieces[0]!.buffer, large.buffer)
    assert.notStrictEqual(pieces[1]!.buffer, small.buffer)
  })

  it("server takes blocks as large as all that it copied before, up to 64 KiB", () => {
    const sizes: Array<number> = []
    const assembler = new MessageAssembler({
      ...portable,
      allocate: (size) => {
        sizes.push(size)
        return portable.allocate(size)
      }
    })
    assembler.begin(Frame.Binary)
    for (let count = 0; count < 300_000; count += 100) assembler.append(sequence(100), 0, 100, false)
    assert.deepStrictEqual(sizes.slice(0, 5), [128, 128, 256, 512, 1024])
    assert.strictEqual(Math.max(...sizes), 64 * 1024)
  })

  it("server takes one block for a piece that is larger than a block and not worth keeping", () => {
    const counting = new CountingByteOps(portable)
    const assembler = new MessageAssembler(counting)
    assembler.begin(Frame.Binary)
    assembler.append(new Uint8Array(1_000_000), 0, 200_000, false)
    assembler.settle()
    assert.deepStrictEqual([counting.allocations, counting.allocatedBytes], [1, 200_000])
  })

  it("server moves the fragments of a chunk together within it, and keeps a view when that is worth it", () => {
    const counting = new CountingByteOps(portable)
    const assembler = new MessageAssembler(counting)
    assembler.begin(Frame.Binary)
    const chunk = sequence(8 * 1024)
    const expected = concat([chunk.slice(8, 3000), chunk.slice(3008, 3009), chunk.slice(3009, 6000)])
    assembler.append(chunk, 8, 3000, false)
    assembler.append(chunk, 3008, 3009, false)
    assembler.append(chunk, 3009, 6000, false)
    const message = assembler.finish()
    assert.deepStrictEqual(message.bytes, expected)
    assert.deepStrictEqual([message.bytes.buffer, counting.allocations], [chunk.buffer, 0])
  })

  it.each([
    ["no more than lies in front of it", 3, 3000, 3],
    ["the shortest header of its first fragment", 8, 3000, 4],
    ["the shortest header of a small first fragment", 8, 100, 2]
  ])("server says that in front of a message moved together is its own header: %s", (_why, start, end, headroom) => {
    const assembler = new MessageAssembler(portable)
    assembler.begin(Frame.Binary)
    const chunk = sequence(8 * 1024)
    assembler.append(chunk, start, end, false)
    assembler.append(chunk, 3010, 8000, false)
    assert.strictEqual(headroomOf(assembler.finish()), headroom)
  })

  it.each([
    ["copied", [0, 100], [3008, 8000]],
    ["kept", [0, 4096], [4096, 8192]]
  ] as const)("server says nothing of the kind when a piece before was %s", (_how, first, second) => {
    const assembler = new MessageAssembler(portable)
    assembler.begin(Frame.Binary)
    const chunks = [sequence(8 * 1024), sequence(8 * 1024)]
    assembler.append(chunks[0]!, first[0], first[1], false)
    assembler.append(chunks[1]!, second[0], second[1], false)
    const message = assembler.finish()
    assert.deepStrictEqual([headroomOf(message), message.pieces.length], [0, 2])
  })

  it("server keeps no view of a chunk that is only lent", () => {
    const assembler = new MessageAssembler(portable)
    const lent = sequence(5000)
    const expected = sequence(5000)
    assembler.begin(Frame.Binary)
    assembler.append(lent, 0, 5000, true)
    assembler.settle()
    lent.fill(0)
    assert.deepStrictEqual(assembler.finish().bytes, expected)
  })

  it("server begins each message anew, also after one that never ended", () => {
    const assembler = new MessageAssembler(portable)
    assembler.begin(Frame.Text)
    assembler.append(hex("01 02"), 0, 2, false)
    assembler.discard()
    assert.strictEqual(assembler.size, 0)
    assembler.begin(Frame.Binary)
    assembler.append(hex("03"), 0, 1, false)
    assert.strictEqual(toHex(assembler.finish().bytes), "03")
    assembler.begin(Frame.Text)
    const empty = assembler.finish()
    assert.deepStrictEqual([empty._tag, empty.byteLength, empty.pieces.length], ["Text", 0, 1])
  })
})

describe("5.4 a message of one frame", () => {
  const isKept = (chunk: Uint8Array, size: number) => isWorthKeeping(chunk, size)

  it("server keeps a view of a chunk of up to 512 bytes", () => {
    assert.isTrue(isKept(new Uint8Array(512), 1))
    assert.isFalse(isKept(new Uint8Array(513), 1))
  })

  it.each([
    ["a quarter of a large chunk", 16641, 4161],
    ["a sixteenth of a chunk of some 16 KiB", 16640, 1040],
    ["a sixteenth of a smaller chunk", 8192, 512]
  ])("server keeps a view of %s, and copies less", (_part, held, least) => {
    assert.deepStrictEqual(
      [isKept(new Uint8Array(held), least), isKept(new Uint8Array(held), least - 1)],
      [true, false]
    )
  })

  it("server measures a chunk by the memory that it keeps alive", () => {
    assert.isFalse(isKept(new Uint8Array(65536).subarray(100, 2200), 2100))
  })
})

describe("5.4 the fragments of a message, handed out as they come", () => {
  const takenFrom = (assembler: MessageAssembler): Array<string> => assembler.takePieces().map(toHex)

  it("server hands out what has come since the last time, in order, and nothing twice", () => {
    const assembler = new MessageAssembler(portable)
    assembler.begin(Frame.Binary)
    assert.deepStrictEqual(takenFrom(assembler), [])
    assembler.append(hex("01 02"), 0, 2, false)
    assembler.append(hex("03"), 0, 1, false)
    assert.deepStrictEqual(takenFrom(assembler), ["01 02 03"])
    assert.deepStrictEqual(takenFrom(assembler), [])
    assembler.append(hex("04"), 0, 1, false)
    assembler.append(sequence(5000), 0, 5000, false)
    assembler.append(hex("05"), 0, 1, false)
    assert.deepStrictEqual(takenFrom(assembler), ["04", toHex(sequence(5000)), "05"])
    assert.strictEqual(assembler.size, 5005)
  })

  it("server goes on in the same block behind what it handed out, which stays as it is", () => {
    const counting = new CountingByteOps(portable)
    const assembler = new MessageAssembler(counting)
    assembler.begin(Frame.Binary)
    const taken = Array.from({ length: 128 }, (_, byte) => {
      assembler.append(Uint8Array.of(byte), 0, 1, false)
      return assembler.takePieces()
    })
    assert.deepStrictEqual([counting.allocations, counting.allocatedBytes], [1, 128])
    assert.deepStrictEqual(
      taken.map(([piece, ...others]) => [piece![0], piece!.length, others.length]),
      Array.from({ length: 128 }, (_, byte) => [byte, 1, 0])
    )
  })

  it("server counts what it handed out, and lets go of all of it", () => {
    const assembler = new MessageAssembler(portable)
    assembler.begin(Frame.Binary)
    assembler.append(hex("01"), 0, 1, false)
    assembler.takePieces()
    assembler.append(hex("02"), 0, 1, false)
    assert.strictEqual(assembler.size, 2)
    assembler.discard()
    assert.deepStrictEqual([assembler.size, takenFrom(assembler)], [0, []])
  })

  it("server counts what nobody wants, and holds nothing of it", () => {
    const counting = new CountingByteOps(portable)
    const assembler = new MessageAssembler(counting)
    assembler.begin(Frame.Text)
    assembler.skip(1000)
    assembler.skip(0)
    assembler.skip(1)
    assert.deepStrictEqual([assembler.size, takenFrom(assembler), counting.allocations], [1001, [], 0])
    assembler.begin(Frame.Text)
    assert.strictEqual(assembler.size, 0)
  })
})
