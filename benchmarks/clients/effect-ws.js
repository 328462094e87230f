import * as WebSocket from "@effect-ws/api/WebSocket"
import * as NodeWebSocketClient from "@effect-ws/platform-node/NodeWebSocketClient"
import * as Effect from "effect/Effect"
import { connectAll } from "./connecting.js"

const echo = (/** @type {number} */ port) =>
  WebSocket.connect(`ws://127.0.0.1:${port}/`).pipe(
    Effect.flatMap((socket) => WebSocket.run(socket, (message) => socket.send(message))),
    Effect.scoped,
    Effect.provide(NodeWebSocketClient.layer)
  )

connectAll((port) => Effect.runFork(echo(port)))
