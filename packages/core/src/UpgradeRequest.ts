/**
 * The client's half of an opening handshake: built by a client, validated by a server. A request is refused for the
 * first check it fails, in the order of RFC 6455 4.2.1. Policy (who may connect, from which origin, to which path) is
 * not decided here.
 *
 * @see https://www.rfc-editor.org/rfc/rfc6455#section-4.1
 * @since 0.1.0
 */
import * as AcceptKey from "./AcceptKey.ts"
import * as Extension from "./Extension.ts"
import * as HandshakeFault from "./HandshakeFault.ts"
import * as Headers from "./Headers.ts"
import * as HttpHead from "./HttpHead.ts"
import { isHost } from "./internal/Authority.ts"
import * as RequestTarget from "./internal/RequestTarget.ts"
import * as UpgradeFields from "./internal/UpgradeFields.ts"
import * as Subprotocol from "./Subprotocol.ts"

/**
 * A request for an upgrade to WebSocket that passed every check.
 *
 * @since 0.1.0
 * @category models
 */
export interface UpgradeRequest {
  /** The discriminant. */
  readonly _tag: "UpgradeRequest"
  /** The method: always `GET`. */
  readonly method: string
  /** The request target as it was sent. */
  readonly target: string
  /** The path of the target, not decoded; `/` when an absolute target has none. */
  readonly path: string
  /** The query of the target without its question mark, not decoded; undefined when there is none. */
  readonly query?: string | undefined
  /** The HTTP version: `1.1` or later. */
  readonly version: string
  /** The host with its port, if any, as it was sent; an absolute target's goes before the `Host` field. */
  readonly host: string
  /** The key: the canonical base64 form of 16 bytes. */
  readonly key: string
  /** The `Origin`, in whatever form it was sent; undefined when there is none, as with most peers that are no browsers. */
  readonly origin?: string | undefined
  /** The offered subprotocols in the client's order of preference. */
  readonly subprotocols: ReadonlyArray<string>
  /** The offered extensions in the client's order of preference. */
  readonly extensions: ReadonlyArray<Extension.Extension>
  /** All field lines, those above included. */
  readonly fields: Headers.Headers
}

/**
 * What a client asks for.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** The host with its port, unless that is the default one of the scheme. */
  readonly host: string
  /** The path with an optional query. Default `/`. */
  readonly target?: string | undefined
  /** The key, new for each attempt: see `AcceptKey.fromNonce`. */
  readonly key: string
  /** The subprotocols to offer, preferred ones first. Default none. */
  readonly subprotocols?: ReadonlyArray<string> | undefined
  /** The extensions to offer, preferred ones first. Default none. */
  readonly extensions?: ReadonlyArray<Extension.Extension> | undefined
  /** The `Origin`. Default none. */
  readonly origin?: string | undefined
  /** Fields to send besides, after ours. Those that make the upgrade or announce a body are refused. Default none. */
  readonly fields?: Headers.Headers | undefined
}

/**
 * Builds a request, or says what in the options can't be sent.
 *
 * @see https://www.rfc-editor.org/rfc/rfc6455#section-4.1
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options): UpgradeRequest | HandshakeFault.CallerFault => {
  const fault = checkOptions(options)
  if (fault !== undefined) return fault
  const { extensions = [], subprotocols = [], target = "/" } = options
  const fields = fieldsOf(options, subprotocols, extensions)
  const origin = Headers.single(fields, "Origin")
  if (HandshakeFault.is(origin)) return origin
  return build({ _tag: "RequestHead", method: "GET", target, version: "1.1", fields }, subprotocols, extensions)
}

/**
 * Returns the request with other fields, if those of the upgrade are still what they were: everything else may be added,
 * replaced and taken away.
 *
 * @since 0.1.0
 * @category combinators
 */
export const decorate = (
  request: UpgradeRequest,
  fields: Headers.Headers
): UpgradeRequest | HandshakeFault.CallerFault => {
  const fault = UpgradeFields.checkKept(request.fields, fields, reserved)
  if (fault !== undefined) return fault
  const origin = Headers.single(fields, "Origin")
  return HandshakeFault.is(origin) ? origin : { ...request, origin, fields }
}

