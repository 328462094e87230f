import { emptyInfo, type Transport, type TransportSink } from "@effect-ws/api/Transport"
import { TransportError } from "@effect-ws/api/TransportError"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { SlicedReads, sliceSize } from "../../src/internal/connection/SlicedReads.ts"

/** Reads slices between a transport and a sink of which every call is told; the sink has enough after each slice. */
const make = () => {
  const told: Array<string> = []
  const transport: Transport = {
    info: emptyInfo,
    writable: 0,
    start: () => {},
    write: () => true,
    pause: () => void told.push("pause"),
    resume: () => void told.push("resume"),
    end: () => {},
    destroy: () => {}
  }
  const sink: TransportSink = {
    chunk: (bytes, isLent) => {
      told.push(`${bytes.length} bytes of ${bytes[0]}${isLent === true ? ", lent" : ""}`)
      if (bytes.length === sliceSize) reads.pause()
    },
    end: () => void told.push("end"),
    drained: () => void told.push("drained"),
    closed: () => void told.push("closed")
  }
  const reads: SlicedReads = new SlicedReads(transport, sink)
  return { reads, since: () => told.splice(0) }
}

const turn = Effect.promise(() => Promise.resolve())

const bytes = (length: number, value: number) => new Uint8Array(length).fill(value)

describe("SlicedReads", () => {
  it.effect("transport gives a small chunk as it is", () =>
    Effect.sync(() => {
      const { reads, since } = make()
      reads.chunk(bytes(10, 1))
      reads.chunk(bytes(20, 2), true)
      reads.drained()
      reads.end()
      reads.closed(undefined)
      assert.deepStrictEqual(since(), ["10 bytes of 1", "20 bytes of 2, lent", "drained", "end", "closed"])
    })
  )

  it.effect("transport keeps what is left of a chunk as it was, and tells the end behind it", () =>
    Effect.gen(function* () {
      const { reads, since } = make()
      const lent = bytes(2 * sliceSize, 1)
      reads.chunk(lent, true)
      lent.fill(9)
      reads.chunk(bytes(5, 2))
      reads.end()
      const slice = `${sliceSize} bytes of 1, lent`
      assert.deepStrictEqual(since(), [slice, "pause"])
      reads.resume()
      assert.deepStrictEqual(since(), [])
      yield* turn
      assert.deepStrictEqual(since(), [slice, "pause"])
      reads.resume()
      yield* turn
      assert.deepStrictEqual(since(), ["5 bytes of 2, lent", "end"])
    })
  )

  it.effect("transport is read on when nothing is left", () =>
    Effect.gen(function* () {
      const { reads, since } = make()
      reads.chunk(bytes(sliceSize + 1, 1))
      since()
      reads.resume()
      yield* turn
      assert.deepStrictEqual(since(), ["1 bytes of 1, lent", "resume"])
      reads.pause()
      reads.resume()
      assert.deepStrictEqual(since(), ["pause", "resume"])
    })
  )

  it.effect("transport stays paused when the last slice was enough", () =>
    Effect.gen(function* () {
      const { reads, since } = make()
      reads.chunk(bytes(2 * sliceSize, 1))
      since()
      reads.resume()
      yield* turn
      assert.deepStrictEqual(since(), [`${sliceSize} bytes of 1, lent`, "pause"])
      reads.resume()
      assert.deepStrictEqual(since(), ["resume"])
    })
  )

  it.effect("transport that fails takes along what is left", () =>
    Effect.gen(function* () {
      const { reads, since } = make()
      reads.chunk(bytes(2 * sliceSize, 1))
      since()
      reads.resume()
      reads.closed(new TransportError({ operation: "read", address: undefined, cause: new Error("reset") }))
      yield* turn
      assert.deepStrictEqual(since(), ["closed"])
    })
  )

  it.effect("transport that has ended in good order gives what is left first", () =>
    Effect.gen(function* () {
      const { reads, since } = make()
      reads.chunk(bytes(2 * sliceSize + 1, 1))
      reads.end()
      since()
      reads.closed(undefined)
      yield* turn
      assert.deepStrictEqual(since(), [`${sliceSize + 1} bytes of 1, lent`, "end", "closed"])
    })
  )
})
