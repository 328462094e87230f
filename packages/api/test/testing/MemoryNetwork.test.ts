import * as MemoryNetwork from "@effect-ws/api/testing/MemoryNetwork"
import type { UpgradeExchange } from "@effect-ws/api/UpgradeExchange"
import * as WebSocket from "@effect-ws/api/WebSocket"
import * as WebSocketClient from "@effect-ws/api/WebSocketClient"
import * as WebSocketServer from "@effect-ws/api/WebSocketServer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import { leavesNothing } from "../support/leaks.ts"

const echo = (exchange: UpgradeExchange) =>
  Effect.gen(function* () {
    if (exchange.request.path !== "/echo") return yield* WebSocket.reject({ status: 404 })
    const socket = yield* WebSocket.accept(exchange)
    yield* WebSocket.run(socket, (message) => socket.send(message))
  })

describe("MemoryNetwork", () => {
  it.effect("client talks to a handler without a port, and leaves nothing", () =>
    leavesNothing(
      Effect.gen(function* () {
        const serving = yield* Effect.fork(WebSocketServer.run(echo))
        const socket = yield* WebSocket.connect("ws://test/echo")
        yield* socket.send("hello")
        const reply = yield* socket.receive
        assert.strictEqual(reply._tag === "Text" && reply.text, "hello")
        assert.strictEqual((yield* socket.close()).code, 1000)
        yield* Fiber.interrupt(serving)
      }).pipe(Effect.provide(MemoryNetwork.layer()))
    )
  )

  it.effect("client sees a refusal of the handler", () =>
    Effect.gen(function* () {
      const serving = yield* Effect.fork(WebSocketServer.run(echo))
      const { reason } = yield* Effect.flip(WebSocket.connect("ws://test/nowhere"))
      assert.deepInclude(reason, { _tag: "Declined", status: 404 })
      yield* Fiber.interrupt(serving)
    }).pipe(Effect.scoped, Effect.provide(MemoryNetwork.layer()))
  )

  it.effect("client that comes before the server runs waits for it", () =>
    Effect.gen(function* () {
      const connecting = yield* Effect.fork(WebSocket.connect("ws://test/echo"))
      yield* Effect.yieldNow()
      const serving = yield* Effect.fork(WebSocketServer.run(echo))
      assert.strictEqual((yield* Fiber.join(connecting)).role, "client")
      yield* Fiber.interrupt(serving)
    }).pipe(Effect.scoped, Effect.provide(MemoryNetwork.layer()))
  )

  it.effect("client is refused when the server has gone, and ended when it was waiting", () =>
    Effect.gen(function* () {
      const { connector, listener } = yield* MemoryNetwork.make()
      const client = WebSocketClient.make(connector)
      const scope = yield* Scope.make()
      yield* Scope.extend(WebSocketServer.make(listener), scope)
      const waiting = yield* Effect.fork(Effect.flip(Effect.scoped(client.connect("ws://test/"))))
      yield* Effect.yieldNow()
      yield* Scope.close(scope, Exit.void)
      assert.include(["PeerGone", "Transport"], (yield* Fiber.join(waiting)).reason._tag)
      const { message, reason } = yield* Effect.flip(Effect.scoped(client.connect("ws://test/")))
      assert.strictEqual(reason._tag, "Transport")
      assert.include(message, "nobody listens")
    })
  )

  it.effect("socket and exchange show no field and no query when they are logged", () =>
    Effect.gen(function* () {
      const shown: Array<string> = []
      const serving = yield* Effect.fork(
        WebSocketServer.run((exchange) => {
          shown.push(String(exchange), JSON.stringify(exchange))
          return echo(exchange)
        })
      )
      const options = { headers: { Authorization: "Bearer SECRET" } }
      const socket = yield* WebSocket.connect("ws://test/echo?token=SECRET", options)
      shown.push(String(socket), JSON.stringify(socket))
      for (const text of shown) {
        assert.notInclude(text, "SECRET")
        assert.isBelow(text.length, 400)
      }
      assert.include(shown[0], "/echo")
      assert.include(shown[2], "client")
      yield* Fiber.interrupt(serving)
    }).pipe(Effect.scoped, Effect.provide(MemoryNetwork.layer()))
  )
})
