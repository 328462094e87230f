import type { Message } from "@effect-ws/core/Message"
import * as WebSocket from "@effect-ws/api/WebSocket"
import type { UpgradeExchange } from "@effect-ws/api/UpgradeExchange"
import type * as WebSocketClient from "@effect-ws/api/WebSocketClient"
import * as WebSocketServer from "@effect-ws/api/WebSocketServer"
import * as NodeWebSocketClient from "@effect-ws/platform-node/NodeWebSocketClient"
import * as NodeWebSocketServer from "@effect-ws/platform-node/NodeWebSocketServer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"

const permessageDeflate = { threshold: 0 }

/** Numbers one behind the other: 4 MB that get some ten times smaller. */
const large = Array.from({ length: 600_000 }, (_, i) => i).join(" ")

const textOf = (message: Message): string => (message._tag === "Text" ? message.text : "")

const served = <A, E>(
  handler: (exchange: UpgradeExchange) => Effect.Effect<unknown, unknown, Scope.Scope>,
  use: (url: string) => Effect.Effect<A, E, Scope.Scope | WebSocketClient.WebSocketClient>
) =>
  Effect.gen(function* () {
    yield* Effect.fork(WebSocketServer.run(handler))
    const address = yield* WebSocketServer.address
    return yield* use(`ws://127.0.0.1:${address._tag === "TcpAddress" ? address.port : 0}`)
  }).pipe(
    Effect.scoped,
    Effect.provide(Layer.merge(NodeWebSocketServer.layer({ permessageDeflate }), NodeWebSocketClient.layer))
  )

describe("permessage-deflate: a large message", () => {
  it.live("server sends it in slices, lets Pongs pass, and keeps the order of messages", () =>
    served(
      (exchange) =>
        Effect.gen(function* () {
          const socket = yield* WebSocket.accept(exchange)
          yield* socket.send(large)
          yield* socket.send("behind")
          yield* socket.closed
        }),
      (url) =>
        Effect.gen(function* () {
          const socket = yield* WebSocket.connect(url, { permessageDeflate })
          const order: Array<string> = []
          const pinging = yield* Effect.fork(Effect.tap(socket.ping(), () => Effect.sync(() => order.push("pong"))))
          const first = yield* socket.receive
          order.push("message")
          assert.isTrue(textOf(first) === large)
          assert.strictEqual(textOf(yield* socket.receive), "behind")
          yield* Fiber.join(pinging)
          assert.strictEqual(order[0], "pong")
        })
    )
  )

  it.live("server that closes right behind it sends all of it first", () =>
    served(
      (exchange) =>
        Effect.flatMap(WebSocket.accept(exchange), (socket) => Effect.zipRight(socket.send(large), socket.close())),
      (url) =>
        Effect.gen(function* () {
          const socket = yield* WebSocket.connect(url, { permessageDeflate })
          assert.isTrue(textOf(yield* socket.receive) === large)
          assert.deepInclude(yield* Effect.flip(socket.receive), { _tag: "ConnectionClosed", clean: true })
        })
    )
  )

  it.live("server may use its bytes again as soon as they are sent", () =>
    served(
      (exchange) =>
        Effect.gen(function* () {
          const socket = yield* WebSocket.accept(exchange)
          const bytes = Buffer.from(large)
          yield* socket.send(bytes)
          bytes.fill(0)
          yield* socket.closed
        }),
      (url) =>
        Effect.gen(function* () {
          const socket = yield* WebSocket.connect(url, { permessageDeflate })
          const message = yield* socket.receive
          assert.isTrue(new TextDecoder().decode(message.bytes) === large)
        })
    )
  )
})
