/**
 * The port below a connection: what any byte stream must do for a WebSocket.
 *
 * It is plain TypeScript on purpose, bytes pushed in and written out synchronously: an Effect for each chunk would be
 * paid by everyone. `NodeTransport` implements it over sockets, `MemoryTransport` in memory for tests.
 *
 * The law of every implementation: `closed` comes exactly once and last, and no callback runs inside the call that
 * caused it.
 *
 * @since 0.1.0
 */
import type { Address } from "@effect/platform/SocketServer"
import type { TransportError } from "./TransportError.ts"

/**
 * Carries bytes both ways between this end and the peer.
 *
 * @since 0.1.0
 * @category models
 */
export interface Transport {
  /** Says who is at the other end, as far as the transport knows. */
  readonly info: TransportInfo
  /**
   * Counts the bytes that `write` was given and the system below has not taken yet.
   */
  readonly writable: number
  /**
   * Begins to deliver to `sink`, or hands delivery over to it when another sink had it.
   *
   * **Details**
   *
   * Before the first call nothing is read. What happened before, an end or a failure, is told to the new sink, once and
   * in a later turn.
   */
  readonly start: (sink: TransportSink) => void
  /**
   * Writes the chunks in one go and returns `false` when more is waiting than the transport likes to hold: then
   * `drained` follows.
   *
   * **Gotchas**
   *
   * The bytes must not change until they are taken. After the end they are dropped silently: `closed` tells why.
   */
  readonly write: (chunks: ReadonlyArray<Uint8Array>) => boolean
  /** Stops reading. Chunks that are on their way already may still come. */
  readonly pause: () => void
  /** Reads again after `pause`. */
  readonly resume: () => void
  /** Ends the writing half after what was written, a FIN on TCP. Reading goes on. */
  readonly end: () => void
  /** Ends both halves at once and drops what was not taken. `closed` follows. */
  readonly destroy: () => void
}

/**
 * Receives what a transport has to tell.
 *
 * @since 0.1.0
 * @category models
 */
export interface TransportSink {
  /**
   * Whether the sink keeps nothing of a chunk that it was only lent. By default it isn't lent any: a transport that reads into
   * memory which it uses again copies what it gives then.
   */
  readonly borrows?: boolean | undefined
  /**
   * Takes bytes from the peer. The chunk may be altered in place, and belongs to the sink from here on; or, when `isLent` says
   * so, which happens only to a sink that borrows, for the time of the call.
   */
  readonly chunk: (bytes: Uint8Array, isLent?: boolean) => void
  /** Tells that the peer has ended its writing half. Writing goes on. */
  readonly end: () => void
  /** Tells that room is back after a `write` that returned `false`. */
  readonly drained: () => void
  /** Tells that both halves are over, exactly once and last; with the error, if one was the cause. */
  readonly closed: (error: TransportError | undefined) => void
}

/**
 * Says who is at the two ends of a transport.
 *
 * @since 0.1.0
 * @category models
 */
export interface TransportInfo {
  /** The address of this end. */
  readonly localAddress: Address | undefined
  /** The address of the peer. */
  readonly remoteAddress: Address | undefined
  /** The facts of TLS, or `undefined` when the bytes travel in the clear. */
  readonly tls: TlsInfo | undefined
}

/**
 * Says what the ends agreed on for TLS.
 *
 * @since 0.1.0
 * @category models
 */
export interface TlsInfo {
  /** The version of the protocol, for instance `"TLSv1.3"`. */
  readonly protocol: string | undefined
  /** The name of the cipher. */
  readonly cipher: string | undefined
  /** The host name that the client asked for (SNI). */
  readonly serverName: string | undefined
  /** The application protocol that was agreed on (ALPN). */
  readonly alpnProtocol: string | undefined
  /** Whether the certificate of the peer was checked and found good. */
  readonly authorized: boolean
}

/**
 * The facts of a transport that knows none.
 *
 * @since 0.1.0
 * @category constructors
 */
export const emptyInfo: TransportInfo = { localAddress: undefined, remoteAddress: undefined, tls: undefined }
