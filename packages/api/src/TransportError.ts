/**
 * What went wrong with the bytes below a WebSocket: the failure of a `Transport`, or of making one.
 *
 * It says nothing about the WebSocket Protocol: what the peer said wrongly is a `ProtocolError` or a `HandshakeError`.
 *
 * @since 0.1.0
 */
import type { Address } from "@effect/platform/SocketServer"
import * as Data from "effect/Data"

/**
 * Says what the transport was doing when it failed: looking up the host, getting through a proxy, connecting,
 * agreeing on TLS, reading or writing.
 *
 * @since 0.1.0
 * @category models
 */
export type TransportOperation = "resolve" | "proxy" | "connect" | "tls" | "read" | "write"

/**
 * Says that the byte stream failed, in which operation, and towards which address.
 *
 * @since 0.1.0
 * @category errors
 */
export class TransportError extends Data.TaggedError("TransportError")<{
  /** What the transport was doing. */
  readonly operation: TransportOperation
  /**
   * The address of the other end, where it is known: `host:port`, or the path of a unix socket. For `proxy` it is the
   * proxy's.
   */
  readonly address: string | undefined
  /** The error of the platform, for instance one with `code: "ECONNREFUSED"`. */
  readonly cause: unknown
}> {
  /** One line: the operation, the address and what the platform said. */
  override get message(): string {
    const where = this.address === undefined ? "" : ` ${this.address}`
    return `The transport failed to ${verbs[this.operation]}${where}: ${describe(this.cause)}`
  }
}

/**
 * Writes an address the way a person would: `host:port`, `[::1]:port`, or the path of a unix socket.
 *
 * @since 0.1.0
 * @category conversions
 */
export const formatAddress = (address: Address): string => {
  if (address._tag === "UnixAddress") return address.path
  return address.hostname.includes(":")
    ? `[${address.hostname}]:${address.port}`
    : `${address.hostname}:${address.port}`
}

const describe = (cause: unknown): string => {
  if (!(cause instanceof Error)) return String(cause)
  // When every address of a host failed, the error of all of them says nothing itself.
  return cause instanceof AggregateError && cause.message === "" ? cause.errors.map(describe).join(", ") : cause.message
}

const verbs: Record<TransportOperation, string> = {
  resolve: "resolve",
  proxy: "get through the proxy",
  connect: "connect to",
  tls: "agree on TLS with",
  read: "read from",
  write: "write to"
}
