/**
 * Ours, with callbacks: a fiber exists only while a message is handled.
 */
import { formatAddress } from "@effect-ws/api/TransportError"
import * as WebSocketServer from "@effect-ws/api/WebSocketServer"
import * as NodeWebSocketServer from "@effect-ws/platform-node/NodeWebSocketServer"
import * as Effect from "effect/Effect"
import { report } from "./report.js"

const program = Effect.gen(function* () {
  report(Number(formatAddress(yield* WebSocketServer.address).split(":")[1]))
  yield* WebSocketServer.serve({ onMessage: (message, socket) => socket.send(message) })
})

Effect.runFork(Effect.provide(program, NodeWebSocketServer.layer()))
