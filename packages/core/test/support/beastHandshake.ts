/**
 * The opening handshake of Boost.Beast 361 as a table: what it says to a head, and what we say. Where the two differ on
 * purpose, the row says what Beast does.
 */
import type * as HandshakeFault from "@effect-ws/core/HandshakeFault"
import { edit, sampleAccept, sampleKey } from "../heads.ts"

interface Row {
  /** Beast's enumerator, as `websocket::error` or `http::error` has it; "accepted" where Beast takes it. */
  readonly enumerator: string
  /** What is remarkable about it. */
  readonly about: string
  /** What Beast does, where we do otherwise on purpose. */
  readonly beast: string | undefined
}

/** A request, as Beast's server and ours see it. */
export interface RequestRow extends Row {
  readonly head: ReadonlyArray<string>
  readonly ours: HandshakeFault.RequestFault["_tag"] | HandshakeFault.HeadFault["_tag"] | "accepted"
  /** The status of our answer. */
  readonly status: number
}

/** A response, as Beast's client and ours see it. */
export interface ResponseRow extends Row {
  readonly head: ReadonlyArray<string>
  readonly ours: HandshakeFault.ResponseFault["_tag"] | HandshakeFault.HeadFault["_tag"] | "accepted" | "interim"
}

/** What a head alone doesn't show: the end of the peer, what follows a refusal, decorators. */
export interface ExchangeRow extends Row {
  readonly role: "client" | "server"
  /** What becomes of it; where that is no connection, the tag of the reason comes first. */
  readonly ours: string
}

/** The numbers of the enumerators that match Beast's condition `handshake_failed`. */
export const enumerators: Readonly<Record<string, number>> = {
  bad_http_version: 7,
  bad_method: 8,
  no_host: 9,
  no_connection: 10,
  no_connection_upgrade: 11,
  no_upgrade: 12,
  no_upgrade_websocket: 13,
  no_sec_key: 14,
  bad_sec_key: 15,
  no_sec_version: 16,
  bad_sec_version: 17,
  no_sec_accept: 18,
  bad_sec_accept: 19,
  upgrade_declined: 20
}

const requestRow = (
  enumerator: string,
  about: string,
  head: ReadonlyArray<string>,
  ours: RequestRow["ours"],
  status: number,
  beast?: string
): RequestRow => ({ enumerator, about, head, ours, status, beast })

const goodRequest = [
  "GET /chat HTTP/1.1",
  "Host: server.example.com",
  "Upgrade: websocket",
  "Connection: Upgrade",
  `Sec-WebSocket-Key: ${sampleKey}`,
  "Sec-WebSocket-Version: 13"
]

/** The good request without the line that begins like this, with others in its place. */
const without = (name: string, ...replacement: ReadonlyArray<string>) => edit(goodRequest, name, ...replacement)
const withMore = (...lines: ReadonlyArray<string>) => [...goodRequest, ...lines]

const malformed = "http::error::*"
const overflow = "http::error::buffer_overflow"
const body = "http::error::unexpected_body"

const silent = "sends nothing"
const passes = "accepts it"
const first = "accepts it, by the first line"
const answers400 = "answers 400"
const firstOnly = "answers 400, since it reads the first line only"

const keyLine = `Sec-WebSocket-Key: ${sampleKey}`
const keyOf = (key: string): ReadonlyArray<string> => without("Sec-WebSocket-Key", `Sec-WebSocket-Key: ${key}`)
const versionOf = (version: string): ReadonlyArray<string> =>
  without("Sec-WebSocket-Version", `Sec-WebSocket-Version: ${version}`)

