import * as NodeSocket from "@effect/platform-node/NodeSocket"
import * as Socket from "@effect/platform/Socket"
import * as Effect from "effect/Effect"
import { connectAll } from "./connecting.js"

const echo = (/** @type {number} */ port) =>
  Socket.makeWebSocket(`ws://127.0.0.1:${port}/`).pipe(
    Effect.flatMap((socket) =>
      Effect.scoped(Effect.flatMap(socket.writer, (write) => socket.runRaw((message) => write(message))))
    ),
    Effect.provide(NodeSocket.layerWebSocketConstructor)
  )

connectAll((port) => Effect.runFork(echo(port)))
