import * as HandshakeFault from "@effect-ws/core/HandshakeFault"
import * as Headers from "@effect-ws/core/Headers"
import * as UpgradeResponse from "@effect-ws/core/UpgradeResponse"
import * as fc from "fast-check"
import { assert, describe, it } from "vitest"
import {
  assertFault,
  assertPresentable,
  edit,
  head,
  ok,
  readResponse,
  requested,
  sampleAccept,
  sampleKey,
  sampleRequest,
  sampleResponse,
  text,
  validateRequest,
  validateResponse
} from "./heads.ts"

const deflate = { name: "permessage-deflate", parameters: [{ name: "client_max_window_bits", value: "10" }] }

const accept = (options?: UpgradeResponse.Options) =>
  UpgradeResponse.accept(ok(validateRequest(sampleRequest)), options)

describe("RFC 6455 4.2.2: accepting", () => {
  it("server writes the sample response byte for byte", () => {
    const response = ok(accept({ subprotocol: "chat", server: false }))
    assert.strictEqual(text(ok(UpgradeResponse.encode(response))), head(sampleResponse))
  })

  it("server writes extensions and fields behind its own, and names itself", () => {
    const request = requested({ extensions: [{ name: "permessage-deflate", parameters: [] }] })
    const response = ok(
      UpgradeResponse.accept(request, {
        extensions: [deflate],
        fields: [
          ["Set-Cookie", "a=b"],
          ["set-cookie", "c=d"]
        ]
      })
    )
    const expected = [
      "HTTP/1.1 101 Switching Protocols",
      "Upgrade: websocket",
      "Connection: Upgrade",
      `Sec-WebSocket-Accept: ${sampleAccept}`,
      "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=10",
      "Set-Cookie: a=b",
      "set-cookie: c=d",
      "Server: effect-ws"
    ]
    assert.strictEqual(text(ok(UpgradeResponse.encode(response))), head(expected))
    assert.include(response, { status: 101, version: "1.1", subprotocol: undefined })
  })

  it("server is named by the option or by a field", () => {
    const servers = (options: UpgradeResponse.Options) =>
      ok(accept(options)).fields.filter(([name]) => name.toLowerCase() === "server")
    assert.deepStrictEqual(servers({ server: "mine" }), [["Server", "mine"]])
    assert.deepStrictEqual(servers({ fields: [["server", "theirs"]] }), [["server", "theirs"]])
    assert.deepStrictEqual(servers({ fields: [["server", "theirs"]], server: "mine" }), [["server", "theirs"]])
    assert.deepStrictEqual(servers({ server: false }), [])
  })

  it("server never chooses what was not offered", () => {
    for (const subprotocol of ["other", "CHAT", "", "chat, superchat", "chat\r\nX: y"]) {
      assertFault(accept({ subprotocol }), "SubprotocolNotOffered", { subprotocol })
    }
    assertFault(accept({ extensions: [deflate] }), "ExtensionNotOffered", { extension: "permessage-deflate" })
  })

  it.each([
    ["an extension that is no token", { extensions: [{ name: "a b", parameters: [] }] }, "InvalidExtension"],
    ["a value with CRLF", { fields: [["X", "a\r\nb: c"]] }, "InvalidFieldValue"],
    ["a value with NUL", { fields: [["X", "\0"]] }, "InvalidFieldValue"],
    ["a name that is no token", { fields: [["X:", ""]] }, "InvalidFieldName"],
    ["a server name with CRLF", { server: "a\r\nX: y" }, "InvalidFieldValue"],
    ["the field Upgrade", { fields: [["upgrade", "h2c"]] }, "ReservedField"],
    ["the field Connection", { fields: [["Connection", "close"]] }, "ReservedField"],
    ["the field Sec-WebSocket-Accept", { fields: [["Sec-WebSocket-Accept", "x"]] }, "ReservedField"],
    ["the field Sec-WebSocket-Protocol", { fields: [["sec-websocket-protocol", "chat"]] }, "ReservedField"],
    ["the field Content-Length", { fields: [["Content-Length", "0"]] }, "ReservedField"],
    ["the field Transfer-Encoding", { fields: [["Transfer-Encoding", "chunked"]] }, "ReservedField"]
  ] as const)("server refuses to accept with %s", (_, options, tag) => {
    assertFault(accept(options), tag)
  })
})

