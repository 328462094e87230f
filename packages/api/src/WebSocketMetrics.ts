/**
 * What the connections of this process amount to, as metrics of Effect: whatever reads those, `Metric.snapshot` or an exporter,
 * sees them.
 *
 * **Details**
 *
 * They are counted by the connections themselves, once for a chunk and not for a message, and always: there is nothing to turn
 * on. Each has the tag `role`, and some have more; the tags that a fiber has by `Effect.tagMetrics` are not among them. A metric
 * is in the snapshot from the first time on that something is counted.
 *
 * @since 0.1.0
 */
import type { Role } from "@effect-ws/core/Role"
import type * as Metric from "effect/Metric"
import type { HandshakeReason } from "./HandshakeError.ts"
import * as metrics from "./internal/observing/metrics.ts"

/**
 * Which way something went.
 *
 * @since 0.1.0
 * @category models
 */
export type Direction = "received" | "sent"

/**
 * What became of an opening handshake: `accepted`, or the tag of the reason against it (see `HandshakeError`); for a limit of a
 * server the name of its option, `Unanswered` for a handler that did not answer, `HandlerFailed` for one that failed otherwise.
 *
 * @since 0.1.0
 * @category models
 */
export type Outcome =
  | "accepted"
  | HandshakeReason["_tag"]
  | "maxHandshakes"
  | "maxConnections"
  | "maxConnectionsPerAddress"
  | "Unanswered"
  | "HandlerFailed"
  | "Interrupted"

/**
 * How many connections are open: `websocket_connections`, a gauge. From the end of the opening handshake to that of the transport.
 *
 * @since 0.1.0
 * @category metrics
 */
export const connections = (role: Role): Metric.Metric.Gauge<number> => metrics.meters[role].connections

/**
 * How many opening handshakes came to an outcome: `websocket_handshakes`, with the tag `outcome`.
 *
 * **Details**
 *
 * A server counts each request, also those that no handler got to see; a client each `connect` or `handshake`, redirects that it
 * followed included in the one.
 *
 * @since 0.1.0
 * @category metrics
 */
export const handshakes = (role: Role, outcome: Outcome): Metric.Metric.Counter<number> =>
  metrics.meters[role].handshakes(outcome)

/**
 * How many messages went each way: `websocket_messages`, with the tag `direction`. Those that were received and had to be
 * discarded after `close` are among them. A message counts when its last byte was taken, or queued.
 *
 * @since 0.1.0
 * @category metrics
 */
export const messages = (role: Role, direction: Direction): Metric.Metric.Counter<number> =>
  metrics.meters[role].messages[direction]

/**
 * How many bytes went each way after the opening handshake: `websocket_bytes`, with the tag `direction`. All that is on the wire
 * below TLS: headers, control frames, messages as they are compressed.
 *
 * @since 0.1.0
 * @category metrics
 */
export const bytes = (role: Role, direction: Direction): Metric.Metric.Counter<number> =>
  metrics.meters[role].bytes[direction]

/**
 * How many connections ended with which close code in a direction: `websocket_closes`, with the tags `direction` and `code`.
 *
 * **Details**
 *
 * Each connection that has ended counts once in each direction; 1005 is a Close frame without a code, 1006 no Close frame that
 * way (RFC 6455 7.1.5). Codes that a peer may choose freely, from 3000 on, are received as `3xxx` and `4xxx`: a peer must not
 * decide how many metrics there are.
 *
 * @since 0.1.0
 * @category metrics
 */
export const closes = (
  role: Role,
  direction: Direction,
  code: number | "3xxx" | "4xxx"
): Metric.Metric.Counter<number> => metrics.meters[role].closes(direction, code)

/**
 * How often reading was paused because more waited to be received than may: `websocket_pauses`. Many are a sign of handlers that
 * are slower than their peers.
 *
 * @since 0.1.0
 * @category metrics
 */
export const pauses = (role: Role): Metric.Metric.Counter<number> => metrics.meters[role].pauses