/** Before the checks: what Beast's parser of HTTP refuses, or its buffer. */
const unread: ReadonlyArray<RequestRow> = [
  requestRow(malformed, "HTTP/2.0", without("GET", "GET /chat HTTP/2.0"), "HttpVersion", 505, silent),
  requestRow(malformed, "HTTP/1.2", without("GET", "GET /chat HTTP/1.2"), "accepted", 101, silent),
  requestRow(malformed, "a method that is no token", without("GET", "G(T / HTTP/1.1"), "MalformedHead", 400, silent),
  requestRow(malformed, "no target at all", without("GET", "GET  HTTP/1.1"), "MalformedHead", 400, silent),
  requestRow(malformed, "a blank before a colon", without("Host", "Host : a"), "MalformedHead", 400, silent),
  requestRow(malformed, "a folded line", withMore("A: b", " c"), "MalformedHead", 400, silent),
  requestRow(overflow, "a head of 2 KiB", withMore(`Cookie: ${"c".repeat(2000)}`), "accepted", 101, silent),
  requestRow(overflow, "a head of 9 KiB", withMore(`Cookie: ${"c".repeat(9000)}`), "HeadTooLarge", 431, silent),
  requestRow(body, "a body by Content-Length", withMore("Content-Length: 5"), "UnexpectedBody", 400, silent),
  requestRow(body, "a chunked body", withMore("Transfer-Encoding: chunked"), "UnexpectedBody", 400, silent),
  requestRow(
    malformed,
    "two lengths",
    withMore("Content-Length: 0", "Content-Length: 5"),
    "UnexpectedBody",
    400,
    silent
  ),
  requestRow(
    malformed,
    "a length and chunks",
    withMore("Content-Length: 0", "Transfer-Encoding: chunked"),
    "UnexpectedBody",
    400,
    silent
  )
]

/** In the order of Beast's checks. */
export const requestRows: ReadonlyArray<RequestRow> = [
  requestRow("accepted", "a correct request", goodRequest, "accepted", 101),
  ...unread,
  requestRow(
    "bad_http_version",
    "HTTP/1.0",
    without("GET", "GET /chat HTTP/1.0"),
    "HttpVersion",
    505,
    "answers 400, as HTTP/1.0"
  ),
  requestRow(
    "bad_method",
    "another method",
    without("GET", "POST /chat HTTP/1.1"),
    "Method",
    405,
    "answers 400, without Allow"
  ),
  requestRow("accepted", "a target that is no path", without("GET", "GET chat HTTP/1.1"), "InvalidTarget", 400, passes),
  requestRow("accepted", "an absolute target", without("GET", "GET http://a.example/ HTTP/1.1"), "accepted", 101),
  requestRow("no_host", "no Host", without("Host"), "MissingHost", 400),
  requestRow("accepted", "an empty Host", without("Host", "Host:"), "InvalidHost", 400, passes),
  requestRow("accepted", "two lines of Host", withMore("Host: b.example.com"), "RepeatedField", 400, first),
  requestRow("no_connection", "no Connection", without("Connection"), "MissingConnection", 426, answers400),
  requestRow(
    "no_connection_upgrade",
    "a Connection without upgrade",
    without("Connection", "Connection: keep-alive"),
    "ConnectionWithoutUpgrade",
    426,
    answers400
  ),
  requestRow(
    "no_connection_upgrade",
    "upgrade in a second line of Connection",
    without("Connection", "Connection: keep-alive", "Connection: Upgrade"),
    "accepted",
    101,
    firstOnly
  ),
  requestRow(
    "accepted",
    "a list in Connection, in another case",
    without("Connection", "Connection: keep-alive, UPGRADE"),
    "accepted",
    101
  ),
  requestRow("no_upgrade", "no Upgrade", without("Upgrade"), "MissingUpgrade", 426, answers400),
  requestRow(
    "no_upgrade_websocket",
    "an Upgrade without websocket",
    without("Upgrade", "Upgrade: h2c"),
    "UpgradeWithoutWebsocket",
    426,
    answers400
  ),
  requestRow(
    "no_upgrade_websocket",
    "websocket in a second line of Upgrade",
    without("Upgrade", "Upgrade: h2c", "Upgrade: websocket"),
    "accepted",
    101,
    firstOnly
  ),
  requestRow("no_sec_key", "no key", without("Sec-WebSocket-Key"), "MissingKey", 400),
  requestRow("bad_sec_key", "a key of 25 characters", keyOf(`${sampleKey}=`), "InvalidKey", 400),
  requestRow("accepted", "an empty key", keyOf(""), "InvalidKey", 400, passes),
  requestRow("accepted", "a key of four characters", keyOf("1234"), "InvalidKey", 400, passes),
  requestRow("accepted", "a key that is no base64", keyOf("!".repeat(24)), "InvalidKey", 400, passes),
  requestRow("accepted", "two lines of the key", withMore(keyLine), "RepeatedField", 400, first),
  requestRow("no_sec_version", "no version", without("Sec-WebSocket-Version"), "MissingVersion", 400),
  requestRow("bad_sec_version", "version 8", versionOf("8"), "UnsupportedVersion", 426, "answers 426 without Upgrade"),
  requestRow(
    "bad_sec_version",
    "a list of versions",
    versionOf("8, 13"),
    "UnsupportedVersion",
    426,
    "answers 426 without Upgrade"
  ),
  requestRow("accepted", "two lines of the version", withMore("Sec-WebSocket-Version: 8"), "RepeatedField", 400, first),
  requestRow(
    "accepted",
    "two lines of Origin",
    withMore("Origin: http://a.example", "Origin: http://b.example"),
    "RepeatedField",
    400,
    passes
  ),
  requestRow(
    "accepted",
    "subprotocols that are no tokens",
    withMore("Sec-WebSocket-Protocol: a b"),
    "InvalidSubprotocolOffer",
    400,
    passes
  )
]

