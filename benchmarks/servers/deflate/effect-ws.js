/**
 * Compresses as TAKEOVER says, "yes", "no" or "off", with as many CONTEXTS as there may be.
 */
import { formatAddress } from "@effect-ws/api/TransportError"
import * as WebSocket from "@effect-ws/api/WebSocket"
import * as WebSocketServer from "@effect-ws/api/WebSocketServer"
import * as NodeDeflate from "@effect-ws/platform-node/NodeDeflate"
import * as NodeWebSocketServer from "@effect-ws/platform-node/NodeWebSocketServer"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { report } from "../report.js"

const { CONTEXTS, TAKEOVER } = process.env
const takeover = TAKEOVER === "yes"

const program = Effect.gen(function* () {
  report(Number(formatAddress(yield* WebSocketServer.address).split(":")[1]))
  yield* WebSocketServer.run((exchange) =>
    Effect.flatMap(WebSocket.accept(exchange), (socket) => WebSocket.run(socket, (message) => socket.send(message)))
  )
})

const permessageDeflate =
  TAKEOVER === "off" ? false : { threshold: 0, serverContextTakeover: takeover, clientContextTakeover: takeover }

const codec = NodeDeflate.layer({ maxContexts: CONTEXTS === undefined ? undefined : Number(CONTEXTS) })

Effect.runFork(Effect.provide(program, Layer.provide(NodeWebSocketServer.layer({ permessageDeflate }), codec)))
