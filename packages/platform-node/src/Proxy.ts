/**
 * Proxies for the connections of a client: what one is, which connection goes through which, and why one let nothing
 * through. They speak HTTP (`CONNECT`, RFC 9110 9.3.6) or SOCKS 5 (RFC 1928, 1929). Nothing is taken from the
 * environment unasked.
 *
 * @since 0.1.0
 */
import type { Endpoint } from "@effect-ws/api/Connector"
import type { Fault, HandshakeFault } from "@effect-ws/core/HandshakeFault"
import type { Headers } from "@effect-ws/core/Headers"
import * as Config from "effect/Config"
import * as ConfigError from "effect/ConfigError"
import * as Data from "effect/Data"
import * as Either from "effect/Either"
import * as Inspectable from "effect/Inspectable"
import * as Redacted from "effect/Redacted"
import * as noProxyList from "./internal/noProxy.ts"

/**
 * Says how a proxy is spoken to.
 *
 * **Details**
 *
 * - `http`: `CONNECT` over TCP.
 * - `https`: `CONNECT` over TLS with the proxy; `wss:` through it is TLS within TLS.
 * - `socks5`: SOCKS 5 to an address, which is looked up here.
 * - `socks5h`: SOCKS 5 to a name, which the proxy looks up.
 *
 * @since 0.1.0
 * @category models
 */
export type Protocol = "http" | "https" | "socks5" | "socks5h"

/**
 * What the proxy is told about who asks. Neither part is ever shown.
 *
 * @since 0.1.0
 * @category models
 */
export interface Credentials {
  /** The user, percent-decoded. */
  readonly username: Redacted.Redacted
  /** The password, percent-decoded; empty when the URL had none. */
  readonly password: Redacted.Redacted
}

/**
 * A proxy. It is shown without its credentials, whichever way.
 *
 * @since 0.1.0
 * @category models
 */
export interface Proxy extends Inspectable.Inspectable {
  /** The discriminator. */
  readonly _tag: "Proxy"
  /** How it is spoken to. */
  readonly protocol: Protocol
  /** Its name or address, without brackets. */
  readonly hostname: string
  /** Its port. By default that of the scheme: 80, 443, or 1080 for SOCKS. */
  readonly port: number
  /** What it is told about who asks, if anything. */
  readonly credentials: Credentials | undefined
}

/**
 * Says that a text is no URL of a proxy. It never repeats the text, which may hold a password.
 *
 * **Details**
 *
 * - `Url`: it is no URL.
 * - `Scheme`: it is neither `http:`, `https:`, `socks5:` nor `socks5h:`.
 * - `Host`: the host is missing or can't be one, or the port is 0.
 * - `Path`: there is more than a host and a port.
 * - `Credentials`: they aren't percent-encoded, have control characters (RFC 7617 2), a colon in the user for HTTP, or
 *   more than 255 bytes in either part for SOCKS (RFC 1929 2).
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidProxy extends Data.TaggedError("InvalidProxy")<{
  /** What is wrong with it. */
  readonly reason: "Url" | "Scheme" | "Host" | "Path" | "Credentials"
}> {
  /** One line: what is wrong, and never the URL. */
  override get message(): string {
    return `The URL of a proxy ${complaints[this.reason]}`
  }
}

/**
 * Why a proxy that could be reached let nothing through: the `cause` of a `TransportError` whose operation is `proxy`.
 *
 * **Details**
 *
 * - `Refused`: it answered `CONNECT` with another status than 2xx, for instance 407 when it wants credentials. The body
 *   isn't read, and fields that repeat the credentials are left out.
 * - `Socks`: it answered the request of SOCKS 5 with a code that is no success.
 * - `NoAcceptableMethod`: it speaks SOCKS 5 and wants credentials when there are none, or ones of another kind.
 * - `AuthenticationFailed`: it speaks SOCKS 5 and doesn't take the credentials.
 * - `InvalidRequest`: the host or the credentials can't be written into a request.
 * - `InvalidAnswer`: its answer is no head of HTTP, or has no end within the limits: 8192 bytes, 100 fields. Or it is
 *   none of SOCKS 5.
 * - `TooManyInterimAnswers`: it sent more than `limit` answers with a status of 1xx.
 * - `Closed`: it closed the connection instead of answering.
 *
 * @since 0.1.0
 * @category models
 */
