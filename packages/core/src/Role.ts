/**
 * The two roles of RFC 6455: the client begins the opening handshake and masks its frames, the server answers.
 *
 * @since 0.1.0
 */

/**
 * What this endpoint is; the peer is the other one.
 *
 * @since 0.1.0
 * @category models
 */
export type Role = "client" | "server"

/**
 * Returns the role of the peer.
 *
 * @since 0.1.0
 * @category conversions
 */
export const peerOf = (role: Role): Role => (role === "client" ? "server" : "client")
