import * as HandshakeFault from "@effect-ws/core/HandshakeFault"
import type * as Headers from "@effect-ws/core/Headers"
import * as Refusal from "@effect-ws/core/Refusal"
import { assert, describe, it } from "vitest"
import { assertFault, bytes, edit, ok, readResponse, sampleRequest, text, validateRequest } from "./heads.ts"

const refuse = (name: string, ...replacement: ReadonlyArray<string>): Refusal.Refusal => {
  const fault = validateRequest(edit(sampleRequest, name, ...replacement))
  assert(HandshakeFault.is(fault))
  return Refusal.fromFault(fault)
}

const written = (refusal: Refusal.Refusal, options?: Refusal.EncodeOptions): ReadonlyArray<string> =>
  text(ok(Refusal.encode(refusal, { server: false, ...options }))).split("\r\n")

const custom = (refusal: Partial<Refusal.Refusal>): Refusal.Refusal => ({
  _tag: "Refusal",
  status: 403,
  fields: [],
  body: new Uint8Array(0),
  ...refusal
})

describe("RFC 6455 4.2.2: answering a fault", () => {
  it("server answers 400 with the reason in the body", () => {
    assert.deepStrictEqual(written(refuse("Host")), [
      "HTTP/1.1 400 Bad Request",
      "Content-Type: text/plain; charset=utf-8",
      "Content-Length: 47",
      "Connection: close",
      "",
      "the request has no Host field (RFC 6455 4.2.1)\n"
    ])
  })

  it("server answers another method with 405 and what is allowed", () => {
    assert.deepStrictEqual(written(refuse("GET", "PUT / HTTP/1.1")).slice(0, 2), [
      "HTTP/1.1 405 Method Not Allowed",
      "Allow: GET"
    ])
  })

  it("server answers another version, or no upgrade, with 426 and what to upgrade to", () => {
    for (const refusal of [
      refuse("Sec-WebSocket-Version", "Sec-WebSocket-Version: 8"),
      refuse("Upgrade"),
      refuse("Upgrade", "Upgrade: h2c"),
      refuse("Connection"),
      refuse("Connection", "Connection: keep-alive")
    ]) {
      const lines = written(refusal)
      assert.deepStrictEqual(lines.slice(0, 4), [
        "HTTP/1.1 426 Upgrade Required",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Content-Type: text/plain; charset=utf-8"
      ])
      assert.strictEqual(lines[5], "Connection: Upgrade, close")
      assert.strictEqual(written(refusal, { keepAlive: true })[5], "Connection: Upgrade")
    }
  })

  it("server answers a head beyond a limit with 431, another HTTP version with 505", () => {
    assert.strictEqual(Refusal.fromFault(HandshakeFault.make("HeadTooLarge", { limit: 1 })).status, 431)
    assert.strictEqual(Refusal.fromFault(HandshakeFault.make("TooManyFields", { limit: 1 })).status, 431)
    assert.strictEqual(written(refuse("GET", "GET / HTTP/1.0"))[0], "HTTP/1.1 505 HTTP Version Not Supported")
  })

  it("server answers everything else in a request with 400", () => {
    assert.strictEqual(Refusal.fromFault(HandshakeFault.make("MalformedHead", { detail: "x", offset: 0 })).status, 400)
    const lines = [
      refuse("GET", "GET * HTTP/1.1"),
      refuse("Host", "Host: a b"),
      refuse("Host", "Host: a", "Host: a"),
      refuse("Connection", "Connection: ;"),
      refuse("-", "Content-Length: 1"),
      refuse("Sec-WebSocket-Key"),
      refuse("Sec-WebSocket-Key", "Sec-WebSocket-Key: x"),
      refuse("Sec-WebSocket-Version"),
      refuse("Sec-WebSocket-P", "Sec-WebSocket-Protocol: a,a")
    ]
    for (const refusal of lines) assert.strictEqual(refusal.status, 400)
  })

  it("server answers a fault of its own with 500 and keeps the detail to itself", () => {
    const own = Refusal.fromFault(HandshakeFault.make("InvalidFieldValue", { field: "X-Secret" }))
    assert.strictEqual(own.status, 500)
    assert.strictEqual(text(own.body), "the request could not be answered\n")
  })
})

