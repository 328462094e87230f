/**
 * The port below a server: where connections come from.
 *
 * A listener hands out transports whose opening handshake is still to be done. It may have read the head of the request
 * already, as a `node:http` server has.
 *
 * @since 0.1.0
 */
import type { RequestHead } from "@effect-ws/core/HttpHead"
import type { Address } from "@effect/platform/SocketServer"
import type * as Effect from "effect/Effect"
import type { Transport } from "./Transport.ts"

/**
 * Brings connections to a server.
 *
 * @since 0.1.0
 * @category models
 */
export interface Listener {
  /** Where the listener listens; with the port that the system chose when 0 was asked for. */
  readonly address: Address
  /**
   * Begins to hand out connections. Those that came before wait until this is called.
   */
  readonly start: (onIncoming: (incoming: Incoming) => void) => void
  /**
   * Stops taking connections, now and for good; those handed out live on. Never waits for a peer.
   */
  readonly stop: Effect.Effect<void>
}

/**
 * A connection that wants its opening handshake.
 *
 * @since 0.1.0
 * @category models
 */
export interface Incoming {
  /** The byte stream, not started yet. */
  readonly transport: Transport
  /** The head of the request, when something else has read it already. */
  readonly request: RequestHead | undefined
  /** The bytes that were read behind the head: the first frames. */
  readonly leftover: Uint8Array | undefined
}
