import { Deflate } from "@effect-ws/api/Deflate"
import * as NodeDeflate from "@effect-ws/platform-node/NodeDeflate"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fc from "fast-check"
import { randomBytes } from "node:crypto"
import { setImmediate } from "node:timers/promises"
import * as Zlib from "node:zlib"
import {
  alive,
  cutAt,
  deflateAll,
  deflated,
  external,
  inflateAll,
  inflated,
  takeovers,
  ways,
  withStreams
} from "./support/deflateWays.ts"

const anyBytes = fc.oneof(
  fc.uint8Array({ maxLength: 400 }),
  fc.string({ maxLength: 400 }).map((text) => new TextEncoder().encode(text.repeat(3))),
  fc.tuple(fc.nat(300_000), fc.nat(255)).map(([length, byte]) => new Uint8Array(length).fill(byte)),
  fc.nat(150_000).map((length) => new Uint8Array(randomBytes(length)))
)
const anyPlaces = fc.array(fc.nat(), { maxLength: 6 })
const anyZlib = fc.record({
  level: fc.integer({ min: 0, max: 9 }),
  memLevel: fc.integer({ min: 1, max: 9 }),
  strategy: fc.integer({ min: 0, max: 4 }),
  windowBits: fc.integer({ min: 9, max: 15 })
})

const sample = "what goes in comes out, and what goes in once more comes out once more"

