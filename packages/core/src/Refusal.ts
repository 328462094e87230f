/**
 * How a server declines an upgrade request: an ordinary HTTP response with a status, fields and a body. Made from a
 * fault, or by hand for a reason of one's own. What concerns the connection and the length of the body is written by
 * {@link encode} and can't be set.
 *
 * @see https://www.rfc-editor.org/rfc/rfc6455#section-4.2.2
 * @since 0.1.0
 */
import * as HandshakeFault from "./HandshakeFault.ts"
import * as Headers from "./Headers.ts"
import * as HttpHead from "./HttpHead.ts"
import { concat } from "./internal/Bytes.ts"
import * as Latin1 from "./internal/Latin1.ts"
import * as ServerField from "./internal/ServerField.ts"

/**
 * An answer that is not an upgrade.
 *
 * @since 0.1.0
 * @category models
 */
export interface Refusal {
  /** The discriminant. */
  readonly _tag: "Refusal"
  /** The status, from 200 to 599. */
  readonly status: number
  /** The text behind the status. Default: the usual one, or none if we know none. */
  readonly reasonPhrase?: string | undefined
  /** Fields, without `Connection`, `Content-Length` and `Transfer-Encoding`. */
  readonly fields: Headers.Headers
  /** The body; plain text in UTF-8 unless the fields have a `Content-Type`. Only read. */
  readonly body: Uint8Array
}

/**
 * How a refusal is written.
 *
 * @since 0.1.0
 * @category models
 */
export interface EncodeOptions {
  /** Whether the connection takes another request afterwards. Default false, which writes `Connection: close`. */
  readonly keepAlive?: boolean | undefined
  /** Whether the request was `HEAD`, whose answer announces the length of a body but has none. Default false. */
  readonly omitBody?: boolean | undefined
  /** The `Server` field unless the refusal has one; `false` for none. Default `effect-ws`. */
  readonly server?: string | false | undefined
}

/**
 * Makes the refusal that answers a fault. The body is one line with the fault's message.
 *
 * **Details**
 *
 * 405 for a method that is not `GET`, 426 for a request that asks for no upgrade or for another version, 431 for a head
 * beyond the limits, 403 for a foreign origin, 505 for an HTTP version that has no upgrades, 400 for the other faults of a request. A fault of
 * our own side is answered with 500, and the peer is not told which.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-15
 * @since 0.1.0
 * @category constructors
 */
export const fromFault = (fault: HandshakeFault.HandshakeFault): Refusal => {
  const status = statuses[fault._tag] ?? 500
  const body = Latin1.encode(`${status === 500 ? "the request could not be answered" : fault.message}\n`)
  return { _tag: "Refusal", status, fields: fieldsByStatus[status] ?? Headers.empty, body }
}

/**
 * Writes a refusal, or says what in it can't be written. The bytes are the caller's.
 *
 * **Details**
 *
 * Adds `Content-Length`, `Content-Type` where there is a body, and `Connection`, which names `Upgrade` if that field is
 * present and `close` unless the connection is kept. A body is left out where the status has none (204, 205, 304).
 *
 * @see https://www.rfc-editor.org/rfc/rfc9112#section-6
 * @since 0.1.0
 * @category encoding
 */
export const encode = (
  refusal: Refusal,
  options: EncodeOptions = {}
): Uint8Array | HttpHead.EncodeFault | HandshakeFault.Of<"ReservedField"> => {
  // RFC 9110 15.2: below 200 the exchange would go on; a 101 would even open what was refused.
  if (!(refusal.status >= 200 && refusal.status <= 599)) {
    return HandshakeFault.make("InvalidStartLine", { part: "status" })
  }
  const clash = refusal.fields.find(([name]) => Headers.includes(reserved, name))
  if (clash !== undefined) return HandshakeFault.make("ReservedField", { field: clash[0] })
  const head = HttpHead.encodeResponse({
    status: refusal.status,
    reasonPhrase: refusal.reasonPhrase ?? reasonPhrases[refusal.status] ?? "",
    version: "1.1",
    fields: [
      ...ServerField.add(refusal.fields, options.server),
      ...framing(refusal),
      ...connection(refusal.fields, options.keepAlive === true)
    ]
  })
  if (HandshakeFault.is(head)) return head
  return options.omitBody === true || isBodiless(refusal) ? head : concat(head, refusal.body)
}

