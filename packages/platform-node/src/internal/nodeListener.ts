/**
 * A listener of our own: TCP, TLS, both on one port, or a unix socket (a named pipe on Windows).
 *
 * Of a plain connection nothing is consumed before its transport is started. No peer can fail the listener: what one
 * does wrong ends its own connection.
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
import { detect } from "./tlsOrPlain.ts"

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
  readonly unixPath?: string | undefined
  /**
   * The number of connections that the system holds until they are accepted, and that the listener holds before it is
   * started; more are refused. 511 by default, as in Node.
   */
  readonly backlog?: number | undefined
  /**
   * Makes it a TLS server: the key, the certificate and whatever else `tls.createServer` takes. `handshakeTimeout`, in
   * milliseconds, is 10 seconds by default (120 in Node), as long as an opening handshake may take; whoever hasn't agreed
   * on TLS by then is disconnected.
   */
  readonly tls?: Tls.TlsOptions | undefined
  /**
   * Takes connections without TLS on the same port as those with it: the first byte of each tells. `false` by default, so
   * that nobody who asked for TLS serves without it unknowingly; without `tls` it has no meaning.
   *
   * A peer that sends nothing is disconnected after the `handshakeTimeout` of `tls`, which begins anew for TLS when the
   * first byte has come. Of a connection that was taken without TLS `info.tls` is `undefined`.
   */
  readonly allowPlain?: boolean | undefined
  /**
   * The most connections at once whose opening handshake isn't done, TLS included; those that are told apart or agree on
   * TLS and those that are at the request are counted separately. One above it is turned away at once, without an answer
   * where TLS may yet come, so that peers which connect and get no further can't exhaust memory and file descriptors.
   *
   * A positive integer, 4096 by default: far more than honest peers need, and a quarter of a gibibyte when all of them
   * stall within TLS.
   */
  readonly maxHandshakes?: number | undefined
}

/**
 * Listens from the acquire on; the release stops listening and doesn't wait for any connection.
 *
 * Dies of a `RangeError` that names the option when `maxHandshakes` or the `handshakeTimeout` of `tls` is no limit.
 */
