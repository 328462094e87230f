/**
 * The demo: a server, a client that visits it and shows every frame, and a page to do the same from a browser.
 *
 * Usage: npm start, or PORT=8081 npm start
 */
import { formatAddress } from "@effect-ws/api/TransportError"
import * as WebSocketServer from "@effect-ws/api/WebSocketServer"
import * as Config from "effect/Config"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as Cli from "./cli/Cli.ts"
import * as Endpoints from "./site/Endpoints.ts"
import * as HttpSite from "./site/HttpSite.ts"
import { ServerView } from "./site/ServerView.ts"
import * as Tour from "./tour/Tour.ts"

const serve = Effect.gen(function* () {
  const server = yield* Effect.forkScoped(Endpoints.run)
  const address = yield* WebSocketServer.address
  yield* Console.log(`A server listens on ws://${formatAddress(address)}, and a client visits it.`)
  if (address._tag === "TcpAddress") yield* Tour.visit(address)
  yield* Effect.forkScoped(printSights)
  yield* Console.log(`\nopen http://${formatAddress(address)}  (Ctrl-C to end)`)
  yield* Fiber.join(server)
})

/** Prints what the server sees from now on. */
const printSights = Effect.gen(function* () {
  const view = yield* ServerView
  const sights = yield* view.watch
  yield* Stream.runForEach(sights, ({ text }) => Console.log(`server: ${text}`))
}).pipe(Effect.scoped)

const program = Effect.gen(function* () {
  const port = yield* Cli.port(yield* Config.string("PORT").pipe(Config.withDefault("8080")))
  yield* serve.pipe(Effect.scoped, Effect.provide([HttpSite.layer(port), Endpoints.layer]))
})

program.pipe(
  Effect.catchTag("CannotListen", (error) => Cli.fail(`${error.message}: choose another one, PORT=8081 npm start`)),
  Effect.catchAll((error) => Cli.fail(error.message)),
  Cli.run
)
