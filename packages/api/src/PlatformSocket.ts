/**
 * A connection as the `Socket.Socket` of `@effect/platform`, for the programs that are written against that.
 *
 * @since 0.1.0
 */
import type * as Socket from "@effect/platform/Socket"
import type { DurationInput } from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { HandshakeError } from "./HandshakeError.ts"
import * as Adapter from "./internal/platform/socket.ts"
import * as errors from "./internal/platform/socketErrors.ts"
import type { SendRejected } from "./SendRejected.ts"
import type { WebSocket } from "./WebSocket.ts"
import type { WebSocketError } from "./WebSocketError.ts"

/**
 * How a socket runs.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /**
   * Whether a close code that was received is a failure of the run, a `SocketCloseError`. By default all are but 1000; also 1006,
   * for the connection that was lost, which is no success.
   */
  readonly closeCodeIsError?: ((code: number) => boolean) | undefined
  /**
   * How long opening the connection may take, for each run. None by default: what opens it has a deadline of its own, in
   * `connect` that is the option `handshakeTimeout`.
   */
  readonly openTimeout?: DurationInput | undefined
  /**
   * How many messages are handled at once, 1 by default: one after the other, so that a slow handler slows the peer. With more
   * they are begun in order and done in any. `"unbounded"` is what the sockets of `@effect/platform` do: a fiber for each message;
   * what still runs when the connection has ended is interrupted. What all of them hold has a bound, see `handlingHighWaterMark`.
   */
  readonly concurrency?: number | "unbounded" | undefined
  /**
   * How much may be handled at once when the concurrency is `"unbounded"`, in bytes of payload and 4096 for each message, which is
   * what a fiber that waits costs. Above it the peer is slowed. 16 MiB: as much as the largest message by default, or 4096 handlers.
   */
  readonly handlingHighWaterMark?: number | undefined
  /**
   * How long a handler may go on when the connection has ended, unless the concurrency is `"unbounded"`: what came before is still
   * handled, but a handler that waits for what never comes any more is interrupted, and the run ends. 30 seconds, for each
   * message.
   */
  readonly endTimeout?: DurationInput | undefined
}

/**
 * Makes a socket that opens a connection when it is run, and closes it when the run ends. It may be run again then.
 *
 * **Details**
 *
 * Handlers get text as a string in `runRaw`, and bytes otherwise; bytes are read only. A run fails with a `SocketError` whose
 * `cause` is the error of ours: with `"Open"` or `"OpenTimeout"` when there was no connection, with a `SocketCloseError`
 * when it was closed, unless `closeCodeIsError` says otherwise, and with `"Read"` when it failed. Messages are handled
 * while `onOpen` goes on.
 *
 * The writer waits while no connection is open, also when one was just lost or closed by the peer, and while the peer doesn't read.
 * It fails, instead of waiting for the next connection, in the handlers of a run whose connection has ended and in what they have begun, and behind a
 * `CloseEvent`; a handler that fails or dies so doesn't fail the run, which ends as its connection does. A `CloseEvent` begins the
 * closing handshake; of its reason so much is sent as fits into 123 bytes (RFC 6455 5.5), and a code that can't be sent is a
 * defect. When the run ends otherwise, the scope of the connection says why, as that of every `WebSocket` does.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make: <R>(
  open: Effect.Effect<WebSocket, HandshakeError | Socket.SocketError, R>,
  options?: Options
) => Effect.Effect<Socket.Socket, never, Exclude<R, Scope.Scope>> = (open, options = {}) => Adapter.make(open, options)

/**
 * Makes a socket of a connection that is open. A run ends with it, and doesn't close it: its scope does.
 *
 * **Details**
 *
 * As with `make` otherwise, but that the writer fails when the connection has ended. What isn't handled by a run is there for
 * the next one, and for `receive`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromWebSocket = (socket: WebSocket, options: Options = {}): Socket.Socket =>
  Adapter.fromWebSocket(socket, options)

/**
 * Turns an error of ours into one of `@effect/platform`, as the sockets that are made here do.
 *
 * **Details**
 *
 * A `ConnectionClosed` becomes a `SocketCloseError` with the code that was received, 1005 for none in the Close frame and 1006 for
 * no Close frame (RFC 6455 7.1.5). Everything else becomes a `SocketGenericError` that has the error as its `cause`, with the
 * operation as its reason; a handshake that took too long is an `"OpenTimeout"`.
 *
 * @since 0.1.0
 * @category conversions
 */
export const toSocketError: (
  error: HandshakeError | WebSocketError | SendRejected,
  operation: "Open" | "Read" | "Write"
) => Socket.SocketError = errors.toSocketError
