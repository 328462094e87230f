import * as HandshakeFault from "@effect-ws/core/HandshakeFault"
import { assert, describe, it } from "vitest"
import { assertFault, assertPresentable } from "./heads.ts"

/** One of each, so that a new tag without a line here fails to compile. */
const samples: { readonly [T in HandshakeFault.Tag]: HandshakeFault.Details[T] } = {
  HeadTooLarge: { limit: 8192 },
  TooManyFields: { limit: 100 },
  MalformedHead: { detail: "a line ends in LF without CR", offset: 4 },
  HttpVersion: { head: "request", version: "1.0" },
  RepeatedField: { field: "Host" },
  MalformedField: { field: "Connection" },
  MissingUpgrade: { head: "request" },
  UpgradeWithoutWebsocket: { head: "response", value: "h2c" },
  MissingConnection: { head: "response" },
  ConnectionWithoutUpgrade: { head: "request", value: "close" },
  Method: { method: "POST" },
  InvalidTarget: {},
  MissingHost: {},
  InvalidHost: {},
  UnexpectedBody: { field: "Content-Length" },
  MissingKey: {},
  InvalidKey: { length: 3 },
  MissingVersion: {},
  UnsupportedVersion: { requested: "8" },
  InvalidSubprotocolOffer: { detail: "duplicate" },
  ForbiddenOrigin: { origin: "https://evil.example", host: "example.com" },
  Status: { status: 403 },
  TooManyInterimResponses: { limit: 16 },
  MissingAccept: {},
  WrongAccept: {},
  UnrequestedSubprotocol: { subprotocol: "chat" },
  MultipleSubprotocols: {},
  UnrequestedExtension: { extension: "permessage-deflate" },
  ExtensionMismatch: { extension: "permessage-deflate" },
  InvalidFieldName: { field: "X Y" },
  InvalidFieldValue: { field: "X" },
  ReservedField: { field: "Upgrade" },
  InvalidSubprotocol: { subprotocol: "a b", detail: "malformed" },
  SubprotocolNotOffered: { subprotocol: "chat" },
  InvalidExtension: { extension: "a b" },
  ExtensionNotOffered: { extension: "x" },
  InvalidStartLine: { part: "status" }
}

const make = <T extends HandshakeFault.Tag>(tag: T): HandshakeFault.Of<T> => HandshakeFault.make(tag, samples[tag])

const tags = Object.keys(samples) as Array<HandshakeFault.Tag>

