import * as ConnectionOptions from "@effect-ws/api/ConnectionOptions"
import * as ServerOptions from "@effect-ws/api/ServerOptions"
import * as WebSocket from "@effect-ws/api/WebSocket"
import * as NodeWebSocketClient from "@effect-ws/platform-node/NodeWebSocketClient"
import * as NodeWebSocketServer from "@effect-ws/platform-node/NodeWebSocketServer"
import { assert, describe, it } from "@effect/vitest"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { withoutLeaks } from "./support/leaks.ts"
import { httpServer, serveEcho } from "./support/serving.ts"

const environment = (texts: Readonly<Record<string, string>>) =>
  Layer.setConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(texts)), { pathDelim: "_" }))

const limits = Config.map(
  Config.nested(Config.all([ConnectionOptions.config, ServerOptions.config]), "WEBSOCKET"),
  ([connection, server]) => ({ ...connection, ...server })
)

const small = environment({ WEBSOCKET_MAX_MESSAGE_SIZE: "3", WEBSOCKET_MAX_ATTEMPTS: "1" })

/** What becomes of a message of four bytes. */
const sendFour = (url: string) =>
  Effect.gen(function* () {
    const socket = yield* WebSocket.connect(url)
    yield* socket.send("four")
    const end = yield* Effect.flip(socket.receive)
    return end._tag === "ConnectionClosed" ? end.code : end._tag
  }).pipe(Effect.scoped)

describe("layerConfig", () => {
  const layers = {
    "with its own listener": () => NodeWebSocketServer.layerConfig(limits),
    "attached to node:http": () =>
      Layer.unwrapScoped(Effect.map(httpServer, (server) => NodeWebSocketServer.layerAttachedConfig(server, limits)))
  }
  for (const [name, layer] of Object.entries(layers)) {
    it.live(`server ${name} is bounded by what the configuration says`, () =>
      withoutLeaks(
        Effect.gen(function* () {
          const { url } = yield* serveEcho(Layer.orDie(Layer.provide(layer(), small)))
          assert.strictEqual(yield* sendFour(url), 1009)
        }).pipe(Effect.scoped, Effect.provide(NodeWebSocketClient.layer))
      )
    )
  }

  it.live("client is bounded by what the configuration says", () =>
    withoutLeaks(
      Effect.gen(function* () {
        const { url } = yield* serveEcho(NodeWebSocketServer.layer())
        const client = NodeWebSocketClient.layerConfig({ maxMessageSize: Config.integer("WEBSOCKET_MAX_MESSAGE_SIZE") })
        const provided = Layer.provide(client, environment({ WEBSOCKET_MAX_MESSAGE_SIZE: "3" }))
        assert.strictEqual(yield* Effect.provide(sendFour(url), provided), "MessageTooBig")
      }).pipe(Effect.scoped)
    )
  )

  it.live("program is told which option the configuration has wrong, before anything listens", () =>
    withoutLeaks(
      Effect.gen(function* () {
        const wrong = environment({ WEBSOCKET_IDLE_TIMEOUT: "soon" })
        const server = yield* httpServer
        const building = [
          Layer.build(Layer.provide(NodeWebSocketServer.layerConfig(limits), wrong)),
          Layer.build(Layer.provide(NodeWebSocketServer.layerAttachedConfig(server, limits), wrong)),
          Layer.build(Layer.provide(NodeWebSocketClient.layerConfig(limits), wrong))
        ]
        for (const build of building) {
          assert.include(String(yield* Effect.flip<unknown, unknown, Scope.Scope>(build)), "WEBSOCKET.IDLE_TIMEOUT")
        }
      }).pipe(Effect.scoped)
    )
  )
})
