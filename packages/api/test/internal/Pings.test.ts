import { ConnectionClosed } from "@effect-ws/api/ConnectionClosed"
import type { WebSocketError } from "@effect-ws/api/WebSocketError"
import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import { Pings } from "../../src/internal/connection/Pings.ts"

const ended = new ConnectionClosed({ received: undefined, sent: undefined, initiator: "peer", discarded: 0 })

const record = () => {
  const log: Array<string> = []
  const resume = (name: string) => (exit: Exit.Exit<Duration.Duration, WebSocketError>) =>
    void log.push(`${name} ${exit._tag === "Success" ? Duration.toMillis(exit.value) : "failed"}`)
  return { log, resume }
}

describe("Pings", () => {
  it("ping is resumed by its Pong with the time that it took, once", () => {
    const pings = new Pings()
    const { log, resume } = record()
    pings.add(Uint8Array.of(1), 100, resume("a"))
    pings.answer(Uint8Array.of(1), () => 130)
    pings.answer(Uint8Array.of(1), () => 140)
    assert.deepStrictEqual(log, ["a 30"])
  })

  it("pings before the answered one are answered with it, those after it are not (RFC 6455 5.5.3)", () => {
    const pings = new Pings()
    const { log, resume } = record()
    for (let i = 0; i < 4; i++) pings.add(Uint8Array.of(i), i, resume(`${i}`))
    pings.answer(Uint8Array.of(2), () => 10)
    assert.deepStrictEqual(log, ["0 10", "1 9", "2 8"])
  })

  it("pong that nobody waits for, of another length or another payload, resumes nobody", () => {
    const pings = new Pings()
    const { log, resume } = record()
    pings.add(Uint8Array.of(1, 2), 0, resume("a"))
    for (const payload of [[], [1], [1, 3], [1, 2, 3]]) pings.answer(Uint8Array.from(payload), () => 1)
    assert.deepStrictEqual(log, [])
  })

  it.effect("ping that was given up is not resumed", () =>
    Effect.gen(function* () {
      const pings = new Pings()
      const { log, resume } = record()
      yield* pings.add(Uint8Array.of(1), 0, resume("a"))
      pings.add(Uint8Array.of(2), 0, resume("b"))
      pings.answer(Uint8Array.of(2), () => 1)
      pings.fail(ended)
      assert.deepStrictEqual(log, ["b 1"])
    })
  )

  it("pings fail all together at the end", () => {
    const pings = new Pings()
    const { log, resume } = record()
    for (const name of "abc") pings.add(Uint8Array.of(1), 0, resume(name))
    pings.fail(ended)
    pings.fail(ended)
    assert.deepStrictEqual(log, ["a failed", "b failed", "c failed"])
  })

  it("pings have payloads that differ", () => {
    const pings = new Pings()
    const payloads = Array.from({ length: 1000 }, () => pings.nextPayload().join())
    assert.strictEqual(new Set(payloads).size, 1000)
  })
})
