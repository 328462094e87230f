// The stock HTTP server of @effect/platform-node with a route that doesn't decide. Says where it listens, and when it is asked.
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as HttpServer from "@effect/platform/HttpServer"
import * as Effect from "effect/Effect"
import * as Http from "node:http"

const undecided = Effect.zipRight(
  Effect.sync(() => console.log("asked")),
  Effect.never
)

const program = Effect.gen(function* () {
  yield* HttpServer.serveEffect(undecided)
  console.log((yield* HttpServer.HttpServer).address.port)
  yield* Effect.never
})

const layer = NodeHttpServer.layerServer(() => Http.createServer(), { port: 0, host: "127.0.0.1" })
Effect.runFork(program.pipe(Effect.provide(layer), Effect.scoped))