export type ProxyErrorReason =
  | { readonly _tag: "Refused"; readonly status: number; readonly fields: Headers }
  | { readonly _tag: "Socks"; readonly reply: SocksReply; readonly code: number }
  | { readonly _tag: "NoAcceptableMethod" }
  | { readonly _tag: "AuthenticationFailed" }
  | { readonly _tag: "InvalidRequest"; readonly fault: HandshakeFault | SocksFault }
  | { readonly _tag: "InvalidAnswer"; readonly fault: HandshakeFault | SocksFault }
  | { readonly _tag: "TooManyInterimAnswers"; readonly limit: number }
  | { readonly _tag: "Closed" }

/**
 * What a SOCKS 5 proxy replies instead of success, in the order of the codes from 1 to 8; all above them are
 * `Unassigned`.
 *
 * @see https://www.rfc-editor.org/rfc/rfc1928#section-6
 * @since 0.1.0
 * @category models
 */
export type SocksReply =
  | "GeneralFailure"
  | "ConnectionNotAllowed"
  | "NetworkUnreachable"
  | "HostUnreachable"
  | "ConnectionRefused"
  | "TtlExpired"
  | "CommandNotSupported"
  | "AddressTypeNotSupported"
  | "Unassigned"

/**
 * What is wrong with an answer of a SOCKS 5 proxy, or with what it was to be asked. Nothing in it is text of the proxy.
 *
 * **Details**
 *
 * - `SocksVersion`: it speaks another version, or something else.
 * - `SocksMethod`: it chose a method of authentication that wasn't offered.
 * - `SocksAuthenticationVersion`: it answered the password in another version than 1.
 * - `SocksReserved`: the reserved byte of its reply isn't 0.
 * - `SocksAddressType`: its reply has an unknown type of address.
 * - `SocksHost`: the host to ask for is empty or has more than 255 bytes.
 * - `SocksCredentials`: a part of the credentials has more than 255 bytes.
 *
 * @since 0.1.0
 * @category models
 */
export type SocksFault = Fault<
  | "SocksVersion"
  | "SocksMethod"
  | "SocksAuthenticationVersion"
  | "SocksReserved"
  | "SocksAddressType"
  | "SocksHost"
  | "SocksCredentials"
>

/**
 * Says that a proxy let nothing through, and why.
 *
 * @since 0.1.0
 * @category errors
 */
export class ProxyError extends Data.TaggedError("ProxyError")<{
  /** Why it didn't. */
  readonly reason: ProxyErrorReason
}> {
  /** One line. It has neither credentials nor text of the proxy in it. */
  override get message(): string {
    return describeReason(this.reason)
  }
}

/**
 * Decides for each connection: the proxy it goes through, or `undefined` for none. Connections to unix sockets aren't
 * asked about.
 *
 * @since 0.1.0
 * @category models
 */
export type ProxyChoice = (endpoint: Endpoint) => Proxy | undefined

/**
 * Says which connections go through which proxy.
 *
 * @since 0.1.0
 * @category models
 */
export interface Settings {
  /** The proxy for `ws:`. By default none. */
  readonly ws?: Proxy | undefined
  /** The proxy for `wss:`. By default none. */
  readonly wss?: Proxy | undefined
  /**
   * Hosts that need no proxy, in the form of `NO_PROXY`: a list, with commas or blanks between, of `*` for all, names
   * (`a.test` and `.a.test` both mean it and all below it), addresses and CIDR blocks of either family, each with an
   * optional `:port`, for which an IPv6 address is in brackets. Names aren't resolved for it. By default empty.
   */
  readonly noProxy?: string | undefined
}

