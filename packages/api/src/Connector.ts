/**
 * The port below a client: how a transport to a host is made.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Transport } from "./Transport.ts"
import type { TransportError } from "./TransportError.ts"

/**
 * Makes a transport to an endpoint: resolves the name, connects, and agrees on TLS for a secure one.
 *
 * **Details**
 *
 * It can be interrupted at any moment. The transport that it returns isn't started, and is destroyed at the latest when
 * the scope closes: since the scope owns it from the first moment on, none is lost to an interruption.
 *
 * @since 0.1.0
 * @category models
 */
export type Connector = (endpoint: Endpoint) => Effect.Effect<Transport, TransportError, Scope.Scope>

/**
 * Says where to connect.
 *
 * @since 0.1.0
 * @category models
 */
export interface Endpoint {
  /** Whether the bytes travel over TLS: `wss:`. */
  readonly secure: boolean
  /** The name or the address of the host, without brackets; for TLS the name that the certificate must carry. */
  readonly hostname: string
  /** The port, the default of the scheme filled in: 80, or 443 for a secure endpoint. */
  readonly port: number
  /** The path of a unix socket to connect to in place of the host and the port. */
  readonly unixPath: string | undefined
  /**
   * Whether the client's certificate is to be kept back, since a redirect led to another origin than the program asked for.
   * Not by default.
   */
  readonly omitCredentials?: boolean | undefined
}
