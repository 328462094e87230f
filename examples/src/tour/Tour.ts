/**
 * One connection from its first byte to its last, and one that is refused, with everything on the wire shown.
 *
 * The client is made by hand of a TCP socket, to have the tap in between; `WebSocket.connect` does all of it in one step.
 */
import { formatAddress, TransportError } from "@effect-ws/api/TransportError"
import type { HandshakeError } from "@effect-ws/api/HandshakeError"
import * as WebSocket from "@effect-ws/api/WebSocket"
import * as NodeTransport from "@effect-ws/platform-node/NodeTransport"
import type { TcpAddress } from "@effect/platform/SocketServer"
import * as Console from "effect/Console"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Net from "node:net"
import * as Text from "../cli/Text.ts"
import { subprotocols } from "../site/EchoEndpoint.ts"
import * as Style from "./Style.ts"
import * as TapTransport from "./TapTransport.ts"
import * as WireLog from "./WireLog.ts"

/** Visits the server at this address. */
export const visit = (address: TcpAddress) => Effect.zipRight(Effect.scoped(talk(address)), beRefused(address))

const talk = (address: TcpAddress) =>
  Effect.gen(function* () {
    yield* title("Opening handshake")
    const socket = yield* handshake(address, "/echo")
    yield* result(`WebSocket { role: ${socket.role}, subprotocol: ${socket.subprotocol} }`)

    yield* title("Text")
    yield* socket.send("Hello, wire! Grüße, 世界.")
    yield* result(Text.message(yield* socket.receive))

    yield* title("Binary")
    yield* socket.send(Uint8Array.of(0xde, 0xad, 0xbe, 0xef))
    yield* result(Text.message(yield* socket.receive))

    yield* title("Ping")
    const roundTrip = yield* socket.ping(new TextEncoder().encode("are you there?"))
    yield* result(`${Duration.toMillis(roundTrip).toFixed(2)} ms to the Pong`)

    yield* title("Closing handshake")
    const closed = yield* socket.close({ code: 1000, reason: "the tour is over" })
    yield* result(Text.outcome(closed))
  })

const beRefused = (address: TcpAddress) =>
  Effect.gen(function* () {
    yield* title("A handshake that is refused")
    const answer = yield* handshake(address, "/nowhere").pipe(
      Effect.scoped,
      Effect.match({ onFailure: describeError, onSuccess: () => "it was accepted after all" })
    )
    yield* result(answer)
  })

/** Connects, and does the opening handshake over the transport that prints what it carries. */
const handshake = (address: TcpAddress, target: string) =>
  Effect.gen(function* () {
    const style = yield* Style.current
    const console = yield* Effect.console
    const transport = NodeTransport.make(yield* connect(address))
    const tapped = TapTransport.make(transport, WireLog.make(console.unsafe.log, style))
    return yield* WebSocket.handshake(tapped, { host: formatAddress(address), target, subprotocols })
  })

/** A plain socket, which the scope destroys if nobody else ended it before. */
const connect = ({ hostname, port }: TcpAddress) =>
  Effect.acquireRelease(
    Effect.sync(() => Net.connect(port, hostname)),
    (socket) => Effect.sync(() => socket.destroy())
  ).pipe(Effect.tap((socket) => connected(socket, `${hostname}:${port}`)))

const connected = (socket: Net.Socket, address: string) =>
  Effect.async<void, TransportError>((resume) => {
    socket.once("connect", () => resume(Effect.void))
    socket.once("error", (cause) => resume(new TransportError({ operation: "connect", address, cause })))
  })

const describeError = (error: HandshakeError | TransportError): string =>
  error._tag === "HandshakeError"
    ? `HandshakeError { reason: ${error.reason._tag}, message: ${JSON.stringify(error.message)} }`
    : `TransportError { ${error.message} }`

const title = (text: string) => Effect.flatMap(Style.current, (style) => Console.log(`\n${style.title(text)}`))

const result = (text: string) => Effect.flatMap(Style.current, (style) => Console.log(style.result(`  = ${text}`)))