/**
 * Makes a proxy of its URL: the scheme, credentials if it wants any, the host, and the port if it isn't the default.
 *
 * @example
 * import * as Proxy from "@effect-ws/platform-node/Proxy"
 * import * as Either from "effect/Either"
 *
 * const proxy = Either.getOrThrow(Proxy.make("http://user:secret@proxy.test:3128"))
 *
 * assert.strictEqual(proxy.port, 3128)
 * assert.notInclude(String(proxy), "secret")
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (url: string): Either.Either<Proxy, InvalidProxy> =>
  Either.gen(function* () {
    const parsed = yield* attempt("Url", () => new URL(url))
    const protocol = yield* protocolOf(parsed)
    if (!/^\/?$/.test(parsed.pathname) || parsed.search !== "" || parsed.hash !== "") return yield* invalid("Path")
    const hostname = yield* hostnameOf(parsed)
    const port = parsed.port === "" ? defaultPorts[protocol] : Number(parsed.port)
    if (port === 0) return yield* invalid("Host")
    return new ParsedProxy(protocol, hostname, port, yield* credentialsOf(parsed, protocol))
  })

/**
 * Makes a choice by scheme and host.
 *
 * @since 0.1.0
 * @category constructors
 */
export const choose = ({ noProxy = "", ws, wss }: Settings): ProxyChoice => {
  const isExempt = noProxyList.parse(noProxy)
  return ({ hostname, port, secure }) => (isExempt(hostname, port) ? undefined : secure ? wss : ws)
}

/**
 * Reads the choice from the variables that other programs know, through the `ConfigProvider` in force; by default that
 * is the environment.
 *
 * **Details**
 *
 * The first of these that is set and not empty counts: for `wss:` `wss_proxy`, `WSS_PROXY`, `https_proxy`,
 * `HTTPS_PROXY`, `all_proxy`, `ALL_PROXY`; for `ws:` `ws_proxy`, `WS_PROXY`, `http_proxy`, `HTTP_PROXY`, `all_proxy`,
 * `ALL_PROXY`. A value without a scheme is an `http:` proxy, as for curl. `no_proxy` or `NO_PROXY` is the list of hosts
 * that need none: see `noProxy` in {@link Settings}. A value that is no proxy is a `ConfigError` which names the
 * variable, and doesn't repeat the value.
 *
 * **Gotchas**
 *
 * In a CGI program `HTTP_PROXY` is what the client sent as the field `Proxy`. Don't read it there.
 *
 * @example
 * import * as NodeWebSocketClient from "@effect-ws/platform-node/NodeWebSocketClient"
 * import * as Proxy from "@effect-ws/platform-node/Proxy"
 * import * as Effect from "effect/Effect"
 * import * as Layer from "effect/Layer"
 *
 * const client = Layer.unwrapEffect(Effect.map(Proxy.fromConfig, (proxy) => NodeWebSocketClient.layerWith({ proxy })))
 *
 * @since 0.1.0
 * @category config
 */
