/** Pins the error and the requirement channel of every public effect: a change of one is a change for every user. */
import type { Input as CloseReasonInput } from "@effect-ws/core/CloseReason"
import type { Message } from "@effect-ws/core/Message"
import type { PreparedMessage } from "@effect-ws/core/PreparedMessage"
import type { Broadcast } from "@effect-ws/api/Broadcast"
import * as ChannelTransport from "@effect-ws/api/ChannelTransport"
import type { Connector, Endpoint } from "@effect-ws/api/Connector"
import type { ConnectionClosed } from "@effect-ws/api/ConnectionClosed"
import type { ConnectionStatus } from "@effect-ws/api/ConnectionStatus"
import type { ConnectionTimeout } from "@effect-ws/api/ConnectionTimeout"
import type { HandshakeError } from "@effect-ws/api/HandshakeError"
import * as HttpUpgrade from "@effect-ws/api/HttpUpgrade"
import type { Listener } from "@effect-ws/api/Listener"
import type { MessageTooBig } from "@effect-ws/api/MessageTooBig"
import type { Incoming } from "@effect-ws/api/MessageStream"
import * as MessageStream from "@effect-ws/api/MessageStream"
import * as PlatformSocket from "@effect-ws/api/PlatformSocket"
import type { ProtocolError } from "@effect-ws/api/ProtocolError"
import * as ReconnectingWebSocket from "@effect-ws/api/ReconnectingWebSocket"
import type { SendRejected } from "@effect-ws/api/SendRejected"
import * as SocketTransport from "@effect-ws/api/SocketTransport"
import * as MemoryTransport from "@effect-ws/api/testing/MemoryTransport"
import type { Transport } from "@effect-ws/api/Transport"
import type { TransportError } from "@effect-ws/api/TransportError"
import type { UpgradeExchange } from "@effect-ws/api/UpgradeExchange"
import * as WebSocket from "@effect-ws/api/WebSocket"
import * as WebSocketClient from "@effect-ws/api/WebSocketClient"
import * as WebSocketConstructor from "@effect-ws/api/WebSocketConstructor"
import type { WebSocketError } from "@effect-ws/api/WebSocketError"
import * as WebSocketServer from "@effect-ws/api/WebSocketServer"
import type { HttpServerRequest } from "@effect/platform/HttpServerRequest"
import * as Socket from "@effect/platform/Socket"
import type { Address } from "@effect/platform/SocketServer"
import type * as Channel from "effect/Channel"
import type * as Chunk from "effect/Chunk"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const pinned = <_Holds extends true>(): void => {}

declare const socket: WebSocket.WebSocket
declare const exchange: UpgradeExchange
declare const transport: Transport
declare const listener: Listener
declare const connector: Connector

type SendError = WebSocketError | SendRejected

// --- the errors ---------------------------------------------------------------------------------------------------------

pinned<Equal<WebSocketError, ConnectionClosed | ConnectionTimeout | MessageTooBig | ProtocolError | TransportError>>()

// --- the connection -----------------------------------------------------------------------------------------------------

pinned<Equal<typeof socket.receive, Effect.Effect<Message, WebSocketError>>>()
pinned<Equal<typeof socket.messages, Stream.Stream<Message, WebSocketError>>>()
pinned<Equal<ReturnType<typeof socket.send>, Effect.Effect<void, SendError>>>()
pinned<
  Equal<Parameters<typeof socket.send>, [data: string | ArrayBuffer | ArrayBufferView | Message | PreparedMessage]>
