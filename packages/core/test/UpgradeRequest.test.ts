import * as HandshakeFault from "@effect-ws/core/HandshakeFault"
import * as Headers from "@effect-ws/core/Headers"
import * as UpgradeRequest from "@effect-ws/core/UpgradeRequest"
import * as fc from "fast-check"
import { assert, describe, it } from "vitest"
import {
  assertFault,
  assertPresentable,
  edit,
  head,
  ok,
  readRequest,
  requested,
  sampleKey,
  sampleRequest,
  text,
  validateRequest
} from "./heads.ts"

/** The outcome for the sample with one line replaced or dropped. */
const changed = (name: string, ...replacement: ReadonlyArray<string>) =>
  validateRequest(edit(sampleRequest, name, ...replacement))

const assertRequest = (lines: ReadonlyArray<string>): void => {
  assert.strictEqual(ok(validateRequest(lines))._tag, "UpgradeRequest")
}

const target = (value: string) => changed("GET", `GET ${value} HTTP/1.1`)

describe("RFC 6455 4.2.1: reading an upgrade request", () => {
  it("server reads the sample request", () => {
    const { fields, ...request } = ok(validateRequest(sampleRequest))
    assert.deepStrictEqual(request, {
      _tag: "UpgradeRequest",
      method: "GET",
      target: "/chat",
      path: "/chat",
      query: undefined,
      version: "1.1",
      host: "server.example.com",
      key: sampleKey,
      origin: "http://example.com",
      subprotocols: ["chat", "superchat"],
      extensions: []
    })
    assert.lengthOf(fields, 7)
  })

  it("server reads a request with nothing optional", () => {
    const lines = edit(edit(sampleRequest, "Origin"), "Sec-WebSocket-Protocol")
    assert.include(ok(validateRequest(lines)), { origin: undefined })
    assert.deepStrictEqual(ok(validateRequest(lines)).subprotocols, [])
  })

  it("server reads field names and tokens in any case", () => {
    const lines = ["upgrade: WebSocket", "CONNECTION: keep-alive, UPGRADE", "sec-websocket-version: 13"]
    assertRequest(
      edit(edit(edit(sampleRequest, "Upgrade", lines[0]), "Connection", lines[1]), "Sec-WebSocket-V", lines[2])
    )
  })

  it("server combines repeated lines of lists", () => {
    assertRequest(edit(sampleRequest, "Connection", "Connection: keep-alive", "Connection: Upgrade"))
    assertRequest(edit(sampleRequest, "Upgrade", "Upgrade: h2c", "Upgrade: HTTP/2.0, websocket"))
    const extensions = ["Sec-WebSocket-Extensions: a; b=1", "Sec-WebSocket-Extensions: c"]
    assert.lengthOf(ok(validateRequest([...sampleRequest, ...extensions])).extensions, 2)
    const subprotocols = ok(changed("Sec-WebSocket-P", "Sec-WebSocket-Protocol: b", "Sec-WebSocket-Protocol: a, c"))
    assert.deepStrictEqual(subprotocols.subprotocols, ["b", "a", "c"])
  })

  it("server takes a later 1.x version for 1.1", () => {
    assert.strictEqual(ok(changed("GET", "GET /chat HTTP/1.2")).version, "1.2")
  })

  it("server takes a Content-Length of zero for no body", () => {
    assertRequest([...sampleRequest, "Content-Length: 0"])
  })
})

