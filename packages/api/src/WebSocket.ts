/**
 * The connection, and the ways to get one: `accept` for a server, `handshake` and `connect` for a client.
 *
 * A connection is a resource of its Scope. When the scope closes, the closing handshake is done within its deadline: with
 * 1000 after success, 1001 after an interruption, 1011 after a failure.
 *
 * @since 0.1.0
 */
import * as CloseReason from "@effect-ws/core/CloseReason"
import type { RequestHead } from "@effect-ws/core/HttpHead"
import type { Message } from "@effect-ws/core/Message"
import * as Prepared from "@effect-ws/core/PreparedMessage"
import type { PreparedMessage } from "@effect-ws/core/PreparedMessage"
import type { CloseReceived, PingReceived, PongReceived } from "@effect-ws/core/ProtocolEvent"
import type { Role } from "@effect-ws/core/Role"
import type { UpgradeRequest } from "@effect-ws/core/UpgradeRequest"
import * as Requests from "@effect-ws/core/UpgradeRequest"
import type { UpgradeResponse } from "@effect-ws/core/UpgradeResponse"
import type { HttpServerRequest } from "@effect/platform/HttpServerRequest"
import type { Socket } from "@effect/platform/Socket"
import type * as Channel from "effect/Channel"
import type * as Chunk from "effect/Chunk"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import type * as Scope from "effect/Scope"
import * as Sink from "effect/Sink"
import type * as Stream from "effect/Stream"
import type { AcceptOptions } from "./AcceptOptions.ts"
import type { AcceptTransportOptions } from "./AcceptTransportOptions.ts"
import type { Broadcast, BroadcastOptions } from "./Broadcast.ts"
import type { ConnectionClosed } from "./ConnectionClosed.ts"
import * as ConnectionOptions from "./ConnectionOptions.ts"
import type { ConnectOptions, HandshakeOptions } from "./ConnectOptions.ts"
import type { ConnectionStatus } from "./ConnectionStatus.ts"
import * as Fields from "./Fields.ts"
import type { HandshakeError } from "./HandshakeError.ts"
import * as Accept from "./internal/opening/accept.ts"
import * as AcceptHttp from "./internal/http/acceptHttp.ts"
import * as answers from "./internal/opening/answers.ts"
import * as ClientHandshake from "./internal/opening/clientHandshake.ts"
import * as Exchanges from "./internal/opening/Exchange.ts"
import * as Broadcasts from "./internal/connection/broadcast.ts"
import * as Channels from "./internal/platform/channelOf.ts"
import * as Handle from "./internal/connection/handle.ts"
import * as Run from "./internal/connection/run.ts"
import { toData } from "./internal/connection/sendable.ts"
import * as WebStreams from "./internal/whatwg/webStreams.ts"
import type { Incoming, MessageStream } from "./MessageStream.ts"
import * as PlatformSocket from "./PlatformSocket.ts"
import type { SendRejected } from "./SendRejected.ts"
import type { Transport, TransportInfo } from "./Transport.ts"
import type { UpgradeExchange } from "./UpgradeExchange.ts"
import { WebSocketClient } from "./WebSocketClient.ts"
import type { WebSocketError } from "./WebSocketError.ts"

/**
 * An open connection.
 *
 * **Details**
 *
 * All of it may be used by any number of fibers at once. What takes arguments is a method: call it on the connection. From the
 * end of the connection on, every operation fails with the one error that ended it; what came before that is still received.
 *
 * @since 0.1.0
 * @category models
 */