describe("RFC 6455 4.2.2: decorating what accepts", () => {
  const decorate = (change: (fields: Headers.Headers) => Headers.Headers) => {
    const response = ok(accept({ subprotocol: "chat" }))
    return UpgradeResponse.decorate(response, change(response.fields))
  }

  it("server may add, replace and take away what is not of the upgrade", () => {
    const decorated = ok(
      decorate((fields) => [["X-First", "1"], ...Headers.remove(fields, "Server"), ["Set-Cookie", "a=b"]])
    )
    assert.strictEqual(
      text(ok(UpgradeResponse.encode(decorated))),
      head([
        "HTTP/1.1 101 Switching Protocols",
        "X-First: 1",
        "Upgrade: websocket",
        "Connection: Upgrade",
        `Sec-WebSocket-Accept: ${sampleAccept}`,
        "Sec-WebSocket-Protocol: chat",
        "Set-Cookie: a=b"
      ])
    )
    assert.strictEqual(decorated.subprotocol, "chat")
  })

  it.each([
    ["Upgrade", (fields: Headers.Headers) => Headers.remove(fields, "Upgrade")],
    ["Connection", (fields: Headers.Headers) => Headers.set(fields, "Connection", "close")],
    ["Sec-WebSocket-Accept", (fields: Headers.Headers) => Headers.set(fields, "sec-websocket-accept", "x")],
    ["Sec-WebSocket-Protocol", (fields: Headers.Headers) => Headers.append(fields, "Sec-WebSocket-Protocol", "other")],
    ["Sec-WebSocket-Extensions", (fields: Headers.Headers) => Headers.append(fields, "Sec-WebSocket-Extensions", "x")],
    ["Content-Length", (fields: Headers.Headers) => Headers.append(fields, "Content-Length", "0")],
    ["Transfer-Encoding", (fields: Headers.Headers) => Headers.append(fields, "Transfer-Encoding", "chunked")]
  ] as const)("server may not change the field %s", (field, change) => {
    const fault = decorate(change)
    assertFault(fault, "ReservedField")
    assert.strictEqual(fault.field.toLowerCase(), field.toLowerCase())
  })

  it("server may not add what can't be written", () => {
    assertFault(
      decorate((fields) => Headers.append(fields, "X", "a\r\nb: c")),
      "InvalidFieldValue"
    )
    assertFault(
      decorate((fields) => Headers.append(fields, "X ", "a")),
      "InvalidFieldName"
    )
  })
})

describe("RFC 9110 7.8: Expect beside Upgrade", () => {
  it("server sends a bare 100 ahead of the 101, and none unless it is told to", () => {
    const response = ok(accept({ server: false }))
    const plain = text(ok(UpgradeResponse.encode(response)))
    assert.strictEqual(
      text(ok(UpgradeResponse.encode(response, { continues: true }))),
      `HTTP/1.1 100 Continue\r\n\r\n${plain}`
    )
    assert.isTrue(plain.startsWith("HTTP/1.1 101 "))
  })
})

/** The outcome for the sample response with one line replaced or dropped. */
const changed = (name: string, ...replacement: ReadonlyArray<string>) =>
  validateResponse(edit(sampleResponse, name, ...replacement))

