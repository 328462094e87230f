/** The servers that the scenarios of a WebSocket class ask: `ws`, and ours. */
import type { AcceptOptions } from "@effect-ws/api/AcceptOptions"
import type { UpgradeExchange } from "@effect-ws/api/UpgradeExchange"
import * as WebSocket from "@effect-ws/api/WebSocket"
import type { WebSocketError } from "@effect-ws/api/WebSocketError"
import * as CloseReason from "@effect-ws/core/CloseReason"
import * as NodeWebSocketServer from "@effect-ws/platform-node/NodeWebSocketServer"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as Http from "node:http"
import * as Ws from "ws"
import { httpPort, httpServer, serve } from "./serving.ts"

/** What they do is in the path of the URL. */
export const backends: Readonly<Record<string, Effect.Effect<string, never, Scope.Scope>>> = {
  ws: Effect.gen(function* () {
    const http = yield* httpServer
    const behaviours = wsBehaviours(http)
    yield* Effect.addFinalizer(() => Effect.sync(behaviours))
    return `ws://127.0.0.1:${httpPort(http)}`
  }),
  "our server": Effect.gen(function* () {
    const http = yield* httpServer
    let counted = 0
    let ended: Effect.Effect<WebSocketError> = Effect.never
    const accept = (exchange: UpgradeExchange, options?: AcceptOptions) => WebSocket.accept(exchange, options)
    yield* serve(NodeWebSocketServer.layerAttached(http), (exchange) => {
      const { path, subprotocols } = exchange.request
      if (path === "/declined") return WebSocket.reject()
      if (path === "/never") return Effect.never
      if (path === "/first") {
        return Effect.flatMap(accept(exchange, { subprotocols }), (socket) => socket.closed)
      }
      return Effect.flatMap(accept(exchange), (socket) => {
        if (path === "/lost") return Effect.zipRight(socket.send("last"), Effect.zipRight(turn, socket.destroy))
        if (path === "/three") return Effect.forEach(["one", "two", "three"], (text) => socket.send(text))
        if (path === "/counted") return Effect.zipRight(socket.send(`${counted}`), socket.closed)
        if (path === "/count") {
          return WebSocket.run(socket, ({ byteLength }) => void (counted += byteLength))
        }
        if (path.startsWith("/last/")) {
          const code = Number(path.slice("/last/".length))
          return Effect.zipRight(socket.send("last"), socket.close(code ? { code, reason: "why" } : CloseReason.none))
        }
        if (path === "/seen")
          return Effect.flatMap(ended, (end) => Effect.zipRight(socket.send(seen(end)), socket.closed))
        ended = socket.closed
        return WebSocket.run(socket, (message) => socket.send(message))
      })
    })
    return `ws://127.0.0.1:${httpPort(http)}`
  })
}

const seen = (end: WebSocketError): string =>
  end._tag === "ConnectionClosed" ? `${end.code} ${end.received?.reason ?? ""}` : end.message

// What was sent must leave before the connection is destroyed.
const turn = Effect.async<void>((resume) => {
  setImmediate(() => resume(Effect.void))
})

const wsBehaviours = (http: Http.Server): (() => void) => {
  const server = new Ws.WebSocketServer({
    noServer: true,
    handleProtocols: (protocols, { url }) => (url === "/first" ? [...protocols][0]! : false)
  })
  let counted = 0
  let ended: Promise<string> = Promise.resolve("")
  http.on("upgrade", (request, socket, head) => {
    socket.on("error", () => {})
    const { url = "" } = request
    if (url === "/never") return
    if (url === "/declined") return socket.end("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
    server.handleUpgrade(request, socket, head, (peer) => {
      if (url === "/lost") peer.send("last", () => socket.destroy())
      if (url === "/seen") void ended.then((end) => peer.send(end))
      else ended = new Promise((resolve) => peer.on("close", (code, reason) => resolve(`${code} ${reason.toString()}`)))
      if (url === "/echo") peer.on("message", (data, binary) => peer.send(data as Buffer, { binary }))
      if (url === "/count") peer.on("message", (data: Buffer) => void (counted += data.length))
      if (url === "/counted") peer.send(`${counted}`)
      if (url === "/three") for (const text of ["one", "two", "three"]) peer.send(text)
      if (url === "/three") peer.close(1000)
      if (!url.startsWith("/last/")) return
      const code = Number(url.slice("/last/".length))
      peer.send("last")
      if (code) peer.close(code, "why")
      else peer.close()
    })
  })
  return () => server.clients.forEach((peer) => peer.terminate())
}