export interface WebSocket {
  /** The number of the connection, unique in this process: `websocket.id` in what a server logs about it. */
  readonly id: number
  /** Our role. */
  readonly role: Role
  /** The request that asked for the connection. */
  readonly request: UpgradeRequest
  /** The response that accepted it. */
  readonly response: UpgradeResponse
  /** The subprotocol that was agreed on, `undefined` for none (RFC 6455 1.9). */
  readonly subprotocol: string | undefined
  /** Who is at the other end, and what TLS knows. */
  readonly info: TransportInfo
  /**
   * Waits for the next message and takes it.
   *
   * **Details**
   *
   * Each message goes to exactly one taker, the fibers that wait in order of their arrival. A fiber that is interrupted
   * has taken nothing. It always fails at the end of the connection, with a `ConnectionClosed` whose `clean` tells whether
   * that was a good one.
   */
  readonly receive: Effect.Effect<Message, WebSocketError>
  /**
   * Waits until there is a message and takes all that have come, at least one, in order. For those who handle a burst at
   * once: what one chunk of the transport has brought wakes a fiber once. Else as `receive`.
   */
  readonly receiveAll: Effect.Effect<ReadonlyArray<Message>, WebSocketError>
  /**
   * Waits until a message begins, and receives it piece by piece while it arrives, so that it is never held as a whole.
   *
   * **Details**
   *
   * Until the scope closes nobody else receives anything; who comes meanwhile waits. Leaving the message early drops the rest
   * of it. What was received of it and not taken counts for the high-water mark of the inbox, so a slow reader slows the peer.
   * The message may have up to `maxStreamedSize` bytes. The streams fail when the connection ends in the middle of it.
   *
   * @example
   * import type { WebSocket } from "@effect-ws/api/WebSocket"
   * import * as Effect from "effect/Effect"
   * import * as Stream from "effect/Stream"
   *
   * const size = (socket: WebSocket) =>
   *   Effect.scoped(
   *     Effect.flatMap(socket.receiveStream, ({ bytes }) => Stream.runFold(bytes, 0, (sum, piece) => sum + piece.length))
   *   )
   */
  readonly receiveStream: Effect.Effect<Incoming, WebSocketError, Scope.Scope>
  /**
   * All messages from here on, in order; ends when the connection ended cleanly and fails otherwise.
   *
   * **Gotchas**
   *
   * A stream takes the messages that are there in one batch. One that stops in the middle of a batch, by `Stream.take` for
   * instance, drops the rest of it: use `receive` to take them one by one.
   */
  readonly messages: Stream.Stream<Message, WebSocketError>
  /**
   * Sends a message: text for a string, binary for bytes, and a `Message` as what it is.
   *
   * **Details**
   *
   * Completes at once while fewer bytes than the high-water mark wait to be sent, and waits for room above it, unless the
   * option `whenFull` says otherwise. What is sent within one turn of the event loop leaves in one write. The caller
   * may reuse the bytes as soon as it has completed; a `Message` is not copied and must not change. When it is interrupted,
   * either nothing of the message was sent, or all of it will be. Lone surrogates in a string are sent as U+FFFD.
   */
  readonly send: (data: Sendable) => Effect.Effect<void, WebSocketError | SendRejected>
  /**
   * Sends one message piece by piece, each as a fragment of it (RFC 6455 5.4).
   *
   * **Details**
   *
   * Pieces that the stream gives in one chunk leave in one fragment; with `fragmentSize`, in bytes, in those of that size
   * or the connection's, the smaller. Other messages wait until it is done, Pings pass. Waits for room before each fragment.
   *
   * When the stream fails, or the effect is interrupted, before its first fragment was sent, nothing was sent. Later than
   * that the connection is closed with 1011, since the message can be neither finished nor taken back.
   */
  readonly sendStream: <E, R>(
    message: MessageStream<E, R>,
    options?: { readonly fragmentSize?: number | undefined }
  ) => Effect.Effect<void, WebSocketError | SendRejected | E, R>
  /**
   * Sends a Ping and completes with the time until its Pong (RFC 6455 5.5.2, 5.5.3). The payload, at most 125 bytes, is
   * different for each Ping by default. A longer one is a defect.
   */
  readonly ping: (payload?: Uint8Array) => Effect.Effect<Duration.Duration, WebSocketError | SendRejected>
  /** Sends a Ping and doesn't wait for its Pong; empty by default, at most 125 bytes. A longer payload is a defect. */
  readonly sendPing: (payload?: Uint8Array) => Effect.Effect<void, WebSocketError | SendRejected>
  /** Sends a Pong that nobody asked for, with at most 125 bytes (RFC 6455 5.5.3). A longer payload is a defect. */
  readonly pong: (payload?: Uint8Array) => Effect.Effect<void, WebSocketError | SendRejected>
  /**
   * Does the closing handshake (RFC 6455 7.1.2) and completes when the transport has ended, with what both sides said.
   *
   * **Details**
   *
   * Sends 1000 by default; `CloseReason.none` sends an empty payload. A reason that can't be sent is a defect: check
   * reasons that come from outside with `CloseReason.make`. Messages that come before the peer's Close frame can still be
   * received. A peer that doesn't answer ends it by the deadline, with a `ConnectionTimeout`. When the closing handshake
   * was done already, whoever began it, the outcome is the same again. Interruption ends the waiting, not the closing.
   */
  readonly close: (reason?: CloseReason.Input) => Effect.Effect<ConnectionClosed, WebSocketError>
  /** Waits until the transport has ended, and tells what ended the connection. Never fails. */
  readonly closed: Effect.Effect<WebSocketError>
  /** Ends the transport at once, both ways, without a Close frame. The peer sees 1006. */
  readonly destroy: Effect.Effect<void>
  /**
   * The control frames of the peer from here on, for those who want to look: all of them are answered without that. Ends with
   * the connection. Of those that nobody takes in time the newest 64 are kept.
   */
  readonly controlFrames: Stream.Stream<ControlFrame>
  /** How the connection is, at this moment. */
  readonly status: Effect.Effect<ConnectionStatus>
}

