/**
 * Whether traces go on across opening handshakes.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"

/**
 * Whether a client says in its request to which span it belongs, in the fields `traceparent` and `b3`, and a server takes what its
 * requests say there as the parent of its own span. It is so by default.
 *
 * **When to use**
 *
 * Provide `false` to `connect` for servers that need not know, and to `WebSocketServer.run` where clients are not to be believed:
 * who can choose the trace can also choose that it is recorded.
 *
 * @example
 * import * as TracePropagation from "@effect-ws/api/TracePropagation"
 * import * as WebSocket from "@effect-ws/api/WebSocket"
 * import * as Effect from "effect/Effect"
 *
 * const socket = WebSocket.connect("wss://elsewhere.example.com").pipe(
 *   Effect.provideService(TracePropagation.TracePropagation, false)
 * )
 *
 * @see https://www.w3.org/TR/trace-context/
 * @since 0.1.0
 * @category references
 */
export class TracePropagation extends Context.Reference<TracePropagation>()("@effect-ws/api/TracePropagation", {
  defaultValue: (): boolean => true
}) {}
