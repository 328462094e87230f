/** The port is a type: what is asked of a connector shows in how a client uses it. */
import type { Endpoint } from "@effect-ws/api/Connector"
import { TransportError } from "@effect-ws/api/TransportError"
import * as WebSocketClient from "@effect-ws/api/WebSocketClient"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { makeConnector } from "./support/endpoints.ts"
import { leavesNothing } from "./support/leaks.ts"

describe("Connector", () => {
  it.effect("connector is asked once for each connection, with the port of the scheme filled in", () =>
    leavesNothing(
      Effect.gen(function* () {
        const memory = makeConnector()
        const client = WebSocketClient.make(memory.connector)
        yield* client.connect("wss://[2001:db8::1]/")
        yield* client.connect("ws://localhost:8080/", { unixPath: "/run/a" })
        const expected: Array<Endpoint> = [
          { secure: true, hostname: "2001:db8::1", port: 443, unixPath: undefined },
          { secure: false, hostname: "localhost", port: 8080, unixPath: "/run/a" }
        ]
        assert.deepStrictEqual(memory.endpoints, expected)
      })
    )
  )

  it.effect("connector has what it acquired released at once when it fails or dies", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const failure = new TransportError({ operation: "tls", address: "a:443", cause: "expired" })
        for (const end of [Effect.fail(failure), Effect.die("bug")]) {
          let released = 0
          const client = WebSocketClient.make(() =>
            Effect.zipRight(
              Effect.addFinalizer(() => Effect.sync(() => released++)),
              end
            )
          )
          assert.isTrue(Exit.isFailure(yield* Effect.exit(client.connect("ws://a"))))
          assert.strictEqual(released, 1)
        }
      })
    )
  )
})
