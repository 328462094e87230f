/**
 * Ours, with a handler that is a Stream.
 */
import { formatAddress } from "@effect-ws/api/TransportError"
import * as WebSocket from "@effect-ws/api/WebSocket"
import * as WebSocketServer from "@effect-ws/api/WebSocketServer"
import * as NodeWebSocketServer from "@effect-ws/platform-node/NodeWebSocketServer"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { report } from "./report.js"

const program = Effect.gen(function* () {
  report(Number(formatAddress(yield* WebSocketServer.address).split(":")[1]))
  yield* WebSocketServer.run((exchange) =>
    Effect.flatMap(WebSocket.accept(exchange), (socket) =>
      Stream.runForEach(socket.messages, (message) => socket.send(message))
    )
  )
})

Effect.runFork(Effect.provide(program, NodeWebSocketServer.layer()))
