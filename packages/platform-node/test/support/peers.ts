/**
 * Peers that are not ours: `ws` in both roles and the client of undici, with what they tell as events in order.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as Http from "node:http"
import type { AddressInfo } from "node:net"
import * as Undici from "undici"
import * as Ws from "ws"
import { makeInbox } from "./inbox.ts"
import { event } from "./sockets.ts"

export type PeerEvent =
  | { readonly _tag: "Open"; readonly subprotocol: string; readonly extensions: string }
  | { readonly _tag: "Text"; readonly text: string }
  | { readonly _tag: "Binary"; readonly bytes: Uint8Array }
  | { readonly _tag: "Ping"; readonly payload: string }
  | { readonly _tag: "Pong"; readonly payload: string }
  | {
      readonly _tag: "Refused"
      readonly status: number
      readonly headers: Http.IncomingHttpHeaders
      readonly body: string
    }
  | { readonly _tag: "Error"; readonly message: string }
  | { readonly _tag: "Close"; readonly code: number; readonly reason: string }

export const opened = (subprotocol = "", extensions = ""): PeerEvent => ({ _tag: "Open", subprotocol, extensions })
export const text = (text: string): PeerEvent => ({ _tag: "Text", text })
export const binary = (...bytes: Array<number>): PeerEvent => ({ _tag: "Binary", bytes: Uint8Array.from(bytes) })
export const ping = (payload: string): PeerEvent => ({ _tag: "Ping", payload })
export const pong = (payload: string): PeerEvent => ({ _tag: "Pong", payload })
export const close = (code: number, reason = ""): PeerEvent => ({ _tag: "Close", code, reason })

export interface Peer {
  readonly next: Effect.Effect<PeerEvent>
  readonly send: (data: string | Uint8Array) => void
  readonly close: (code?: number, reason?: string) => void
}

export interface WsPeer extends Peer {
  readonly socket: Ws.WebSocket
}

export interface ConnectOptions {
  readonly subprotocols?: Array<string>
  readonly headers?: Record<string, string>
  readonly ca?: string
}

/** A client of a library: from the first moment on all that it tells is kept. */
export type Connect = (url: string, options?: ConnectOptions) => Effect.Effect<Peer, never, Scope.Scope>

/** `ws` as a client, with its own defaults: it offers permessage-deflate. */
export const connectWs = (
  url: string,
  { subprotocols, ...options }: ConnectOptions & Ws.ClientOptions = {}
): Effect.Effect<WsPeer, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => watchWs(new Ws.WebSocket(url, subprotocols ?? [], options))),
    ({ socket }) => terminate(socket)
  )

/** As `connectWs`, when the connection is open. */
export const openWs = (url: string, options: ConnectOptions & Ws.ClientOptions = {}) =>
  Effect.tap(connectWs(url, options), (peer) =>
    Effect.filterOrDieMessage(peer.next, ({ _tag }) => _tag === "Open", "The connection was not opened")
  )

/** The client of undici. It answers Pings by itself and tells nothing of them. */
export const connectUndici: Connect = (url, { ca, headers, subprotocols } = {}) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const dispatcher = new Undici.Agent(ca === undefined ? {} : { connect: { ca } })
      const socket = new Undici.WebSocket(url, {
        dispatcher,
        protocols: subprotocols ?? [],
        ...(headers && { headers })
      })
      return { peer: watchUndici(socket), dispatcher }
    }),
    ({ dispatcher }) => Effect.promise(() => dispatcher.destroy())
  ).pipe(Effect.map(({ peer }) => peer))

export interface WsServer {
  readonly url: string
  readonly port: number
  /** Takes the next connection, with the request that it came of. */
  readonly next: Effect.Effect<readonly [peer: WsPeer, request: Http.IncomingMessage]>
}

/** `ws` as a server on a free port, or on a server of Node that is given. */
export const serveWs = (
  options: Ws.ServerOptions = {},
  scheme: "ws" | "wss" = "ws"
): Effect.Effect<WsServer, never, Scope.Scope> =>
  Effect.gen(function* () {
    const connections = makeInbox<readonly [WsPeer, Http.IncomingMessage]>()
    const where = options.server === undefined ? { port: 0, host: "127.0.0.1" } : {}
    const server = yield* Effect.acquireRelease(
      Effect.sync(() => new Ws.WebSocketServer({ ...where, ...options })),
      (server) =>
        Effect.async<void>((resume) => {
          for (const socket of server.clients) socket.terminate()
          server.close(() => resume(Effect.void))
        })
    )
    server.on("connection", (socket, request) => connections.push([watchWs(socket), request]))
    if (server.address() === null) yield* event(server, "listening")
    const { port } = server.address() as AddressInfo
    return { url: `${scheme}://127.0.0.1:${port}`, port, next: connections.next }
  })

const watchWs = (socket: Ws.WebSocket): WsPeer => {
  const { next, push } = makeInbox<PeerEvent>()
  socket.on("open", () => push(opened(socket.protocol, socket.extensions)))
  socket.on("message", (data: Buffer, isBinary) =>
    push(isBinary ? { _tag: "Binary", bytes: new Uint8Array(data) } : text(data.toString()))
  )
  socket.on("ping", (payload) => push(ping(payload.toString())))
  socket.on("pong", (payload) => push(pong(payload.toString())))
  socket.on("error", ({ message }) => push({ _tag: "Error", message }))
  socket.on("close", (code, reason) => push(close(code, reason.toString())))
  socket.on("unexpected-response", (_, response) => readRefusal(response, push))
  return {
    socket,
    next,
    send: (data) => socket.send(data),
    close: (code, reason) => socket.close(code, reason)
  }
}

const readRefusal = (response: Http.IncomingMessage, push: (event: PeerEvent) => void): void => {
  const chunks: Array<Buffer> = []
  response.on("data", (chunk) => chunks.push(chunk))
  response.on("end", () => {
    const { headers, statusCode: status = 0 } = response
    push({ _tag: "Refused", status, headers, body: Buffer.concat(chunks).toString() })
  })
}

const terminate = (socket: Ws.WebSocket): Effect.Effect<void> =>
  Effect.suspend(() => {
    if (socket.readyState === Ws.WebSocket.CLOSED) return Effect.void
    const closed = event(socket, "close")
    return Effect.zipRight(
      Effect.sync(() => socket.terminate()),
      closed
    )
  })

const watchUndici = (socket: Undici.WebSocket): Peer => {
  const { next, push } = makeInbox<PeerEvent>()
  socket.binaryType = "arraybuffer"
  socket.addEventListener("open", () => push(opened(socket.protocol, socket.extensions)))
  socket.addEventListener("message", ({ data }: { readonly data: string | ArrayBuffer }) =>
    push(typeof data === "string" ? text(data) : { _tag: "Binary", bytes: new Uint8Array(data) })
  )
  socket.addEventListener("error", ({ message }) => push({ _tag: "Error", message }))
  socket.addEventListener("close", ({ code, reason }) => push(close(code, reason)))
  return { next, send: (data) => socket.send(data), close: (code, reason) => socket.close(code, reason) }
}