/**
 * Writes a request. The bytes are the caller's.
 *
 * **Details**
 *
 * Never fails for a request from {@link make}, {@link decorate} or {@link validate}.
 *
 * @since 0.1.0
 * @category encoding
 */
export const encode = (request: UpgradeRequest): Uint8Array | HttpHead.EncodeFault => HttpHead.encodeRequest(request)

/**
 * Validates the head of a request: the request, or the first check it fails.
 *
 * @see https://www.rfc-editor.org/rfc/rfc6455#section-4.2.1
 * @since 0.1.0
 * @category validation
 */
export const validate = (head: HttpHead.RequestHead): UpgradeRequest | HandshakeFault.RequestFault => {
  for (const check of checks) {
    const fault = check(head)
    if (fault !== undefined) return fault
  }
  const subprotocols = Subprotocol.parseOffers(head.fields)
  if (HandshakeFault.is(subprotocols)) return subprotocols
  const extensions = Extension.parse(head.fields)
  if (HandshakeFault.is(extensions)) return extensions
  return build(head, subprotocols, extensions)
}

/**
 * A request that asks for something else than a WebSocket.
 *
 * @since 0.1.0
 * @category models
 */
export interface PlainRequest {
  /** The discriminant. */
  readonly _tag: "PlainRequest"
  /** The method, case included. */
  readonly method: string
  /** The request target as it was sent. */
  readonly target: string
  /** The path of the target, not decoded; `/` when an absolute target has none. */
  readonly path: string
  /** The query of the target without its question mark, not decoded; undefined when there is none. */
  readonly query?: string | undefined
  /** The HTTP version: `1.0` or later. */
  readonly version: string
  /**
   * The host with its port, if any, as it was sent; an absolute target's goes before the `Host` field. Empty when a request
   * of HTTP/1.0 names none.
   */
  readonly host: string
  /** All field lines. */
  readonly fields: Headers.Headers
}

/**
 * Validates what any request has, a target, a host, and a body whose end could be found: for a server that answers plain
 * requests too. Any method may ask but `CONNECT`, which wants a tunnel.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9112#section-3.2
 * @since 0.1.0
 * @category validation
 */
export const validatePlain = (head: HttpHead.RequestHead): PlainRequest | HandshakeFault.RequestFault => {
  const fault = checkNoTunnel(head) ?? checkTarget(head) ?? checkPlainHost(head) ?? checkFraming(head)
  return fault ?? { _tag: "PlainRequest", ...located(head) }
}

/**
 * Says whether a request names `websocket` in its `Upgrade`, rightly or wrongly otherwise. One that doesn't is a plain one,
 * and so is one of HTTP/1.0, in which the field is ignored.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-7.8
 * @since 0.1.0
 * @category guards
 */
export const namesWebSocket = (head: HttpHead.RequestHead): boolean => {
  const protocols = Headers.protocols(head.fields, "Upgrade")
  const named = !HandshakeFault.is(protocols) && Headers.includes(protocols, "websocket")
  return named && checkVersion(head) === undefined
}

/**
 * Says whether a request asks for an upgrade to WebSocket: HTTP/1.1, `GET`, and the tokens in `Connection` and
 * `Upgrade`. For routers: whether the handshake is right is for {@link validate} to say.
 *
 * @since 0.1.0
 * @category guards
 */
export const isUpgrade = (head: HttpHead.RequestHead): boolean =>
  [checkVersion, checkMethod, checkUpgrade, checkConnection].every((check) => check(head) === undefined)

/**
 * Says whether the client wants a 100 (Continue) before the 101. RFC 9110 7.8: it has to be sent then, and RFC 9110
 * 10.1.1: not before a refusal, which is final at once.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-7.8
 * @since 0.1.0
 * @category guards
 */
export const expectsContinue = ({ fields }: Pick<UpgradeRequest, "fields">): boolean => {
  const expectations = Headers.tokens(fields, "Expect")
  return !HandshakeFault.is(expectations) && Headers.includes(expectations, "100-continue")
}

/**
 * Says whether the connection may carry another request once this one was refused: HTTP/1.1, no `close` among its
 * connection options, and no body that would have to be read first.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9112#section-9.3
 * @since 0.1.0
 * @category guards
 */
