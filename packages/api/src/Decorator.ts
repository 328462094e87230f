/**
 * Decorators: a last look at every head before it is sent, to add or replace fields.
 *
 * A decorator may touch every field but those of the upgrade: `Upgrade`, `Connection`, `Host` in a request, all that begin
 * with `Sec-WebSocket-`, and those that announce a body. One that does makes the opening handshake fail with a
 * `ReservedField`, and one that leaves what can't be written with an `InvalidFieldName` or an `InvalidFieldValue`, before
 * a byte is sent.
 *
 * @since 0.1.0
 */
import type { Headers } from "@effect-ws/core/Headers"
import type { RequestHead } from "@effect-ws/core/HttpHead"
import type { UpgradeRequest } from "@effect-ws/core/UpgradeRequest"

/**
 * A response of a server that is about to be sent: the 101, or the answer to a request that isn't accepted.
 *
 * @since 0.1.0
 * @category models
 */
export interface OutgoingResponse {
  /** The status: 101 opens the connection, every other one doesn't. */
  readonly status: number
  /** The fields; of a 101 with those of the upgrade, of a refusal without those that are about the connection and the length. */
  readonly headers: Headers
  /** The body; of a 101 empty. */
  readonly body: Uint8Array
}

/**
 * The request that is answered: what came of it.
 *
 * @since 0.1.0
 * @category models
 */
export type IncomingRequest = Omit<RequestHead, "_tag">

/**
 * Changes what a server answers.
 *
 * **Details**
 *
 * It sees every answer, the 101 and the refusals; `request` is `undefined` where none could be read. A 101 whose status it
 * changes becomes a refusal, with its fields and its body but for those of the upgrade; a refusal can't become a 101. The
 * `Server` field is added afterwards unless there is one. When it throws, the answer is a 500.
 *
 * @since 0.1.0
 * @category models
 */
export type ResponseDecorator = (response: OutgoingResponse, request: IncomingRequest | undefined) => OutgoingResponse

/**
 * Changes what a client asks with: returns the fields to send in place of those of the request.
 *
 * @example
 * import type { RequestDecorator } from "@effect-ws/api/Decorator"
 * import * as Headers from "@effect-ws/core/Headers"
 *
 * const withAgent: RequestDecorator = ({ fields }) => Headers.set(fields, "User-Agent", "my-program")
 *
 * @since 0.1.0
 * @category models
 */
export type RequestDecorator = (request: UpgradeRequest) => Headers
