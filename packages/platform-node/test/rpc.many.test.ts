/** A load of `@effect/rpc` over our server and our client. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { carriers, clients, connect, serializations, serve } from "./support/rpc.ts"

const many = 100_000

describe("many calls", () => {
  // Without the look for leaks, which follows every promise that is made.
  it.scopedLive(
    `server and client lose nothing of ${many} calls and keep their order`,
    () =>
      Effect.gen(function* () {
        const options = { disableTracing: true }
        const server = yield* serve(carriers["our socket server"]!, serializations["msgPack"]!, options)
        const client = yield* connect(clients["our socket"]!(server.url), serializations["msgPack"]!, options)
        const answered: Array<number> = []
        const call = (number: number) => Effect.map(client.Double({ number }), (doubled) => void answered.push(doubled))
        const numbers = Array.from({ length: many }, (_, number) => number)
        yield* Effect.forEach(numbers, call, { concurrency: 500, discard: true })
        assert.strictEqual(server.doubled.length, many)
        assert.strictEqual(
          server.doubled.findIndex((number, index) => number !== index),
          -1
        )
        assert.strictEqual(answered.length, many)
        assert.strictEqual(
          answered.findIndex((doubled, index) => doubled !== index * 2),
          -1
        )
      }),
    120_000
  )
})