describe("faults of the opening handshake", () => {
  it.each(tags)("both roles get %s with its details, a section and a message", (tag) => {
    const fault = make(tag)
    assertPresentable(fault)
    assert.isTrue(HandshakeFault.is(fault))
    assert.deepInclude(fault as object, { _tag: tag, ...samples[tag] })
  })

  it("both roles read what happened, the field or the limit, and the section", () => {
    const shown = tags.map((tag) => make(tag).message)
    assert.deepStrictEqual(shown, [
      "the head is larger than the limit of 8192 bytes (RFC 6585 5)",
      "the head has more fields than the limit of 100 (RFC 6585 5)",
      "the head is malformed at byte 4: a line ends in LF without CR (RFC 9112 2.1)",
      "the request is not HTTP/1.1 (RFC 6455 4.2.1)",
      "the field Host appears more than once (RFC 9110 5.3)",
      "the field Connection is malformed (RFC 9110 5.6.1)",
      "the request has no Upgrade field (RFC 6455 4.2.1)",
      "the Upgrade field of the response does not say websocket (RFC 6455 4.1)",
      "the response has no Connection field (RFC 6455 4.1)",
      "the Connection field of the request does not say Upgrade (RFC 6455 4.2.1)",
      "the method is not GET (RFC 6455 4.2.1)",
      "the request target is neither a path nor an absolute http or ws URI (RFC 9112 3.2)",
      "the request has no Host field (RFC 6455 4.2.1)",
      "the host is not a name or an address with an optional port (RFC 9112 3.2)",
      "the request announces a body by Content-Length (RFC 9112 6)",
      "the request has no Sec-WebSocket-Key field (RFC 6455 4.2.1)",
      "the Sec-WebSocket-Key is not the base64 form of 16 bytes (RFC 6455 4.2.1)",
      "the request has no Sec-WebSocket-Version field (RFC 6455 4.2.1)",
      "the Sec-WebSocket-Version is not 13 (RFC 6455 4.2.2)",
      "the Sec-WebSocket-Protocol field names one twice (RFC 6455 4.1)",
      "the Origin is not one that this server takes (RFC 6455 10.2)",
      "the server answered with status 403 instead of 101 (RFC 6455 4.1)",
      "more interim responses than the limit of 16 came before the answer (RFC 9110 15.2)",
      "the response has no Sec-WebSocket-Accept field (RFC 6455 4.1)",
      "the Sec-WebSocket-Accept does not belong to the key that was sent (RFC 6455 4.1)",
      "the server chose a subprotocol that was not offered (RFC 6455 4.1)",
      "the server chose more than one subprotocol (RFC 6455 4.1)",
      "the server chose an extension that was not offered (RFC 6455 4.1)",
      'the server chose parameters for "permessage-deflate" that don\'t fit an offer (RFC 6455 9.1)',
      'the field name "X Y" is not a token (RFC 9110 5.1)',
      'the value for "X" has a character no field may have (RFC 9110 5.5)',
      'the field "Upgrade" is written by the handshake itself (RFC 6455 4)',
      'the subprotocol "a b" is not a token (RFC 6455 4.1)',
      'the subprotocol "chat" was not offered by the client (RFC 6455 4.2.2)',
      'the extension "a b" is not made of tokens (RFC 6455 9.1)',
      'the extension "x" was not offered by the client (RFC 6455 4.2.2)',
      "the status can't be written in a start line (RFC 9112 2.1)"
    ])
  })

  it("both roles are pointed to the section for their head", () => {
    assert.strictEqual(make("MissingUpgrade").section, "RFC 6455 4.2.1")
    assert.strictEqual(make("MissingConnection").section, "RFC 6455 4.1")
    assert.strictEqual(
      HandshakeFault.make("MalformedField", { field: "Sec-WebSocket-Extensions" }).section,
      "RFC 6455 9.1"
    )
    assert.strictEqual(
      HandshakeFault.make("MalformedField", { field: "Sec-WebSocket-Protocol" }).section,
      "RFC 6455 4.3"
    )
  })

  it("both roles hold no more than 64 characters of what the peer sent, and none of it in the message", () => {
    const long = HandshakeFault.make("Method", { method: "SECRET".repeat(1000) })
    assert.strictEqual(long.method.length, 64)
    assert.notInclude(long.message, "SECRET")
    const version = HandshakeFault.make("UnsupportedVersion", { requested: "SECRET".repeat(1000) })
    assert.strictEqual(version.requested.length, 64)
    assert.notInclude(version.message, "SECRET")
  })

  it("both roles print the caller's text on one line of ASCII", () => {
    const fault = HandshakeFault.make("InvalidFieldName", { field: 'a\r\nb: "\\\u00e9\u{1f600}' })
    assertFault(fault, "InvalidFieldName", { field: 'a\r\nb: "\\\u00e9\u{1f600}' })
    assert.include(fault.message, String.raw`"a\u{d}\u{a}b: \u{22}\u{5c}\u{e9}\u{1f600}"`)
  })

  it("both roles tell a fault from other values", () => {
    const others = [
      undefined,
      null,
      "Method",
      1,
      [],
      {},
      { _tag: "Method" },
      { section: "x" },
      { _tag: 1, section: "x" }
    ]
    for (const other of [...others, { _tag: "toString", section: "x" }, { _tag: "__proto__", section: "x" }]) {
      assert.isFalse(HandshakeFault.is(other))
    }
  })
})
