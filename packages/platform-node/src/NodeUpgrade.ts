/**
 * A single upgrade of a `node:http` server by hand: for programs that listen to its `"upgrade"` event themselves, as other
 * frameworks do. `NodeWebSocketServer.layerAttached` does it for a whole server.
 *
 * @since 0.1.0
 */
import type { HandshakeError } from "@effect-ws/api/HandshakeError"
import type { AcceptOptions } from "@effect-ws/api/AcceptOptions"
import * as WebSocket from "@effect-ws/api/WebSocket"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as Http from "node:http"
import type { Duplex } from "node:stream"
import * as upgradeEvent from "./internal/upgradeEvent.ts"
import * as nodeEngine from "./internal/nodeEngine.ts"

/**
 * Says whether a request asks for an upgrade to WebSocket: HTTP/1.1, `GET`, and the tokens in `Connection` and `Upgrade`.
 *
 * @since 0.1.0
 * @category guards
 */
export const isUpgrade = (request: Http.IncomingMessage): boolean =>
  WebSocket.isUpgrade(upgradeEvent.toRequestHead(request))

/**
 * Accepts an upgrade with what the `"upgrade"` event gave, and returns the connection.
 *
 * **Details**
 *
 * The request is checked, and answered where it can't be accepted, as by `WebSocket.acceptTransport`; `head` is copied, and
 * its frames come first. A refusal ends the socket, since nobody is left who reads the next request on it. `maxHeadSize` and
 * `maxHeadFields` count once more for what Node has read; a head that reaches the server's `maxHeadersCount`, beyond which
 * Node drops fields, is refused.
 *
 * **Gotchas**
 *
 * Call it in the listener of the event, since it takes the socket at once; the effect may run later. The effect can be run
 * once. A socket of a server with a `timeout` of its own loses it. Don't call it while a response to an earlier request on
 * the same socket isn't finished: it would be written into the WebSocket.
 *
 * @example
 * import * as NodeUpgrade from "@effect-ws/platform-node/NodeUpgrade"
 * import type { AcceptOptions } from "@effect-ws/api/AcceptOptions"
import * as WebSocket from "@effect-ws/api/WebSocket"
 * import * as Effect from "effect/Effect"
 * import * as Http from "node:http"
 *
 * const server = Http.createServer()
 * server.on("upgrade", (request, socket, head) => {
 *   const echo = Effect.flatMap(NodeUpgrade.accept(request, socket, head), (connection) =>
 *     WebSocket.run(connection, (message) => connection.send(message))
 *   )
 *   Effect.runFork(Effect.scoped(echo))
 * })
 *
 * @since 0.1.0
 * @category server
 */
export const accept = <R = never>(
  request: Http.IncomingMessage,
  socket: Duplex,
  head: Uint8Array,
  options: AcceptOptions<R> = {}
): Effect.Effect<WebSocket.WebSocket, HandshakeError, R | Scope.Scope> => {
  const { leftover, request: read, transport } = upgradeEvent.toIncoming(request, socket, head)
  // Node leaves its server on each of its sockets.
  const { server } = socket as Duplex & { readonly server?: Http.Server }
  const maxHeadFields = upgradeEvent.maxHeadFields(server, options.maxHeadFields)
  const all = { ...options, maxHeadFields, request: read!, leftover, keepAlive: false } as const
  return WebSocket.acceptTransport(transport, all).pipe(nodeEngine.provide)
}
