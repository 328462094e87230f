/**
 * A message was not sent, and the connection lives on.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"

/**
 * Why a message was not sent: `Closing` means that this endpoint has sent its Close frame, after which nothing may follow
 * (RFC 6455 5.5.1); `QueueFull` that more is waiting than may wait: for a control frame, or for a message
 * where the option `whenFull` is `"fail"`.
 *
 * @since 0.1.0
 * @category models
 */
export type SendRejectedReason =
  | { readonly _tag: "Closing" }
  | { readonly _tag: "QueueFull"; readonly bytes: number; readonly limit: number }

/**
 * Says that a message, a Ping or a Pong was not sent. Nothing of it was, and the connection lives on.
 *
 * @since 0.1.0
 * @category errors
 */
export class SendRejected extends Data.TaggedError("SendRejected")<{
  /** Why: inspect `reason._tag`. */
  readonly reason: SendRejectedReason
}> {
  /** Why the message was not sent. */
  override get message(): string {
    return this.reason._tag === "Closing"
      ? "Nothing can be sent after the Close frame (RFC 6455 5.5.1)"
      : `${this.reason.bytes} bytes wait to be sent already, and the limit is ${this.reason.limit}`
  }
}
