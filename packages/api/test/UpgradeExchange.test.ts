import type { UpgradeExchange } from "@effect-ws/api/UpgradeExchange"
import * as WebSocketServer from "@effect-ws/api/WebSocketServer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { makeListener } from "./support/endpoints.ts"
import { leavesNothing, settled } from "./support/leaks.ts"

describe("UpgradeExchange", () => {
  it.effect("exchange tells the handler what was asked and by whom", () =>
    leavesNothing(
      Effect.gen(function* () {
        const seen: Array<UpgradeExchange> = []
        const listener = makeListener()
        const server = yield* WebSocketServer.make(listener)
        const onError = () => Effect.void
        const running = yield* Effect.fork(
          server.run((exchange) => Effect.sync(() => seen.push(exchange)), { onError })
        )
        yield* settled
        const tls = {
          protocol: "TLSv1.3",
          cipher: undefined,
          serverName: "server.example.com",
          alpnProtocol: undefined,
          authorized: false
        }
        const { pair, peer } = yield* listener.connect({ pair: { serverInfo: { tls } } })
        peer.sendRequest(
          "Cookie: a=b",
          "Sec-WebSocket-Protocol: x, y",
          "Origin: https://a.example",
          "Connection: close"
        )
        yield* peer.awaitClosed
        const [{ info, request }] = seen as [UpgradeExchange]
        assert.deepInclude(request, {
          path: "/chat",
          query: "room=1",
          host: "server.example.com",
          origin: "https://a.example"
        })
        assert.deepStrictEqual(request.subprotocols, ["x", "y"])
        assert.deepInclude(request.fields, ["Cookie", "a=b"])
        assert.deepStrictEqual(info, pair.server.info)
        assert.deepStrictEqual(info.tls, tls)
        yield* Fiber.interrupt(running)
      })
    )
  )
})