>()
pinned<Equal<typeof socket.receiveAll, Effect.Effect<ReadonlyArray<Message>, WebSocketError>>>()
pinned<Equal<typeof socket.receiveStream, Effect.Effect<Incoming, WebSocketError, Scope.Scope>>>()
pinned<Equal<Incoming["bytes"], Stream.Stream<Uint8Array, WebSocketError>>>()
const streamed = socket.sendStream(MessageStream.text(Stream.fail("no" as const)))
pinned<Equal<typeof streamed, Effect.Effect<void, SendError | "no">>>()
pinned<Equal<ReturnType<typeof socket.sendPing>, Effect.Effect<void, SendError>>>()
pinned<Equal<typeof socket.controlFrames, Stream.Stream<WebSocket.ControlFrame>>>()
pinned<Equal<typeof socket.status, Effect.Effect<ConnectionStatus>>>()
pinned<Equal<typeof socket.destroy, Effect.Effect<void>>>()
const broadcast = WebSocket.broadcast([socket], "a")
pinned<Equal<typeof broadcast, Effect.Effect<Broadcast>>>()
pinned<Equal<ReturnType<typeof socket.ping>, Effect.Effect<Duration.Duration, SendError>>>()
pinned<Equal<ReturnType<typeof socket.pong>, Effect.Effect<void, SendError>>>()
pinned<Equal<ReturnType<typeof socket.close>, Effect.Effect<ConnectionClosed, WebSocketError>>>()
pinned<Equal<Parameters<typeof socket.close>, [reason?: CloseReasonInput | undefined]>>()
pinned<Equal<typeof socket.closed, Effect.Effect<WebSocketError>>>()

// --- the verbs ----------------------------------------------------------------------------------------------------------

const accepted = WebSocket.accept(exchange)
pinned<Equal<typeof accepted, Effect.Effect<WebSocket.WebSocket, HandshakeError, Scope.Scope>>>()

const acceptedTransport = WebSocket.acceptTransport(transport)
pinned<Equal<typeof acceptedTransport, Effect.Effect<WebSocket.WebSocket, HandshakeError, Scope.Scope>>>()

const rejected = WebSocket.reject()
pinned<Equal<typeof rejected, Effect.Effect<never, HandshakeError>>>()

const shaken = WebSocket.handshake(transport, { host: "example.com" })
pinned<Equal<typeof shaken, Effect.Effect<WebSocket.WebSocket, HandshakeError, Scope.Scope>>>()

const connected = WebSocket.connect("ws://example.com")
pinned<
  Equal<
    typeof connected,
    Effect.Effect<WebSocket.WebSocket, HandshakeError, Scope.Scope | WebSocketClient.WebSocketClient>
  >
>()

// --- run: what the handler fails with and requires comes through ----------------------------------------------------------

class Failure {
  readonly _tag = "Failure"
}
class Failed extends Data.TaggedError("Failed") {}
class Service extends Context.Tag("typetest/Service")<Service, { readonly work: Effect.Effect<number, Failure> }>() {}

const echoing = WebSocket.run(socket, (message) => socket.send(message))
pinned<Equal<typeof echoing, Effect.Effect<void, SendError>>>()

const watching = WebSocket.run(socket, () => {})
pinned<Equal<typeof watching, Effect.Effect<void, WebSocketError>>>()

const working = WebSocket.run(socket, () => Effect.flatMap(Service, ({ work }) => work))
pinned<Equal<typeof working, Effect.Effect<void, WebSocketError | Failure, Service>>>()

const choosing = WebSocket.run(socket, (message) =>
  message._tag === "Text" ? Effect.fail(new Failure()) : Effect.as(Service, 1)
)
pinned<Equal<typeof choosing, Effect.Effect<void, WebSocketError | Failure, Service>>>()

const sometimes = WebSocket.run(socket, (message) => {
  if (message._tag === "Text") return Effect.fail(new Failure())
})
pinned<Equal<typeof sometimes, Effect.Effect<void, WebSocketError | Failure>>>()

// --- the services -------------------------------------------------------------------------------------------------------

pinned<Equal<typeof WebSocketServer.address, Effect.Effect<Address, never, WebSocketServer.WebSocketServer>>>()

const serving = WebSocketServer.run((exchange) => WebSocket.accept(exchange))
pinned<Equal<typeof serving, Effect.Effect<never, never, WebSocketServer.WebSocketServer>>>()

const routing = WebSocketServer.run((exchange) =>
  exchange.request.path === "/" ? WebSocket.accept(exchange) : Effect.flatMap(Service, ({ work }) => work)
)
pinned<Equal<typeof routing, Effect.Effect<never, never, WebSocketServer.WebSocketServer | Service>>>()

class Upgrading extends Context.Tag("typetest/Upgrading")<Upgrading, string>() {}
class Choosing extends Context.Tag("typetest/Choosing")<Choosing, string>() {}
class Opening extends Context.Tag("typetest/Opening")<Opening, string>() {}
class Closing extends Context.Tag("typetest/Closing")<Closing, string>() {}
class Falling extends Context.Tag("typetest/Falling")<Falling, string>() {}

