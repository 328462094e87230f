/**
 * How a client connects and asks: which subprotocols it offers, what the request carries.
 *
 * @since 0.1.0
 */
import type * as ConnectionOptions from "./ConnectionOptions.ts"
import type { RequestDecorator } from "./Decorator.ts"
import type * as Fields from "./Fields.ts"

/**
 * How a client asks.
 *
 * @since 0.1.0
 * @category models
 */
export interface HandshakeOptions extends ConnectionOptions.Input {
  /** The subprotocols to offer, the preferred one first. */
  readonly subprotocols?: ReadonlyArray<string> | undefined
  /** Fields for the request, besides those of the upgrade. */
  readonly headers?: Fields.Fields | undefined
  /** The value of the `Origin` field; none by default, as for all who are not a browser. */
  readonly origin?: string | undefined
  /** Changes the fields of the request, just before it is sent. See `Decorator`. */
  readonly decorate?: RequestDecorator | undefined
}

/**
 * How a client connects and asks.
 *
 * @since 0.1.0
 * @category models
 */
export interface ConnectOptions extends HandshakeOptions {
  /** The path of a unix socket to connect to, in place of the host and the port of the URL. */
  readonly unixPath?: string | undefined
  /**
   * How many redirects are followed, one after the other within the one deadline. None by default: what a program connects
   * to is its own decision. To another origin no credentials are taken along: neither `Authorization`, `Cookie` and
   * `Proxy-Authorization`, nor those of the URL, nor the certificate of the client. Never from `wss:` to `ws:`.
   */
  readonly maxRedirects?: number | undefined
}
