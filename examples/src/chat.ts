/**
 * A chat room on a page, and for whoever connects to `/chat?name=...` with another tool.
 *
 * The room is `chat/ChatRoom.ts`, a connection to it `chat/ChatMember.ts`.
 *
 * Usage: node examples/dist/chat.js [--port PORT]
 */
import { formatAddress } from "@effect-ws/api/TransportError"
import * as WebSocketServer from "@effect-ws/api/WebSocketServer"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Cli from "./cli/Cli.ts"
import * as Endpoints from "./site/Endpoints.ts"
import * as HttpSite from "./site/HttpSite.ts"

const serve = Effect.gen(function* () {
  yield* Console.log(`open http://${formatAddress(yield* WebSocketServer.address)}`)
  yield* Endpoints.run
})

const program = Effect.gen(function* () {
  const { values } = yield* Cli.parse("usage: chat [--port PORT]", {
    options: { port: { type: "string", default: "0" } }
  })
  const port = yield* Cli.port(values.port)
  yield* serve.pipe(Effect.provide([HttpSite.layer(port), Endpoints.layer]))
})

program.pipe(
  Effect.catchTags({
    CannotListen: (error) => Cli.fail(error.message),
    ServerError: (error) => Cli.fail(error.message),
    // The files of the page can't be read.
    BadArgument: (error) => Cli.fail(error.message),
    SystemError: (error) => Cli.fail(error.message)
  }),
  Cli.run
)