const attending = WebSocketServer.serve({ onMessage: (message, socket) => socket.send(message) })
pinned<Equal<typeof attending, Effect.Effect<never, never, WebSocketServer.WebSocketServer>>>()

const observing = WebSocketServer.serve({ onMessage: () => {} })
pinned<Equal<typeof observing, Effect.Effect<never, never, WebSocketServer.WebSocketServer>>>()

// What `serve` requires is all that one of its handlers requires; what belongs to a connection is what `onUpgrade` gives.
const attendingWith = WebSocketServer.serve(
  {
    onUpgrade: (exchange) =>
      exchange.request.path === "/" ? Effect.map(Upgrading, (name) => ({ name })) : WebSocket.reject(),
    accept: { subprotocols: (offers) => Effect.as(Choosing, offers[0]) },
    onOpen: (socket, data) => {
      pinned<Equal<typeof data, { name: string }>>()
      return Effect.zipRight(Opening, socket.send(data.name))
    },
    onMessage: (message, _socket, data) => {
      pinned<Equal<typeof data, { name: string }>>()
      if (message._tag === "Text") return Effect.flatMap(Service, ({ work }) => work)
    },
    onClose: (end, _socket, data) => {
      pinned<Equal<[typeof end, typeof data], [WebSocketError, { name: string }]>>()
      return end._tag === "ConnectionClosed" ? Effect.asVoid(Closing) : Effect.fail("no" as const)
    }
  },
  { fallback: () => Effect.as(Falling, { status: 200 }) }
)
pinned<
  Equal<
    Effect.Effect.Context<typeof attendingWith>,
    WebSocketServer.WebSocketServer | Upgrading | Choosing | Opening | Service | Closing | Falling
  >
>()

// Handlers that were made elsewhere, as a value.
declare const handlers: WebSocketServer.Handlers<number, Service>
const attendingThem = WebSocketServer.serve(handlers)
pinned<Equal<typeof attendingThem, Effect.Effect<never, never, WebSocketServer.WebSocketServer | Service>>>()

const server = WebSocketServer.make(listener)
pinned<Equal<typeof server, Effect.Effect<WebSocketServer.Service, never, Scope.Scope>>>()

// --- the connection as what others take ------------------------------------------------------------------------------------

const acceptedHttp = WebSocket.acceptHttp()
pinned<
  Equal<typeof acceptedHttp, Effect.Effect<WebSocket.WebSocket, HandshakeError, HttpServerRequest | Scope.Scope>>
>()

const acceptedHttpWith = WebSocket.acceptHttp({ subprotocols: (offers) => Effect.as(Choosing, offers[0]) })
pinned<
  Equal<
    typeof acceptedHttpWith,
    Effect.Effect<WebSocket.WebSocket, HandshakeError, Choosing | HttpServerRequest | Scope.Scope>
  >
>()

pinned<Equal<ReturnType<typeof WebSocket.toSocket>, Socket.Socket>>()

type Messages = Chunk.Chunk<Message>
type Sendables = Chunk.Chunk<WebSocket.Sendable>

const channel = WebSocket.toChannel(socket)
pinned<Equal<typeof channel, Channel.Channel<Messages, Sendables, SendError, never, void, unknown>>>()

const channelOfFailing = WebSocket.toChannel<Failure>(socket)
pinned<
  Equal<typeof channelOfFailing, Channel.Channel<Messages, Sendables, SendError | Failure, Failure, void, unknown>>
>()

const sink = WebSocket.toSink(socket)
pinned<Equal<typeof sink, Sink.Sink<void, WebSocket.Sendable, never, SendError>>>()

const readable = WebSocket.toReadableStream(socket)
pinned<Equal<Effect.Effect.Error<typeof readable>, never>>()
pinned<Equal<Effect.Effect.Context<typeof readable>, never>>()

const writable = WebSocket.toWritableStream(socket)
pinned<Equal<Effect.Effect.Error<typeof writable>, never>>()
pinned<Equal<Effect.Effect.Context<typeof writable>, never>>()

