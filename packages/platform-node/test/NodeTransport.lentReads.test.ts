import * as NodeTransport from "@effect-ws/platform-node/NodeTransport"
import { assert, describe, it } from "@effect/vitest"
import type { Transport, TransportSink } from "@effect-ws/api/Transport"
import * as Effect from "effect/Effect"
import * as Crypto from "node:crypto"
import { bytes, record, socketPair, turn, until } from "./support/sockets.ts"

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

  it.scoped(
    "transport reads large chunks into the same memory as small ones, and none waits with memory of its own",
    () =>
      Effect.gen(function* () {
        const { far, near, sockets } = yield* transportPair
        const sink = copying(true)
        near.start(record())
        far.start(sink)
        for (let count = 1; count <= 20; count++) {
          near.write([new Uint8Array(65536)])
          yield* until(() => sink.size() === count * 65536)
        }
        assert.isTrue(sink.chunks.every(({ isLent }) => isLent))
        assert.strictEqual(new Set(sink.chunks.map(({ memory }) => memory)).size, 1)
        const held = Object.getOwnPropertySymbols(sockets.far).filter(({ description }) => description === "kBuffer")
        assert.deepStrictEqual(
          held.map((symbol) => (Reflect.get(sockets.far, symbol) as Uint8Array).buffer),
          [sink.chunks[0]!.memory]
        )
      })
  )

  for (const [title, begin] of [
    [
      "right after it began",
      (transport: Transport, sink: TransportSink) => {
        transport.start(sink)
        transport.pause()
      }
    ],
    [
      "before it began",
      (transport: Transport, sink: TransportSink) => {
        transport.pause()
        transport.start(sink)
      }
    ]
  ] as const) {
    it.scoped(`transport that is paused ${title} delivers what was on its way, and reads no further`, () =>
      Effect.gen(function* () {
        const { sockets, ...pair } = yield* transportPair
        const sink = copying(true)
        let hasBegun = false
        // Something has come and was read, as by who looks whether a client speaks TLS.
        sockets.far.once("data", () => {
          sockets.far.pause()
          begin(pair.far, sink)
          hasBegun = true
        })
        sockets.far.resume()
        pair.near.write([bytes(1)])
        yield* until(() => hasBegun)
        pair.near.start(record())
        for (let count = 0; count < 100; count++) {
          pair.near.write([new Uint8Array(1000)])
          yield* turn
        }
        const delivered = sink.chunks.length
        assert.isAtMost(delivered, 2)
        pair.far.resume()
        yield* until(() => sink.size() === 100_000)
      })
    )
  }

  it.scoped("transport whose sink throws lends the same memory for what comes then", () =>
    Effect.gen(function* () {
      const { far, near } = yield* transportPair
      const thrown: Array<unknown> = []
      // Who throws in a callback of a socket ends the process, unless it is told otherwise.
      const listeners = process.rawListeners("uncaughtException")
      process.removeAllListeners("uncaughtException")
      const listener = (error: unknown) => void thrown.push(error)
      process.on("uncaughtException", listener)
      yield* Effect.addFinalizer(() =>
        Effect.sync(() => {
          process.off("uncaughtException", listener)
          for (const each of listeners) process.on("uncaughtException", each as NodeJS.UncaughtExceptionListener)
        })
      )
      const sink = copying(true)
      const failing = {
        ...sink,
        chunk: (chunk: Uint8Array, isLent?: boolean) => {
          sink.chunk(chunk, isLent)
          throw new Error("a fault of the program")
        }
      }
      near.start(record())
      far.start(failing)
      for (let count = 1; count <= 10; count++) {
        near.write([new Uint8Array(65536)])
        yield* until(() => sink.size() === count * 65536)
      }
      assert.strictEqual(thrown.length, sink.chunks.length)
      assert.isTrue(sink.chunks.every(({ isLent }) => isLent))
    })
  )

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
