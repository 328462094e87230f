/** Every call of `@effect/rpc` over every combination of the stock sockets and ours. */
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { withoutLeaks } from "./support/leaks.ts"
import { carriers, clients, connect, serializations, serve } from "./support/rpc.ts"

for (const [carrierName, carrier] of Object.entries(carriers)) {
  for (const [clientName, socket] of Object.entries(clients)) {
    for (const [serializationName, serialization] of Object.entries(serializations)) {
      const served = Effect.gen(function* () {
        const server = yield* serve(carrier, serialization)
        return [server, yield* connect(socket(server.url), serialization)] as const
      })

      describe(`${serializationName} over ${carrierName}, from ${clientName}`, () => {
        it.scopedLive("client gets results and typed failures", () =>
          Effect.gen(function* () {
            const [server, client] = yield* served
            assert.strictEqual(yield* client.Double({ number: 21 }), 42)
            const refused = yield* Effect.flip(client.Double({ number: -1 }))
            assert.deepInclude(refused, { _tag: "Refused", why: "-1 is negative" })
            assert.deepStrictEqual(server.doubled, [21, -1])
          }).pipe(Effect.scoped, withoutLeaks)
        )

        it.scopedLive("client gets streams in order, and what they fail with behind their elements", () =>
          Effect.gen(function* () {
            const [, client] = yield* served
            const all = yield* Stream.runCollect(client.Count({ to: 100 }))
            assert.deepStrictEqual(Chunk.toReadonlyArray(all), numbers(100))
            const before: Array<number> = []
            const failing = client
              .Count({ to: 1001 })
              .pipe(Stream.tap((number) => Effect.sync(() => before.push(number))))
            const refused = yield* Effect.flip(Stream.runDrain(failing))
            assert.deepInclude(refused, { _tag: "Refused", why: "too far" })
            assert.deepStrictEqual(before, numbers(1001))
          }).pipe(Effect.scoped, withoutLeaks)
        )

        it.scopedLive("client that is interrupted interrupts the call on the server", () =>
          Effect.gen(function* () {
            const [server, client] = yield* served
            const calling = yield* Effect.fork(client.Forever({ id: 7 }))
            assert.strictEqual(yield* server.next, "began 7")
            yield* Fiber.interrupt(calling)
            assert.strictEqual(yield* server.next, "interrupted 7")
            assert.strictEqual(yield* client.Double({ number: 1 }), 2)
          }).pipe(Effect.scoped, withoutLeaks)
        )

        it.scopedLive("server interrupts the calls of a client that goes away", () =>
          Effect.gen(function* () {
            const server = yield* serve(carrier, serialization)
            yield* Effect.scoped(
              Effect.gen(function* () {
                const client = yield* connect(socket(server.url), serialization)
                yield* Effect.forkScoped(client.Forever({ id: 8 }))
                assert.strictEqual(yield* server.next, "began 8")
              })
            )
            assert.strictEqual(yield* server.next, "interrupted 8")
          }).pipe(Effect.scoped, withoutLeaks)
        )

        it.scopedLive("client dies of a defect of the server, and its next call goes on", () =>
          Effect.gen(function* () {
            const [, client] = yield* served
            const cause = yield* Effect.flip(Effect.sandbox(client.Broken()))
            assert.isTrue(Cause.isDie(cause))
            assert.include(Cause.pretty(cause), "a mistake")
            assert.strictEqual(yield* client.Double({ number: 4 }), 8)
          }).pipe(Effect.scoped, withoutLeaks)
        )
      })
    }
  }
}

const numbers = (to: number): Array<number> => Array.from({ length: to }, (_, index) => index + 1)