/**
 * A Ping, a Pong or a Close frame of the peer, with its payload or its reason.
 *
 * @since 0.1.0
 * @category models
 */
export type ControlFrame = PingReceived | PongReceived | CloseReceived

/**
 * What can be sent: a string as a text message, bytes as a binary message, a message as it is, prepared or not. Of a view on
 * a buffer, whatever its element type, the bytes it covers are sent.
 *
 * @since 0.1.0
 * @category models
 */
export type Sendable = string | ArrayBuffer | ArrayBufferView | Message | PreparedMessage

/**
 * Accepts the upgrade: answers with the 101 and returns the connection.
 *
 * **Details**
 *
 * Fails when the origin is not allowed, when the peer has gone, or when the options can't be sent, before anything is
 * written. Accepting an exchange twice is a defect. Options win over those that the server was made with.
 *
 * @see https://www.rfc-editor.org/rfc/rfc6455#section-4.2.2
 * @since 0.1.0
 * @category server
 */
export const accept = <R = never>(
  exchange: UpgradeExchange,
  options: AcceptOptions<R> = {}
): Effect.Effect<WebSocket, HandshakeError, R | Scope.Scope> => {
  if (!(exchange instanceof Exchanges.Exchange)) return Effect.die(new Error("The exchange was not made by a server"))
  return Handle.held(
    (hold) => Accept.acceptFor((opened) => hold.take(opened), identity, exchange, options),
    exchange.scope
  )
}

/**
 * Accepts the upgrade that the current request of an HTTP server asks for: in a route of a server whose Layer is ours.
 *
 * **Details**
 *
 * As `accept`; the scope is that of the request, so the connection ends with the route. A `HandshakeError` that the route lets
 * through becomes its answer, also when it dies with it. A request that asks for no upgrade is one that can't be accepted;
 * a server whose Layer isn't ours is a defect. A route that answers otherwise refuses. The fiber is interrupted when the
 * peer goes away before the 101; after it the connection tells. A route that fails then closes it with 1011. It is closed
 * with 1001 when the server goes down, and the fiber interrupted when the close timeout of the Layer is over.
 *
 * @example
 * import * as WebSocket from "@effect-ws/api/WebSocket"
 * import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
 * import * as Effect from "effect/Effect"
 *
 * const echo = Effect.gen(function* () {
 *   const socket = yield* WebSocket.acceptHttp({ subprotocols: ["echo"] })
 *   yield* WebSocket.run(socket, (message) => socket.send(message))
 *   return HttpServerResponse.empty()
 * })
 *
 * @since 0.1.0
 * @category server
 */
export const acceptHttp = <R = never>(
  options: AcceptOptions<R> = {}
): Effect.Effect<WebSocket, HandshakeError, R | HttpServerRequest | Scope.Scope> => AcceptHttp.acceptHttp(options)

/**
 * Accepts the upgrade on a transport: reads the request unless it is given, checks it, and answers.
 *
 * **Details**
 *
 * The request may still be to come, wholly or from behind the `bytes` that were read before; or it was read already, and
 * is given as `request`, with what came behind it as `leftover`. All bytes are copied.
 *
 * The answer to a request that can't be accepted is written before the effect fails. If the error is `reusable`, the
 * transport is still there for another attempt, until the scope closes; otherwise it was ended. It is destroyed when the
 * effect is interrupted. A transport that is in use already is left alone: `NotReusable`.
 *
 * @since 0.1.0
 * @category server
 */
