/**
 * Sends every message back, and shows the metrics of its connections as a page for Prometheus: `curl http://HOST:PORT/metrics`.
 *
 * Usage: node scripts/example.js metrics [--host HOST] [--port PORT]
 */
import { formatAddress } from "@effect-ws/api/TransportError"
import * as WebSocketServer from "@effect-ws/api/WebSocketServer"
import * as NodeWebSocketServer from "@effect-ws/platform-node/NodeWebSocketServer"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Cli from "./cli/Cli.ts"
import * as MetricsPage from "./site/MetricsPage.ts"

const usage = "usage: metrics [--host HOST] [--port PORT]"

const serve = Effect.gen(function* () {
  yield* Console.log(`listening on ws://${formatAddress(yield* WebSocketServer.address)}`)
  yield* WebSocketServer.serve(
    { onMessage: (message, socket) => socket.send(message) },
    {
      fallback: ({ target }) =>
        target === "/metrics"
          ? Effect.map(MetricsPage.text, (body) => ({ status: 200, headers: MetricsPage.headers, body }))
          : Effect.succeed({ status: 404, body: "the metrics are at /metrics\n" })
    }
  )
})

const program = Effect.gen(function* () {
  const { values } = yield* Cli.parse(usage, {
    options: { host: { type: "string", default: "127.0.0.1" }, port: { type: "string", default: "0" } }
  })
  const port = yield* Cli.port(values.port)
  yield* serve.pipe(Effect.provide(NodeWebSocketServer.layer({ host: values.host, port })))
})

program.pipe(
  Effect.catchTag("ServerError", (error) => Cli.fail(error.message)),
  Cli.run
)
