/**
 * Sends every message back: text as text, bytes as bytes.
 *
 * Usage: npm run -s echo-server -- [--host HOST] [--port PORT] [--permessage-deflate]
 */
import { formatAddress } from "@effect-ws/api/TransportError"
import * as WebSocket from "@effect-ws/api/WebSocket"
import * as WebSocketServer from "@effect-ws/api/WebSocketServer"
import * as NodeWebSocketServer from "@effect-ws/platform-node/NodeWebSocketServer"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Cli from "./cli/Cli.ts"

const usage = "usage: echo-server [--host HOST] [--port PORT] [--permessage-deflate]"

const serve = Effect.gen(function* () {
  yield* Console.log(`listening on ws://${formatAddress(yield* WebSocketServer.address)}`)
  yield* WebSocketServer.run((exchange) =>
    Effect.gen(function* () {
      const socket = yield* WebSocket.accept(exchange)
      yield* WebSocket.run(socket, (message) => socket.send(message))
    })
  )
})

const program = Effect.gen(function* () {
  const { values } = yield* Cli.parse(usage, {
    options: {
      host: { type: "string", default: "127.0.0.1" },
      port: { type: "string", default: "0" },
      "permessage-deflate": { type: "boolean", default: false }
    }
  })
  const port = yield* Cli.port(values.port)
  const options = { host: values.host, port, permessageDeflate: values["permessage-deflate"] }
  yield* serve.pipe(Effect.provide(NodeWebSocketServer.layer(options)))
})

program.pipe(
  Effect.catchTag("ServerError", (error) => Cli.fail(error.message)),
  Cli.run
)
