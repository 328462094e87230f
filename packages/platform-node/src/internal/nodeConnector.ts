/**
 * A connector over TCP, TLS and unix sockets. It tries all addresses of a host (RFC 8305), and checks the certificate
 * of a secure one.
 */
import type { Connector, Endpoint } from "@effect-ws/api/Connector"
import type { Transport } from "@effect-ws/api/Transport"
import { formatAddress, TransportError, type TransportOperation } from "@effect-ws/api/TransportError"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Net from "node:net"
import * as Tls from "node:tls"
import * as NodeTransport from "../NodeTransport.ts"

/** Says how to connect. */
export interface NodeConnectorOptions {
  /**
   * The options of TLS: `ca`, `cert`, `key`, and whatever else `tls.connect` takes. By default the certificate is
   * checked (whatever NODE_TLS_REJECT_UNAUTHORIZED says), the host name is sent (SNI) unless it is an address, and
   * `http/1.1` is offered (ALPN), since a server that speaks HTTP/2 as well has to know.
   */
  readonly tls?: TlsConnectOptions | undefined
  /** The local address to connect from. By default the system chooses. */
  readonly localAddress?: string | undefined
  /** The only family of addresses to use, 4 or 6. By default both are tried. */
  readonly family?: 4 | 6 | undefined
  /** Resolves host names in place of `dns.lookup`. */
  readonly lookup?: Net.LookupFunction | undefined
}

/** The options of `tls.connect` but for those that the endpoint decides. */
export type TlsConnectOptions = Omit<
  Tls.ConnectionOptions,
  "host" | "port" | "path" | "socket" | "lookup" | "timeout" | "allowHalfOpen"
>

/** Makes a connector; releasing the scope of a connection destroys it. */
export const make =
  (options: NodeConnectorOptions = {}): Connector =>
  (endpoint) =>
    Effect.flatMap(
      // Acquired is the attempt, not the connection: waiting for a peer inside an acquire couldn't be interrupted.
      Effect.acquireRelease(openAttempt(options, endpoint), (attempt) => Effect.sync(() => attempt.destroy())),
      (attempt) => attempt.outcome
    )

/** A socket on its way to be connected; its listeners are there from the first moment. */
class Attempt {
  /** Waits for the transport. */
  readonly outcome: Effect.Effect<Transport, TransportError>
  private readonly socket: Net.Socket
  private readonly endpoint: Endpoint
  private exit: Exit.Exit<Transport, TransportError> | undefined
  private resume: ((exit: Exit.Exit<Transport, TransportError>) => void) | undefined
  private phase: TransportOperation = "connect"

  constructor(socket: Net.Socket, endpoint: Endpoint) {
    this.socket = socket
    this.endpoint = endpoint
    this.outcome = Effect.async((resume) => {
      if (this.exit === undefined) this.resume = resume
      else resume(this.exit)
      return Effect.sync(() => this.destroy())
    })
    socket.on("lookup", this.onLookup)
    socket.on("connect", this.onConnect)
    socket.on("secureConnect", this.onReady)
    socket.on("error", this.onError)
    socket.on("close", this.onClose)
  }

  /** Ends the attempt, or the transport that came of it. */
  destroy(): void {
    this.forget()
    if (this.socket.destroyed) return
    // What is under way may still fail, and an error that nobody listens to ends the process.
    this.socket.on("error", ignore)
    this.socket.once("close", () => this.socket.off("error", ignore))
    this.socket.destroy()
  }

  private readonly onLookup = (error: Error | null): void => {
    this.phase = error === null ? "connect" : "resolve"
  }

  private readonly onConnect = (): void => {
    this.phase = "tls"
    if (!this.endpoint.secure) this.onReady()
  }

  private readonly onReady = (): void => {
    this.settle(Exit.succeed(toTransport(this.socket, this.endpoint)))
  }

  private readonly onError = (cause: Error): void => {
    this.settle(Exit.fail(new TransportError({ operation: this.phase, address: describe(this.endpoint), cause })))
  }

  private readonly onClose = (): void => this.onError(new Error("the connection was closed"))

  private settle(exit: Exit.Exit<Transport, TransportError>): void {
    this.forget()
    this.exit = exit
    this.resume?.(exit)
  }

  private forget(): void {
    this.socket.off("lookup", this.onLookup)
    this.socket.off("connect", this.onConnect)
    this.socket.off("secureConnect", this.onReady)
    this.socket.off("error", this.onError)
    this.socket.off("close", this.onClose)
  }
}

const openAttempt = (options: NodeConnectorOptions, endpoint: Endpoint): Effect.Effect<Attempt, TransportError> =>
  Effect.try({
    try: () => new Attempt(endpoint.secure ? openTls(options, endpoint) : openTcp(options, endpoint), endpoint),
    // Nothing was sent yet: what is thrown here is about the options.
    catch: (cause) =>
      new TransportError({ operation: endpoint.secure ? "tls" : "connect", address: describe(endpoint), cause })
  })

const openTcp = (options: NodeConnectorOptions, endpoint: Endpoint): Net.Socket =>
  Net.connect(target(options, endpoint))

const openTls = (options: NodeConnectorOptions, endpoint: Endpoint): Net.Socket =>
  Tls.connect({
    ALPNProtocols: ["http/1.1"],
    ...(Net.isIP(endpoint.hostname) === 0 ? { servername: endpoint.hostname } : {}),
    ...options.tls,
    rejectUnauthorized: options.tls?.rejectUnauthorized ?? true,
    ...target(options, endpoint)
  })

const target = (options: NodeConnectorOptions, { hostname, port, unixPath }: Endpoint): Target => ({
  host: hostname,
  port,
  allowHalfOpen: true,
  autoSelectFamily: true,
  noDelay: true,
  ...(unixPath === undefined ? {} : { path: unixPath }),
  ...(options.localAddress === undefined ? {} : { localAddress: options.localAddress }),
  ...(options.family === undefined ? {} : { family: options.family }),
  ...(options.lookup === undefined ? {} : { lookup: options.lookup })
})

type Target = Net.TcpNetConnectOpts & { readonly path?: string }

const toTransport = (socket: Net.Socket, endpoint: Endpoint): Transport => {
  const { unixPath } = endpoint
  const info = unixPath === undefined ? {} : { remoteAddress: { _tag: "UnixAddress" as const, path: unixPath } }
  return NodeTransport.make(socket, { info, address: describe(endpoint) })
}

const describe = ({ hostname, port, unixPath }: Endpoint): string =>
  unixPath ?? formatAddress({ _tag: "TcpAddress", hostname, port })

const ignore = (): void => {}
