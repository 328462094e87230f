/**
 * Everything that can be wrong with an opening handshake, as plain data: one tag per check, with the section of the RFC
 * that decides and a message for people. A message never repeats text of the peer, and no fault holds the value of a
 * field that may carry credentials, so both are safe to log and to send. Nothing here is thrown.
 *
 * @see https://www.rfc-editor.org/rfc/rfc6455#section-4
 * @since 0.1.0
 */
import { bounded, quoted } from "./internal/Ascii.ts"

/**
 * What every fault has, whatever its tag.
 *
 * @since 0.1.0
 * @category models
 */
export interface Fault<Tag extends string> {
  /** The check that failed. */
  readonly _tag: Tag
  /** The section that decides, for example `RFC 6455 4.2.1`. */
  readonly section: string
  /** What happened, naming the field or the limit, and the section. Printable ASCII, never text of the peer. */
  readonly message: string
}

/**
 * Says which of the two heads of a handshake a fault is about.
 *
 * @since 0.1.0
 * @category models
 */
export type HeadKind = "request" | "response"

/**
 * A fault whose tag says it all.
 *
 * @since 0.1.0
 * @category models
 */
export type NoDetail = Readonly<Record<never, never>>

/**
 * Faults of reading a head, each with its details.
 *
 * @since 0.1.0
 * @category models
 */
export interface HeadFaults {
  /** The head did not end within `limit` bytes. */
  readonly HeadTooLarge: { readonly limit: number }
  /** The head has more than `limit` field lines. */
  readonly TooManyFields: { readonly limit: number }
  /** A byte can't belong to an HTTP/1.1 head: what is wrong, and at which offset from the first byte of the head. */
  readonly MalformedHead: { readonly detail: string; readonly offset: number }
}

/**
 * Faults that a request and a response can both have, each with its details.
 *
 * @since 0.1.0
 * @category models
 */
export interface SharedFaults {
  /** The HTTP version, such as `1.0`, can't be upgraded: below 1.1, or of another major version. */
  readonly HttpVersion: { readonly head: HeadKind; readonly version: string }
  /** A field that may appear once was sent more than once. */
  readonly RepeatedField: { readonly field: string }
  /** The value of a field breaks its grammar. */
  readonly MalformedField: { readonly field: string }
  /** There is no `Upgrade` field. */
  readonly MissingUpgrade: { readonly head: HeadKind }
  /** `Upgrade` doesn't name `websocket` (in a response: names anything else); `value` is cut at 64 characters. */
  readonly UpgradeWithoutWebsocket: { readonly head: HeadKind; readonly value: string }
  /** There is no `Connection` field. */
  readonly MissingConnection: { readonly head: HeadKind }
  /** `Connection` doesn't have the token `upgrade`; `value` is cut at 64 characters. */
  readonly ConnectionWithoutUpgrade: { readonly head: HeadKind; readonly value: string }
}

/**
 * Faults of an upgrade request, each with its details.
 *
 * @since 0.1.0
 * @category models
 */
export interface RequestFaults {
  /** The method, cut at 64 characters, is not `GET`. */
  readonly Method: { readonly method: string }
  /** The target is neither a path with an optional query nor an absolute `http`, `https`, `ws` or `wss` URI. */
  readonly InvalidTarget: NoDetail
  /** There is no `Host` field. */
  readonly MissingHost: NoDetail
  /** The host is not a name or address with an optional port. */
  readonly InvalidHost: NoDetail
  /** The request announces a body; `field` is the one that does. */
  readonly UnexpectedBody: { readonly field: "Content-Length" | "Transfer-Encoding" }
  /** There is no `Sec-WebSocket-Key` field. */
  readonly MissingKey: NoDetail
  /** The key is not the canonical base64 form of 16 bytes; `length` is its length in characters. */
  readonly InvalidKey: { readonly length: number }
  /** There is no `Sec-WebSocket-Version` field. */
  readonly MissingVersion: NoDetail
  /** The version asked for, cut at 64 characters, is not 13. */
  readonly UnsupportedVersion: { readonly requested: string }
  /** The offered subprotocols are no list of tokens, are none at all, or name one twice. */
  readonly InvalidSubprotocolOffer: { readonly detail: "malformed" | "empty" | "duplicate" }
  /** A page of another origin asks; the `Origin` and the `Host`, each cut at 64 characters. */
  readonly ForbiddenOrigin: { readonly origin: string; readonly host: string }
}

/**
 * Faults of an upgrade response, each with its details.
 *
 * @since 0.1.0
 * @category models
 */
