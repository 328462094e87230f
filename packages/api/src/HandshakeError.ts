/**
 * The opening handshake did not lead to a connection.
 *
 * @since 0.1.0
 */
import type { HandshakeFault } from "@effect-ws/core/HandshakeFault"
import type { Headers } from "@effect-ws/core/Headers"
import type { Role } from "@effect-ws/core/Role"
import type { Refusal } from "@effect-ws/core/Refusal"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
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
  | InvalidUrl
  | Timeout
  | TransportFailed
  | PeerGone
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
}

/**
 * The server answered with another status than 101. The body of its answer isn't read.
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
  readonly fields: Headers
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
}> {
  /** What happened; with the section of the RFC when a check failed. */
  override get message(): string {
    return `The opening handshake failed: ${describe(this.reason)}`
  }
}

const describe = (reason: HandshakeReason): string => {
  switch (reason._tag) {
    case "Reject":
      return "the handler rejected it"
    case "Declined":
      return `the server declined with status ${reason.status} (RFC 6455 4.1)`
    case "InvalidUrl":
      return `${reason.detail} (RFC 6455 3)`
    case "Timeout":
      return `the ${waitedFor[reason.phase]} took longer than ${Duration.format(reason.duration)}`
    case "Transport":
      return reason.error.message
    case "PeerGone":
      return "the peer ended the transport"
    case "ShuttingDown":
      return "the server goes down"
    default:
      return reason.message
  }
}

const waitedFor = { connect: "transport", head: "peer's head", accept: "handler's decision" }
