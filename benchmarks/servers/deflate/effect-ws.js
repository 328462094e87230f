import { formatAddress } from "@effect-ws/api/TransportError"
import * as WebSocket from "@effect-ws/api/WebSocket"
import * as WebSocketServer from "@effect-ws/api/WebSocketServer"
import * as NodeWebSocketServer from "@effect-ws/platform-node/NodeWebSocketServer"
import * as Effect from "effect/Effect"
import { report } from "../report.js"

const takeover = process.env.TAKEOVER === "yes"

const program = Effect.gen(function* () {
  report(Number(formatAddress(yield* WebSocketServer.address).split(":")[1]))
  yield* WebSocketServer.run((exchange) =>
    Effect.flatMap(WebSocket.accept(exchange), (socket) => WebSocket.run(socket, (message) => socket.send(message)))
  )
})

const permessageDeflate = { threshold: 0, serverContextTakeover: takeover, clientContextTakeover: takeover }

Effect.runFork(Effect.provide(program, NodeWebSocketServer.layer({ permessageDeflate })))
