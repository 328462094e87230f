/**
 * Ours with a handler, and so a fiber, for each connection.
 */
import { formatAddress } from "@effect-ws/api/TransportError"
import * as WebSocket from "@effect-ws/api/WebSocket"
import * as WebSocketServer from "@effect-ws/api/WebSocketServer"
import * as NodeWebSocketServer from "@effect-ws/platform-node/NodeWebSocketServer"
import * as Effect from "effect/Effect"
import { report } from "../report.js"

const program = Effect.gen(function* () {
  report(Number(formatAddress(yield* WebSocketServer.address).split(":")[1]))
  yield* WebSocketServer.run((exchange) =>
    Effect.flatMap(WebSocket.accept(exchange), (socket) => WebSocket.run(socket, (message) => socket.send(message)))
  )
})

Effect.runFork(Effect.provide(program, NodeWebSocketServer.layer()))