declare const opening: Effect.Effect<WebSocket.WebSocket, HandshakeError, Scope.Scope | Service>
const platformSocket = PlatformSocket.make(opening)
pinned<Equal<typeof platformSocket, Effect.Effect<Socket.Socket, never, Service>>>()
pinned<Equal<ReturnType<typeof PlatformSocket.fromWebSocket>, Socket.Socket>>()
pinned<Equal<ReturnType<typeof PlatformSocket.toSocketError>, Socket.SocketError>>()

// --- what others have as a transport -----------------------------------------------------------------------------------------

const overSocket = SocketTransport.make(WebSocket.toSocket(socket))
pinned<Equal<typeof overSocket, Effect.Effect<Transport, never, Scope.Scope>>>()

declare const bytes: Channel.Channel<
  Chunk.Chunk<Uint8Array>,
  Chunk.Chunk<Uint8Array>,
  Failure,
  never,
  number,
  unknown,
  Service
>
const overChannel = ChannelTransport.make(bytes)
pinned<Equal<typeof overChannel, Effect.Effect<Transport, never, Service | Scope.Scope>>>()
const overChannelOfSocket = ChannelTransport.make(Socket.toChannelWith<never>()(WebSocket.toSocket(socket)))
pinned<Equal<typeof overChannelOfSocket, Effect.Effect<Transport, never, Scope.Scope>>>()

// --- what others ask for -----------------------------------------------------------------------------------------------------

type Reconnecting<E> = ReconnectingWebSocket.ReconnectingWebSocket<E>

const reconnecting = ReconnectingWebSocket.make(opening)
pinned<Equal<typeof reconnecting, Effect.Effect<Reconnecting<HandshakeError>, never, Service | Scope.Scope>>>()

const reconnectingWith = ReconnectingWebSocket.make(opening, { onOpen: () => Effect.zipRight(Opening, new Failed()) })
pinned<
  Equal<
    typeof reconnectingWith,
    Effect.Effect<Reconnecting<HandshakeError | Failed>, never, Opening | Service | Scope.Scope>
  >
>()

const reconnected = ReconnectingWebSocket.connect("ws://example.com")
pinned<
  Equal<
    typeof reconnected,
    Effect.Effect<Reconnecting<HandshakeError>, never, Scope.Scope | WebSocketClient.WebSocketClient>
  >
>()

declare const keptAlive: Reconnecting<HandshakeError>
pinned<Equal<typeof keptAlive.receive, Effect.Effect<Message, HandshakeError | WebSocketError>>>()

const constructor = WebSocketConstructor.make()
pinned<
  Equal<
    typeof constructor,
    Effect.Effect<WebSocketConstructor.WebSocketClass, never, Scope.Scope | WebSocketClient.WebSocketClient>
  >
>()
pinned<
  Equal<
    typeof WebSocketConstructor.layer,
    Layer.Layer<Socket.WebSocketConstructor, never, WebSocketClient.WebSocketClient>
  >
>()

const upgrades = HttpUpgrade.make()
pinned<Equal<typeof upgrades, Effect.Effect<() => HttpUpgrade.HttpUpgrades>>>()
declare const upgrade: HttpUpgrade.HttpUpgrade
pinned<Equal<typeof upgrade.check, Effect.Effect<void, HandshakeError>>>()
pinned<Equal<HttpUpgrade.HttpUpgrades["shutdown"], Effect.Effect<void>>>()

// --- the client as a service -------------------------------------------------------------------------------------------------

const client = WebSocketClient.make(connector)
pinned<Equal<typeof client, WebSocketClient.Service>>()
pinned<Equal<ReturnType<typeof client.connect>, Effect.Effect<WebSocket.WebSocket, HandshakeError, Scope.Scope>>>()

// --- the ports ----------------------------------------------------------------------------------------------------------

pinned<Equal<Parameters<Connector>, [endpoint: Endpoint]>>()
pinned<Equal<ReturnType<Connector>, Effect.Effect<Transport, TransportError, Scope.Scope>>>()
pinned<Equal<typeof listener.stop, Effect.Effect<void>>>()

const pair = MemoryTransport.make()
pinned<Equal<typeof pair, Effect.Effect<MemoryTransport.Pair>>>()