export interface ResponseFaults {
  /** The status is not 101: the server declined. */
  readonly Status: { readonly status: number }
  /** More than `limit` interim responses (1xx) came before the one that counts. */
  readonly TooManyInterimResponses: { readonly limit: number }
  /** There is no `Sec-WebSocket-Accept` field. */
  readonly MissingAccept: NoDetail
  /** `Sec-WebSocket-Accept` doesn't belong to the key that was sent. */
  readonly WrongAccept: NoDetail
  /** The server chose a subprotocol, cut at 64 characters, that was not offered. */
  readonly UnrequestedSubprotocol: { readonly subprotocol: string }
  /** The server chose more than one subprotocol. */
  readonly MultipleSubprotocols: NoDetail
  /** The server chose an extension, its name cut at 64 characters, that was not offered. */
  readonly UnrequestedExtension: { readonly extension: string }
  /** The parameters that the server chose for an extension, its name cut at 64 characters, don't fit any offer. */
  readonly ExtensionMismatch: { readonly extension: string }
}

/**
 * Faults of our own side, found before a byte is written, each with its details.
 *
 * @since 0.1.0
 * @category models
 */
export interface CallerFaults {
  /** A field name, cut at 64 characters, is not a token. */
  readonly InvalidFieldName: { readonly field: string }
  /** The value for `field` has a character that may not be in a field: CR, LF, NUL, a control or one above U+00FF. */
  readonly InvalidFieldValue: { readonly field: string }
  /** `field` is written by the handshake itself and can't be given. */
  readonly ReservedField: { readonly field: string }
  /** A subprotocol, cut at 64 characters, is not a token, or is in the list twice. */
  readonly InvalidSubprotocol: { readonly subprotocol: string; readonly detail: "malformed" | "duplicate" }
  /** The subprotocol to accept, cut at 64 characters, is not among the offers. */
  readonly SubprotocolNotOffered: { readonly subprotocol: string }
  /** An extension, its name cut at 64 characters, or one of its parameters is not made of tokens. */
  readonly InvalidExtension: { readonly extension: string }
  /** The extension to accept, its name cut at 64 characters, is not among the offers. */
  readonly ExtensionNotOffered: { readonly extension: string }
  /** A part of the start line can't be written. */
  readonly InvalidStartLine: { readonly part: "method" | "target" | "version" | "status" | "reason phrase" }
}

/**
 * The details of every fault, by tag.
 *
 * @since 0.1.0
 * @category models
 */
export interface Details extends HeadFaults, SharedFaults, RequestFaults, ResponseFaults, CallerFaults {}

/**
 * The tag of a fault.
 *
 * @since 0.1.0
 * @category models
 */
export type Tag = keyof Details

/**
 * The faults with the given tags.
 *
 * @since 0.1.0
 * @category models
 */
export type Of<T extends Tag> = { readonly [K in T]: Fault<K> & Details[K] }[T]

/**
 * Anything that can be wrong with an opening handshake.
 *
 * @since 0.1.0
 * @category models
 */
export type HandshakeFault = Of<Tag>

/**
 * What reading a head can end with.
 *
 * @since 0.1.0
 * @category models
 */
export type HeadFault = Of<keyof HeadFaults | "HttpVersion">

/**
 * What validating an upgrade request can end with.
 *
 * @since 0.1.0
 * @category models
 */
export type RequestFault = Of<keyof SharedFaults | keyof RequestFaults>

/**
 * What validating an upgrade response can end with.
 *
 * @since 0.1.0
 * @category models
 */
export type ResponseFault = Of<keyof SharedFaults | keyof ResponseFaults>

/**
 * What building a request, a response or a refusal can end with.
 *
 * @since 0.1.0
 * @category models
 */
export type CallerFault = Of<keyof CallerFaults | "InvalidTarget" | "InvalidHost" | "InvalidKey" | "RepeatedField">

/**
 * Makes a fault from its tag and details; text among the details is cut at 64 characters.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <T extends Tag>(tag: T, detail: Details[T]): Of<T> => {
  const [section, text] = rules[tag](detail)
  const fault: Record<string, unknown> = { _tag: tag }
  for (const [name, value] of Object.entries(detail)) fault[name] = typeof value === "string" ? bounded(value) : value
  fault["section"] = section
  fault["message"] = `${text} (${section})`
  return fault as unknown as Of<T>
}

/**
 * Tells a fault from any other value, such as what a validator returns on success.
 *
 * @since 0.1.0
 * @category guards
 */
export const is = (value: unknown): value is HandshakeFault =>
  typeof value === "object" &&
  value !== null &&
  "_tag" in value &&
  "section" in value &&
  typeof value._tag === "string" &&
  Object.hasOwn(rules, value._tag)

type Rules = { readonly [K in Tag]: (detail: Details[K]) => readonly [section: string, text: string] }

const sectionOf = (head: HeadKind): string => (head === "request" ? "RFC 6455 4.2.1" : "RFC 6455 4.1")

const grammarOf = (field: string): string => {
  if (field === "Content-Length" || field === "Transfer-Encoding") return "RFC 9112 6.3"
  if (field === "Sec-WebSocket-Extensions") return "RFC 6455 9.1"
  return field === "Sec-WebSocket-Protocol" ? "RFC 6455 4.3" : "RFC 9110 5.6.1"
}