export const fromConfig: Config.Config<ProxyChoice> = Config.suspend(() =>
  Config.map(
    Config.all({
      ws: setting(["ws_proxy", "WS_PROXY", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"], makeAsCurl),
      wss: setting(["wss_proxy", "WSS_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"], makeAsCurl),
      noProxy: setting(["no_proxy", "NO_PROXY"], Either.right)
    }),
    choose
  )
)

class ParsedProxy extends Inspectable.Class implements Proxy {
  readonly _tag = "Proxy"
  readonly protocol: Protocol
  readonly hostname: string
  readonly port: number
  readonly credentials: Credentials | undefined

  constructor(protocol: Protocol, hostname: string, port: number, credentials: Credentials | undefined) {
    super()
    this.protocol = protocol
    this.hostname = hostname
    this.port = port
    this.credentials = credentials
  }

  toJSON(): unknown {
    const { _tag, credentials, hostname, port, protocol } = this
    return { _tag, protocol, hostname, port, credentials: credentials === undefined ? undefined : "<redacted>" }
  }
}

const invalid = (reason: InvalidProxy["reason"]) => Either.left(new InvalidProxy({ reason }))

const attempt = <A>(reason: InvalidProxy["reason"], evaluate: () => A): Either.Either<A, InvalidProxy> =>
  // What is thrown names the input, and is dropped for that.
  Either.try({ try: evaluate, catch: () => new InvalidProxy({ reason }) })

const protocolOf = ({ protocol }: URL): Either.Either<Protocol, InvalidProxy> => {
  const name = protocol.slice(0, -1)
  return Object.hasOwn(defaultPorts, name) ? Either.right(name as Protocol) : invalid("Scheme")
}

/** A host behind a scheme that the URL standard doesn't know is taken as it is: it is read again, as for HTTP. */
const hostnameOf = ({ hostname }: URL): Either.Either<string, InvalidProxy> =>
  Either.map(
    attempt("Host", () => new URL(`http://${hostname}`)),
    (url) => url.hostname.replace(/^\[|\]$/g, "")
  )

const credentialsOf = (url: URL, protocol: Protocol): Either.Either<Credentials | undefined, InvalidProxy> =>
  Either.gen(function* () {
    if (url.username === "" && url.password === "") return undefined
    const username = yield* attempt("Credentials", () => decodeURIComponent(url.username))
    const password = yield* attempt("Credentials", () => decodeURIComponent(url.password))
    if (![username, password].every(canBeSent[protocol])) return yield* invalid("Credentials")
    // RFC 7617 2: the first colon is where the password begins.
    if (protocol.startsWith("http") && username.includes(":")) return yield* invalid("Credentials")
    return { username: Redacted.make(username), password: Redacted.make(password) }
  })

/** The first variable that is set and not empty decides, and is the one that an error names. */
const setting = <A>(
  names: ReadonlyArray<string>,
  parse: (text: string) => Either.Either<A, InvalidProxy>
): Config.Config<A | undefined> =>
  Config.mapOrFail(Config.all(names.map(variable)), (variables) => {
    const found = variables.find(({ text }) => text !== "")
    if (found === undefined) return Either.right(undefined)
    return Either.mapLeft(parse(found.text), ({ message }) => ConfigError.InvalidData([found.name], message))
  })

const variable = (name: string): Config.Config<{ readonly name: string; readonly text: string }> =>
  Config.map(Config.withDefault(Config.string(name), ""), (text) => ({ name, text: text.trim() }))

const makeAsCurl = (text: string): Either.Either<Proxy, InvalidProxy> =>
  make(text.includes("://") ? text : `http://${text}`)

const describeReason = (reason: ProxyErrorReason): string => {
  switch (reason._tag) {
    case "Refused":
      return `it answered ${reason.status}`
    case "Socks":
      return `it replied ${reason.reply} (${reason.code})`
    case "NoAcceptableMethod":
      return "it takes no method of authentication that there is"
    case "AuthenticationFailed":
      return "it doesn't take the credentials"
    case "InvalidRequest":
      return `the request can't be written: ${reason.fault.message}`
    case "InvalidAnswer":
      return `its answer is invalid: ${reason.fault.message}`
    case "TooManyInterimAnswers":
      return `it sent more than ${reason.limit} interim answers`
    case "Closed":
      return "it closed the connection"
  }
}

const isText = (text: string): boolean => !/\p{Cc}/u.test(text)
const isShortText = (text: string): boolean => isText(text) && Buffer.byteLength(text) <= 255

const canBeSent: Record<Protocol, (text: string) => boolean> = {
  http: isText,
  https: isText,
  socks5: isShortText,
  socks5h: isShortText
}

const complaints: Record<InvalidProxy["reason"], string> = {
  Url: "is no URL",
  Scheme: "must begin with http:, https:, socks5: or socks5h:",
  Host: "has no host, or one that can't be",
  Path: "must end after the host and the port",
  Credentials: "has credentials that can't be sent"
}

// RFC 9110 4.2.1 and 4.2.2, RFC 1928 3.
const defaultPorts: Record<Protocol, number> = { http: 80, https: 443, socks5: 1080, socks5h: 1080 }
