/**
 * The close codes of RFC 6455 7.4 and of the registry that it founded.
 *
 * @see https://www.rfc-editor.org/rfc/rfc6455#section-7.4
 * @see https://www.iana.org/assignments/websocket/websocket.xhtml#close-code-number
 * @since 0.1.0
 */

/**
 * 1000: the purpose of the connection is fulfilled.
 *
 * @since 0.1.0
 * @category codes
 */
export const NormalClosure = 1000

/**
 * 1001: the server goes down, or the browser leaves the page.
 *
 * @since 0.1.0
 * @category codes
 */
export const GoingAway = 1001

/**
 * 1002: the peer broke the protocol.
 *
 * @since 0.1.0
 * @category codes
 */
export const ProtocolError = 1002

/**
 * 1003: a type of message came that this endpoint can't accept.
 *
 * @since 0.1.0
 * @category codes
 */
export const UnsupportedData = 1003

/**
 * 1005: the Close frame held no code. Never on the wire.
 *
 * @since 0.1.0
 * @category codes
 */
export const NoStatusReceived = 1005

/**
 * 1006: the connection ended without a Close frame. Never on the wire.
 *
 * @since 0.1.0
 * @category codes
 */
export const AbnormalClosure = 1006

/**
 * 1007: a text message was not UTF-8.
 *
 * @since 0.1.0
 * @category codes
 */
export const InvalidPayload = 1007

/**
 * 1008: a message broke a policy of this endpoint.
 *
 * @since 0.1.0
 * @category codes
 */
export const PolicyViolation = 1008

/**
 * 1009: a message was larger than this endpoint takes.
 *
 * @since 0.1.0
 * @category codes
 */
export const MessageTooBig = 1009

/**
 * 1010: the server did not agree on an extension that the client needs.
 *
 * @since 0.1.0
 * @category codes
 */
export const MandatoryExtension = 1010

/**
 * 1011: the server met something that it did not expect.
 *
 * @since 0.1.0
 * @category codes
 */
export const InternalError = 1011

/**
 * 1012: the server restarts.
 *
 * @since 0.1.0
 * @category codes
 */
export const ServiceRestart = 1012

/**
 * 1013: the server is overloaded, try again later.
 *
 * @since 0.1.0
 * @category codes
 */
export const TryAgainLater = 1013

/**
 * 1014: a gateway got an invalid answer from the server behind it.
 *
 * @since 0.1.0
 * @category codes
 */
export const BadGateway = 1014

/**
 * 1015: the TLS handshake failed. Never on the wire.
 *
 * @since 0.1.0
 * @category codes
 */
export const TlsHandshake = 1015

/**
 * Returns whether a Close frame may carry the code: 1000 to 1014 without 1004, 1005 and 1006, which are reserved, and
 * 3000 to 4999, which belong to libraries and applications (RFC 6455 7.4.2). The same holds for both directions.
 *
 * @since 0.1.0
 * @category predicates
 */
export const isAllowed = (code: number): boolean =>
  Number.isInteger(code) &&
  ((code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999))
