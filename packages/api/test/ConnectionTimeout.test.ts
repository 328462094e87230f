import { ConnectionTimeout, type TimeoutPhase } from "@effect-ws/api/ConnectionTimeout"
import { isWebSocketError } from "@effect-ws/api/WebSocketError"
import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"

const messages: { readonly [P in TimeoutPhase]: string } = {
  idle: "The peer said nothing for 5s",
  pong: "The peer did not answer a Ping within 5s (RFC 6455 5.5.2)",
  close: "The peer did not finish the closing handshake within 5s (RFC 6455 7.1.1)",
  write: "The peer took nothing of what waits to be sent for 5s",
  message: "The peer did not finish a message within 5s",
  lifetime: "The connection has lasted its maximum of 5s"
}

describe("ConnectionTimeout", () => {
  for (const [phase, message] of Object.entries(messages)) {
    it(`error of ${phase} says what was waited for, how long, and where the rule is`, () => {
      const error = new ConnectionTimeout({ phase: phase as TimeoutPhase, duration: Duration.seconds(5) })
      assert.strictEqual(error.message, message)
      assert.strictEqual(error._tag, "ConnectionTimeout")
      assert.strictEqual(error.phase, phase)
      assert.isTrue(isWebSocketError(error))
    })
  }

  for (const [millis, text] of [
    [1, "1ms"],
    [1500, "1s 500ms"],
    [300_000, "5m"],
    [90_061_000, "1d 1h 1m 1s"]
  ] as const) {
    it(`error says ${millis} ms as ${text}`, () => {
      const error = new ConnectionTimeout({ phase: "idle", duration: Duration.millis(millis) })
      assert.strictEqual(error.message, `The peer said nothing for ${text}`)
    })
  }

  it.effect("error is caught by its tag", () =>
    Effect.gen(function* () {
      const error = new ConnectionTimeout({ phase: "pong", duration: Duration.seconds(1) })
      const phase = yield* Effect.catchTag(Effect.fail(error), "ConnectionTimeout", ({ phase }) =>
        Effect.succeed(phase)
      )
      assert.strictEqual(phase, "pong")
    })
  )
})
