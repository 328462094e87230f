/**
 * What the handler of a server is given: a request for a WebSocket that passed every check, and the choice to accept it.
 *
 * @since 0.1.0
 */
import type { UpgradeRequest } from "@effect-ws/core/UpgradeRequest"
import type { TransportInfo } from "./Transport.ts"
import type { Client } from "./TrustedProxies.ts"

/**
 * One opening handshake as a server sees it, after the request came and before it is answered.
 *
 * **Details**
 *
 * `WebSocket.accept` turns it into a connection, once. A handler that fails with `WebSocket.reject` refuses it, one that
 * ends without either has made a mistake and the peer gets a 500.
 *
 * @since 0.1.0
 * @category models
 */
export interface UpgradeExchange {
  /** The request: path, query, fields, the subprotocols that the client offers. */
  readonly request: UpgradeRequest
  /** Who asks: the addresses, and what TLS knows of the peer. */
  readonly info: TransportInfo
  /**
   * Who asks, as the proxies tell that the server trusts: the address, the host that was asked for, whether over TLS.
   * Without such proxies the same as `info` and `request` say.
   */
  readonly client: Client
}