export const acceptTransport = <R = never>(
  transport: Transport,
  options: AcceptTransportOptions<R> = {}
): Effect.Effect<WebSocket, HandshakeError, R | Scope.Scope> =>
  Handle.scoped((restore) => Accept.acceptTransport(restore, transport, options))

/**
 * Says whether a request asks for an upgrade to WebSocket: HTTP/1.1, `GET`, and the tokens in `Connection` and `Upgrade`.
 * For routers; whether the opening handshake is right is for `accept` to say.
 *
 * @since 0.1.0
 * @category server
 */
export const isUpgrade = (request: RequestHead): boolean => Requests.isUpgrade(request)

/**
 * Fails with a refusal that the server then writes as it is.
 *
 * **Details**
 *
 * 403 without a body by default. Fields or a status that can't be written are answered with a 500 instead.
 *
 * @example
 * import * as WebSocket from "@effect-ws/api/WebSocket"
 *
 * const unauthorized = WebSocket.reject({ status: 401, headers: { "WWW-Authenticate": "Bearer" }, body: "who are you?" })
 *
 * @since 0.1.0
 * @category server
 */
export const reject = (
  refusal: {
    /** The status, 403 by default; not a 1xx. */
    readonly status?: number | undefined
    /** Fields, besides those about the connection and the length. */
    readonly headers?: Fields.Fields | undefined
    /** The body, as plain text unless a `Content-Type` says otherwise. */
    readonly body?: string | Uint8Array | undefined
  } = {}
): Effect.Effect<never, HandshakeError> =>
  Effect.suspend(() => {
    const headers = Fields.toHeaders(refusal.headers)
    return Effect.fail(answers.rejected(answers.make(refusal.status ?? 403, headers, refusal.body ?? "")))
  })

/**
 * Does the opening handshake of a client on a transport that is already there.
 *
 * **Details**
 *
 * `host` goes into the `Host` field as it is, `target` is a path with an optional query. When the effect fails with an
 * error that is `reusable`, after a server has declined, the transport is still there for another attempt, until the scope
 * closes. Otherwise it is destroyed, and so it is when the effect is interrupted. A transport that is in use already is
 * left alone: `NotReusable`.
 *
 * @see https://www.rfc-editor.org/rfc/rfc6455#section-4.1
 * @since 0.1.0
 * @category client
 */
export const handshake = (
  transport: Transport,
  options: HandshakeOptions & { readonly host: string; readonly target?: string | undefined }
): Effect.Effect<WebSocket, HandshakeError, Scope.Scope> =>
  Effect.suspend(() =>
    ClientHandshake.handshake(transport, ConnectionOptions.make("client", options), {
      host: options.host,
      target: options.target,
      subprotocols: options.subprotocols,
      origin: options.origin,
      fields: Fields.toHeaders(options.headers),
      decorate: options.decorate
    })
  )

/**
 * Connects to a `ws:` or `wss:` URL: resolves, connects, agrees on TLS, and does the opening handshake, all within one
 * deadline.
 *
 * **Details**
 *
 * Credentials in the URL are sent as `Authorization: Basic` (RFC 7617), unless the options have that field, and shown
 * nowhere: no error names the URL.
 *
 * @see https://www.rfc-editor.org/rfc/rfc6455#section-3
 * @since 0.1.0
 * @category client
 */
export const connect = (
  url: string,
  options?: ConnectOptions
): Effect.Effect<WebSocket, HandshakeError, Scope.Scope | WebSocketClient> =>
  Effect.flatMap(WebSocketClient, (client) => client.connect(url, options))

/**
 * Hands every message to a handler, one after the other, until the connection ends.
 *
 * **Details**
 *
 * The next message waits until the effect of the handler is done; what comes meanwhile is held up to the high-water mark,
 * then reading pauses. A handler that returns nothing, or an `Exit`, costs no step of the fiber. Completes when the
 * connection ended cleanly and fails otherwise, or as the handler does; the messages that were not handed out are still
 * there then. A handler that fails because nothing can be sent any more over this very connection, as a `send` does that
 * comes too late, has done its work: the messages behind are still handed out.
 *
 * With a `concurrency` above 1 up to so many messages are handled at once, by as many fibers that take them in turn: they are
 * begun in order and done in any. The first handler that fails interrupts the others.
 *
 * @since 0.1.0
 * @category operations
 */
