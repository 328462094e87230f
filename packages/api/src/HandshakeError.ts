/**
 * The opening handshake did not lead to a connection.
 *
 * @since 0.1.0
 */
import type { HandshakeFault } from "@effect-ws/core/HandshakeFault"
import type { Headers } from "@effect-ws/core/Headers"
import type { Role } from "@effect-ws/core/Role"
import type { Refusal } from "@effect-ws/core/Refusal"
import * as HttpServerRespondable from "@effect/platform/HttpServerRespondable"
import type { HttpServerResponse } from "@effect/platform/HttpServerResponse"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import { toHttpResponse } from "./internal/http/httpAnswer.ts"
import type { TransportError } from "./TransportError.ts"

/**
 * Why there is no connection: a check of the opening handshake that failed (RFC 6455 4.1, 4.2), or what is listed here.
 *
 * @since 0.1.0
 * @category models
 */
export type HandshakeReason =
  | HandshakeFault
  | Reject
  | Declined
  | RedirectRefused
  | InvalidUrl
  | Timeout
  | TransportFailed
  | PeerGone
  | NotReusable
  | Overloaded
  | ShuttingDown

/**
 * The handler of a server decided against the connection.
 *
 * @since 0.1.0
 * @category models
 */
export interface Reject {
  /** The discriminator. */
  readonly _tag: "Reject"
  /** The status of the answer. */
  readonly status: number
}

/**
 * The server answered with another status than 101.
 *
 * @since 0.1.0
 * @category models
 */
export interface Declined {
  /** The discriminator. */
  readonly _tag: "Declined"
  /** The status of the answer. */
  readonly status: number
  /** The fields of the answer. */
  readonly headers: Headers
  /** The body of the answer as far as it was read, at most `maxBodySize` bytes. */
  readonly body: Uint8Array
  /** Whether that is all of it: it was within the limit, well-formed, and came before the deadline. */
  readonly isComplete: boolean
}

/**
 * The server sent us elsewhere, and `maxRedirects` allows to follow, but not there.
 *
 * @since 0.1.0
 * @category models
 */
export interface RedirectRefused {
  /** The discriminator. */
  readonly _tag: "RedirectRefused"
  /** The status of the answer. */
  readonly status: number
  /**
   * What is wrong: more redirects than `maxRedirects`, back to where we were, from `wss:` to `ws:`, or to what is no URL of a
   * WebSocket. The URL itself isn't here, since it may hold a secret.
   */
  readonly problem: "TooMany" | "Loop" | "Downgrade" | "InvalidLocation"
}

/**
 * The URL that was given to `connect` is none for WebSocket (RFC 6455 3).
 *
 * @since 0.1.0
 * @category models
 */
export interface InvalidUrl {
  /** The discriminator. */
  readonly _tag: "InvalidUrl"
  /** What is wrong with it. Never the URL itself, which may hold a password. */
  readonly detail: string
}

/**
 * The opening handshake took too long.
 *
 * @since 0.1.0
 * @category models
 */
export interface Timeout {
  /** The discriminator. */
  readonly _tag: "Timeout"
  /** What was waited for: the transport, the head of the peer, or the handler's decision. */
  readonly phase: "connect" | "head" | "accept"
  /** How long. */
  readonly duration: Duration.Duration
}

/**
 * The byte stream failed before the opening handshake was done.
 *
 * @since 0.1.0
 * @category models
 */
export interface TransportFailed {
  /** The discriminator. */
  readonly _tag: "Transport"
  /** What the transport says. */
  readonly error: TransportError
}

/**
 * The peer ended the transport before the opening handshake was done.
 *
 * @since 0.1.0
 * @category models
 */
export interface PeerGone {
  /** The discriminator. */
  readonly _tag: "PeerGone"
}

/**
 * The transport that was given can't carry an opening handshake: it is in use, or was, and the last attempt on it didn't
 * leave it in a state to go on from.
 *
 * @since 0.1.0
 * @category models
 */
export interface NotReusable {
  /** The discriminator. */
  readonly _tag: "NotReusable"
}

/**
 * The server has as many connections as it takes.
 *
 * @since 0.1.0
 * @category models
 */
export interface Overloaded {
  /** The discriminator. */
  readonly _tag: "Overloaded"
  /** The option that holds the limit. */
  readonly option: "maxHandshakes" | "maxConnections" | "maxConnectionsPerAddress"
  /** The limit. */
  readonly limit: number
}

/**
 * The server goes down and takes no connections any more.
 *
 * @since 0.1.0
 * @category models
 */
export interface ShuttingDown {
  /** The discriminator. */
  readonly _tag: "ShuttingDown"
}

/**
 * Says why there is no connection. `accept`, `handshake` and `connect` fail with nothing else.
 *
 * @since 0.1.0
 * @category errors
 */
export class HandshakeError extends Data.TaggedError("HandshakeError")<{
  /** Our role. */
  readonly role: Role
  /** Why: inspect `reason._tag`. */
  readonly reason: HandshakeReason
  /**
   * What a server is to answer, `undefined` for a client or when nobody is left to answer. Whoever owns the exchange
   * writes it: `WebSocketServer.run` and `acceptTransport` do.
   */
  readonly answer: Refusal | undefined
  /**
   * Whether `handshake` or `acceptTransport` may be called again on the same transport, in the same scope: HTTP keeps it
   * alive, and the answer to this attempt was read or written to its end.
   */
  readonly reusable: boolean
}> {
  /**
   * What an HTTP server of `@effect/platform` makes of it when a route lets it through: `answer` as it is, a 500 where there is
   * none, as for the error of a client.
   */
  [HttpServerRespondable.symbol](): HttpServerResponse {
    return toHttpResponse(this)
  }

  /** What happened; with the section of the RFC when a check failed. */
  override get message(): string {
    return `The opening handshake failed: ${describe(this.reason)}`
  }
}

const describe = (reason: HandshakeReason): string => {
  switch (reason._tag) {
    case "Reject":
      return `the handler rejected it with status ${reason.status}`
    case "Declined":
      return `the server declined with status ${reason.status} (RFC 6455 4.1)`
    case "RedirectRefused":
      return `the server redirected with status ${reason.status} ${redirectProblems[reason.problem]} (RFC 9110 15.4)`
    case "InvalidUrl":
      return `${reason.detail} (RFC 6455 3)`
    case "Timeout":
      return `the ${waitedFor[reason.phase]} took longer than ${Duration.format(reason.duration)}`
    case "Transport":
      return reason.error.message
    case "PeerGone":
      return "the peer ended the transport"
    case "NotReusable":
      return "the transport is in use, or can't be used for another attempt (RFC 9112 9.3)"
    case "Overloaded":
      return `the server has as many as it takes (option ${reason.option}, ${reason.limit})`
    case "ShuttingDown":
      return "the server goes down"
    default:
      return reason.message
  }
}

const redirectProblems = {
  TooMany: "once more than maxRedirects allows",
  Loop: "to where it was asked before",
  Downgrade: "from wss: to ws:",
  InvalidLocation: "to what is no URL of a WebSocket"
}

const waitedFor = { connect: "transport", head: "peer's head", accept: "handler's decision" }
