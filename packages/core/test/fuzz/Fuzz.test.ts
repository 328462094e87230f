/** The invariants of the fuzzer can be broken: each defect here is found, and found again by the seed that is told. */
import { assert, describe, it } from "vitest"
import { type ByteOps, portable } from "../../src/ByteOps.ts"
import { fuzzFrames } from "./frames.ts"
import { describeFailure, type Execution, fuzz } from "./Fuzz.ts"

const upTo = (most: number) => (executions: number) => executions < most

const defects: ReadonlyArray<readonly [title: string, byteOps: Partial<ByteOps>, says: RegExp]> = [
  ["takes any bytes for text", { isUtf8: () => true }, /encoded data was not valid|strictly deep-equal/],
  [
    "refuses text that was cut",
    { isUtf8: (bytes, start, end) => end - start !== 3 && portable.isUtf8(bytes, start, end) },
    /strictly deep-equal/
  ],
  [
    "forgets how far into the masking key it was",
    { mask: (bytes, start, end, key) => portable.mask(bytes, start, end, key, 0) },
    /strictly deep-equal/
  ],
  [
    "masks a byte too many",
    {
      mask: (bytes, start, end, key, phase) => portable.mask(bytes, start, Math.min(end + 1, bytes.length), key, phase)
    },
    /./
  ],
  [
    "keeps a hundred bytes alive for each",
    {
      allocate: (size) => portable.allocate(size * 100).subarray(0, size),
      allocateShared: (size) => portable.allocate(size * 100).subarray(0, size)
    },
    /keeps too much alive/
  ],
  ["counts text as one byte a character", { textByteLength: (text) => text.length }, /the peer (?:received|fails)/],
  [
    "throws for some payload",
    {
      mask: () => {
        throw new Error("no mask")
      }
    },
    /no mask/
  ]
]

describe("10 fuzzing", () => {
  it("server and client end in documented outcomes for 2000 executions from a fixed seed", () => {
    const { executions, failure } = fuzz(1, upTo(2000))
    assert.strictEqual(failure === undefined ? "" : describeFailure(failure), "")
    assert.strictEqual(executions, 2000)
  })

  for (const [title, byteOps, says] of defects) {
    it(`server or client that ${title} is found, and found again by its seed`, () => {
      const execution: Execution = (random) => fuzzFrames(random, { ...portable, ...byteOps })
      const { executions, failure } = fuzz(7, upTo(2000), execution)
      assert(failure !== undefined, "found nothing")
      assert.match(String(failure.cause), says)
      assert.strictEqual(failure.seed, 7 + executions - 1)
      assert.include(describeFailure(failure), `--seed ${failure.seed} --executions 1`)
      const again = fuzz(failure.seed, upTo(1), execution)
      assert.deepStrictEqual(again.failure?.seed, failure.seed)
      assert.strictEqual(String(again.failure?.cause), String(failure.cause))
    })
  }

  it("server and client run the same executions from the same seed", () => {
    const draws = (seed: number) => {
      const drawn: Array<number> = []
      fuzz(seed, upTo(5), (random) => void drawn.push(random.below(1000)))
      return drawn
    }
    assert.deepStrictEqual(draws(3), draws(3))
    assert.deepStrictEqual(draws(3).slice(1), draws(4).slice(0, 4))
    assert.isAbove(new Set(draws(3)).size, 3)
  })
})
