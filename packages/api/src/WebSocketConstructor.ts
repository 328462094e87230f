/**
 * The WebSocket class of the web platform over our client: for programs and libraries that were written for it.
 *
 * It is what browsers, Node, Deno and Bun have as the global `WebSocket`, by the specification of the WHATWG, with what that
 * leaves out decided at the place where the class is made: fields of the request, proxies, TLS, compression, limits.
 *
 * @see https://websockets.spec.whatwg.org/
 * @since 0.1.0
 */
import * as Socket from "@effect/platform/Socket"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as ConnectionOptions from "./ConnectionOptions.ts"
import type { ConnectOptions } from "./ConnectOptions.ts"
import * as House from "./internal/whatwg/house.ts"
import { define } from "./internal/whatwg/webSocketClass.ts"
import { WebSocketClient } from "./WebSocketClient.ts"

/**
 * An object of the class: the interface that the WHATWG specifies.
 *
 * **Details**
 *
 * It can be used wherever the type of the global `WebSocket` is asked for. Each event is dispatched in a task of its own:
 * whoever has awaited one is back before the next. Messages that nobody listens to are gone.
 *
 * A connection that fails, by the peer's fault or because it was lost, has an `error` event before its `close` event with
 * 1006. Its `error` tells why, as a `HandshakeError` or a `WebSocketError` for instance.
 *
 * @since 0.1.0
 * @category models
 */
export interface WebSocketObject {
  /** 0: the opening handshake is under way. */
  readonly CONNECTING: 0
  /** 1: messages can be sent. */
  readonly OPEN: 1
  /** 2: the closing handshake is under way. */
  readonly CLOSING: 2
  /** 3: the connection has ended, or there was none. */
  readonly CLOSED: 3
  /** The URL that it connects to, as it was understood. */
  readonly url: string
  /** The state: one of the four constants. */
  readonly readyState: 0 | 1 | 2 | 3
  /** What `send` was given and the transport has not taken, in bytes of payload. What was never sent stays. */
  readonly bufferedAmount: number
  /** The extensions in use, as the server wrote them. */
  readonly extensions: string
  /** The subprotocol in use, empty for none. */
  readonly protocol: string
  /** What binary messages come as: a `Blob` by default. */
  binaryType: "blob" | "arraybuffer"
  /** The handler of `open`. */
  onopen: Handler<WebSocketEvent> | null
  /** The handler of `message`. */
  onmessage: Handler<WebSocketMessageEvent> | null
  /** The handler of `error`. */
  onerror: Handler<WebSocketEvent> | null
  /** The handler of `close`. */
  onclose: Handler<WebSocketCloseEvent> | null
  /**
   * Sends a message: bytes or a `Blob` as binary, anything else as text. Throws while the connection isn't open yet; what
   * comes after the end is dropped. Bytes may be reused at once.
   */
  send(data: string | ArrayBuffer | ArrayBufferView | BlobLike): void
  /**
   * Begins the closing handshake, behind what was sent. Throws unless the code is 1000 or from 3000 to 4999, and the reason
   * at most 123 bytes of UTF-8.
   */
  close(code?: number, reason?: string): void
  /** Adds a listener. */
  addEventListener<Type extends keyof WebSocketEvents>(
    type: Type,
    listener: Handler<WebSocketEvents[Type]>,
    options?: boolean | ListenerOptions
  ): void
  /** Removes a listener. */
  removeEventListener<Type extends keyof WebSocketEvents>(
    type: Type,
    listener: Handler<WebSocketEvents[Type]>,
    options?: boolean | ListenerOptions
  ): void
  /** Hands an event to the listeners. */
  dispatchEvent(event: WebSocketEvent): boolean
}

/**
 * The class.
 *
 * @since 0.1.0
 * @category models
 */
export interface WebSocketClass {
  /**
   * Begins to connect, with subprotocols to offer. Throws a `DOMException` that is named `SyntaxError` when the URL is not an
   * absolute one of `ws:`, `wss:`, `http:` or `https:` without a fragment, or the subprotocols are not tokens, each once.
   */
  new (url: string | { toString(): string }, protocols?: string | Iterable<string>): WebSocketObject
  /** What the objects have in common. */
  readonly prototype: WebSocketObject
  /** 0: the opening handshake is under way. */
  readonly CONNECTING: 0
  /** 1: messages can be sent. */
  readonly OPEN: 1
  /** 2: the closing handshake is under way. */
  readonly CLOSING: 2
  /** 3: the connection has ended, or there was none. */
  readonly CLOSED: 3
}

/**
 * An event of any type.
 *
 * @since 0.1.0
 * @category models
 */
export interface WebSocketEvent {
  /** `open`, `message`, `error` or `close`. */
  readonly type: string
}

/**
 * A message has come.
 *
 * @since 0.1.0
 * @category models
 */
export interface WebSocketMessageEvent extends WebSocketEvent {
  /** A string for a text message, for a binary one what `binaryType` says. */
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly data: any
  /** The origin of the URL. */
  readonly origin: string
}