describe("RFC 9112 3.2: request target", () => {
  it("server splits path and query, decoding nothing", () => {
    assert.include(ok(target("/a%20b//c?x=%26&y?z")), { path: "/a%20b//c", query: "x=%26&y?z" })
    assert.include(ok(target("/?")), { path: "/", query: "" })
    assert.include(ok(target("//evil.example/x")), { path: "//evil.example/x", host: "server.example.com" })
    assert.include(ok(target("/{a}|b")), { path: "/{a}|b", query: undefined })
  })

  it("server takes host, path and query from an absolute target", () => {
    const expected = { host: "other.example:81", path: "/a", query: "b", target: "http://other.example:81/a?b" }
    assert.include(ok(target("http://other.example:81/a?b")), expected)
    assert.include(ok(target("WSS://[::1]")), { host: "[::1]", path: "/", query: undefined })
    assert.include(ok(target("ws://a?b/c")), { host: "a", path: "/", query: "b/c" })
    assert.include(ok(target("https://a/")), { host: "a", path: "/" })
  })

  it("server refuses other forms", () => {
    const forms = [
      "*",
      "a.example:443",
      "chat",
      "?a",
      "ftp://a/",
      "http:/a",
      "http:///a",
      "http://",
      "http://u:p@a/",
      "ws://a b"
    ]
    for (const form of [
      ...forms,
      "/a#b",
      "/#",
      "http://a/#b",
      "http://a:x/",
      "http://a:65536/",
      "",
      "/\u00e9",
      "/\0"
    ]) {
      assertFault(UpgradeRequest.validate({ ...readRequest(sampleRequest), target: form }), "InvalidTarget")
    }
  })

  it("server still asks for a valid Host beside an absolute target", () => {
    const lines = edit(sampleRequest, "GET", "GET http://a/ HTTP/1.1")
    assertFault(validateRequest(edit(lines, "Host")), "MissingHost")
    assertFault(validateRequest(edit(lines, "Host", "Host: a b")), "InvalidHost")
  })
})

