/**
 * A transport over the `Socket.Socket` of somebody else: a TCP connection of `@effect/platform`, for instance, on which
 * `handshake` or `acceptTransport` then speak WebSocket.
 *
 * It costs two fibers for each connection, and a copy and some steps of a fiber for each chunk. Where the platform has a transport
 * over its own streams, as `NodeTransport`, take that.
 *
 * @since 0.1.0
 */
import * as Socket from "@effect/platform/Socket"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Fibers from "./internal/platform/FiberTransport.ts"
import { SendRejected } from "./SendRejected.ts"
import type { Transport, TransportInfo } from "./Transport.ts"
import type { TransportOperation } from "./TransportError.ts"

/**
 * Says what the socket doesn't know about itself.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Who is at the two ends. Nothing is known by default. */
  readonly info?: Partial<TransportInfo> | undefined
  /**
   * What may be held while the connection doesn't read, in bytes, each chunk counting 1 KiB more than it has; beyond that the
   * transport fails. Only a socket that doesn't wait for its handlers can bring more than a chunk. 16 MiB: what such a socket
   * brings in an eighth of a second on a line of a gigabit.
   */
  readonly maxHeldSize?: number | undefined
  /**
   * Written at the end of our half, for a socket of messages, as a WebSocket is, which has no halves and would stay open. By
   * default nothing is: the TCP sockets of `@effect/platform` end their half by themselves, and a `CloseEvent` destroys them.
   */
  readonly endWith?: Socket.CloseEvent | undefined
}

/**
 * Makes a transport that runs the socket when it is started, and ends that run when the scope closes.
 *
 * **Details**
 *
 * `end` closes the scope of the socket's writer, which on the TCP sockets of `@effect/platform` ends our half. The end of the run
 * is that of both halves; a failure is one of the transport, but for a close with 1000. `destroy` writes a `CloseEvent` and
 * interrupts the run.
 *
 * A socket that waits for its handlers, as those of `PlatformSocket`, is held up while the connection doesn't read. Those of
 * `@effect/platform` don't wait: see `maxHeldSize`. All bytes are copied. On Node, a handler of the socket server of
 * `@effect/platform` finds the stream below in its service `NetSocket`, for `NodeTransport`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (socket: Socket.Socket, options: Options = {}): Effect.Effect<Transport, never, Scope.Scope> =>
  Effect.suspend(() => {
    const { endWith, info, maxHeldSize = defaultMaxHeldSize } = options
    if (Number.isSafeInteger(maxHeldSize) && maxHeldSize > 0) {
      return Fibers.make((transport) => new Carrier(transport, socket, endWith), { info, maxHeld: maxHeldSize })
    }
    throw new RangeError(`The option maxHeldSize must be a positive integer, and is ${maxHeldSize}`)
  })

type Write = (chunk: Uint8Array | Socket.CloseEvent) => Effect.Effect<void, Socket.SocketError>

class Carrier {
  private readonly transport: Fibers.FiberTransport
  private readonly socket: Socket.Socket
  private readonly endWith: Socket.CloseEvent | undefined
  private writeTo: Write | undefined = undefined

  constructor(transport: Fibers.FiberTransport, socket: Socket.Socket, endWith: Socket.CloseEvent | undefined) {
    this.transport = transport
    this.socket = socket
    this.endWith = endWith
  }

  readonly abort: Effect.Effect<void> = Effect.suspend(() =>
    this.writeTo === undefined ? Effect.void : Effect.ignore(this.writeTo(new Socket.CloseEvent()))
  )

  get read() {
    return Effect.catchAll(
      this.socket.run((chunk) => this.transport.deliver(chunk)),
      (error) => (isEnd(error) ? Effect.void : Effect.fail(this.failure(error)))
    )
  }

  get write() {
    const writing = Effect.flatMap(this.socket.writer, (write) => {
      this.writeTo = write
      return this.writeAll(write)
    })
    return Effect.catchAll(Effect.scoped(writing), (error) =>
      isClosing(error) ? Effect.void : Effect.fail(this.failure(error))
    )
  }

  private writeAll(write: Write): Effect.Effect<void, Socket.SocketError> {
    const { endWith, transport } = this
    const writeNext: Effect.Effect<void, Socket.SocketError> = Effect.flatMap(transport.take, (piece) => {
      if (piece === undefined) return endWith === undefined ? Effect.void : write(endWith)
      const writing = Effect.map(write(piece), () => transport.taken(piece.length))
      return Effect.zipRight(writing, writeNext)
    })
    return writeNext
  }

  private failure(error: Socket.SocketError) {
    return this.transport.failure(operations[error.reason], error.reason === "Close" ? error : error.cause)
  }
}

const isEnd = (error: Socket.SocketError): boolean => error.reason === "Close" && error.code === 1000

// Then nothing can be written any more, and what has come before the end is still to be read.
const isClosing = (error: Socket.SocketError): boolean =>
  error.reason === "Close" || error.cause instanceof SendRejected

const operations: { readonly [R in Socket.SocketError["reason"]]: TransportOperation } = {
  Open: "connect",
  OpenTimeout: "connect",
  Read: "read",
  Write: "write",
  Close: "read"
}

/** In bytes. */
const defaultMaxHeldSize = 16 * 1024 * 1024