/**
 * The connection has ended, or there was none.
 *
 * @since 0.1.0
 * @category models
 */
export interface WebSocketCloseEvent extends WebSocketEvent {
  /** The code in the peer's Close frame: 1005 when there was none in it, 1006 when there was no frame. */
  readonly code: number
  /** The reason in the peer's Close frame. */
  readonly reason: string
  /** Whether the closing handshake was done. */
  readonly wasClean: boolean
}

/**
 * The events by their types.
 *
 * @since 0.1.0
 * @category models
 */
export interface WebSocketEvents {
  /** The connection is open. */
  readonly open: WebSocketEvent
  /** A message has come. */
  readonly message: WebSocketMessageEvent
  /** The connection has failed; `close` follows. */
  readonly error: WebSocketEvent
  /** The connection has ended, or there was none. */
  readonly close: WebSocketCloseEvent
}

/**
 * What is called with an event. It may ask for the event as the types of a platform have it, which say more.
 *
 * @since 0.1.0
 * @category models
 */
// Of a method, whose parameter may be narrower too.
export type Handler<Event> = { call(event: Event): unknown }["call"]

/**
 * How a listener listens.
 *
 * @since 0.1.0
 * @category models
 */
export interface ListenerOptions {
  /** Whether it is called first; it makes no difference here. */
  readonly capture?: boolean | undefined
  /** Whether it is removed after the first event. */
  readonly once?: boolean | undefined
}

/**
 * As much as the type of `send` says of a `Blob`; it takes those of the runtime.
 *
 * @since 0.1.0
 * @category models
 */
export interface BlobLike {
  /** In bytes. */
  readonly size: number
  /** Reads all of it. */
  arrayBuffer(): Promise<ArrayBuffer>
}

/**
 * How the objects of the class connect, and their limits. The options of the client count too, below these.
 *
 * **Details**
 *
 * `whenFull` has no say here: `send` of the class neither waits nor drops.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options extends Omit<ConnectOptions, "subprotocols" | "whenFull"> {
  /**
   * What may be buffered for one connection, in bytes of payload. 256 MiB: since `send` can't wait, this is what a peer that
   * doesn't read can make us hold. Above it the connection is ended, with 1006; one message of any size is taken when nothing
   * else is buffered.
   */
  readonly maxBufferedAmount?: number | undefined
}

/**
 * Makes the class. Its objects live in the scope: when that closes, their connections are closed with 1001.
 *
 * @example
 * import * as WebSocketConstructor from "@effect-ws/api/WebSocketConstructor"
 * import * as Effect from "effect/Effect"
 *
 * const program = Effect.gen(function* () {
 *   const WebSocket = yield* WebSocketConstructor.make({ headers: { Authorization: "Bearer ..." } })
 *   const socket = new WebSocket("wss://example.com/chat", "chat.v1")
 *   socket.onmessage = ({ data }) => console.log(data)
 *   return socket
 * })
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = ({ maxBufferedAmount = defaultMaxBufferedAmount, ...options }: Options = {}): Effect.Effect<
  WebSocketClass,
  never,
  WebSocketClient | Scope.Scope
> =>
  Effect.gen(function* () {
    // Here, and not only when somebody connects: a mistake in the options is the program's.
    ConnectionOptions.make("client", options)
    check(maxBufferedAmount)
    const client = yield* WebSocketClient
    const fork = yield* House.makeFork
    const nextTask = yield* House.makeNextTask
    const connect = (url: string, subprotocols: ReadonlyArray<string>) =>
      client.connect(url, { ...options, subprotocols })
    return define({ connect, fork, nextTask, maxBufferedAmount }) as WebSocketClass
  })

/**
 * Provides what `Socket.makeWebSocket` and `Socket.layerWebSocket` of `@effect/platform` make their connections with: our
 * class, in place of the global one.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: Layer.Layer<Socket.WebSocketConstructor, never, WebSocketClient> = Layer.suspend(() =>
  layerWith({})
)

/**
 * Provides the same with options.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerWith = (options: Options): Layer.Layer<Socket.WebSocketConstructor, never, WebSocketClient> =>
  Layer.scoped(
    Socket.WebSocketConstructor,
    Effect.map(make(options), (WebSocket) => (url, protocols) => construct(WebSocket, url, protocols))
  )

// The type is that of the global, which the types of a program without the DOM don't have.
const construct = (WebSocket: WebSocketClass, url: string, protocols: string | Array<string> | undefined) =>
  new WebSocket(url, protocols) as unknown as ReturnType<Context.Tag.Service<typeof Socket.WebSocketConstructor>>

const check = (maxBufferedAmount: number): void => {
  if (Number.isSafeInteger(maxBufferedAmount) && maxBufferedAmount > 0) return
  throw new RangeError(`The option maxBufferedAmount must be a positive integer, and is ${maxBufferedAmount}`)
}

const defaultMaxBufferedAmount = 256 * 1024 * 1024
