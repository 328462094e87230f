import { type ByteOps, portable } from "@effect-ws/core/ByteOps"
import { nodeByteOps } from "@effect-ws/platform-node/NodeByteOps"
import { assert, describe, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as fc from "fast-check"
import { MessageChannel } from "node:worker_threads"
import * as ReadMemory from "../src/internal/readMemory.ts"

const utf8 = (text: string) => new TextEncoder().encode(text)

/** Bytes that are mostly UTF-8: random ones would hardly ever be. */
const anyBytes = fc.oneof(
  fc.uint8Array({ maxLength: 200 }),
  fc.string({ unit: "binary", maxLength: 60 }).map(utf8),
  fc
    .tuple(fc.string({ unit: "binary", minLength: 1, maxLength: 60 }).map(utf8), fc.nat(), fc.nat(255))
    .map(([bytes, at, value]) => bytes.map((byte, i) => (i === at % bytes.length ? value : byte)))
)

/** Text with every kind of code unit, lone surrogates too. */
const anyText = fc.oneof(
  fc.string({ unit: "binary", maxLength: 2000 }),
  fc.array(fc.nat(0xffff), { maxLength: 50 }).map((units) => String.fromCharCode(...units)),
  fc.nat(3000).map((length) => "a".repeat(length))
)

const range = (bytes: Uint8Array, a: number, b: number): readonly [start: number, end: number] => {
  const size = bytes.length + 1
  return [Math.min(a % size, b % size), Math.max(a % size, b % size)]
}

/**
 * Runs a function on copies of the bytes: a plain array, a Buffer that starts in the middle of its memory, and the memory that
 * sockets are read into.
 */
const onEach = <A>(bytes: Uint8Array, use: (bytes: Uint8Array, byteOps: ByteOps) => A) => {
  const inside = Buffer.alloc(bytes.length + 7).subarray(3, 3 + bytes.length)
  inside.set(bytes)
  const read = ReadMemory.read(bytes.length)
  read.set(bytes)
  const expected = use(bytes.slice(), portable)
  assert.deepStrictEqual(use(bytes.slice(), nodeByteOps), expected)
  assert.deepStrictEqual(use(inside, nodeByteOps), expected)
  assert.deepStrictEqual(use(read, nodeByteOps), expected)
}

describe("NodeByteOps", () => {
  it("node and portable validate UTF-8 alike", () => {
    fc.assert(
      fc.property(anyBytes, fc.nat(), fc.nat(), (bytes, a, b) => {
        const [start, end] = range(bytes, a, b)
        onEach(bytes, (copy, byteOps) => byteOps.isUtf8(copy, start, end))
        onEach(bytes, (copy, byteOps) => byteOps.isUtf8(copy, 0, copy.length))
      })
    )
  })

  it("node and portable decode valid text alike", () => {
    fc.assert(
      fc.property(anyText, (text) => onEach(utf8(text), (bytes, byteOps) => byteOps.decodeText(bytes, 0, bytes.length)))
    )
  })

  it("node and portable keep a byte order mark and U+0000", () => {
    for (const text of ["\ufeffa", "\0", "", "\ufeff".repeat(600), `${"a".repeat(1023)}é`]) {
      assert.strictEqual(nodeByteOps.decodeText(utf8(text), 0, utf8(text).length), text)
      assert.strictEqual(portable.decodeText(utf8(text), 0, utf8(text).length), text)
    }
  })

  it("node and portable write text alike, lone surrogates as U+FFFD", () => {
    fc.assert(
      fc.property(anyText, fc.nat(20), (text, offset) => {
        const length = portable.textByteLength(text)
        assert.strictEqual(nodeByteOps.textByteLength(text), length)
        onEach(new Uint8Array(offset + length + 4).fill(0xee), (target, byteOps) => {
          const written = byteOps.writeText(text, target, offset)
          assert.strictEqual(written, length)
          return [...target]
        })
      })
    )
  })

  it("node writes text that fills its target, or is empty at its end", () => {
    const target = nodeByteOps.allocate(5)
    assert.strictEqual(nodeByteOps.writeText("hello", target, 0), 5)
    assert.strictEqual(nodeByteOps.writeText("", target, 5), 0)
    assert.strictEqual(nodeByteOps.decodeText(target, 0, 5), "hello")
  })

  it("node and portable mask alike", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 300 }),
        fc.nat(),
        fc.nat(),
        fc.integer(),
        fc.nat(9),
        (bytes, a, b, key, phase) => {
          const [start, end] = range(bytes, a, b)
          onEach(bytes, (copy, byteOps) => {
            byteOps.mask(copy, start, end, key, phase)
            return [...copy]
          })
        }
      )
    )
  })

  it("node masks in the memory that sockets are read into by vectors, and nothing around it", () => {
    assert.isDefined(ReadMemory.mask)
    for (const [start, end] of [
      [0, 65_536],
      [1, 65_535],
      [127, 255],
      [3, 131],
      [17, 17],
      [65_400, 65_536]
    ] as const) {
      for (let phase = 0; phase < 4; phase++) {
        const expected = new Uint8Array(65_536).map((_, i) => i * 7)
        ReadMemory.all.set(expected)
        portable.mask(expected, start, end, 0x81_02_fe_44, phase)
        ReadMemory.mask!(start, end, 0x81_02_fe_44, phase)
        assert.strictEqual(Buffer.compare(expected, ReadMemory.all), 0)
      }
    }
  })

  it("node sees whether what it unmasks by vectors is nothing but ASCII, wherever another byte is", () => {
    const key = 0xfe_02_81_44
    for (const size of [128, 131, 159]) {
      for (let at = -1; at < size; at++) {
        // What is around it doesn't count.
        const read = ReadMemory.read(300)
          .fill(0xff)
          .fill(0x7f, 3, 3 + size)
        if (at >= 0) read[3 + at] = 0x80
        portable.mask(read, 3, 3 + size, key, 1)
        assert.strictEqual(nodeByteOps.mask(read, 3, 3 + size, key, 1), at < 0)
      }
    }
  })

  it("node allocates as many bytes as asked", () => {
    for (const size of [0, 1, 4096, 100_000]) {
      assert.strictEqual(nodeByteOps.allocate(size).length, size)
      assert.strictEqual(nodeByteOps.allocateShared(size).length, size)
    }
  })

  it("node lets nobody transfer memory that others use too", () => {
    const { port1, port2 } = new MessageChannel()
    const [own, shared] = [nodeByteOps.allocate(4096), nodeByteOps.allocateShared(4096)]
    const transfer = ({ buffer }: Uint8Array) => port1.postMessage(buffer, [buffer as ArrayBuffer])
    // Some versions of Node refuse it, others send a copy.
    Either.try(() => transfer(shared))
    assert.strictEqual(shared.length, 4096)
    transfer(own)
    assert.strictEqual(own.length, 0)
    port1.close()
    port2.close()
  })
})
