/**
 * A client connection that is kept alive: when it is lost, another one is made, under a `Schedule`, until its scope closes.
 *
 * It sends a message at most once and doesn't remember what it sent: what has to arrive needs an answer of the peer, or a
 * protocol of its own above this.
 *
 * @since 0.1.0
 */
import type * as CloseReason from "@effect-ws/core/CloseReason"
import type { Message } from "@effect-ws/core/Message"
import type * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type { ConnectOptions } from "./ConnectOptions.ts"
import type { HandshakeError } from "./HandshakeError.ts"
import * as ReconnectKeeper from "./internal/reconnecting/keeper.ts"
import * as ReconnectPolicy from "./internal/reconnecting/policy.ts"
import type { SendRejected } from "./SendRejected.ts"
import * as WebSockets from "./WebSocket.ts"
import type { Sendable, WebSocket } from "./WebSocket.ts"
import type { WebSocketClient } from "./WebSocketClient.ts"
import type { WebSocketError } from "./WebSocketError.ts"

/**
 * A connection that is made again whenever it is lost.
 *
 * **Details**
 *
 * All of it may be used by any number of fibers at once. Nothing fails because a connection is lost: what can't be done just
 * then waits. It is over when it was closed, by `close` or by its scope, or when it was given up: since the schedule came to its
 * end, or since another attempt would change nothing. From then on every operation fails with what ended it, the last error,
 * after the messages that came before.
 *
 * @since 0.1.0
 * @category models
 */
export interface ReconnectingWebSocket<out E = HandshakeError> {
  /**
   * Waits for the next message, of whichever connection, and takes it. A fiber that is interrupted has taken nothing.
   *
   * **Details**
   *
   * Messages come in order: all of one connection before the first of the next. What the peer sent while there was no
   * connection is nowhere. Of the connections that have ended up to 1 MiB is kept for those who come late; beyond that the
   * messages of the oldest are dropped, with a warning in the log.
   */
  readonly receive: Effect.Effect<Message, E | WebSocketError>
  /** Waits until there is a message and takes all that have come over one connection, at least one. Else as `receive`. */
  readonly receiveAll: Effect.Effect<ReadonlyArray<Message>, E | WebSocketError>
  /**
   * All messages from here on, of one connection after the other; ends when it was closed, by us or cleanly by the peer, and
   * fails when it was given up.
   *
   * **Gotchas**
   *
   * As with the `messages` of a connection, a stream that stops in the middle of a batch drops the rest of it.
   */
  readonly messages: Stream.Stream<Message, E | WebSocketError>
  /**
   * Sends a message over the connection that there is, or waits for the next one.
   *
   * **Details**
   *
   * Each message is given to one connection, at most once. When it has completed, the message is queued there, and is lost if
   * that connection is lost before it left: it is not sent again. A message that no connection has taken, since there was
   * none or since there was no room, waits for the next one.
   *
   * What waits is the fiber that sends: nothing is queued here, so there is no limit to set, and a program that sends in a
   * loop is held back. Those who wait have their turn in the order in which they came. Interrupted while it waits, it has
   * sent nothing. Fails with `SendRejected` only where the option `whenFull` is `"fail"`.
   */
  readonly send: (data: Sendable) => Effect.Effect<void, E | WebSocketError | SendRejected>
  /** The connection that is open, or the next one; for all that a connection can do besides. Closing that one leads to another. */
  readonly current: Effect.Effect<WebSocket, E | WebSocketError>
  /** How it is, at this moment. */
  readonly state: Effect.Effect<State<E>>
  /**
   * How it is and every change from here on; ends behind `Closed`. Of the changes that nobody takes in time the newest 64 are
   * kept.
   */
  readonly states: Stream.Stream<State<E>>
  /**
   * Ends it for good, and completes when that is done: with the closing handshake of the connection, if there is one, within
   * its deadline. Sends 1000 by default; a reason that can't be sent is a defect. Interruption ends the waiting, not the
   * closing.
   */
  readonly close: (reason?: CloseReason.Input) => Effect.Effect<void>
}

/**
 * How a connection that is kept alive is.
 *
 * @since 0.1.0
 * @category models
 */
export type State<E = HandshakeError> = Connecting | Open | Away<E> | Closed<E>

/**
 * A connection is being made: its opening handshake, and `onOpen`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Connecting {
  /** The discriminator. */
  readonly _tag: "Connecting"
  /** Which attempt this is, from 1 on, since the start or since a connection has last held for `resetAfter`. */
  readonly attempt: number
}

/**
 * There is a connection.
 *
 * @since 0.1.0
 * @category models
 */
export interface Open {
  /** The discriminator. */
  readonly _tag: "Open"
  /** The connection. */
  readonly socket: WebSocket
}

/**
 * There is no connection, and the next attempt is yet to come.
 *
 * @since 0.1.0
 * @category models
 */
export interface Away<out E = HandshakeError> {
  /** The discriminator. */
  readonly _tag: "Away"
  /** What ended the last connection, or the last attempt. */
  readonly error: E | WebSocketError
  /** How long it waits until the next attempt, from the moment on that it was lost. */
  readonly delay: Duration.Duration
}

/**
 * It is over.
 *
 * @since 0.1.0
 * @category models
 */
export interface Closed<out E = HandshakeError> {
  /** The discriminator. */
  readonly _tag: "Closed"
  /** What ended it, and what every operation fails with: an error, or the defect of an `open` or an `onOpen`. */
  readonly cause: Cause.Cause<E | WebSocketError>
}

