/**
 * The options of a socket server: ours, and some of `ws` under the names that a program has given them there.
 */
import type { HandshakeError } from "@effect-ws/api/HandshakeError"
import type * as PermessageDeflate from "@effect-ws/api/PermessageDeflate"
import type * as PlatformSocket from "@effect-ws/api/PlatformSocket"
import type { UpgradeExchange } from "@effect-ws/api/UpgradeExchange"
import type { Options as ServerOptions } from "@effect-ws/api/WebSocketServer"
import type * as Effect from "effect/Effect"
import type * as Http from "node:http"
import type * as Https from "node:https"
import type { NodeListenerOptions } from "./nodeListener.ts"

/** Says where a socket server listens, whom it accepts, and how its connections are bounded. */
export interface SocketServerOptions
  extends NodeListenerOptions, Omit<ServerOptions, "server">, Omit<PlatformSocket.Options, "openTimeout"> {
  /**
   * The path of the requests that are served, as in `ws`; all others get a 404. Any by default. The query isn't looked at.
   * For a unix socket see `unixPath`.
   */
  readonly path?: string | undefined
  /**
   * The HTTP server to attach to, in place of a listener of its own, as in `ws`: building waits until it listens, and its
   * address, its TLS and its life remain its owner's. Or what `accept` takes: a `Server` field, `effect-ws` by default.
   */
  readonly server?: Http.Server | Https.Server | string | false | undefined
  /** The name of `maxMessageSize` in `ws`, which goes before it. */
  readonly maxPayload?: number | undefined
  /** The name of `permessageDeflate` in `ws`, which goes before it. */
  readonly perMessageDeflate?: boolean | WsDeflateOptions | undefined
  /** Decides about a request before it is accepted, and may fail with `WebSocket.reject`. By default all are accepted. */
  readonly onUpgrade?: ((exchange: UpgradeExchange) => Effect.Effect<unknown, HandshakeError>) | undefined
}

/** How `ws` is told to compress. Who says nothing about a context gets none, as elsewhere with us. */
export interface WsDeflateOptions {
  /** From which size on a message is compressed, in bytes. 256 by default (1024 in `ws`). */
  readonly threshold?: number | undefined
  /** `false` lets the server remember what it has sent, which costs memory for each connection. */
  readonly serverNoContextTakeover?: boolean | undefined
  /** `false` lets the client remember what it has sent. */
  readonly clientNoContextTakeover?: boolean | undefined
  /** The bits of the largest window with which the server compresses, from 8 to 15. 15 by default. */
  readonly serverMaxWindowBits?: number | undefined
  /** The bits of the largest window with which the client compresses, from 8 to 15. 15 by default. */
  readonly clientMaxWindowBits?: number | undefined
}

/** The same options under our names, as a server takes them. */
export const toServerOptions = (options: SocketServerOptions): ServerOptions => ({
  ...options,
  server: typeof options.server === "object" ? undefined : options.server,
  maxMessageSize: options.maxPayload ?? options.maxMessageSize,
  permessageDeflate: toDeflate(options.perMessageDeflate) ?? options.permessageDeflate
})

const toDeflate = (setting: boolean | WsDeflateOptions | undefined): PermessageDeflate.Setting | undefined => {
  if (setting === undefined || typeof setting === "boolean") return setting
  const { clientMaxWindowBits, clientNoContextTakeover, serverMaxWindowBits, serverNoContextTakeover, threshold } =
    setting
  return {
    threshold,
    serverMaxWindowBits,
    clientMaxWindowBits,
    serverContextTakeover: serverNoContextTakeover === false,
    clientContextTakeover: clientNoContextTakeover === false
  }
}