for (const [way, make] of ways) {
  describe(`zlib on the spot, ${way}`, () => {
    it("node compresses as zlib itself does", () => {
      fc.assert(
        fc.property(anyBytes, fc.integer({ min: 9, max: 15 }), (bytes, windowBits) => {
          const codec = make({ level: 6, memoryLevel: 5 })
          const expected = deflated(bytes, { level: 6, memLevel: 5, windowBits })
          for (const [, takeover] of takeovers) {
            const deflater = codec.deflater(windowBits, takeover)
            const all = deflateAll(deflater, bytes)
            assert.isTrue(all.equals(expected) || Buffer.compare(inflated(all), bytes) === 0)
            if (expected.length < 60_000) assert.isTrue(all.equals(expected))
            if (takeover) deflater.release()
          }
        }),
        { numRuns: 50 }
      )
    })

    it("node writes the examples of RFC 7692 7.2.3", () => {
      const remembering = make().deflater(15, true)
      assert.strictEqual(deflateAll(remembering, "Hello").toString("hex"), "f248cdc9c907000000ffff")
      assert.strictEqual(deflateAll(remembering, "Hello").toString("hex"), "f2001100000000ffff")
      remembering.release()
      const forgetting = make().deflater(15, false)
      for (let count = 0; count < 2; count++) {
        assert.strictEqual(deflateAll(forgetting, "Hello").toString("hex"), "f248cdc9c907000000ffff")
      }
      assert.strictEqual(
        deflateAll(forgetting, "He", "llo").toString("hex"),
        "f248050000 00ffff cac9c907000000ffff".replaceAll(" ", "")
      )
    })

    it("node compresses nothing to nothing, or to an empty block", () => {
      for (const [, takeover] of takeovers) {
        const deflater = make().deflater(15, takeover)
        for (const parts of [[""], ["a", "", ""], ["", ""], [""]]) {
          for (const part of parts) {
            const all = Buffer.from(deflater.deflate(Buffer.from(part)))
            if (part === "") assert.include(["", "000000ffff"], all.toString("hex"))
          }
          deflater.finish()
        }
        if (takeover) deflater.release()
      }
    })

    for (const [title, takeover] of takeovers) {
      it(`node decompresses ${title} what zlib compresses, cut anywhere`, () => {
        const inflater = make().inflater(15, takeover)
        fc.assert(
          fc.property(anyBytes, anyZlib, anyPlaces, (bytes, options, places) => {
            const compressed = deflated(bytes, options)
            const back = inflateAll(inflater, cutAt(compressed, places), bytes.length)
            assert.strictEqual(typeof back === "string" ? back : Buffer.compare(back, bytes), 0)
          })
        )
        if (takeover) inflater.release()
      })

      it(`node decompresses ${title} what it compresses, in any parts and windows, on one connection`, () => {
        fc.assert(
          fc.property(
            fc.integer({ min: 9, max: 15 }),
            fc.array(fc.tuple(fc.array(anyBytes, { minLength: 1, maxLength: 3 }), anyPlaces), { maxLength: 5 }),
            (windowBits, messages) => {
              const codec = make()
              const deflater = codec.deflater(windowBits, takeover)
              const inflater = codec.inflater(windowBits, takeover)
              for (const [parts, places] of messages) {
                const compressed = deflateAll(deflater, ...parts)
                assert.isTrue(compressed.length === 0 || compressed.subarray(-4).toString("hex") === "0000ffff")
                const bytes = Buffer.concat(parts)
                const back = inflateAll(inflater, cutAt(compressed, places), bytes.length)
                assert.strictEqual(typeof back === "string" ? back : Buffer.compare(back, bytes), 0)
              }
              if (!takeover) return
              deflater.release()
              inflater.release()
            }
          ),
          { numRuns: 50 }
        )
      })

      it(`node limits ${title} what comes out, to the byte`, () => {
        const inflater = make().inflater(15, takeover)
        for (const size of [1, 2, 1000, 65_535, 65_536, 65_537, 200_000]) {
          const compressed = deflated(Buffer.alloc(size, "ab"))
          assert.strictEqual(inflateAll(inflater, [compressed], size - 1), "oversized")
          if (takeover) continue
          assert.lengthOf(inflateAll(inflater, [compressed], size), size)
          assert.lengthOf(inflateAll(inflater, cutAt(compressed, [1, 3, 4]), size + 1), size)
        }
        if (!takeover) return
        inflater.release()
        const fresh = make().inflater(15, true)
        for (const size of [1, 65_536, 200_000]) {
          assert.lengthOf(inflateAll(fresh, [deflated(Buffer.alloc(size, "ab"))], size), size)
        }
        fresh.release()
      })

      it(`node takes ${title} any limit, and one of nothing`, () => {
        const inflater = make().inflater(15, takeover)
        assert.lengthOf(inflateAll(inflater, [deflated("")], 0), 0)
        for (const limit of [sample.length, 2 ** 32, Number.MAX_SAFE_INTEGER]) {
          assert.strictEqual(String(inflateAll(inflater, [deflated(sample)], limit)), sample)
        }
        assert.strictEqual(inflateAll(inflater, [deflated("a")], 0), "oversized")
        if (takeover) inflater.release()
      })

      it(`node holds no more of a bomb ${title} than the limit and a buffer`, () => {
        const bomb = deflated(Buffer.alloc(2 ** 26))
        const inflater = make().inflater(15, takeover)
        const before = process.memoryUsage().arrayBuffers
        const outcome = inflater.inflate(bomb, 0, bomb.length, 2 ** 20, true)
        assert.strictEqual(outcome, "oversized")
        assert.isBelow(process.memoryUsage().arrayBuffers - before, 2 ** 23)
        inflater.finish()
        if (takeover) inflater.release()
      })

      it(`node goes on ${title} behind final blocks`, () => {
        const final = Zlib.deflateRawSync(sample)
        const inflater = make().inflater(15, takeover)
        for (const parts of [
          [final, deflated("end")],
          [final, final, final, deflated("end")],
          [final, deflated("")]
        ]) {
          const all = Buffer.concat(parts)
          const expected = Buffer.concat(parts.map((part) => inflated(part))).toString()
          for (let cut = 0; cut <= all.length; cut++) {
            assert.strictEqual(String(inflateAll(inflater, cutAt(all, [cut]))), expected, `cut at ${cut}`)
          }
          assert.strictEqual(String(inflateAll(inflater, cutAt(all, Array.from(all.keys())))), expected, "byte by byte")
          assert.strictEqual(inflateAll(inflater, [all], expected.length - 1), "oversized")
          if (takeover) continue
          assert.strictEqual(String(inflateAll(inflater, [all], expected.length)), expected)
        }
        if (takeover) inflater.release()
      })

      it(`node ends a message ${title} with a final block`, () => {
        const inflater = make().inflater(15, takeover)
        for (const size of [5, 65_536, 131_072]) {
          const bytes = Buffer.alloc(size, "x")
          for (const final of [Zlib.deflateRawSync(bytes), Zlib.deflateRawSync(bytes, { level: 0 })]) {
            assert.isTrue(bytes.equals(inflateAll(inflater, [final]) as Buffer))
            assert.strictEqual(String(inflateAll(inflater, [deflated("next")])), "next")
          }
        }
        if (takeover) inflater.release()
      })
    }

    it("node with takeover remembers what came behind a final block", () => {
      const inflater = make().inflater(15, true)
      const first = Buffer.concat([Zlib.deflateRawSync("other things"), deflated(sample)])
      assert.strictEqual(String(inflateAll(inflater, [first])), `other things${sample}`)
      const second = deflated(sample, { dictionary: Buffer.from(sample) })
      assert.isBelow(second.length, 20)
      assert.strictEqual(String(inflateAll(inflater, [second])), sample)
      inflater.release()
    })

    it("node without takeover forgets, and with takeover remembers as much as the window holds", () => {
      for (const windowBits of [9, 12, 15]) {
        const gap = randomBytes(2 ** windowBits)
        for (const [, takeover] of takeovers) {
          const deflater = make().deflater(windowBits, takeover)
          const inflater = make().inflater(windowBits, takeover)
          const sizes = [sample, sample, gap, sample].map((message) => {
            const compressed = deflateAll(deflater, message)
            assert.strictEqual(Buffer.compare(inflateAll(inflater, [compressed]) as Buffer, Buffer.from(message)), 0)
            return compressed.length
          })
          assert.strictEqual(sizes[1]! < sizes[0]! / 2, takeover)
          assert.isAbove(sizes[3]!, sizes[0]! / 2)
          if (!takeover) continue
          deflater.release()
          inflater.release()
        }
      }
    })

    it("node decompresses what was compressed with a window of 8 bits", () => {
      for (const [, takeover] of takeovers) {
        const inflater = make().inflater(8, takeover)
        // zlib takes one of 9 bits for this, and finds nothing in it that is further away than 250 bytes.
        const bytes = Buffer.from(Array.from({ length: 3000 }, (_, index) => (index * index) % 40))
        const compressed = deflated(bytes, { windowBits: 9 })
        for (const places of [[], [100, 500, 501], [1]]) {
          assert.isTrue(bytes.equals(inflateAll(inflater, cutAt(compressed, places)) as Buffer))
        }
        if (takeover) inflater.release()
      }
    })

    it("node tells corrupt data at each byte as zlib does, and the next message is right", () => {
      const codec = make()
      const compressed = deflated(sample.repeat(3), { level: 9 })
      let corrupt = 0
      for (let at = 0; at < compressed.length; at++) {
        for (const change of [0x01, 0x80, 0xff]) {
          const changed = Buffer.from(compressed)
          changed[at]! ^= change
          for (const places of [[], [at], [at + 1, at + 2]]) {
            const back = inflateAll(codec.inflater(15, false), cutAt(changed, places), 10_000)
            assert.strictEqual(told(back), toldByZlib(changed))
            if (back === "corrupt") corrupt++
            assert.strictEqual(String(inflateAll(codec.inflater(15, false), [deflated("next")])), "next")
          }
        }
      }
      assert.isAbove(corrupt, 50)
    })

    it("node shares what forgets, and what was too much for one is no harm to the next", () => {
      const codec = make()
      const bomb = deflated(Buffer.alloc(1_000_000))
      for (const limit of [0, 10, 70_000, 999_999]) {
        assert.strictEqual(inflateAll(codec.inflater(15, false), cutAt(bomb, [5, 50]), limit), "oversized")
        assert.strictEqual(String(inflateAll(codec.inflater(15, false), [deflated("next")])), "next")
      }
      assert.strictEqual(codec.inflater(15, false), codec.inflater(15, false))
      assert.strictEqual(codec.deflater(15, false), codec.deflater(15, false))
      assert.notStrictEqual(codec.deflater(15, false), codec.deflater(14, false))
      assert.notStrictEqual(codec.inflater(15, true), codec.inflater(15, true))
    })

    it("node hands out bytes that never change again", () => {
      const codec = make()
      const first = codec.deflater(15, false).deflate(Buffer.from(sample))
      const copy = Buffer.from(first)
      codec.deflater(15, false).finish()
      const pieces = codec.inflater(15, false).inflate(copy, 0, copy.length, 1000, true)
      codec.inflater(15, false).finish()
      deflateAll(codec.deflater(15, false), randomBytes(200_000))
      inflateAll(codec.inflater(15, false), [deflated(randomBytes(200_000))])
      assert.isTrue(copy.equals(first))
      assert.strictEqual(typeof pieces === "string" ? pieces : Buffer.concat(pieces).toString(), sample)
    })

    it("node hands out bytes that keep no more alive than any small message", () => {
      for (const [, takeover] of takeovers) {
        const inflater = make().inflater(15, takeover)
        const compressed = deflated(sample)
        const pieces = inflater.inflate(compressed, 0, compressed.length, 1000, true)
        if (typeof pieces === "string") assert.fail(pieces)
        for (const piece of pieces) assert.isAtMost(piece.buffer.byteLength, 4096)
      }
    })

    it("node goes on with a message in parts where others compress in between", () => {
      const codec = make()
      const one = codec.deflater(15, true)
      const parts = [one.deflate(Buffer.from(sample))]
      deflateAll(codec.deflater(15, false), sample)
      deflateAll(codec.deflater(15, true), sample)
      parts.push(one.deflate(Buffer.from(sample)))
      one.finish()
      assert.strictEqual(String(inflateAll(codec.inflater(15, false), parts)), sample + sample)
    })

    describe("memory", () => {
      it("node has its oldest compressor forget above maxContexts, and its next message is right for the peer", () => {
        const codec = make({ maxContexts: 2 })
        const ends = Array.from({ length: 3 }, () => ({
          deflater: codec.deflater(15, true),
          inflater: make().inflater(15, true)
        }))
        const anew = deflated(sample, { level: 1 }).length
        const remembers = (index: number): boolean => {
          const { deflater, inflater } = ends[index]!
          const compressed = deflateAll(deflater, sample)
          assert.strictEqual(String(inflateAll(inflater, [compressed])), sample)
          assert.isTrue(compressed.length === anew || compressed.length * 2 < anew)
          return compressed.length < anew
        }
        assert.isFalse(remembers(0) || remembers(1))
        assert.isTrue(remembers(0) && remembers(1) && remembers(1))
        assert.isFalse(remembers(2), "the third one begins")
        assert.isTrue(remembers(1), "who was used last still remembers")
        assert.isFalse(remembers(0), "who was silent longest has forgotten")
        assert.isFalse(remembers(2), "and so has the next one")
        ends[2]!.deflater.release()
        assert.isTrue(remembers(0), "who is gone takes no room")
        assert.isFalse(remembers(1))
        assert.isTrue(remembers(0))
      })

      it("node forgets in the middle of a message, which is right for the peer all the same", () => {
        for (const maxContexts of [0, 1]) {
          const codec = make({ maxContexts })
          const [one, other] = [codec.deflater(15, true), codec.deflater(15, true)]
          const inflater = make().inflater(15, true)
          for (let count = 0; count < 3; count++) {
            const parts: Array<Uint8Array> = []
            for (let part = 0; part < 3; part++) {
              parts.push(one.deflate(Buffer.from(sample)))
              deflateAll(other, sample)
            }
            one.finish()
            assert.strictEqual(String(inflateAll(inflater, parts)), sample.repeat(3))
          }
          one.release()
          other.release()
        }
      })

      it("node compresses where nobody may remember", () => {
        const deflater = make({ maxContexts: 0 }).deflater(15, true)
        const first = deflateAll(deflater, sample)
        assert.isTrue(first.equals(deflateAll(deflater, sample)))
        assert.strictEqual(inflated(first).toString(), sample)
      })

      it("node has room for as many decompressors that remember as it was told, from when they are made", () => {
        const codec = make({ maxContexts: 2 })
        const first = codec.inflater(15, true)
        assert.isTrue(codec.hasRoom)
        const second = codec.inflater(9, true)
        assert.isFalse(codec.hasRoom)
        codec.inflater(15, false)
        codec.deflater(15, true)
        first.release()
        assert.isTrue(codec.hasRoom, "those that forget or compress take no room")
        assert.strictEqual(String(inflateAll(second, [deflated("still there", { windowBits: 9 })])), "still there")
        const third = codec.inflater(15, true)
        assert.isFalse(codec.hasRoom)
        second.release()
        third.release()
        assert.isTrue(codec.hasRoom)
        assert.isFalse(make({ maxContexts: 0 }).hasRoom)
      })

      it("node holds nothing for those that have said nothing yet, and nothing for those that are released", () => {
        const streams = withStreams(() => {})
        const codec = make({ maxContexts: 1000 })
        const before = external()
        const resources = [...process.getActiveResourcesInfo()].sort()
        const checked = alive(streams.made)
        assert.strictEqual(checked, 0, "what was made to look at it is closed")
        const idle = Array.from({ length: 100 }, () => [codec.deflater(15, true), codec.inflater(15, true)] as const)
        assert.strictEqual(alive(streams.made), 0)
        assert.isBelow(external() - before, 100_000)
        for (const [deflater, inflater] of idle) {
          const compressed = deflater.deflate(Buffer.from(sample))
          assert.strictEqual(String(inflateAll(inflater, [Buffer.from(compressed)])), sample)
        }
        if (way === "by handles") assert.strictEqual(alive(streams.made), 200)
        assert.isBelow(external() - before, 200 * 1024, "beside the memory of zlib itself")
        for (const [deflater, inflater] of idle) {
          deflater.release()
          inflater.release()
        }
        assert.strictEqual(alive(streams.made), 0)
        assert.isBelow(external() - before, 100_000)
        assert.deepStrictEqual([...process.getActiveResourcesInfo()].sort(), resources)
        streams.restore()
      })

      it("node never has more compressors that remember than maxContexts", () => {
        const streams = withStreams(() => {})
        const codec = make({ maxContexts: 3 })
        const deflaters = Array.from({ length: 10 }, () => codec.deflater(9, true))
        for (const deflater of [...deflaters, ...deflaters]) {
          deflateAll(deflater, sample)
          assert.isAtMost(alive(streams.made), 3)
        }
        for (const deflater of deflaters) deflater.release()
        assert.strictEqual(alive(streams.made), 0)
        streams.restore()
      })

      it("node holds nothing after 10000 connections, one after the other", async () => {
        const codec = make()
        const hello = deflated("Hello")
        const connect = () => {
          const deflater = codec.deflater(9, true)
          const inflater = codec.inflater(9, true)
          deflater.deflate(Buffer.from("Hello"))
          inflater.inflate(hello, 0, hello.length, 5, true)
          deflater.release()
          inflater.release()
        }
        connect()
        await setImmediate()
        const before = external()
        const { rss } = process.memoryUsage()
        for (let count = 0; count < 10_000; count++) {
          connect()
          // A stream tells later that it is closed, and is needed until then.
          if (count % 100 === 99) await setImmediate()
        }
        external()
        await setImmediate()
        assert.isBelow(external() - before, 2_000_000)
        // Those that weren't let go of would be more than a gigabyte.
        assert.isBelow(process.memoryUsage().rss - rss, 300_000_000)
        assert.isTrue(codec.hasRoom)
      })
    })

    it("node refuses options that can't be meant", () => {
      for (const options of [
        { level: 0 },
        { level: 10 },
        { level: 1.5 },
        { level: Number.NaN },
        { memoryLevel: 0 },
        { memoryLevel: 10 },
        { maxContexts: -1 },
        { maxContexts: 0.5 },
        { maxContexts: Infinity }
      ]) {
        const [[option, value]] = Object.entries(options) as [[string, number]]
        assert.throws(() => make(options), RangeError, new RegExp(`option ${option} .* ${value}$`))
      }
      for (const options of [{}, { level: 9, memoryLevel: 9, maxContexts: 0 }, { level: 1, memoryLevel: 1 }])
        make(options)
      make({ level: undefined, memoryLevel: undefined, maxContexts: undefined })
    })

    it("node compresses the better for a higher level", () => {
      const text = Array.from({ length: 400 }, (_, index) => `{"number":${index * 7919},"text":"${sample}"}`).join()
      const [fast, small] = [1, 9].map((level) => deflateAll(make({ level }).deflater(15, false), text).length)
      assert.isBelow(small!, fast!)
    })
  })
}