describe("RFC 9112 6: writing a refusal", () => {
  it("server writes a refusal of its own byte for byte", () => {
    const refusal = custom({
      status: 401,
      fields: [
        ["WWW-Authenticate", "Basic"],
        ["content-type", "application/json"]
      ],
      body: bytes("{}")
    })
    assert.deepStrictEqual(written(refusal, { keepAlive: true }), [
      "HTTP/1.1 401 Unauthorized",
      "WWW-Authenticate: Basic",
      "content-type: application/json",
      "Content-Length: 2",
      "",
      "{}"
    ])
  })

  it("server writes the body as it is, any bytes", () => {
    const body = Uint8Array.from({ length: 256 }, (_, i) => i)
    const bytes = ok(Refusal.encode(custom({ body })))
    assert.deepStrictEqual(bytes.slice(-256), body)
  })

  it("server writes an empty body as length 0 without a type", () => {
    assert.deepStrictEqual(written(custom({})), [
      "HTTP/1.1 403 Forbidden",
      "Content-Length: 0",
      "Connection: close",
      "",
      ""
    ])
  })

  it("server writes the length but not the body in answer to HEAD", () => {
    assert.deepStrictEqual(written(custom({ body: bytes("abc") }), { omitBody: true, keepAlive: true }).slice(2), [
      "Content-Length: 3",
      "",
      ""
    ])
  })

  it("server writes neither length nor body where the status has none", () => {
    for (const [status, reason] of [
      [204, "No Content"],
      [304, "Not Modified"]
    ] as const) {
      const lines = written(custom({ status, body: bytes("abc") }), { keepAlive: true })
      assert.deepStrictEqual(lines, [`HTTP/1.1 ${status} ${reason}`, "", ""])
    }
  })

  it("RFC 9110 15.3.6: server writes no body for a 205, and says so", () => {
    const lines = written(custom({ status: 205, body: bytes("abc") }), { keepAlive: true })
    assert.deepStrictEqual(lines, ["HTTP/1.1 205 Reset Content", "Content-Length: 0", "", ""])
  })

  it("server writes the reason phrase given, the usual one, or none", () => {
    assert.strictEqual(written(custom({ reasonPhrase: "Go away" }))[0], "HTTP/1.1 403 Go away")
    assert.strictEqual(written(custom({ status: 503 }))[0], "HTTP/1.1 503 Service Unavailable")
    assert.strictEqual(written(custom({ status: 499 }))[0], "HTTP/1.1 499 ")
    assert.strictEqual(written(custom({ status: 200 }))[0], "HTTP/1.1 200 OK")
    assert.strictEqual(written(custom({ status: 599 }))[0], "HTTP/1.1 599 ")
  })

  it("server never opens by a refusal", () => {
    for (const status of [101, 100, 199, 0, 600, 200.5, Number.NaN]) {
      assertFault(Refusal.encode(custom({ status })), "InvalidStartLine", { part: "status" })
    }
  })

  it("server refuses to write what would break the answer", () => {
    assertFault(Refusal.encode(custom({ reasonPhrase: "a\r\nX: y" })), "InvalidStartLine", { part: "reason phrase" })
    assertFault(Refusal.encode(custom({ fields: [["X", "a\r\nb"]] })), "InvalidFieldValue", { field: "X" })
    assertFault(Refusal.encode(custom({ fields: [["X\r\n", ""]] })), "InvalidFieldName", { field: "X\r\n" })
    for (const field of ["connection", "Content-Length", "TRANSFER-ENCODING"]) {
      assertFault(Refusal.encode(custom({ fields: [[field, "1"]] })), "ReservedField", { field })
    }
  })

  it("server names itself unless a field or the option says otherwise", () => {
    const servers = (fields: Headers.Headers, server?: string | false) =>
      written(custom({ fields }), { server }).filter((line) => line.toLowerCase().startsWith("server:"))
    assert.deepStrictEqual(servers([]), ["Server: effect-ws"])
    assert.deepStrictEqual(servers([], "mine"), ["Server: mine"])
    assert.deepStrictEqual(servers([["server", "theirs"]], "mine"), ["server: theirs"])
    assert.deepStrictEqual(servers([], false), [])
    assertFault(Refusal.encode(custom({}), { server: "a\r\nX: y" }), "InvalidFieldValue", { field: "Server" })
  })

  it("client reads what a server writes", () => {
    const head = readResponse(written(refuse("Upgrade")).slice(0, -2))
    assert.include(head, { status: 426, reasonPhrase: "Upgrade Required" })
  })
})