describe("RFC 6455 4.1: validating a response", () => {
  it("client reads the sample response", () => {
    const { fields, ...response } = ok(validateResponse(sampleResponse))
    assert.deepStrictEqual(response, {
      _tag: "UpgradeResponse",
      status: 101,
      reasonPhrase: "Switching Protocols",
      version: "1.1",
      subprotocol: "chat",
      extensions: []
    })
    assert.lengthOf(fields, 4)
  })

  it("client takes a response without a choice, whatever it offered", () => {
    assert.isUndefined(ok(changed("Sec-WebSocket-Protocol")).subprotocol)
  })

  it("client reads tokens in any case, repeated connection options and a length that means nothing", () => {
    ok(changed("Upgrade", "upgrade: WEBSOCKET"))
    ok(changed("Connection", "Connection: keep-alive", "connection: uPgrade"))
    ok(changed("(none)", "Content-Length: 5"))
    ok(changed("HTTP", "HTTP/1.1 101 "))
  })

  it("client reads extensions it offered, in any case", () => {
    const offered = { extensions: [{ name: "permessage-deflate", parameters: [] }] }
    const lines = edit(edit(sampleResponse, "Sec-WebSocket-P"), "-", "Sec-WebSocket-Extensions: Permessage-Deflate; a")
    const expected = [{ name: "Permessage-Deflate", parameters: [{ name: "a" }] }]
    assert.deepStrictEqual(ok(validateResponse(lines, offered)).extensions, expected)
  })

  it.each([
    ["another status", "HTTP", ["HTTP/1.1 200 OK"], "Status", { status: 200 }],
    ["a refusal", "HTTP", ["HTTP/1.1 401 Unauthorized"], "Status", { status: 401 }],
    ["a redirect", "HTTP", ["HTTP/1.1 302 Found"], "Status", { status: 302 }],
    ["a status before a version", "HTTP", ["HTTP/1.0 404 "], "Status", { status: 404 }],
    ["HTTP/1.0", "HTTP", ["HTTP/1.0 101 x"], "HttpVersion", { version: "1.0", head: "response" }],
    ["no Upgrade", "Upgrade", [], "MissingUpgrade", { head: "response" }],
    ["another Upgrade", "Upgrade", ["Upgrade: h2c"], "UpgradeWithoutWebsocket", { head: "response", value: "h2c" }],
    ["an Upgrade to more", "Upgrade", ["Upgrade: websocket, h2c"], "UpgradeWithoutWebsocket", {}],
    ["a repeated Upgrade", "Upgrade", ["Upgrade: websocket", "Upgrade: websocket"], "UpgradeWithoutWebsocket", {}],
    ["a malformed Upgrade", "Upgrade", ["Upgrade: a b"], "MalformedField", { field: "Upgrade" }],
    ["no Connection", "Connection", [], "MissingConnection", { head: "response" }],
    [
      "a Connection without upgrade",
      "Connection",
      ["Connection: close"],
      "ConnectionWithoutUpgrade",
      { value: "close" }
    ],
    ["no accept value", "Sec-WebSocket-A", [], "MissingAccept", {}],
    ["an empty accept value", "Sec-WebSocket-A", ["Sec-WebSocket-Accept:"], "WrongAccept", {}],
    ["the key for an accept value", "Sec-WebSocket-A", [`Sec-WebSocket-Accept: ${sampleKey}`], "WrongAccept", {}],
    [
      "an accept value in another case",
      "Sec-WebSocket-A",
      [`Sec-WebSocket-Accept: ${sampleAccept.toUpperCase()}`],
      "WrongAccept",
      {}
    ],
    ["a longer accept value", "Sec-WebSocket-A", [`Sec-WebSocket-Accept: ${sampleAccept}=`], "WrongAccept", {}],
    [
      "a repeated accept value",
      "Sec-WebSocket-A",
      [`Sec-WebSocket-Accept: ${sampleAccept}`, `Sec-WebSocket-Accept: ${sampleAccept}`],
      "RepeatedField",
      { field: "Sec-WebSocket-Accept" }
    ],
    ["an extension not offered", "-", ["Sec-WebSocket-Extensions: x"], "UnrequestedExtension", { extension: "x" }],
    ["an extension __proto__", "-", ["Sec-WebSocket-Extensions: __proto__"], "UnrequestedExtension", {}],
    ["malformed extensions", "-", ["Sec-WebSocket-Extensions: x;"], "MalformedField", {}],
    ["an empty list of extensions", "-", ["Sec-WebSocket-Extensions:"], "MalformedField", {}],
    [
      "a subprotocol not offered",
      "Sec-WebSocket-P",
      ["Sec-WebSocket-Protocol: other"],
      "UnrequestedSubprotocol",
      { subprotocol: "other" }
    ],
    [
      "a subprotocol in another case",
      "Sec-WebSocket-P",
      ["Sec-WebSocket-Protocol: Chat"],
      "UnrequestedSubprotocol",
      {}
    ],
    ["two subprotocols", "Sec-WebSocket-P", ["Sec-WebSocket-Protocol: chat, superchat"], "MultipleSubprotocols", {}],
    [
      "two lines of subprotocols",
      "Sec-WebSocket-P",
      ["Sec-WebSocket-Protocol: chat", "Sec-WebSocket-Protocol: chat"],
      "MultipleSubprotocols",
      {}
    ],
    ["an empty subprotocol", "Sec-WebSocket-P", ["Sec-WebSocket-Protocol:"], "MalformedField", {}],
    ["a malformed subprotocol", "Sec-WebSocket-P", ["Sec-WebSocket-Protocol: a b"], "MalformedField", {}]
  ] as const)("client refuses %s", (_, name, replacement, tag, details) => {
    assertFault(changed(name, ...replacement), tag, details)
  })

  it("client refuses a subprotocol when it offered none", () => {
    assertFault(validateResponse(sampleResponse, {}), "UnrequestedSubprotocol", { subprotocol: "chat" })
  })

  it("client skips 1xx, but not 101", () => {
    const interim = (status: number) => UpgradeResponse.isInterim(readResponse([`HTTP/1.1 ${status} x`]))
    assert.deepStrictEqual([100, 102, 103, 199].map(interim), [true, true, true, true])
    assert.deepStrictEqual([101, 200, 404].map(interim), [false, false, false])
    assert.isFalse(interim(999))
  })

  it("client ends in a response or a fault for any head", () => {
    const name = fc.constantFrom(
      ...sampleResponse.slice(1).map((line) => line.split(":")[0]),
      "Sec-WebSocket-Extensions"
    )
    const value = fc.oneof(
      fc.constantFrom("websocket", "Upgrade", sampleAccept, "chat", "", ","),
      fc.string({ maxLength: 9 })
    )
    const fields = fc.array(fc.tuple(name, value), { maxLength: 8 })
    fc.assert(
      fc.property(fc.constantFrom(101, 101, 400), fc.constantFrom("1.1", "1.0"), fields, (status, version, fields) => {
        const response = { _tag: "ResponseHead", status, version, reasonPhrase: "", fields } as const
        const outcome = UpgradeResponse.validate(response, requested({ subprotocols: ["chat"] }))
        if (HandshakeFault.is(outcome)) assertPresentable(outcome)
        else assert.strictEqual(outcome._tag, "UpgradeResponse")
      })
    )
  })

  it("client accepts what a server builds", () => {
    const token = fc.stringMatching(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,8}$/)
    const extension = fc.record({
      name: token,
      parameters: fc.array(fc.oneof(fc.record({ name: token }), fc.record({ name: token, value: token })), {
        maxLength: 2
      })
    })
    fc.assert(
      fc.property(
        fc.uniqueArray(token, { maxLength: 3 }),
        fc.array(extension, { maxLength: 2 }),
        (subprotocols, extensions) => {
          const request = requested({ subprotocols, extensions })
          const response = ok(UpgradeResponse.accept(request, { subprotocol: subprotocols.at(-1), extensions }))
          const lines = text(ok(UpgradeResponse.encode(response)))
            .slice(0, -4)
            .split("\r\n")
          assert.deepEqual(UpgradeResponse.validate(readResponse(lines), request), response)
        }
      )
    )
  })
})