const responseRow = (
  enumerator: string,
  about: string,
  head: ReadonlyArray<string>,
  ours: ResponseRow["ours"],
  beast?: string
): ResponseRow => ({ enumerator, about, head, ours, beast })

const goodResponse = [
  "HTTP/1.1 101 Switching Protocols",
  "Upgrade: websocket",
  "Connection: Upgrade",
  `Sec-WebSocket-Accept: ${sampleAccept}`
]

const lacking = (name: string, ...replacement: ReadonlyArray<string>) => edit(goodResponse, name, ...replacement)
const having = (...lines: ReadonlyArray<string>) => [...goodResponse, ...lines]
const acceptOf = (value: string): ReadonlyArray<string> =>
  lacking("Sec-WebSocket-Accept", `Sec-WebSocket-Accept: ${value}`)

/** In the order of Beast's checks. The request offered the subprotocols `chat` and `superchat`, and no extension. */
export const responseRows: ReadonlyArray<ResponseRow> = [
  responseRow("accepted", "a correct response", goodResponse, "accepted"),
  responseRow("accepted", "a Content-Length on the 101", having("Content-Length: 5"), "accepted"),
  responseRow(malformed, "HTTP/2.0", lacking("HTTP", "HTTP/2.0 101 Switching Protocols"), "HttpVersion"),
  responseRow(malformed, "a head of 9 KiB", having(`A: ${"b".repeat(9000)}`), "HeadTooLarge"),
  responseRow("upgrade_declined", "status 200", lacking("HTTP", "HTTP/1.1 200 OK"), "Status"),
  responseRow(
    "upgrade_declined",
    "status 103",
    ["HTTP/1.1 103 Early Hints", "Link: </a.css>; rel=preload"],
    "interim",
    "takes it for the answer"
  ),
  responseRow("bad_http_version", "HTTP/1.0", lacking("HTTP", "HTTP/1.0 101 Switching Protocols"), "HttpVersion"),
  responseRow("no_connection", "no Connection", lacking("Connection"), "MissingConnection"),
  responseRow(
    "no_connection_upgrade",
    "a Connection without upgrade",
    lacking("Connection", "Connection: close"),
    "ConnectionWithoutUpgrade"
  ),
  responseRow("no_upgrade", "no Upgrade", lacking("Upgrade"), "MissingUpgrade"),
  responseRow(
    "no_upgrade_websocket",
    "an Upgrade without websocket",
    lacking("Upgrade", "Upgrade: h2c"),
    "UpgradeWithoutWebsocket"
  ),
  responseRow(
    "accepted",
    "an Upgrade that names two protocols",
    lacking("Upgrade", "Upgrade: websocket, h2c"),
    "UpgradeWithoutWebsocket",
    passes
  ),
  responseRow("no_sec_accept", "no accept value", lacking("Sec-WebSocket-Accept"), "MissingAccept"),
  responseRow("bad_sec_accept", "a wrong accept value", acceptOf("AAAAAAAAAAAAAAAAAAAAAAAAAAA="), "WrongAccept"),
  responseRow(
    "bad_sec_accept",
    "an accept value in small letters",
    acceptOf(sampleAccept.toLowerCase()),
    "WrongAccept"
  ),
  responseRow(
    "accepted",
    "two lines of the accept value",
    having(`Sec-WebSocket-Accept: ${sampleAccept}`),
    "RepeatedField",
    passes
  ),
  responseRow(
    "accepted",
    "a subprotocol that was not offered",
    having("Sec-WebSocket-Protocol: other"),
    "UnrequestedSubprotocol",
    passes
  ),
  responseRow(
    "accepted",
    "two subprotocols",
    having("Sec-WebSocket-Protocol: chat, superchat"),
    "MultipleSubprotocols",
    passes
  ),
  responseRow(
    "accepted",
    "an extension that was not offered",
    having("Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=8"),
    "UnrequestedExtension",
    passes
  )
]