export const keepsAlive = (head: Omit<HttpHead.RequestHead, "_tag">): boolean => {
  const options = Headers.tokens(head.fields, "Connection")
  const persistent = !HandshakeFault.is(options) && !Headers.includes(options, "close")
  return persistent && checkVersion(head) === undefined && checkBody(head) === undefined
}

type Check = (head: Omit<HttpHead.RequestHead, "_tag">) => HandshakeFault.RequestFault | undefined

// 4.2.1 item 1: HTTP/1.1 or higher ...
const checkVersion: Check = ({ version }) => UpgradeFields.checkVersion("request", version)

// ... and GET.
const checkMethod: Check = ({ method }) => (method === "GET" ? undefined : HandshakeFault.make("Method", { method }))

const checkTarget: Check = ({ target }) =>
  RequestTarget.parse(target) === undefined ? HandshakeFault.make("InvalidTarget", {}) : undefined

// 4.2.1 item 2. RFC 9112 3.2: it is there once and valid even if the target names another.
const checkHost: Check = ({ fields }) => {
  const host = Headers.single(fields, "Host")
  if (HandshakeFault.is(host)) return host
  if (host === undefined) return HandshakeFault.make("MissingHost", {})
  return isHost(host) ? undefined : HandshakeFault.make("InvalidHost", {})
}

// RFC 9112 6.3: what follows the head of an upgrade are frames, so a body would be read as those, or smuggled past us.
const checkBody: Check = ({ fields }) => {
  if (Headers.has(fields, "Transfer-Encoding")) {
    return HandshakeFault.make("UnexpectedBody", { field: "Transfer-Encoding" })
  }
  const lengths = Headers.getAll(fields, "Content-Length")
  const none = lengths.length === 0 || (lengths.length === 1 && /^0+$/.test(lengths[0]))
  return none ? undefined : HandshakeFault.make("UnexpectedBody", { field: "Content-Length" })
}

// RFC 9110 9.3.6.
const checkNoTunnel: Check = (head) => (head.method === "CONNECT" ? checkMethod(head) : undefined)

// RFC 9112 3.2: from HTTP/1.1 on it has to be there.
const checkPlainHost: Check = (head) => {
  const mayLackHost = checkVersion(head) !== undefined && !Headers.has(head.fields, "Host")
  return mayLackHost ? undefined : checkHost(head)
}

// RFC 9112 6.3: where a body ends must be beyond doubt, also for whoever stands between and reads what is behind it.
const checkFraming: Check = (head) =>
  Headers.has(head.fields, "Transfer-Encoding") ? checkChunked(head) : checkLength(head)

const checkLength: Check = ({ fields }) => {
  const lengths = Headers.getAll(fields, "Content-Length")
  const isClear = lengths.length === 0 || (lengths.length === 1 && /^\d+$/.test(lengths[0]))
  return isClear ? undefined : HandshakeFault.make("MalformedField", { field: "Content-Length" })
}

const checkChunked: Check = (head) => {
  if (Headers.has(head.fields, "Content-Length"))
    return HandshakeFault.make("MalformedField", { field: "Content-Length" })
  const codings = Headers.tokens(head.fields, "Transfer-Encoding")
  const isChunked = !HandshakeFault.is(codings) && codings.length === 1 && Headers.includes(codings, "chunked")
  // RFC 9112 6.1: HTTP/1.0 has no chunks.
  if (isChunked && checkVersion(head) === undefined) return undefined
  return HandshakeFault.make("MalformedField", { field: "Transfer-Encoding" })
}

// 4.2.1 item 3.
const checkUpgrade: Check = ({ fields }) => UpgradeFields.checkUpgrade("request", fields)

// 4.2.1 item 4.
const checkConnection: Check = ({ fields }) => UpgradeFields.checkConnection("request", fields)

// 4.2.1 item 5. 11.3.1: at most once.
const checkKey: Check = ({ fields }) => {
  const key = Headers.single(fields, "Sec-WebSocket-Key")
  if (HandshakeFault.is(key)) return key
  if (key === undefined) return HandshakeFault.make("MissingKey", {})
  return AcceptKey.isValid(key) ? undefined : HandshakeFault.make("InvalidKey", { length: key.length })
}

