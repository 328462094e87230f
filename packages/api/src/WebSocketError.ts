/**
 * Everything that can end a connection after its opening handshake, as one union.
 *
 * @since 0.1.0
 */
import { ConnectionClosed } from "./ConnectionClosed.ts"
import { ConnectionTimeout } from "./ConnectionTimeout.ts"
import { MessageTooBig } from "./MessageTooBig.ts"
import { ProtocolError } from "./ProtocolError.ts"
import { TransportError } from "./TransportError.ts"

/**
 * The one error that ended a connection: from then on every operation fails with it.
 *
 * @since 0.1.0
 * @category errors
 */
export type WebSocketError = ConnectionClosed | ConnectionTimeout | MessageTooBig | ProtocolError | TransportError

/**
 * Returns whether a value is one of the errors that end a connection.
 *
 * @since 0.1.0
 * @category predicates
 */
export const isWebSocketError = (value: unknown): value is WebSocketError =>
  classes.some((type) => value instanceof type)

const classes = [ConnectionClosed, ConnectionTimeout, MessageTooBig, ProtocolError, TransportError]
