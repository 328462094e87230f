import { assert, describe, it } from "vitest"
import { portable } from "../src/ByteOps.ts"
import * as FrameDecoder from "../src/FrameDecoder.ts"
import { copyBytes } from "../src/internal/UnmaskedCopy.ts"
import type { Role } from "../src/Role.ts"
import { CountingByteOps } from "./support/CountingByteOps.ts"
import { chunksOf, eachByte, peerOfRole, roles } from "./support/Endpoints.ts"
import { concat, hex, sequence, toHex } from "./support/Hex.ts"

/** What `next` found in all chunks: one entry for each piece, with the marks of its beginning and end. */
const piecesOf = (role: Role, chunks: Iterable<Uint8Array>): Array<string> => {
  const decoder = new FrameDecoder.FrameDecoder(role, portable)
  const found: Array<string> = []
  for (const chunk of chunks) {
    decoder.push(chunk)
    let step = decoder.next()
    for (; step === FrameDecoder.Piece; step = decoder.next()) {
      const payload = toHex(chunk.subarray(decoder.start, decoder.end))
      const marks = `${decoder.begins ? "[" : ""}${payload}${decoder.ends ? "]" : ""}`
      found.push(`${decoder.fin ? "fin " : ""}${decoder.opcode} of ${decoder.payloadLength} ${marks}`)
    }
    if (step === FrameDecoder.Fault) found.push(decoder.fault!._tag)
  }
  return found
}