// 4.2.1 item 6. 11.3.5: at most once in a request.
const checkWebSocketVersion: Check = ({ fields }) => {
  const requested = Headers.single(fields, "Sec-WebSocket-Version")
  if (HandshakeFault.is(requested)) return requested
  if (requested === undefined) return HandshakeFault.make("MissingVersion", {})
  return requested === "13" ? undefined : HandshakeFault.make("UnsupportedVersion", { requested })
}

// 4.2.1 item 7: optional. RFC 6454 7.3: at most once.
const checkOrigin: Check = ({ fields }) => {
  const origin = Headers.single(fields, "Origin")
  return HandshakeFault.is(origin) ? origin : undefined
}

/** The order in which a request is judged; offers of subprotocols and extensions (items 8 and 9) come after. */
const checks: ReadonlyArray<Check> = [
  checkVersion,
  checkMethod,
  checkTarget,
  checkHost,
  checkBody,
  checkUpgrade,
  checkConnection,
  checkKey,
  checkWebSocketVersion,
  checkOrigin
]

const checkOptions = (options: Options): HandshakeFault.CallerFault | undefined => {
  const { extensions = [], fields = [], host, key, origin = "", subprotocols = [], target = "/" } = options
  if (!isHost(host)) return HandshakeFault.make("InvalidHost", {})
  // 4.1: a client sends the path; the absolute form is for proxies.
  if (!target.startsWith("/") || RequestTarget.parse(target) === undefined) {
    return HandshakeFault.make("InvalidTarget", {})
  }
  if (!AcceptKey.isValid(key)) return HandshakeFault.make("InvalidKey", { length: key.length })
  const offers = Subprotocol.validate(subprotocols)
  if (HandshakeFault.is(offers)) return offers
  const offered = Extension.validate(extensions)
  if (HandshakeFault.is(offered)) return offered
  return UpgradeFields.checkOwn([["Origin", origin]], []) ?? UpgradeFields.checkOwn(fields, reserved)
}

const fieldsOf = (
  { fields = [], host, key, origin }: Options,
  subprotocols: ReadonlyArray<string>,
  extensions: ReadonlyArray<Extension.Extension>
): Headers.Headers => {
  const own: Array<Headers.Field> = [
    ["Host", host],
    ["Upgrade", "websocket"],
    ["Connection", "Upgrade"],
    ["Sec-WebSocket-Key", key],
    ["Sec-WebSocket-Version", "13"]
  ]
  if (subprotocols.length > 0) own.push(["Sec-WebSocket-Protocol", Subprotocol.format(subprotocols)])
  if (extensions.length > 0) own.push(["Sec-WebSocket-Extensions", Extension.format(extensions)])
  if (origin !== undefined) own.push(["Origin", origin])
  return [...own, ...fields]
}

/** Of a head that passed the checks: the target parses, and the single fields are there once. */
const build = (
  head: HttpHead.RequestHead,
  subprotocols: ReadonlyArray<string>,
  extensions: ReadonlyArray<Extension.Extension>
): UpgradeRequest => ({
  _tag: "UpgradeRequest",
  ...located(head),
  key: Headers.getAll(head.fields, "Sec-WebSocket-Key")[0],
  origin: Headers.get(head.fields, "Origin"),
  subprotocols: subprotocols.length === 0 ? none : subprotocols,
  extensions: extensions.length === 0 ? none : extensions
})

// The same for all requests: each connection holds its own.
const none: ReadonlyArray<never> = []

const located = ({ fields, method, target, version }: HttpHead.RequestHead): Omit<PlainRequest, "_tag"> => {
  const { host, path, query } = RequestTarget.parse(target) as RequestTarget.RequestTarget
  return { method, target, path, query, version, host: host ?? Headers.getAll(fields, "Host")[0] ?? "", fields }
}

/** The fields a client may not set by hand, besides those that begin with `Sec-WebSocket-`. */
const reserved = ["Host", "Upgrade", "Connection", "Content-Length", "Transfer-Encoding"]
