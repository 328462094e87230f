/**
 * How a server accepts on a transport that somebody else has made, and may have read from.
 *
 * @since 0.1.0
 */
import type { RequestHead } from "@effect-ws/core/HttpHead"
import type { AcceptOptions } from "./AcceptOptions.ts"

/**
 * How a server accepts on a transport.
 *
 * @since 0.1.0
 * @category models
 */
export type AcceptTransportOptions<R = never> = AcceptOptions<R> &
  Read & {
    /** Whether a transport stays open after a refusal where HTTP allows another attempt. True by default. */
    readonly keepAlive?: boolean | undefined
  }

/**
 * What was read of a transport before it was given to `acceptTransport`: some bytes, or a whole request and some bytes.
 *
 * @since 0.1.0
 * @category models
 */
export type Read =
  | {
      /** The bytes that were read: the beginning of the request, or all of it and frames behind it. None by default. */
      readonly bytes?: Uint8Array | undefined
      readonly request?: undefined
      readonly leftover?: undefined
    }
  | {
      /** The request, as it was read: nothing of it was checked. */
      readonly request: RequestHead
      /** The bytes that came behind the request: the first frames. None by default. */
      readonly leftover?: Uint8Array | undefined
      readonly bytes?: undefined
    }
