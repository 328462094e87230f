/**
 * A connector over TCP, TLS and unix sockets, and through proxies. It tries all addresses of a host (RFC 8305), and
 * checks the certificate of a secure one.
 */
import type { Connector, Endpoint } from "@effect-ws/api/Connector"
import type { Transport } from "@effect-ws/api/Transport"
import { formatAddress, TransportError } from "@effect-ws/api/TransportError"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Dns from "node:dns"
import * as Net from "node:net"
import * as Tls from "node:tls"
import * as NodeTransport from "../NodeTransport.ts"
import type { Proxy, ProxyChoice } from "../Proxy.ts"
import { ConnectionAttempt, connecting, type Stage, type ToError } from "./connectionAttempt.ts"
import * as proxyTunnel from "./proxyTunnel.ts"

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
  /** The only family of addresses to use, 4 or 6, for whatever is looked up here. By default both are tried. */
  readonly family?: 4 | 6 | undefined
  /** Resolves host names in place of `dns.lookup`, that of a proxy too. */
  readonly lookup?: Net.LookupFunction | undefined
  /**
   * The proxy to go through, or what chooses it for each connection; a unix socket never goes through one. By default
   * none, whatever the environment says.
   *
   * `tls` is for the endpoint, which is checked as without a proxy; errors name the endpoint. Only those of operation
   * `proxy` name the proxy, and the remote address of the connection is the proxy's, since that is what the socket is
   * connected to. Waiting for the proxy counts as connecting.
   */
  readonly proxy?: Proxy | ProxyChoice | undefined
  /** The options of TLS with an `https:` proxy. By default its certificate and host name are checked. */
  readonly proxyTls?: TlsConnectOptions | undefined
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
      Effect.suspend(() => routeTo(options, endpoint)),
      (route) =>
        Effect.flatMap(
          // Acquired is the attempt, not the connection: waiting for a peer inside an acquire couldn't be interrupted.
          Effect.acquireRelease(open(route), (attempt) => Effect.sync(() => attempt.destroy())),
          (attempt) => attempt.outcome
        )
    )

/** How an endpoint is reached: the first socket, and what has to happen on it. */
interface Route {
  readonly openSocket: () => Net.Socket
  readonly stages: ReadonlyArray<Stage>
  readonly toTransport: (socket: Net.Socket) => Transport
  readonly toOptionsError: (cause: unknown) => TransportError
}

const routeTo = (options: NodeConnectorOptions, endpoint: Endpoint): Effect.Effect<Route, TransportError> => {
  const proxy = proxyFor(options, endpoint)
  if (proxy === undefined) return Effect.succeed(directRoute(options, endpoint))
  return Effect.map(tunnelEnd(options, endpoint, proxy), (end) => proxiedRoute(options, endpoint, proxy, end))
}

const proxyFor = ({ proxy }: NodeConnectorOptions, endpoint: Endpoint): Proxy | undefined => {
  if (endpoint.unixPath !== undefined) return undefined
  return typeof proxy === "function" ? proxy(endpoint) : proxy
}

const directRoute = (options: NodeConnectorOptions, endpoint: Endpoint): Route => {
  const toError = toErrorOf(endpoint)
  return {
    openSocket: () =>
      endpoint.secure ? openTls(options, options.tls, endpoint) : Net.connect(target(options, endpoint)),
    stages: [connecting("connect", endpoint.secure, toError)],
    toTransport: (socket) => toTransport(socket, endpoint),
    toOptionsError: (cause) => toError(endpoint.secure ? "tls" : "connect", cause)
  }
}

const proxiedRoute = (options: NodeConnectorOptions, endpoint: Endpoint, proxy: Proxy, end: Endpoint): Route => {
  const secure = proxy.protocol === "https"
  const at = { ...end, hostname: proxy.hostname, port: proxy.port, omitCredentials: false }
  const toProxyError = (cause: unknown) => proxyTunnel.toError(proxy, cause)
  return {
    openSocket: () => (secure ? openTls(options, options.proxyTls, at) : Net.connect(target(options, at))),
    stages: [
      connecting("connect", secure, (_, cause) => toProxyError(cause)),
      proxyTunnel.make(proxy, end),
      ...(endpoint.secure ? [securing(options, endpoint)] : [])
    ],
    toTransport: (socket) => toTransport(socket, endpoint),
    toOptionsError: toProxyError
  }
}

/** Where the tunnel leads to. A `socks5` proxy is given an address, the others what the URL says. */
const tunnelEnd = (
  options: NodeConnectorOptions,
  endpoint: Endpoint,
  proxy: Proxy
): Effect.Effect<Endpoint, TransportError> =>
  proxy.protocol !== "socks5" || Net.isIP(endpoint.hostname) !== 0
    ? Effect.succeed(endpoint)
    : Effect.map(resolve(options, endpoint), (hostname) => ({ ...endpoint, hostname }))

/** Gives the first address: through a proxy there is no telling which ones can be reached. */
const resolve = (
  { family, lookup = Dns.lookup }: NodeConnectorOptions,
  endpoint: Endpoint
): Effect.Effect<string, TransportError> =>
  Effect.async((resume) => {
    const fail = (cause: unknown) => resume(Effect.fail(toErrorOf(endpoint)("resolve", cause)))
    lookup(endpoint.hostname, { family: family ?? 0, all: true }, (error, found) => {
      const address = Array.isArray(found) ? found[0]?.address : found
      if (error) fail(error)
      else if (address === undefined) fail(new Error("the name has no address"))
      else resume(Effect.succeed(address))
    })
  })

const open = ({ openSocket, stages, toOptionsError, toTransport }: Route) =>
  Effect.try({
    try: () => new ConnectionAttempt(openSocket(), stages, toTransport),
    // Nothing was sent yet: what is thrown here is about the options.
    catch: toOptionsError
  })

/** A stage that agrees on TLS with the endpoint over what is connected already. */
const securing = (options: NodeConnectorOptions, endpoint: Endpoint): Stage => {
  const toError = toErrorOf(endpoint)
  const wait = connecting("tls", true, toError)
  return (socket, events) =>
    Either.match(
      Either.try(() => Tls.connect({ ...tlsOptions(options.tls, endpoint), socket })),
      {
        onLeft: (cause) => {
          events.failed(toError("tls", cause))
          return () => {}
        },
        onRight: (secured) => wait(secured, events)
      }
    )
}

const openTls = (options: NodeConnectorOptions, tls: TlsConnectOptions | undefined, endpoint: Endpoint): Net.Socket =>
  Tls.connect({ ...tlsOptions(tls, endpoint), ...target(options, endpoint) })

const tlsOptions = (
  tls: TlsConnectOptions | undefined,
  { hostname, omitCredentials }: Endpoint
): Tls.ConnectionOptions => ({
  ALPNProtocols: ["http/1.1"],
  ...(Net.isIP(hostname) === 0 ? { servername: hostname } : {}),
  ...(omitCredentials === true ? { ...tls, ...noCertificate } : tls),
  // What the certificate is checked against where there is no name: else Node takes what the socket is connected to.
  host: hostname,
  rejectUnauthorized: tls?.rejectUnauthorized ?? true
})

// With a context of the program's own, the certificate would be in there.
const noCertificate = {
  cert: undefined,
  key: undefined,
  pfx: undefined,
  pskCallback: undefined,
  secureContext: undefined
}

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

const toErrorOf =
  (endpoint: Endpoint): ToError =>
  (operation, cause) =>
    new TransportError({ operation, address: describe(endpoint), cause })