describe("5.2 the pieces of a frame", () => {
  for (const role of roles) {
    const peer = peerOfRole(role)
    const frame = peer.binary(hex("01 02 03"))
    const header = frame.length - 3

    it(`${role} finds a frame that lies in one chunk in one piece`, () => {
      assert.deepStrictEqual(piecesOf(role, [frame.slice()]), ["fin 2 of 3 [01 02 03]"])
    })

    it(`${role} finds the parts of a payload where the chunks end`, () => {
      const chunks = [frame.slice(0, header + 1), frame.slice(header + 1, header + 2), frame.slice(header + 2)]
      assert.deepStrictEqual(piecesOf(role, chunks), ["fin 2 of 3 [01", "fin 2 of 3 02", "fin 2 of 3 03]"])
    })

    it(`${role} finds the beginning of a frame whose payload has yet to come`, () => {
      const chunks = [frame.slice(0, header), new Uint8Array(0), frame.slice(header)]
      assert.deepStrictEqual(piecesOf(role, chunks), ["fin 2 of 3 [", "fin 2 of 3 01 02 03]"])
    })

    it(`${role} finds frames without a payload, one behind the other`, () => {
      const frames = concat([peer.ping(), peer.text("", false), peer.continuation("")])
      const expected = ["fin 9 of 0 []", "1 of 0 []", "fin 0 of 0 []"]
      assert.deepStrictEqual(piecesOf(role, [frames.slice()]), expected)
      assert.deepStrictEqual(piecesOf(role, eachByte(frames)), expected)
    })

    it(`${role} finds nothing in an empty chunk, wherever it comes`, () => {
      const nothing = new Uint8Array(0)
      const chunks = eachByte(peer.text("é")).flatMap((byte) => [nothing, byte, nothing])
      assert.strictEqual(piecesOf(role, chunks).at(-1), "fin 1 of 2 a9]")
      assert.deepStrictEqual(piecesOf(role, [nothing]), [])
    })

    for (const length of [0, 1, 125, 126, 65535, 65536]) {
      it(`${role} reads the header of ${length} bytes torn at every offset`, () => {
        const bytes = peer.binary(sequence(length))
        const size = bytes.length - length
        for (let at = 0; at <= size; at++) {
          const pieces = piecesOf(role, [bytes.slice(0, at), bytes.slice(at)])
          assert.match(pieces[0]!, new RegExp(`^fin 2 of ${length} \\[`), `torn at ${at}`)
          assert.match(pieces.at(-1)!, /\]$/)
        }
      })
    }

    for (const length of [65536, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 40 + 2 ** 31, 2 ** 53 - 1]) {
      it(`${role} counts ${length} announced bytes exactly`, () => {
        const header = peer.header(2, 64, BigInt(length))
        assert.deepStrictEqual(piecesOf(role, [header, hex("00")]).slice(0, 1), [`fin 2 of ${length} [`])
        assert.deepStrictEqual(piecesOf(role, eachByte(header)), [`fin 2 of ${length} [`])
      })
    }

    for (const length of [1n << 53n, (1n << 53n) + 1n, (1n << 63n) - 1n]) {
      it(`${role} refuses to count ${length} announced bytes`, () => {
        assert.deepStrictEqual(piecesOf(role, [peer.header(2, 64, length)]), ["MessageTooBig"])
      })
    }

    it(`${role} unmasks each piece in place, whatever the cuts`, () => {
      const bytes = peer.binary(sequence(300))
      const start = bytes.length - 300
      for (const size of [1, 2, 3, 5, 7, 64, 101]) {
        const decoder = new FrameDecoder.FrameDecoder(role, portable)
        const chunks = chunksOf(bytes, size)
        for (const chunk of chunks) {
          decoder.push(chunk)
          while (decoder.next() === FrameDecoder.Piece);
        }
        assert.deepStrictEqual(concat(chunks).slice(start), sequence(300), `chunks of ${size}`)
      }
    })

    it(`${role} stays with its fault`, () => {
      const decoder = new FrameDecoder.FrameDecoder(role, portable)
      decoder.push(hex("ff ff"))
      assert.strictEqual(decoder.next(), FrameDecoder.Fault)
      const { fault } = decoder
      decoder.push(frame.slice())
      assert.strictEqual(decoder.next(), FrameDecoder.Fault)
      assert.strictEqual(decoder.fault, fault)
    })

    it(`${role} looks at nothing more of a chunk after it was stopped`, () => {
      const decoder = new FrameDecoder.FrameDecoder(role, portable)
      decoder.push(concat([frame, frame.subarray(0, -1)]))
      assert.strictEqual(decoder.next(), FrameDecoder.Piece)
      decoder.stop()
      assert.strictEqual(decoder.next(), FrameDecoder.NeedMore)
    })
  }

  it("server leaves bytes alone that are masked with the key 0", () => {
    const counting = new CountingByteOps(portable)
    const decoder = new FrameDecoder.FrameDecoder("server", counting)
    decoder.push(hex("82 82 00 00 00 00 01 02"))
    assert.strictEqual(decoder.next(), FrameDecoder.Piece)
    assert.strictEqual(counting.maskedBytes, 0)
  })

  it("server that unmasks by itself tells the key of each piece, and unmasks in place once", () => {
    const bytes = peerOfRole("server").binary(sequence(300))
    for (const size of [1, 2, 3, 5, 7, 64, 101]) {
      const decoder = new FrameDecoder.FrameDecoder("server", portable, false, true)
      const copies: Array<Uint8Array> = []
      const places: Array<Uint8Array> = []
      for (const chunk of chunksOf(bytes, size)) {
        const before = chunk.slice()
        decoder.push(chunk)
        while (decoder.next() === FrameDecoder.Piece) {
          const copy = new Uint8Array(decoder.end - decoder.start)
          copyBytes(copy, 0, chunk, decoder.start, decoder.end, decoder.maskingKey)
          assert.deepStrictEqual(chunk, before)
          copies.push(copy)
          decoder.unmask(chunk)
          assert.strictEqual(decoder.maskingKey, 0)
          decoder.unmask(chunk)
          places.push(chunk.subarray(decoder.start, decoder.end))
        }
      }
      assert.deepStrictEqual(concat(copies), sequence(300), `copies of chunks of ${size}`)
      assert.deepStrictEqual(concat(places), sequence(300), `chunks of ${size}`)
    }
  })

  it("server alters nothing of a chunk but payloads", () => {
    const chunk = hex("82 81 01 02 03 04 05 89 80 01 02 03 04 82 85 01 02 03 04 00")
    const decoder = new FrameDecoder.FrameDecoder("server", portable)
    decoder.push(chunk)
    while (decoder.next() === FrameDecoder.Piece);
    assert.strictEqual(toHex(chunk), "82 81 01 02 03 04 04 89 80 01 02 03 04 82 85 01 02 03 04 01")
  })
})
