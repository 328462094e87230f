/**
 * A message was larger than this endpoint takes.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"

/**
 * Says that a message was over the limit; 1009 was sent, and nothing of the message was kept (RFC 6455 7.4.1).
 *
 * @since 0.1.0
 * @category errors
 */
export class MessageTooBig extends Data.TaggedError("MessageTooBig")<{
  /**
   * The limit, in bytes of payload: the option `maxMessageSize`, or `maxStreamedSize` for a message that `receiveStream` takes.
   */
  readonly limit: number
  /** The size that had been announced when the message was refused, in bytes of payload. */
  readonly size: number
}> {
  /** The two sizes, and the option that sets the limit. */
  override get message(): string {
    return `A message of ${this.size} bytes is over the limit of ${this.limit} (maxMessageSize, RFC 6455 7.4.1)`
  }
}
