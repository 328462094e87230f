/**
 * A listener of our own: TCP, TLS, or a unix socket (a named pipe on Windows).
 *
 * Nothing is read from a connection before its transport is started. No peer can fail the listener: what one does
 * wrong ends its own connection.
 */
import type { Listener } from "@effect-ws/api/Listener"
import { ServerError } from "@effect-ws/api/ServerError"
import { formatAddress } from "@effect-ws/api/TransportError"
import type { Address } from "@effect/platform/SocketServer"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Runtime from "effect/Runtime"
import type * as Scope from "effect/Scope"
import * as Net from "node:net"
import * as Tls from "node:tls"
import * as NodeTransport from "../NodeTransport.ts"
import { IncomingQueue } from "./incomingQueue.ts"
import { fromListen, fromTls, toAddress } from "./serverErrors.ts"

/** Says where to listen. */
export interface NodeListenerOptions {
  /**
   * The address, or a name that resolves to one. `"127.0.0.1"` by default, which only programs on this machine reach: to
   * open a server to the network is a decision, made with `"0.0.0.0"` or `"::"`.
   */
  readonly host?: string | undefined
  /** The port. 0 by default: the system chooses a free one, which the listener's `address` tells. */
  readonly port?: number | undefined
  /**
   * The path of a unix socket in place of host and port; on Windows of a named pipe, such as `\\.\pipe\name`. The file
   * is removed on release. One that exists already is never removed: it is reported as an address in use.
   */
  readonly path?: string | undefined
  /**
   * The number of connections that the system holds until they are accepted, and that the listener holds before it is
   * started; more are refused. 511 by default, as in Node.
   */
  readonly backlog?: number | undefined
  /**
   * Makes it a TLS server: the key, the certificate and whatever else `tls.createServer` takes. `handshakeTimeout` is 10
   * seconds by default (120 in Node), as long as an opening handshake may take.
   */
  readonly tls?: Tls.TlsOptions | undefined
}

/** Listens from the acquire on; the release stops listening and doesn't wait for any connection. */
export const make = (options: NodeListenerOptions): Effect.Effect<Listener, ServerError, Scope.Scope> =>
  Effect.gen(function* () {
    const report = yield* makeReport
    const acquire = Effect.map(createServer(options), (server) => new OpenServer(server, options, report))
    const open = yield* Effect.acquireRelease(acquire, (open) => Effect.sync(() => open.stop()))
    yield* listen(open.server, options)
    return {
      address: toAddress(open.server.address()),
      start: (onIncoming) => open.queue.start(onIncoming),
      stop: Effect.sync(() => open.stop())
    }
  })

/** A server of Node with what has to be kept of its connections until they are handed out. */
class OpenServer {
  readonly server: Net.Server
  readonly queue: IncomingQueue
  private readonly localAddress: Address | undefined
  private readonly handshaking = new Map<string, Net.Socket>()
  private isStopped = false

  constructor(server: Net.Server, options: NodeListenerOptions, report: Report) {
    this.server = server
    this.queue = new IncomingQueue(options.backlog ?? defaultBacklog)
    this.localAddress = options.path === undefined ? undefined : { _tag: "UnixAddress", path: options.path }
    // In older versions of Node a lookup of the host that was under way makes a closed server listen all the same.
    server.on("listening", () => this.isStopped && server.close())
    // After it began to listen only accepting can fail, for want of file descriptors; it goes on once there are some.
    server.on("error", (error) => server.listening && report("The server could not accept a connection", error))
    server.on("tlsClientError", (error) => report("A TLS handshake failed", error))
    if (server instanceof Tls.Server) server.on("connection", (socket) => this.track(socket))
    server.on(server instanceof Tls.Server ? "secureConnection" : "connection", (socket) => this.take(socket))
  }

  stop(): void {
    if (this.isStopped) return
    this.isStopped = true
    this.server.close()
    this.queue.stop()
    for (const socket of this.handshaking.values()) socket.destroy()
  }

  private take(socket: Net.Socket): void {
    this.handshaking.delete(keyOf(socket))
    const info = this.localAddress === undefined ? {} : { localAddress: this.localAddress }
    const transport = NodeTransport.make(socket, { info })
    this.queue.offer({ transport, request: undefined, leftover: undefined })
  }

  /** Remembers a connection while it agrees on TLS, to end it on `stop`. On a unix socket `handshakeTimeout` has to do. */
  private track(socket: Net.Socket): void {
    const key = keyOf(socket)
    if (socket.remotePort === undefined) return
    this.handshaking.set(key, socket)
    socket.once("close", () => {
      if (this.handshaking.get(key) === socket) this.handshaking.delete(key)
    })
  }
}

// The TLS socket of a connection isn't the socket that was accepted, but has the same peer.
const keyOf = (socket: Net.Socket): string => `${socket.remoteAddress} ${socket.remotePort}`

type Report = (message: string, error: Error) => void

const makeReport: Effect.Effect<Report> = Effect.map(Effect.runtime<never>(), (runtime) => (message, error) => {
  Runtime.runFork(runtime)(Effect.logDebug(message, error))
})

const createServer = (options: NodeListenerOptions): Effect.Effect<Net.Server, ServerError> => {
  const { tls } = options
  if (tls === undefined) return Effect.sync(() => Net.createServer(socketOptions))
  if (!hasMaterial(tls))
    return Effect.fail(fromTls(new Error("neither key and cert nor pfx are given"), addressOf(options)))
  return Effect.try({
    try: () => Tls.createServer({ handshakeTimeout: defaultHandshakeTimeout, ...tls, ...socketOptions }),
    catch: (cause) => fromTls(cause, addressOf(options))
  })
}

const hasMaterial = ({ SNICallback, cert, key, pfx, pskCallback }: Tls.TlsOptions): boolean =>
  pfx !== undefined ||
  SNICallback !== undefined ||
  pskCallback !== undefined ||
  (key !== undefined && cert !== undefined)

const listen = (server: Net.Server, options: NodeListenerOptions): Effect.Effect<void, ServerError> => {
  const { backlog = defaultBacklog, host = defaultHost, path, port = 0 } = options
  const address = addressOf(options)
  if (path === undefined && !isPort(port)) return Effect.fail(fromListen(new Error("a port is 0 to 65535"), address))
  return Effect.async<void, ServerError>((resume) => {
    const forget = () => server.off("error", onError).off("listening", onListening)
    const settle = (exit: Exit.Exit<void, ServerError>) => {
      forget()
      resume(exit)
    }
    const onError = (cause: Error) => settle(Exit.fail(fromListen(cause, address)))
    const onListening = () => settle(Exit.void)
    server.on("error", onError).on("listening", onListening)
    server.listen(path === undefined ? { host, port, backlog } : { path, backlog })
    return Effect.sync(forget)
  })
}

const isPort = (port: number): boolean => Number.isInteger(port) && port >= 0 && port <= 65535

const addressOf = ({ host = defaultHost, path, port = 0 }: NodeListenerOptions): string =>
  path ?? formatAddress({ _tag: "TcpAddress", hostname: host, port })

const socketOptions = { allowHalfOpen: true, pauseOnConnect: true, noDelay: true }
const defaultHost = "127.0.0.1"
const defaultBacklog = 511
// In milliseconds.
const defaultHandshakeTimeout = 10_000