const offerProblems = {
  malformed: "is no list of tokens",
  empty: "names nothing",
  duplicate: "names one twice"
} as const
const subprotocolProblems = { malformed: "is not a token", duplicate: "is in the list twice" } as const

const rules: Rules = {
  HeadTooLarge: ({ limit }) => ["RFC 6585 5", `the head is larger than the limit of ${limit} bytes`],
  TooManyFields: ({ limit }) => ["RFC 6585 5", `the head has more fields than the limit of ${limit}`],
  MalformedHead: ({ detail, offset }) => ["RFC 9112 2.1", `the head is malformed at byte ${offset}: ${detail}`],
  HttpVersion: ({ head }) => [sectionOf(head), `the ${head} is not HTTP/1.1`],
  RepeatedField: ({ field }) => ["RFC 9110 5.3", `the field ${field} appears more than once`],
  MalformedField: ({ field }) => [grammarOf(field), `the field ${field} is malformed`],
  MissingUpgrade: ({ head }) => [sectionOf(head), `the ${head} has no Upgrade field`],
  UpgradeWithoutWebsocket: ({ head }) => [sectionOf(head), `the Upgrade field of the ${head} does not say websocket`],
  MissingConnection: ({ head }) => [sectionOf(head), `the ${head} has no Connection field`],
  ConnectionWithoutUpgrade: ({ head }) => [sectionOf(head), `the Connection field of the ${head} does not say Upgrade`],
  Method: () => ["RFC 6455 4.2.1", "the method is not GET"],
  InvalidTarget: () => ["RFC 9112 3.2", "the request target is neither a path nor an absolute http or ws URI"],
  MissingHost: () => ["RFC 6455 4.2.1", "the request has no Host field"],
  InvalidHost: () => ["RFC 9112 3.2", "the host is not a name or an address with an optional port"],
  UnexpectedBody: ({ field }) => ["RFC 9112 6", `the request announces a body by ${field}`],
  MissingKey: () => ["RFC 6455 4.2.1", "the request has no Sec-WebSocket-Key field"],
  InvalidKey: () => ["RFC 6455 4.2.1", "the Sec-WebSocket-Key is not the base64 form of 16 bytes"],
  MissingVersion: () => ["RFC 6455 4.2.1", "the request has no Sec-WebSocket-Version field"],
  UnsupportedVersion: () => ["RFC 6455 4.2.2", "the Sec-WebSocket-Version is not 13"],
  InvalidSubprotocolOffer: ({ detail }) => [
    "RFC 6455 4.1",
    `the Sec-WebSocket-Protocol field ${offerProblems[detail]}`
  ],
  ForbiddenOrigin: () => ["RFC 6455 10.2", "the Origin is not one that this server takes"],
  Status: ({ status }) => ["RFC 6455 4.1", `the server answered with status ${status} instead of 101`],
  TooManyInterimResponses: ({ limit }) => [
    "RFC 9110 15.2",
    `more interim responses than the limit of ${limit} came before the answer`
  ],
  MissingAccept: () => ["RFC 6455 4.1", "the response has no Sec-WebSocket-Accept field"],
  WrongAccept: () => ["RFC 6455 4.1", "the Sec-WebSocket-Accept does not belong to the key that was sent"],
  UnrequestedSubprotocol: () => ["RFC 6455 4.1", "the server chose a subprotocol that was not offered"],
  MultipleSubprotocols: () => ["RFC 6455 4.1", "the server chose more than one subprotocol"],
  UnrequestedExtension: () => ["RFC 6455 4.1", "the server chose an extension that was not offered"],
  ExtensionMismatch: ({ extension }) => [
    "RFC 6455 9.1",
    `the server chose parameters for ${quoted(extension)} that don't fit an offer`
  ],
  InvalidFieldName: ({ field }) => ["RFC 9110 5.1", `the field name ${quoted(field)} is not a token`],
  InvalidFieldValue: ({ field }) => [
    "RFC 9110 5.5",
    `the value for ${quoted(field)} has a character no field may have`
  ],
  ReservedField: ({ field }) => ["RFC 6455 4", `the field ${quoted(field)} is written by the handshake itself`],
  InvalidSubprotocol: ({ detail, subprotocol }) => [
    "RFC 6455 4.1",
    `the subprotocol ${quoted(subprotocol)} ${subprotocolProblems[detail]}`
  ],
  SubprotocolNotOffered: ({ subprotocol }) => [
    "RFC 6455 4.2.2",
    `the subprotocol ${quoted(subprotocol)} was not offered by the client`
  ],
  InvalidExtension: ({ extension }) => ["RFC 6455 9.1", `the extension ${quoted(extension)} is not made of tokens`],
  ExtensionNotOffered: ({ extension }) => [
    "RFC 6455 4.2.2",
    `the extension ${quoted(extension)} was not offered by the client`
  ],
  InvalidStartLine: ({ part }) => ["RFC 9112 2.1", `the ${part} can't be written in a start line`]
}