describe("RFC 6455 4.2.1: refusing an upgrade request", () => {
  const key = `Sec-WebSocket-Key: ${sampleKey}`

  it.each([
    ["HTTP/1.0", "GET", ["GET /chat HTTP/1.0"], "HttpVersion", { version: "1.0", head: "request" }],
    ["the method POST", "GET", ["POST /chat HTTP/1.1"], "Method", { method: "POST" }],
    ["the method HEAD", "GET", ["HEAD /chat HTTP/1.1"], "Method", { method: "HEAD" }],
    ["the method get", "GET", ["get /chat HTTP/1.1"], "Method", { method: "get" }],
    ["no Host", "Host", [], "MissingHost", {}],
    ["two Host lines", "Host", ["Host: a", "Host: a"], "RepeatedField", { field: "Host" }],
    ["an empty Host", "Host", ["Host:"], "InvalidHost", {}],
    ["a Host with a path", "Host", ["Host: a/b"], "InvalidHost", {}],
    ["a Host with userinfo", "Host", ["Host: u:p@a"], "InvalidHost", {}],
    ["a Content-Length above zero", "A", ["Content-Length: 5"], "UnexpectedBody", { field: "Content-Length" }],
    [
      "two Content-Lengths",
      "A",
      ["Content-Length: 0", "Content-Length: 5"],
      "UnexpectedBody",
      { field: "Content-Length" }
    ],
    ["a list of Content-Lengths", "A", ["Content-Length: 0, 0"], "UnexpectedBody", { field: "Content-Length" }],
    ["a Content-Length that is no number", "A", ["Content-Length: +0"], "UnexpectedBody", { field: "Content-Length" }],
    ["Transfer-Encoding", "A", ["Transfer-Encoding: chunked"], "UnexpectedBody", { field: "Transfer-Encoding" }],
    [
      "Transfer-Encoding and Content-Length",
      "A",
      ["Content-Length: 0", "Transfer-Encoding: identity"],
      "UnexpectedBody",
      { field: "Transfer-Encoding" }
    ],
    ["no Upgrade", "Upgrade", [], "MissingUpgrade", { head: "request" }],
    ["an Upgrade to another protocol", "Upgrade", ["Upgrade: h2c"], "UpgradeWithoutWebsocket", { value: "h2c" }],
    ["an empty Upgrade", "Upgrade", ["Upgrade:"], "UpgradeWithoutWebsocket", { value: "" }],
    ["an Upgrade to a versioned websocket", "Upgrade", ["Upgrade: websocket/13"], "UpgradeWithoutWebsocket", {}],
    ["a malformed Upgrade", "Upgrade", ["Upgrade: web socket"], "MalformedField", { field: "Upgrade" }],
    ["no Connection", "Connection", [], "MissingConnection", { head: "request" }],
    [
      "a Connection without upgrade",
      "Connection",
      ["Connection: keep-alive", "Connection: close"],
      "ConnectionWithoutUpgrade",
      { value: "keep-alive, close" }
    ],
    ["a malformed Connection", "Connection", ["Connection: Upgrade; a"], "MalformedField", { field: "Connection" }],
    ["no key", "Sec-WebSocket-Key", [], "MissingKey", {}],
    ["two keys", "Sec-WebSocket-Key", [key, key], "RepeatedField", { field: "Sec-WebSocket-Key" }],
    ["an empty key", "Sec-WebSocket-Key", ["Sec-WebSocket-Key:"], "InvalidKey", { length: 0 }],
    ["a key of 12 bytes", "Sec-WebSocket-Key", ["Sec-WebSocket-Key: AAAAAAAAAAAAAAAA"], "InvalidKey", { length: 16 }],
    ["a key of 24 other characters", "Sec-WebSocket-Key", [`Sec-WebSocket-Key: ${"!".repeat(24)}`], "InvalidKey", {}],
    ["a list of keys", "Sec-WebSocket-Key", [`${key}, ${sampleKey}`], "InvalidKey", { length: 50 }],
    ["no version", "Sec-WebSocket-Version", [], "MissingVersion", {}],
    ["version 8", "Sec-WebSocket-Version", ["Sec-WebSocket-Version: 8"], "UnsupportedVersion", { requested: "8" }],
    ["a list of versions", "Sec-WebSocket-Version", ["Sec-WebSocket-Version: 8, 13"], "UnsupportedVersion", {}],
    ["version 013", "Sec-WebSocket-Version", ["Sec-WebSocket-Version: 013"], "UnsupportedVersion", {}],
    [
      "two versions",
      "Sec-WebSocket-Version",
      ["Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 13"],
      "RepeatedField",
      { field: "Sec-WebSocket-Version" }
    ],
    ["two origins", "Origin", ["Origin: http://a", "Origin: http://b"], "RepeatedField", { field: "Origin" }],
    ["malformed subprotocols", "Sec-WebSocket-P", ["Sec-WebSocket-Protocol: a b"], "InvalidSubprotocolOffer", {}],
    [
      "a repeated subprotocol",
      "Sec-WebSocket-P",
      ["Sec-WebSocket-Protocol: a, a"],
      "InvalidSubprotocolOffer",
      { detail: "duplicate" }
    ],
    ["no subprotocol in the list", "Sec-WebSocket-P", ["Sec-WebSocket-Protocol: ,"], "InvalidSubprotocolOffer", {}],
    ["malformed extensions", "A", ['Sec-WebSocket-Extensions: a; b="'], "MalformedField", {}],
    ["an empty list of extensions", "A", ["Sec-WebSocket-Extensions:"], "MalformedField", {}]
  ] as const)("server refuses %s", (_, name, replacement, tag, details) => {
    assertFault(changed(name === "A" ? "(none)" : name, ...replacement), tag, details)
  })

  it("server names the first fault in the order of the RFC", () => {
    const faults: Array<string> = []
    let lines: ReadonlyArray<string> = [
      "POST * HTTP/1.0",
      "Content-Length: 5",
      "Origin: a",
      "Origin: b",
      "Sec-WebSocket-Protocol:",
      "Sec-WebSocket-Extensions:"
    ]
    const repairs: ReadonlyArray<readonly [string, ...ReadonlyArray<string>]> = [
      ["POST", "POST * HTTP/1.1"],
      ["POST", "GET * HTTP/1.1"],
      ["GET", "GET / HTTP/1.1"],
      ["Host", "Host: a"],
      ["Content-Length"],
      ["Upgrade", "Upgrade: websocket"],
      ["Connection", "Connection: upgrade"],
      ["Sec-WebSocket-Key", key],
      ["Sec-WebSocket-Version", "Sec-WebSocket-Version: 13"],
      ["Origin"],
      ["Sec-WebSocket-Protocol"],
      ["Sec-WebSocket-Extensions"]
    ]
    for (const [name, ...replacement] of repairs) {
      const fault = validateRequest(lines)
      assert(HandshakeFault.is(fault))
      faults.push(fault._tag)
      lines = edit(lines, name, ...replacement)
    }
    assertRequest(lines)
    assert.deepStrictEqual(faults, [
      "HttpVersion",
      "Method",
      "InvalidTarget",
      "MissingHost",
      "UnexpectedBody",
      "MissingUpgrade",
      "MissingConnection",
      "MissingKey",
      "MissingVersion",
      "RepeatedField",
      "InvalidSubprotocolOffer",
      "MalformedField"
    ])
  })

  it("server shows no credentials in any fault", () => {
    const secret = ["Authorization: Bearer SECRET", "Cookie: s=SECRET", "Proxy-Authorization: Basic SECRET"]
    for (const name of ["Host", "Upgrade", "Connection", "Sec-WebSocket-Key", "Sec-WebSocket-Version"]) {
      assert.notInclude(JSON.stringify(validateRequest([...edit(sampleRequest, name), ...secret])), "SECRET")
    }
    assert.notInclude(JSON.stringify(target("http://user:SECRET@a/")), "SECRET")
    assert.notInclude(JSON.stringify(changed("Host", "Host: user:SECRET@a")), "SECRET")
    assert.notInclude(JSON.stringify(changed("Sec-WebSocket-K", "Sec-WebSocket-Key: SECRET")), "SECRET")
  })

  it("server ends in a request or a fault for any head", () => {
    const name = fc.constantFrom(...sampleRequest.slice(1).map((line) => line.split(":")[0]), "Content-Length", "X")
    const value = fc.oneof(
      fc.constantFrom("websocket", "Upgrade", "13", sampleKey, "a", "0", "", ","),
      fc.string({ maxLength: 10 })
    )
    const anyHead = fc.record({
      method: fc.oneof(fc.constant("GET"), fc.string({ maxLength: 4 })),
      target: fc.oneof(fc.constant("/"), fc.string({ maxLength: 8 }), fc.webUrl()),
      version: fc.constantFrom("1.1", "1.0", "", "2.0"),
      fields: fc.array(fc.tuple(name, value), { maxLength: 12 })
    })
    fc.assert(
      fc.property(anyHead, (head) => {
        const outcome = UpgradeRequest.validate({ _tag: "RequestHead", ...head })
        if (HandshakeFault.is(outcome)) assertPresentable(outcome)
        else assert.strictEqual(outcome._tag, "UpgradeRequest")
        UpgradeRequest.isUpgrade({ _tag: "RequestHead", ...head })
        UpgradeRequest.keepsAlive(head)
      })
    )
  })
})