describe("zlib on the spot by documented calls", () => {
  it("node refuses a message of more final blocks than anybody needs: each costs a stream", () => {
    const inflater = NodeDeflate.makeDocumented().inflater(15, false)
    const final = Zlib.deflateRawSync("a")
    const many = (count: number) => Buffer.concat(Array.from({ length: count }, () => final))
    assert.strictEqual(String(inflateAll(inflater, [many(1000)])), "a".repeat(1000))
    assert.strictEqual(inflateAll(inflater, [many(1001)]), "corrupt")
    assert.strictEqual(String(inflateAll(inflater, [deflated("next")])), "next")
  })
})

describe("the codec in force", () => {
  it.effect("node lets connections compress by the codec of its layer", () =>
    Effect.gen(function* () {
      const codec = yield* Deflate
      assert(codec !== undefined)
      assert.isFalse(codec.hasRoom)
      assert.strictEqual(inflated(deflateAll(codec.deflater(15, false), sample)).toString(), sample)
    }).pipe(Effect.provide(NodeDeflate.layer({ maxContexts: 0 })))
  )
})

const told = (back: Buffer | string): string => (typeof back === "string" ? back : back.toString("latin1"))

const toldByZlib = (bytes: Uint8Array): string => {
  try {
    const { buffer, engine } = Zlib.inflateRawSync(bytes, {
      finishFlush: Zlib.constants.Z_SYNC_FLUSH,
      info: true
    }) as unknown as { readonly buffer: Buffer; readonly engine: { readonly bytesWritten: number } }
    const rest = bytes.subarray(engine.bytesWritten)
    const behind = rest.length === 0 ? "" : toldByZlib(rest)
    return behind === "corrupt" ? behind : buffer.toString("latin1") + behind
  } catch {
    return "corrupt"
  }
}