const exchangeRow = (
  role: ExchangeRow["role"],
  enumerator: string,
  about: string,
  ours: string,
  beast?: string
): ExchangeRow => ({ role, enumerator, about, ours, beast })

/** What the tests of the api show, one for each row. */
export const exchangeRows: ReadonlyArray<ExchangeRow> = [
  exchangeRow("server", "closed", "the end before the first byte", "PeerGone, nothing sent"),
  exchangeRow("server", "http::error::partial_message", "the end inside the head", "PeerGone, nothing sent"),
  exchangeRow("server", "buffer_overflow", "2 KiB that were read before", "accepted", "takes 1536 bytes at most"),
  exchangeRow("server", "accepted", "a page of another origin", "ForbiddenOrigin, 403", "leaves it to the program"),
  exchangeRow(
    "server",
    "accepted",
    "a decorator that turns the 101 into a 403",
    "Reject, 403",
    "sends the 403 and opens the connection"
  ),
  exchangeRow(
    "server",
    "accepted",
    "Expect: 100-continue in a correct request",
    "accepted, behind a 100 without fields",
    "gives the 100 a Content-Length"
  ),
  exchangeRow(
    "server",
    "no_sec_key",
    "Expect: 100-continue in a request without a key",
    "MissingKey, 400 and no 100",
    "sends a 100 before the 400"
  ),
  exchangeRow(
    "server",
    "no_sec_key",
    "a correct request behind one without a key, in one chunk",
    "accepted behind the 400",
    "drops what it has read"
  ),
  exchangeRow(
    "server",
    "no_sec_key",
    "Connection: close, Upgrade in a request without a key",
    "MissingKey, 400 and the end",
    "leaves the connection open"
  ),
  exchangeRow("client", "http::error::end_of_stream", "the end without a response", "PeerGone"),
  exchangeRow(
    "client",
    "upgrade_declined",
    "a 403 with a body of a megabyte",
    "Declined, with 64 KiB of it",
    "reads up to 8 MB"
  ),
  exchangeRow("client", "upgrade_declined", "a 103 before the 101", "accepted", "takes it for the answer"),
  exchangeRow(
    "client",
    overflow,
    "2 KiB of frames behind a 101 of 2 KiB",
    "accepted",
    "fails when more than 1536 bytes are left over"
  )
]