/**
 * How a connection is kept alive.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options<E = HandshakeError, E2 = never, R = never> {
  /**
   * When to try again, and how often: it is given what ended the last connection or attempt. Forever by default, see
   * `defaultSchedule`. When it is done the last error is what all operations fail with.
   */
  readonly schedule?: Schedule.Schedule<unknown, NoInfer<E | E2> | WebSocketError, R> | undefined
  /** Whether to try again after this error; `isTransient` by default. Otherwise it is given up with that error. */
  readonly while?: ((error: NoInfer<E | E2> | WebSocketError) => boolean) | undefined
  /**
   * How long a connection must have held, from `Open` on, for the schedule and the count of attempts to begin anew. 30
   * seconds, as long as the longest delay by default: a server that accepts and closes at once isn't asked more often than one
   * that is down.
   */
  readonly resetAfter?: Duration.DurationInput | undefined
  /**
   * Is run with each new connection before anybody else sends or receives on it: to authenticate, or to subscribe again. The
   * connection is `Open` when it has completed; when it fails the attempt has failed, and is judged like any other. What it
   * needs a Scope for lives as long as the connection. It is interrupted when the connection ends.
   */
  readonly onOpen?: ((socket: WebSocket) => Effect.Effect<unknown, E2, R>) | undefined
}

/**
 * Keeps a connection alive, whatever opens it, until the scope closes.
 *
 * **Details**
 *
 * Completes at once, before there is a connection: `current` waits for it. `open` is run again for each connection, in a scope
 * that is that connection's own; so it is the place to look up an address, or to get a fresh token. When the scope closes,
 * an attempt that is under way is interrupted, and the connection is closed, with 1000 after success, 1001 after an
 * interruption, 1011 after a failure.
 *
 * @example
 * import * as ReconnectingWebSocket from "@effect-ws/api/ReconnectingWebSocket"
 * import * as WebSocket from "@effect-ws/api/WebSocket"
 * import * as Effect from "effect/Effect"
 *
 * const token = Effect.succeed("as fresh as it can be")
 *
 * const feed = ReconnectingWebSocket.make(
 *   Effect.flatMap(token, (token) =>
 *     WebSocket.connect("wss://example.com/feed", { headers: { Authorization: `Bearer ${token}` } })
 *   )
 * )
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <E, R, E2 = never, R2 = never>(
  open: Effect.Effect<WebSocket, E, R>,
  options: Options<E, E2, R2> = {}
): Effect.Effect<ReconnectingWebSocket<E | E2>, never, Exclude<R | R2, Scope.Scope> | Scope.Scope> =>
  Effect.suspend(() =>
    ReconnectKeeper.make<E | E2, R | R2>({
      open,
      onOpen: options.onOpen,
      schedule: options.schedule ?? defaultSchedule,
      while: options.while ?? isTransient,
      resetAfter: Duration.decode(options.resetAfter ?? "30 seconds")
    })
  )

/**
 * Connects to a `ws:` or `wss:` URL and keeps the connection alive until the scope closes: `make` with `WebSocket.connect`.
 *
 * @example
 * import * as ReconnectingWebSocket from "@effect-ws/api/ReconnectingWebSocket"
 * import * as Effect from "effect/Effect"
 * import * as Stream from "effect/Stream"
 *
 * const prices = Effect.gen(function* () {
 *   const feed = yield* ReconnectingWebSocket.connect("wss://example.com/feed", {
 *     idleTimeout: "1 minute",
 *     onOpen: (socket) => socket.send("subscribe prices")
 *   })
 *   yield* Stream.runForEach(feed.messages, (message) => Effect.log(message.byteLength))
 * })
 *
 * @since 0.1.0
 * @category constructors
 */
export const connect = <E2 = never, R2 = never>(
  url: string,
  options: ConnectOptions & Options<HandshakeError, E2, R2> = {}
): Effect.Effect<
  ReconnectingWebSocket<HandshakeError | E2>,
  never,
  Exclude<R2, Scope.Scope> | Scope.Scope | WebSocketClient
> => make<HandshakeError, Scope.Scope | WebSocketClient, E2, R2>(WebSockets.connect(url, options), options)

/**
 * Says whether another attempt may end better than the one that ended with this error.
 *
 * **Details**
 *
 * All that time may heal is transient: a connection that was lost or timed out, one that the peer closed, an attempt that
 * found nobody. These are not, since they would be the same again:
 *
 * - the peer has closed with 1000, since it is done, or with 3000 or 3003, Unauthorized and Forbidden in IANA's registry;
 * - `MessageTooBig`: the limit is our own;
 * - the server declined, but for 408, 425, 429 and 5xx other than 501 and 505, or redirected to where we don't follow;
 * - its answer, our URL or our options are wrong.
 *
 * What we have ended ourselves is transient, by `destroy` or by the `close` of a single connection: whoever is done closes the
 * `ReconnectingWebSocket`. So is any error that isn't of this library.
 *
 * @since 0.1.0
 * @category predicates
 */
export const isTransient = (error: unknown): boolean => ReconnectPolicy.isTransient(error)

/**
 * When to try again by default: after 250 milliseconds, twice as long after each attempt that failed up to 30 seconds, and
 * for ever. Of each delay a random part, up to half of it, is left out, so that those who have lost the same server don't come
 * back all at once.
 *
 * @since 0.1.0
 * @category constants
 */
export const defaultSchedule: Schedule.Schedule<unknown> = Schedule.exponential("250 millis").pipe(
  Schedule.union(Schedule.spaced("30 seconds")),
  Schedule.jitteredWith({ min: 0.5, max: 1 })
)