export const make = (options: NodeListenerOptions): Effect.Effect<Listener, ServerError, Scope.Scope> =>
  Effect.gen(function* () {
    validate(options)
    const report = yield* makeReport
    const acquire = Effect.map(createTls(options), (tls) => new OpenServer(tls, options, report))
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
  private readonly options: NodeListenerOptions
  private readonly localAddress: Address | undefined
  /** The connections as they were accepted, until the transport of each is made. */
  private readonly handshaking = new Map<string | Net.Socket, Net.Socket>()
  private isStopped = false

  constructor(tls: Tls.Server | undefined, options: NodeListenerOptions, report: Report) {
    // Among the options of TLS are some for every server: the keep-alive of TCP, for instance.
    const server = Net.createServer({ ...options.tls, ...socketOptions })
    this.server = server
    this.queue = new IncomingQueue(options.backlog ?? defaultBacklog)
    this.options = options
    this.localAddress = options.unixPath === undefined ? undefined : { _tag: "UnixAddress", path: options.unixPath }
    // In older versions of Node a lookup of the host that was under way makes a closed server listen all the same.
    server.on("listening", () => this.isStopped && server.close())
    // After it began to listen only accepting can fail, for want of file descriptors; it goes on once there are some.
    server.on("error", (error) => server.listening && report("The server could not accept a connection", error))
    server.on("connection", (socket) => (tls === undefined ? this.take(socket) : this.admit(socket, tls)))
    tls?.on("secureConnection", (socket) => this.take(socket))
    tls?.on("tlsClientError", (error, socket) => {
      report("A TLS handshake failed", error)
      // When the time for it is over, Node tells and does nothing.
      socket.destroy()
    })
  }

  stop(): void {
    if (this.isStopped) return
    this.isStopped = true
    this.server.close()
    this.queue.stop()
    for (const socket of this.handshaking.values()) socket.destroy()
  }

  /** Lets a connection agree on TLS, or do without where that is allowed, unless as many as may be are at it. */
  private admit(socket: Net.Socket, tls: Tls.Server): void {
    const { allowPlain = false, maxHandshakes = defaultMaxHandshakes } = this.options
    if (this.handshaking.size >= maxHandshakes) return void socket.destroy()
    this.track(socket)
    if (!allowPlain) return secure(socket, tls)
    detect(socket, handshakeTimeoutOf(this.options), (isTls) => (isTls ? secure(socket, tls) : this.take(socket)))
  }

  private take(socket: Net.Socket): void {
    this.handshaking.delete(keyOf(socket))
    const info = this.localAddress === undefined ? {} : { localAddress: this.localAddress }
    const transport = NodeTransport.make(socket, { info })
    this.queue.offer({ transport, request: undefined, leftover: undefined })
  }

  /** Remembers a connection until its transport is made, to count it and to end it on `stop`. */
  private track(socket: Net.Socket): void {
    const key = keyOf(socket)
    this.handshaking.set(key, socket)
    socket.once("close", () => {
      if (this.handshaking.get(key) === socket) this.handshaking.delete(key)
    })
  }
}

// Whoever ends before TLS is agreed on is done with, and holds no place until the handshake timeout. The TLS socket has that
// from the one below, and what its transport needs is for that to say.
const secure = (socket: Net.Socket, tls: Tls.Server): void => {
  socket.allowHalfOpen = false
  tls.emit("connection", socket)
}

/**
 * The TLS socket of a connection isn't the socket that was accepted, but has the same addresses. On a unix socket there
 * are none, and Node names the socket below in a member that it doesn't document.
 */
const keyOf = (socket: Net.Socket & { readonly _parent?: Net.Socket }): string | Net.Socket => {
  const { localAddress, remoteAddress, remotePort } = socket
  return remotePort === undefined ? (socket._parent ?? socket) : `${localAddress} ${remoteAddress} ${remotePort}`
}

type Report = (message: string, error: Error) => void

const makeReport: Effect.Effect<Report> = Effect.map(Effect.runtime<never>(), (runtime) => (message, error) => {
  Runtime.runFork(runtime)(Effect.logDebug(message, error))
})

const validate = (options: NodeListenerOptions): void => {
  const { maxHandshakes = defaultMaxHandshakes } = options
  if (!Number.isSafeInteger(maxHandshakes) || maxHandshakes < 1) {
    throw new RangeError(`The option maxHandshakes must be a positive integer, and is ${maxHandshakes}`)
  }
  const timeout = handshakeTimeoutOf(options)
  if (!(timeout >= 1 && timeout <= maxTimeout)) {
    throw new RangeError(`The option tls.handshakeTimeout must be between 1 and ${maxTimeout} ms, and is ${timeout}`)
  }
}

/** Makes what agrees on TLS. It doesn't listen: it is given the connections that the server has accepted. */
const createTls = (options: NodeListenerOptions): Effect.Effect<Tls.Server | undefined, ServerError> => {
  const { tls } = options
  if (tls === undefined) return Effect.succeed(undefined)
  if (!hasMaterial(tls))
    return Effect.fail(fromTls(new Error("neither key and cert nor pfx are given"), addressOf(options)))
  return Effect.try({
    try: () => Tls.createServer({ ...tls, ...socketOptions, handshakeTimeout: handshakeTimeoutOf(options) }),
    catch: (cause) => fromTls(cause, addressOf(options))
  })
}

const handshakeTimeoutOf = ({ tls }: NodeListenerOptions): number => tls?.handshakeTimeout ?? defaultHandshakeTimeout

const hasMaterial = ({ SNICallback, cert, key, pfx, pskCallback }: Tls.TlsOptions): boolean =>
  pfx !== undefined ||
  SNICallback !== undefined ||
  pskCallback !== undefined ||
  (key !== undefined && cert !== undefined)

const listen = (server: Net.Server, options: NodeListenerOptions): Effect.Effect<void, ServerError> => {
  const { backlog = defaultBacklog, host = defaultHost, port = 0, unixPath } = options
  const address = addressOf(options)
  if (unixPath === undefined && !isPort(port))
    return Effect.fail(fromListen(new Error("a port is 0 to 65535"), address))
  return Effect.async<void, ServerError>((resume) => {
    const forget = () => server.off("error", onError).off("listening", onListening)
    const settle = (exit: Exit.Exit<void, ServerError>) => {
      forget()
      resume(exit)
    }
    const onError = (cause: Error) => settle(Exit.fail(fromListen(cause, address)))
    const onListening = () => settle(Exit.void)
    server.on("error", onError).on("listening", onListening)
    server.listen(unixPath === undefined ? { host, port, backlog } : { path: unixPath, backlog })
    return Effect.sync(forget)
  })
}

const isPort = (port: number): boolean => Number.isInteger(port) && port >= 0 && port <= 65535

const addressOf = ({ host = defaultHost, port = 0, unixPath }: NodeListenerOptions): string =>
  unixPath ?? formatAddress({ _tag: "TcpAddress", hostname: host, port })

const socketOptions = { allowHalfOpen: true, pauseOnConnect: true, noDelay: true }
const defaultHost = "127.0.0.1"
const defaultBacklog = 511
const defaultMaxHandshakes = 4096
// In milliseconds; the largest is what the timers of JavaScript can count.
const defaultHandshakeTimeout = 10_000
const maxTimeout = 2 ** 31 - 1
