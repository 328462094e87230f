/**
 * Speaks to a WebSocket fuzzing server: asks how many cases there are, echoes every message of each case until it ends,
 * and has the report written. Whatever a case does to the connection is its purpose, and ends nothing but the case.
 *
 * Usage: npm run -s conformance-client -- --url ws://HOST:PORT --agent NAME
 */
import type { HandshakeError } from "@effect-ws/api/HandshakeError"
import * as WebSocket from "@effect-ws/api/WebSocket"
import type { WebSocketClient } from "@effect-ws/api/WebSocketClient"
import type { WebSocketError } from "@effect-ws/api/WebSocketError"
import * as NodeWebSocketClient from "@effect-ws/platform-node/NodeWebSocketClient"
import * as Console from "effect/Console"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Cli from "./cli/Cli.ts"

const usage = "usage: conformance-client --url ws://HOST:PORT --agent NAME"

/** The answer to `/getCaseCount` was not a number. */
class NoCaseCount extends Data.TaggedError("NoCaseCount") {
  override readonly message = "the server didn't answer /getCaseCount with a number"
}

const program = Effect.gen(function* () {
  const { values } = yield* Cli.parse(usage, { options: { url: { type: "string" }, agent: { type: "string" } } })
  const { agent, url } = values
  if (url === undefined || agent === undefined) return yield* Cli.fail(usage)
  const server = url.replace(/\/+$/, "")
  const name = encodeURIComponent(agent)
  const count = yield* getCaseCount(server)
  yield* Console.log(`running ${count} cases of ${server} as ${agent}`)
  yield* Effect.loop(1, {
    while: (number) => number <= count,
    step: (number) => number + 1,
    body: (number) =>
      Effect.flatMap(runCase(`${server}/runCase?case=${number}&agent=${name}`), (outcome) =>
        Console.log(`case ${number} of ${count}: ${outcome}`)
      ),
    discard: true
  })
  yield* updateReports(`${server}/updateReports?agent=${name}`)
  yield* Console.log("the reports are updated")
})

const getCaseCount = (server: string) =>
  Effect.gen(function* () {
    const socket = yield* WebSocket.connect(`${server}/getCaseCount`)
    const message = yield* socket.receive
    if (message._tag !== "Text" || !/^\d{1,9}$/.test(message.text)) return yield* new NoCaseCount()
    return Number(message.text)
  }).pipe(Effect.scoped)

/** Echoes until the connection ends, or does not begin, and says how it ended. */
const runCase = (url: string): Effect.Effect<string, never, WebSocketClient> =>
  Effect.gen(function* () {
    const socket = yield* WebSocket.connect(url)
    yield* Effect.ignore(WebSocket.run(socket, (message) => socket.send(message)))
    return yield* socket.closed
  }).pipe(Effect.scoped, Effect.merge, Effect.map(describe))

/** The server writes its reports when it is asked, and closes when they are there. */
const updateReports = (url: string) =>
  WebSocket.connect(url).pipe(
    Effect.flatMap((socket) => socket.closed),
    Effect.scoped
  )

const describe = (outcome: HandshakeError | WebSocketError): string => `${outcome._tag}: ${outcome.message}`

program.pipe(
  Effect.provide(NodeWebSocketClient.layer),
  Effect.catchAll((error) => Cli.fail(error.message)),
  Cli.run
)