export const run = <Handled extends Effect.Effect<unknown, unknown, unknown> | void>(
  socket: WebSocket,
  handler: (message: Message) => Handled,
  { concurrency = 1 }: { readonly concurrency?: number | undefined } = {}
): Effect.Effect<
  void,
  WebSocketError | (Handled extends Effect.Effect<infer _A, infer E, infer _R> ? E : never),
  Handled extends Effect.Effect<infer _A, infer _E, infer R> ? R : never
> =>
  Effect.suspend(() => {
    const connection = Handle.connectionOf(socket)
    if (concurrency === 1) return Run.inOrder(connection, handler)
    if (Number.isSafeInteger(concurrency) && concurrency > 1) return Run.sideBySide(connection, handler, concurrency)
    throw new RangeError(`The option concurrency must be a positive integer, and is ${concurrency}`)
  })

/**
 * Encodes a message once, to be sent to any number of connections.
 *
 * **Details**
 *
 * Bytes are copied. A server sends the same memory to all; a client has to mask each frame with a key of its own. It is
 * compressed once for all whose connections compress alike, and not at all with `compress: false`: for what is compressed
 * already, or has a secret in it.
 *
 * @since 0.1.0
 * @category operations
 */
export const prepare = (
  data: Sendable,
  { compress = true }: { readonly compress?: boolean | undefined } = {}
): PreparedMessage => {
  const item = toData(data)
  if (typeof item === "object" && "_tag" in item && item._tag === "Prepared") {
    return item.isCompressible === compress ? item : Prepared.make(item.message, compress)
  }
  return Prepared.make(item instanceof Uint8Array ? new Uint8Array(item) : item, compress)
}

/**
 * Sends a message to many connections, encoded once, and tells who got it.
 *
 * **Details**
 *
 * Those that have room get it in the same turn; what becomes of the others is for the option `slow` to say. One that is
 * closing, or has ended, is among those that missed it, and harms nobody else. Never fails.
 *
 * @since 0.1.0
 * @category operations
 */
export const broadcast = (
  sockets: Iterable<WebSocket>,
  data: Sendable,
  { slow = "wait" }: BroadcastOptions = {}
): Effect.Effect<Broadcast> => Effect.suspend(() => Broadcasts.broadcast(sockets, prepare(data), slow))

/**
 * The connection as the `Socket` of `@effect/platform`: see `PlatformSocket.fromWebSocket`.
 *
 * @since 0.1.0
 * @category conversions
 */
export const toSocket: (socket: WebSocket, options?: PlatformSocket.Options) => Socket = PlatformSocket.fromWebSocket

/**
 * The connection as a channel: its messages come out, and what goes in is sent, neither faster than it is taken.
 *
 * **Details**
 *
 * The end of the input closes with 1000, and messages come out until that is done. A failure of the input closes with 1011,
 * and then the channel fails with it. Otherwise it ends as `messages` does. Leaving it early closes nothing.
 *
 * @since 0.1.0
 * @category conversions
 */
export const toChannel = <IE = never>(
  socket: WebSocket
): Channel.Channel<
  Chunk.Chunk<Message>,
  Chunk.Chunk<Sendable>,
  WebSocketError | SendRejected | IE,
  IE,
  void,
  unknown
> => Channels.toChannel(socket)

/**
 * The connection as a sink that sends everything, one after the other, and leaves the connection open.
 *
 * @since 0.1.0
 * @category conversions
 */
export const toSink = (socket: WebSocket): Sink.Sink<void, Sendable, never, WebSocketError | SendRejected> =>
  Sink.forEach((data) => socket.send(data))

/**
 * The messages as a `ReadableStream` of the WHATWG, text as strings, each taken when it is asked for. Ends or fails as
 * `messages` does. `cancel` closes with 1000, or a `CloseReason` it is given, and is done when the connection has ended.
 *
 * @since 0.1.0
 * @category conversions
 */
export const toReadableStream: (socket: WebSocket) => Effect.Effect<ReadableStream<string | Uint8Array>> =
  WebStreams.toReadableStream

/**
 * A `WritableStream` of the WHATWG that sends what is written, ready when there is room. `close` closes with 1000, `abort` with
 * 1011, or a `CloseReason` it is given. The end of the connection makes it fail with the `WebSocketError`.
 *
 * @since 0.1.0
 * @category conversions
 */
export const toWritableStream: (socket: WebSocket) => Effect.Effect<WritableStream<Sendable>> =
  WebStreams.toWritableStream
