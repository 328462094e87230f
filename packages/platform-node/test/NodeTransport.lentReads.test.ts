import * as NodeTransport from "@effect-ws/platform-node/NodeTransport"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Crypto from "node:crypto"
import { bytes, record, socketPair, until } from "./support/sockets.ts"

const transportPair = Effect.map(socketPair(), ({ far, near }) => ({
  near: NodeTransport.make(near),
  far: NodeTransport.make(far),
  sockets: { near, far }
}))

describe("NodeTransport: memory that is read into again", () => {
  /** Copies what it is given, as one that borrows has to, and tells how it was given. */
  const copying = (borrows: boolean) => {
    const chunks: Array<{ readonly bytes: Uint8Array; readonly memory: ArrayBufferLike; readonly isLent: boolean }> = []
    const chunk = (bytes: Uint8Array, isLent = false) =>
      void chunks.push({ bytes: Uint8Array.from(bytes), memory: bytes.buffer, isLent })
    const size = () => chunks.reduce((sum, { bytes }) => sum + bytes.length, 0)
    return { ...record(), borrows, chunk, chunks, size }
  }

  it.scoped("transport lends small chunks to a sink that borrows, all in the same memory", () =>
    Effect.gen(function* () {
      const { far, near } = yield* transportPair
      const sink = copying(true)
      near.start(record())
      far.start(sink)
      for (let count = 1; count <= 3; count++) {
        near.write([new Uint8Array(count).fill(count)])
        yield* until(() => sink.chunks.length === count)
      }
      assert.deepStrictEqual(
        sink.chunks.map(({ bytes, isLent }) => [...bytes, isLent]),
        [
          [1, true],
          [2, 2, true],
          [3, 3, 3, true]
        ]
      )
      assert.strictEqual(new Set(sink.chunks.map(({ memory }) => memory)).size, 1)
    })
  )

  it.scoped("transport gives chunks away to a sink that doesn't borrow", () =>
    Effect.gen(function* () {
      const { far, near } = yield* transportPair
      const sink = copying(false)
      near.start(record())
      far.start(sink)
      for (let count = 1; count <= 3; count++) {
        near.write([new Uint8Array(count)])
        yield* until(() => sink.chunks.length === count)
      }
      assert.isFalse(sink.chunks.some(({ isLent }) => isLent))
      assert.strictEqual(new Set(sink.chunks.map(({ memory }) => memory)).size, 3)
    })
  )

  for (const borrows of [true, false]) {
    it.scoped(`transport delivers much and little in turn to a sink that ${borrows ? "borrows" : "doesn't"}`, () =>
      Effect.gen(function* () {
        const { far, near } = yield* transportPair
        const sink = copying(borrows)
        near.start(record())
        far.start(sink)
        const sizes = [1, 65536, 5, 4096, 4097, 300_000, 2, 65537, 131_072, 7]
        const sent = sizes.map((size) => Crypto.randomBytes(size))
        let size = 0
        for (const bytes of sent) {
          near.write([bytes])
          size += bytes.length
          yield* until(() => sink.size() === size)
        }
        const received = Buffer.concat(sink.chunks.map(({ bytes }) => bytes))
        assert.strictEqual(Buffer.compare(received, Buffer.concat(sent)), 0)
      })
    )
  }

  it.scoped("transport gives what was read before it began, and lends nothing then", () =>
    Effect.gen(function* () {
      const { sockets, ...pair } = yield* transportPair
      sockets.far.unshift(Buffer.from([1]))
      const sink = copying(true)
      pair.far.start(sink)
      pair.near.start(record())
      pair.near.write([bytes(2)])
      yield* until(() => sink.size() === 2)
      assert.deepStrictEqual(Buffer.concat(sink.chunks.map(({ bytes }) => bytes)).toString("hex"), "0102")
      assert.isFalse(sink.chunks.some(({ isLent }) => isLent))
    })
  )
})
