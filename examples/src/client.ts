/**
 * Talks to a WebSocket server from a terminal: sends each line of stdin as a text message and prints what comes back. Does
 * the closing handshake when stdin ends, and says what both sides closed with.
 *
 * Usage: node examples/dist/client.js [--subprotocol NAME] URL
 */
import * as WebSocket from "@effect-ws/api/WebSocket"
import type { Message } from "@effect-ws/core/Message"
import * as NodeWebSocketClient from "@effect-ws/platform-node/NodeWebSocketClient"
import * as NodeStream from "@effect/platform-node/NodeStream"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Cli from "./cli/Cli.ts"

const usage = "usage: client [--subprotocol NAME] URL"

const program = Effect.gen(function* () {
  const { positionals, values } = yield* Cli.parse(usage, {
    allowPositionals: true,
    options: { subprotocol: { type: "string", multiple: true } }
  })
  const [url] = positionals
  if (url === undefined) return yield* Cli.fail(usage)
  const socket = yield* WebSocket.connect(url, { subprotocols: values.subprotocol })
  yield* Console.log(`connected to ${url}${socket.subprotocol === undefined ? "" : `, speaking ${socket.subprotocol}`}`)
  yield* Effect.forkScoped(sendLines(socket))
  yield* WebSocket.run(socket, print)
  yield* Console.log((yield* socket.closed).message)
})

/** Sends stdin line by line and closes at its end. What ends the connection meanwhile is for `WebSocket.run` to tell. */
const sendLines = (socket: WebSocket.WebSocket): Effect.Effect<void> =>
  stdin.pipe(
    Stream.decodeText(),
    Stream.splitLines,
    Stream.runForEach((line) => socket.send(line)),
    Effect.andThen(socket.close()),
    Effect.ignore
  )

/** Unlike `NodeStream.stdin` it is closed when nobody reads any more, or it would keep the program running. */
const stdin = NodeStream.fromReadable<unknown, Uint8Array>(
  () => process.stdin,
  (cause) => cause
)

const print = (message: Message): Effect.Effect<void> =>
  Console.log(message._tag === "Text" ? `< ${message.text}` : `< ${message.byteLength} bytes`)

program.pipe(
  Effect.scoped,
  Effect.provide(NodeWebSocketClient.layer),
  Effect.catchTags({
    HandshakeError: (error) => Cli.fail(error.message),
    ConnectionClosed: (error) => Cli.fail(error.message),
    ConnectionTimeout: (error) => Cli.fail(error.message),
    MessageTooBig: (error) => Cli.fail(error.message),
    ProtocolError: (error) => Cli.fail(`${error.message}; closed with ${error.closeCode}`),
    TransportError: (error) => Cli.fail(error.message)
  }),
  Cli.run
)