/** RFC 9110 15.3.5, 15.3.6, 15.4.5: these statuses have no body. */
const isBodiless = ({ status }: Refusal): boolean => status === 204 || status === 205 || status === 304

const framing = (refusal: Refusal): Headers.Headers => {
  // RFC 9110 15.3.6: a 205 says so, since to a reader it is framed like any other response.
  if (refusal.status === 205) return [["Content-Length", "0"]]
  // RFC 9110 8.6: no Content-Length on a 204; on a 304 it would speak of another response.
  if (isBodiless(refusal)) return Headers.empty
  const length: Headers.Field = ["Content-Length", `${refusal.body.length}`]
  const typed = refusal.body.length === 0 || Headers.has(refusal.fields, "Content-Type")
  return typed ? [length] : [["Content-Type", "text/plain; charset=utf-8"], length]
}

const connection = (fields: Headers.Headers, keepAlive: boolean): Headers.Headers => {
  // RFC 9110 7.8: who sends Upgrade names it in Connection.
  const options = Headers.has(fields, "Upgrade") ? ["Upgrade"] : []
  if (!keepAlive) options.push("close")
  return options.length === 0 ? Headers.empty : [["Connection", options.join(", ")]]
}

/** Every fault a request can have; the others are ours. */
const statuses: { readonly [Tag in HandshakeFault.Tag]?: number } & {
  readonly [Tag in (HandshakeFault.RequestFault | HandshakeFault.HeadFault)["_tag"]]: number
} = {
  HeadTooLarge: 431,
  TooManyFields: 431,
  MalformedHead: 400,
  HttpVersion: 505,
  Method: 405,
  InvalidTarget: 400,
  MissingHost: 400,
  InvalidHost: 400,
  UnexpectedBody: 400,
  MissingUpgrade: 426,
  UpgradeWithoutWebsocket: 426,
  MissingConnection: 426,
  ConnectionWithoutUpgrade: 426,
  MissingKey: 400,
  InvalidKey: 400,
  MissingVersion: 400,
  UnsupportedVersion: 426,
  InvalidSubprotocolOffer: 400,
  ForbiddenOrigin: 403,
  RepeatedField: 400,
  MalformedField: 400
}

const fieldsByStatus: { readonly [status: number]: Headers.Headers } = {
  // RFC 9110 15.5.6: a 405 lists what is allowed.
  405: [["Allow", "GET"]],
  // RFC 9110 15.5.22 and RFC 6455 4.2.2: a 426 says to what, and in which version.
  426: [
    ["Upgrade", "websocket"],
    ["Sec-WebSocket-Version", "13"]
  ]
}

const reasonPhrases: { readonly [status: number]: string } = {
  200: "OK",
  204: "No Content",
  205: "Reset Content",
  301: "Moved Permanently",
  302: "Found",
  303: "See Other",
  304: "Not Modified",
  307: "Temporary Redirect",
  308: "Permanent Redirect",
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  408: "Request Timeout",
  409: "Conflict",
  410: "Gone",
  413: "Content Too Large",
  414: "URI Too Long",
  421: "Misdirected Request",
  426: "Upgrade Required",
  429: "Too Many Requests",
  431: "Request Header Fields Too Large",
  500: "Internal Server Error",
  501: "Not Implemented",
  502: "Bad Gateway",
  503: "Service Unavailable",
  504: "Gateway Timeout",
  505: "HTTP Version Not Supported"
}

const reserved = ["Connection", "Content-Length", "Transfer-Encoding"]