describe("routing", () => {
  it("server tells an upgrade from other requests, without looking at key, version or host", () => {
    const isUpgrade = (lines: ReadonlyArray<string>) => UpgradeRequest.isUpgrade(readRequest(lines))
    assert.isTrue(isUpgrade(sampleRequest))
    const bare = ["GET * HTTP/1.1", "Connection: keep-alive", "Connection: upgrade", "Upgrade: h2c, websocket"]
    assert.isTrue(isUpgrade(bare))
    assert.isFalse(isUpgrade(edit(sampleRequest, "GET", "GET / HTTP/1.0")))
    assert.isFalse(isUpgrade(edit(sampleRequest, "GET", "POST / HTTP/1.1")))
    assert.isFalse(isUpgrade(edit(sampleRequest, "Upgrade", "Upgrade: h2c")))
    assert.isFalse(isUpgrade(edit(sampleRequest, "Upgrade")))
    assert.isFalse(isUpgrade(edit(sampleRequest, "Connection", "Connection: close")))
    assert.isFalse(isUpgrade(edit(sampleRequest, "Connection", "Connection: upgrade;")))
  })

  it("server tells a plain request by its Upgrade, and checks its target and its host all the same", () => {
    const names = (lines: ReadonlyArray<string>) => UpgradeRequest.namesWebSocket(readRequest(lines))
    assert.isTrue(names(["POST / HTTP/1.1", "Upgrade: h2c", "upgrade: WebSocket"]))
    // RFC 9110 7.8: in HTTP/1.0 the field is ignored.
    assert.isFalse(names(["GET / HTTP/1.0", "Upgrade: websocket", "Connection: Upgrade"]))
    assert.isFalse(names(["GET / HTTP/1.1", "Upgrade: h2c"]))
    assert.isFalse(names(["GET / HTTP/1.1"]))
    const plain = (...lines: ReadonlyArray<string>) => UpgradeRequest.validatePlain(readRequest(lines))
    assert.deepStrictEqual(plain("PUT http://b/x?y=1 HTTP/1.1", "Host: a"), {
      _tag: "PlainRequest",
      method: "PUT",
      target: "http://b/x?y=1",
      path: "/x",
      query: "y=1",
      version: "1.1",
      host: "b",
      fields: [["Host", "a"]]
    })
    assertFault(plain("GET * HTTP/1.1", "Host: a"), "InvalidTarget")
    assertFault(plain("GET / HTTP/1.1"), "MissingHost")
    assertFault(plain("GET / HTTP/1.1", "Host: a", "Host: a"), "RepeatedField", { field: "Host" })
  })

  it("RFC 9112 3.2: server takes a plain request of HTTP/1.0 without a Host, and none with a wrong one", () => {
    const plain = (...lines: ReadonlyArray<string>) => UpgradeRequest.validatePlain(readRequest(lines))
    assert.deepInclude(plain("GET /x HTTP/1.0"), { _tag: "PlainRequest", path: "/x", host: "" })
    assert.deepInclude(plain("GET http://b/x HTTP/1.0"), { _tag: "PlainRequest", path: "/x", host: "b" })
    assert.deepInclude(plain("GET /x HTTP/1.0", "Host: a"), { _tag: "PlainRequest", host: "a" })
    assertFault(plain("GET / HTTP/1.0", "Host: a b"), "InvalidHost")
    assertFault(plain("GET / HTTP/1.0", "Host: a", "Host: b"), "RepeatedField", { field: "Host" })
  })

  it("RFC 9110 9.3.6: server opens no tunnel for a plain request", () => {
    for (const target of ["a:80", "/", "http://a/"]) {
      const fault = UpgradeRequest.validatePlain(readRequest([`CONNECT ${target} HTTP/1.1`, "Host: a"]))
      assertFault(fault, "Method", { method: "CONNECT" })
    }
  })

  it.each([
    ["Content-Length: 0"],
    ["Content-Length: 0012"],
    ["Content-Length: 99999999999999999999"],
    ["Transfer-Encoding: chunked"],
    ["Transfer-Encoding: , Chunked ,"]
  ])("RFC 9112 6.3: server takes a plain request with %s", (line) => {
    const request = UpgradeRequest.validatePlain(readRequest(["POST / HTTP/1.1", "Host: a", line]))
    assert.strictEqual(request._tag, "PlainRequest")
  })

  it.each([
    ["Content-Length", ""],
    ["Content-Length", "x"],
    ["Content-Length", "+1"],
    ["Content-Length", "-1"],
    ["Content-Length", "1.0"],
    ["Content-Length", "0x1"],
    ["Content-Length", "1 2"],
    ["Content-Length", "1, 1"],
    ["Content-Length", "1", "1"],
    ["Content-Length", "1", "2"],
    ["Transfer-Encoding", ""],
    ["Transfer-Encoding", "identity"],
    ["Transfer-Encoding", "gzip, chunked"],
    ["Transfer-Encoding", "chunked, gzip"],
    ["Transfer-Encoding", "chunked, chunked"],
    ["Transfer-Encoding", "chunked", "chunked"],
    ["Transfer-Encoding", "xchunked"],
    ["Transfer-Encoding", "chunked;"]
  ])("RFC 9112 6.3: server refuses a plain request whose %s says %j", (field, ...values) => {
    const lines = values.filter((value) => value !== undefined).map((value) => `${field}: ${value}`)
    const fault = UpgradeRequest.validatePlain(readRequest(["POST / HTTP/1.1", "Host: a", ...lines]))
    assertFault(fault, "MalformedField", { field, section: "RFC 9112 6.3" })
  })

  it("RFC 9112 6.3: server refuses a plain request whose length is told in two ways, or that can't have chunks", () => {
    const both = ["POST / HTTP/1.1", "Host: a", "Content-Length: 3", "Transfer-Encoding: chunked"]
    assertFault(UpgradeRequest.validatePlain(readRequest(both)), "MalformedField", { field: "Content-Length" })
    const old = ["POST / HTTP/1.0", "Host: a", "Transfer-Encoding: chunked"]
    assertFault(UpgradeRequest.validatePlain(readRequest(old)), "MalformedField", { field: "Transfer-Encoding" })
  })

  it("server keeps a connection only if the next request can be found on it", () => {
    const keepsAlive = (lines: ReadonlyArray<string>) => UpgradeRequest.keepsAlive(readRequest(lines))
    assert.isTrue(keepsAlive(sampleRequest))
    assert.isTrue(keepsAlive(["POST / HTTP/1.1", "Content-Length: 0"]))
    assert.isFalse(keepsAlive(["GET / HTTP/1.0", "Connection: keep-alive"]))
    assert.isFalse(keepsAlive(edit(sampleRequest, "Connection", "Connection: upgrade", "Connection: Close")))
    assert.isFalse(keepsAlive(edit(sampleRequest, "Connection", "Connection: ;")))
    assert.isFalse(keepsAlive([...sampleRequest, "Content-Length: 1"]))
    assert.isFalse(keepsAlive([...sampleRequest, "Transfer-Encoding: chunked"]))
  })
})

