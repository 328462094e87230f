/** Pins what channels.ts doesn't: the references, the peer of a test, and what a service of one's own must provide. */
import type * as Core from "@effect-ws/core/ByteOps"
import * as ByteOps from "@effect-ws/api/ByteOps"
import type { ConnectionClosed } from "@effect-ws/api/ConnectionClosed"
import type { ConnectionTimeout } from "@effect-ws/api/ConnectionTimeout"
import * as Entropy from "@effect-ws/api/Entropy"
import type { HandshakeError, HandshakeReason } from "@effect-ws/api/HandshakeError"
import type { Incoming, Listener } from "@effect-ws/api/Listener"
import type { SendRejected } from "@effect-ws/api/SendRejected"
import type * as MemoryTransport from "@effect-ws/api/testing/MemoryTransport"
import type { TransportError } from "@effect-ws/api/TransportError"
import type { UpgradeExchange } from "@effect-ws/api/UpgradeExchange"
import * as WebSocket from "@effect-ws/api/WebSocket"
import * as WebSocketClient from "@effect-ws/api/WebSocketClient"
import * as WebSocketServer from "@effect-ws/api/WebSocketServer"
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const pinned = <_Holds extends true>(): void => {}

declare const wire: MemoryTransport.Wire
declare const listener: Listener
declare const server: WebSocketServer.Service
declare const socket: WebSocket.WebSocket

// --- the references: there without being provided -------------------------------------------------------------------------

const entropy = Effect.map(Entropy.Entropy, (source): Entropy.EntropySource => source)
pinned<Equal<typeof entropy, Effect.Effect<Entropy.EntropySource>>>()

const byteOps = Effect.map(ByteOps.ByteOps, (functions): Core.ByteOps => functions)
pinned<Equal<typeof byteOps, Effect.Effect<Core.ByteOps>>>()

const withFixed = Effect.provideService(WebSocket.connect("ws://a"), Entropy.Entropy, { fill: () => {} })
pinned<
  Equal<
    typeof withFixed,
    Effect.Effect<WebSocket.WebSocket, HandshakeError, Scope.Scope | WebSocketClient.WebSocketClient>
  >
>()

// --- the services, by what implements them ----------------------------------------------------------------------------------

const serving = server.run((exchange) => WebSocket.accept(exchange))
pinned<Equal<typeof serving, Effect.Effect<never, never, never>>>()

const using = server.run((exchange) => Effect.zipRight(WebSocketClient.WebSocketClient, WebSocket.accept(exchange)))
pinned<Equal<typeof using, Effect.Effect<never, never, WebSocketClient.WebSocketClient>>>()

pinned<
  Equal<NonNullable<WebSocketServer.RunOptions["onError"]>, (cause: Cause.Cause<unknown>) => Effect.Effect<void>>
>()
pinned<Equal<Parameters<typeof listener.start>, [onIncoming: (incoming: Incoming) => void]>>()
pinned<Equal<Parameters<typeof WebSocket.accept>[0], UpgradeExchange>>()

// --- handling by tag leaves the rest ------------------------------------------------------------------------------------------

const unclosed = Effect.catchTag(socket.send("a"), "ConnectionClosed", () => Effect.void)
pinned<
  Equal<
    Exclude<Effect.Effect.Error<ReturnType<typeof socket.send>>, ConnectionClosed>,
    Effect.Effect.Error<typeof unclosed>
  >
>()
const sent = Effect.catchTags(socket.send("a"), {
  ConnectionClosed: () => Effect.void,
  ConnectionTimeout: () => Effect.void,
  MessageTooBig: () => Effect.void,
  ProtocolError: () => Effect.void,
  TransportError: () => Effect.void,
  SendRejected: () => Effect.void
})
pinned<Equal<typeof sent, Effect.Effect<void>>>()

const accepted = Effect.catchTag(WebSocket.connect("ws://a"), "HandshakeError", (error) => Effect.succeed(error.reason))
pinned<
  Equal<
    typeof accepted,
    Effect.Effect<WebSocket.WebSocket | HandshakeReason, never, Scope.Scope | WebSocketClient.WebSocketClient>
  >
>()

// --- the inner reasons ------------------------------------------------------------------------------------------------------

pinned<Equal<ConnectionTimeout["phase"], "idle" | "pong" | "close" | "write" | "message" | "lifetime">>()
pinned<Equal<SendRejected["reason"]["_tag"], "Closing" | "QueueFull">>()
pinned<Equal<TransportError["operation"], "resolve" | "connect" | "proxy" | "tls" | "read" | "write">>()

// --- the peer of a test -----------------------------------------------------------------------------------------------------

pinned<Equal<ReturnType<typeof wire.awaitBytes>, Effect.Effect<Uint8Array>>>()
pinned<Equal<typeof wire.awaitEnd, Effect.Effect<void>>>()
pinned<Equal<typeof wire.awaitClosed, Effect.Effect<TransportError | undefined>>>()
