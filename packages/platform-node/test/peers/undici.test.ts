import * as WebSocket from "@effect-ws/api/WebSocket"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { close, connectUndici, opened } from "../support/peers.ts"
import { serverScenarios } from "../support/serverScenarios.ts"
import { listeners, serve } from "../support/serving.ts"

serverScenarios("undici", connectUndici)

for (const [listener, layer] of Object.entries(listeners)) {
  describe(`server ${listener}, undici as the client`, () => {
    it.scopedLive("server that rejects makes the client fail and close abnormally", () =>
      Effect.gen(function* () {
        const server = yield* serve(layer(), () => WebSocket.reject({ status: 401, body: "who are you?" }))
        const peer = yield* connectUndici(server.url)
        assert.strictEqual((yield* peer.next)._tag, "Error")
        assert.deepStrictEqual(yield* peer.next, close(1006))
      })
    )

    it.scopedLive("server reads the fields that the client adds", () =>
      Effect.gen(function* () {
        const server = yield* serve(layer(), (exchange) =>
          exchange.request.fields.some(([name, value]) => name.toLowerCase() === "x-user" && value === "ann")
            ? WebSocket.accept(exchange, { headers: { "X-Seen": "1" } })
            : WebSocket.reject()
        )
        const peer = yield* connectUndici(server.url, { headers: { "X-User": "ann" } })
        assert.deepStrictEqual(yield* peer.next, opened())
      })
    )
  })
}