describe("RFC 9110 7.8: Expect beside Upgrade", () => {
  it("server sees that a client waits for a 100", () => {
    const expects = (...lines: ReadonlyArray<string>) =>
      UpgradeRequest.expectsContinue(ok(validateRequest([...sampleRequest, ...lines])))
    assert.isTrue(expects("Expect: 100-Continue"))
    assert.isTrue(expects("Expect: x, 100-continue"))
    assert.isFalse(expects())
    assert.isFalse(expects("Expect: 200-ok"))
    assert.isFalse(expects("Expect: 100-continue;"))
  })
})

describe("RFC 6455 4.1: building an upgrade request", () => {
  it("client writes a request byte for byte", () => {
    const request = requested({
      host: "example.com:8080",
      target: "/chat?x=1",
      origin: "http://example.com",
      subprotocols: ["chat", "superchat"],
      extensions: [{ name: "permessage-deflate", parameters: [{ name: "client_max_window_bits" }] }],
      fields: [
        ["User-Agent", "test"],
        ["Cookie", "a=b"]
      ]
    })
    const expected = [
      "GET /chat?x=1 HTTP/1.1",
      "Host: example.com:8080",
      "Upgrade: websocket",
      "Connection: Upgrade",
      `Sec-WebSocket-Key: ${sampleKey}`,
      "Sec-WebSocket-Version: 13",
      "Sec-WebSocket-Protocol: chat, superchat",
      "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
      "Origin: http://example.com",
      "User-Agent: test",
      "Cookie: a=b"
    ]
    assert.strictEqual(text(ok(UpgradeRequest.encode(request))), head(expected))
    assert.deepStrictEqual(validateRequest(expected), request)
  })

  it("client asks for / and offers nothing by default", () => {
    const request = requested()
    assert.include(request, { target: "/", path: "/", query: undefined, origin: undefined })
    assert.lengthOf(request.fields, 5)
  })

  it("client takes the Origin from the fields, but not from two places", () => {
    assert.strictEqual(requested({ fields: [["origin", "http://a"]] }).origin, "http://a")
    const both = { host: "a", key: sampleKey, origin: "http://a", fields: [["Origin", "http://a"]] as const }
    assertFault(UpgradeRequest.make(both), "RepeatedField", { field: "Origin" })
  })

  it.each([
    ["a host with CRLF", { host: "a\r\nX: y" }, "InvalidHost"],
    ["an empty host", { host: "" }, "InvalidHost"],
    ["a host with userinfo", { host: "u:p@a" }, "InvalidHost"],
    ["a target with CRLF", { target: "/\r\nX: y" }, "InvalidTarget"],
    ["a target with a space", { target: "/a b" }, "InvalidTarget"],
    ["a target beyond ASCII", { target: "/\u00e9" }, "InvalidTarget"],
    ["a target with a fragment", { target: "/a#b" }, "InvalidTarget"],
    ["an absolute target", { target: "http://a/" }, "InvalidTarget"],
    ["an empty target", { target: "" }, "InvalidTarget"],
    ["a key that is not 16 bytes", { key: "AAAA" }, "InvalidKey"],
    ["a key with CRLF", { key: `${sampleKey}\r\n` }, "InvalidKey"],
    ["a subprotocol with CRLF", { subprotocols: ["a\r\nb"] }, "InvalidSubprotocol"],
    ["a repeated subprotocol", { subprotocols: ["a", "a"] }, "InvalidSubprotocol"],
    ["an empty subprotocol", { subprotocols: [""] }, "InvalidSubprotocol"],
    ["an extension with CRLF", { extensions: [{ name: "a\r\n", parameters: [] }] }, "InvalidExtension"],
    ["an origin with CRLF", { origin: "a\r\nX: y" }, "InvalidFieldValue"],
    ["a value with CRLF", { fields: [["X", "a\r\nb: c"]] }, "InvalidFieldValue"],
    ["a value with NUL", { fields: [["User-Agent", "a\0"]] }, "InvalidFieldValue"],
    ["a value beyond a byte", { fields: [["X", "\u{1f600}"]] }, "InvalidFieldValue"],
    ["a name that is no token", { fields: [["X Y", "a"]] }, "InvalidFieldName"],
    ["a name with CRLF", { fields: [["X: y\r\nZ", "a"]] }, "InvalidFieldName"]
  ] as const)("client refuses %s before a byte is written", (_, options, tag) => {
    assertFault(UpgradeRequest.make({ host: "a", key: sampleKey, ...options }), tag)
  })

  it("client refuses fields of the upgrade and of a body, in any case", () => {
    const names = ["Host", "upgrade", "CONNECTION", "Content-Length", "Transfer-Encoding", "sec-websocket-key"]
    for (const name of [...names, "Sec-WebSocket-Version", "Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions"]) {
      const fault = UpgradeRequest.make({
        host: "a",
        key: sampleKey,
        fields: [
          ["X", "1"],
          [name, "1"]
        ]
      })
      assertFault(fault, "ReservedField", { field: name })
    }
  })

  it("client may add and replace fields that are not of the upgrade", () => {
    const request = requested({ origin: "http://a", fields: [["User-Agent", "old"]] })
    const decorated = ok(
      UpgradeRequest.decorate(request, [
        ...Headers.set(Headers.remove(request.fields, "Origin"), "User-Agent", "new"),
        ["Authorization", "Bearer x"]
      ])
    )
    assert.include(decorated, { origin: undefined, key: request.key, host: request.host })
    assert.deepStrictEqual(decorated.fields.slice(5), [
      ["User-Agent", "new"],
      ["Authorization", "Bearer x"]
    ])
  })

  it("client may not change fields of the upgrade afterwards, nor add what can't be sent", () => {
    const request = requested({ subprotocols: ["chat"] })
    const decorate = (change: (fields: Headers.Headers) => Headers.Headers) =>
      UpgradeRequest.decorate(request, change(request.fields))
    for (const name of ["Host", "Upgrade", "Connection", "Sec-WebSocket-Key", "Sec-WebSocket-Version"]) {
      assertFault(
        decorate((fields) => Headers.remove(fields, name)),
        "ReservedField",
        { field: name }
      )
      assertFault(
        decorate((fields) => Headers.append(fields, name, "x")),
        "ReservedField",
        { field: name }
      )
    }
    assertFault(
      decorate((fields) => Headers.set(fields, "Sec-WebSocket-Protocol", "other")),
      "ReservedField"
    )
    assertFault(
      decorate((fields) => Headers.append(fields, "Content-Length", "1")),
      "ReservedField"
    )
    assertFault(
      decorate((fields) => Headers.append(fields, "X", "a\r\nb")),
      "InvalidFieldValue"
    )
    const twice: Headers.Headers = [...request.fields, ["Origin", "http://a"], ["origin", "http://b"]]
    assertFault(UpgradeRequest.decorate(request, twice), "RepeatedField", { field: "Origin" })
  })

  it("server accepts what a client builds", () => {
    const token = fc.stringMatching(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,8}$/)
    const options = fc.record({
      host: fc.oneof(
        fc.domain(),
        fc.ipV4(),
        fc.ipV6().map((address) => `[${address}]`),
        fc.constant("a:0")
      ),
      target: fc.stringMatching(/^\/[!"$-~]{0,20}$/),
      subprotocols: fc.uniqueArray(token, { maxLength: 3 }),
      extensions: fc.array(fc.record({ name: token, parameters: fc.constant([]) }), { maxLength: 2 }),
      fields: fc.array(
        fc.tuple(
          token.map((name) => `X-${name}`),
          token
        ),
        { maxLength: 3 }
      )
    })
    fc.assert(
      fc.property(options, (options) => {
        const request = requested(options)
        const lines = text(ok(UpgradeRequest.encode(request)))
          .slice(0, -4)
          .split("\r\n")
        assert.deepStrictEqual(validateRequest(lines), request)
      })
    )
  })
})
