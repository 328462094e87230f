/** Every answer of a server to a request, byte for byte, in whatever pieces the request comes. */
import * as WebSocket from "@effect-ws/api/WebSocket"
import type * as WebSocketServer from "@effect-ws/api/WebSocketServer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import * as Frames from "./support/frames.ts"
import { leavesNothing, settled } from "./support/leaks.ts"
import {
  accepted,
  closing,
  echo,
  type Handler,
  head,
  internalError,
  refused,
  refusedHead,
  request,
  serve,
  unavailable,
  upgradeRequired
} from "./support/serving.ts"

interface Row {
  readonly request: string
  /** The answer while the connection is kept, `undefined` where it never is. */
  readonly kept?: string
  /** The answer with which the connection ends, `undefined` for a request that is accepted. */
  readonly closed?: string
  /** What the request counts as, `undefined` for one that is accepted. */
  readonly counted?: string
  readonly handler?: Handler
  readonly options?: WebSocketServer.Options
}

const close = "Connection: close"

/** A refusal with a line of text, of both kinds. */
const both = (
  counted: string,
  request: string,
  status: string,
  text: string,
  ...fields: ReadonlyArray<string>
): Row => ({
  counted,
  request,
  kept: refused(status, text, ...fields),
  closed: refused(status, text, ...fields, close)
})

/** A refusal that always ends the connection. */
const ending = (counted: string, request: string, status: string, text: string): Row => ({
  counted,
  request,
  closed: refused(status, text, close)
})

const bad = (counted: string, changes: Readonly<Record<string, string>>, text: string): Row =>
  both(counted, request(changes), "400 Bad Request", text)

const upgrade = (counted: string, changes: Readonly<Record<string, string>>, text: string): Row => ({
  counted,
  request: request(changes),
  kept: upgradeRequired(text),
  closed: upgradeRequired(text, "Upgrade, close")
})

const failing = (counted: string, handler: Handler): Row => ({
  counted,
  request: request(),
  kept: internalError(),
  closed: internalError(close),
  handler
})

/** A refusal of the handler, with the lines between the status and the last. */
const rejecting = (
  rejection: Parameters<typeof WebSocket.reject>[0],
  status: string,
  lines: ReadonlyArray<string>,
  body = ""
): Row => ({
  counted: "Reject",
  request: request(),
  kept: `${head(`HTTP/1.1 ${status}`, ...lines)}${body}`,
  closed: `${head(`HTTP/1.1 ${status}`, ...lines, close)}${body}`,
  handler: () => WebSocket.reject(rejection)
})

const server = "Server: effect-ws"

const accepting: Readonly<Record<string, Row>> = {
  "a correct request": { request: request(), kept: accepted(server) },
  "a request with other protocols and options beside ours": {
    request: request({ Upgrade: "h2c, WebSocket", Connection: "keep-alive, upgrade" }),
    kept: accepted(server)
  },
  "a request with a version of HTTP/1 to come": {
    request: request({}, "GET / HTTP/1.7"),
    kept: accepted(server)
  },
  "a request with an absolute target": {
    request: request({}, "GET ws://server.example.com/chat HTTP/1.1"),
    kept: accepted(server)
  },
  "a request that expects a 100": {
    request: request({ Expect: "100-continue" }),
    kept: `${head("HTTP/1.1 100 Continue")}${accepted(server)}`
  },
  "an offer of subprotocols": {
    request: request({ "Sec-WebSocket-Protocol": "a, b" }),
    kept: accepted("Sec-WebSocket-Protocol: b", server),
    options: { subprotocols: ["b", "a"] }
  },
  "an offer of extensions": {
    request: request({ "Sec-WebSocket-Extensions": "permessage-deflate" }),
    kept: accepted(server)
  },
  "a request, with fields of its own": {
    request: request(),
    kept: accepted("X-One: 1", "Server: mine"),
    options: { headers: { "X-One": "1", Server: "mine" } }
  }
}

const faults: Readonly<Record<string, Row>> = {
  "what is no HTTP": ending(
    "MalformedHead",
    "G@T / HTTP/1.1\r\n\r\n",
    "400 Bad Request",
    "the head is malformed at byte 1: the method has a character that is not of a token (RFC 9112 2.1)"
  ),
  TLS: ending(
    "MalformedHead",
    "\u0016\u0003\u0001\r\n\r\n",
    "400 Bad Request",
    "the head is malformed at byte 0: this is TLS, and the port expects plain HTTP (RFC 9112 2.1)"
  ),
  "a target that is none": both(
    "InvalidTarget",
    request({}, "GET chat HTTP/1.1"),
    "400 Bad Request",
    "the request target is neither a path nor an absolute http or ws URI (RFC 9112 3.2)"
  ),
  "no Host": bad("MissingHost", { Host: "" }, "the request has no Host field (RFC 6455 4.2.1)"),
  "a Host that is none": bad(
    "InvalidHost",
    { Host: "a b" },
    "the host is not a name or an address with an optional port (RFC 9112 3.2)"
  ),
  "two of Host": bad("RepeatedField", { HOST: "a" }, "the field Host appears more than once (RFC 9110 5.3)"),
  "a body with a length": ending(
    "UnexpectedBody",
    request({ "Content-Length": "5" }),
    "400 Bad Request",
    "the request announces a body by Content-Length (RFC 9112 6)"
  ),
  "a body in chunks": ending(
    "UnexpectedBody",
    request({ "Transfer-Encoding": "chunked" }),
    "400 Bad Request",
    "the request announces a body by Transfer-Encoding (RFC 9112 6)"
  ),
  "no key": bad(
    "MissingKey",
    { "Sec-WebSocket-Key": "" },
    "the request has no Sec-WebSocket-Key field (RFC 6455 4.2.1)"
  ),
  "a key that is none": bad(
    "InvalidKey",
    { "Sec-WebSocket-Key": "AAAA" },
    "the Sec-WebSocket-Key is not the base64 form of 16 bytes (RFC 6455 4.2.1)"
  ),
  "no version": bad(
    "MissingVersion",
    { "Sec-WebSocket-Version": "" },
    "the request has no Sec-WebSocket-Version field (RFC 6455 4.2.1)"
  ),
  "two of Origin": bad(
    "RepeatedField",
    { Origin: "http://a", ORIGIN: "http://b" },
    "the field Origin appears more than once (RFC 9110 5.3)"
  ),
  "an offer of subprotocols that are none": bad(
    "InvalidSubprotocolOffer",
    { "Sec-WebSocket-Protocol": "a b" },
    "the Sec-WebSocket-Protocol field is no list of tokens (RFC 6455 4.1)"
  ),
  "an offer of a subprotocol twice": bad(
    "InvalidSubprotocolOffer",
    { "Sec-WebSocket-Protocol": "a, a" },
    "the Sec-WebSocket-Protocol field names one twice (RFC 6455 4.1)"
  ),
  "an offer of no subprotocol": bad(
    "InvalidSubprotocolOffer",
    { "Sec-WebSocket-Protocol": "," },
    "the Sec-WebSocket-Protocol field names nothing (RFC 6455 4.1)"
  ),
  "extensions that are none": bad(
    "MalformedField",
    { "Sec-WebSocket-Extensions": "a b" },
    "the field Sec-WebSocket-Extensions is malformed (RFC 6455 9.1)"
  ),
  "a Connection that is no list of tokens": ending(
    "MalformedField",
    request({ Connection: "Upgrade b" }),
    "400 Bad Request",
    "the field Connection is malformed (RFC 9110 5.6.1)"
  ),
  "another method": both(
    "Method",
    request({}, "POST / HTTP/1.1"),
    "405 Method Not Allowed",
    "the method is not GET (RFC 6455 4.2.1)",
    "Allow: GET"
  ),
  "the method HEAD": {
    counted: "Method",
    request: request({}, "HEAD / HTTP/1.1"),
    kept: refusedHead("405 Method Not Allowed", "the method is not GET (RFC 6455 4.2.1)", "Allow: GET"),
    closed: refusedHead("405 Method Not Allowed", "the method is not GET (RFC 6455 4.2.1)", "Allow: GET", close)
  },
  "no Upgrade": upgrade("MissingUpgrade", { Upgrade: "" }, "the request has no Upgrade field (RFC 6455 4.2.1)"),
  "another Upgrade": upgrade(
    "UpgradeWithoutWebsocket",
    { Upgrade: "h2c" },
    "the Upgrade field of the request does not say websocket (RFC 6455 4.2.1)"
  ),
  "no Connection": {
    counted: "MissingConnection",
    request: request({ Connection: "" }),
    kept: upgradeRequired("the request has no Connection field (RFC 6455 4.2.1)")
  },
  "a Connection without upgrade": upgrade(
    "ConnectionWithoutUpgrade",
    { Connection: "keep-alive" },
    "the Connection field of the request does not say Upgrade (RFC 6455 4.2.1)"
  ),
  "another version": upgrade(
    "UnsupportedVersion",
    { "Sec-WebSocket-Version": "8" },
    "the Sec-WebSocket-Version is not 13 (RFC 6455 4.2.2)"
  ),
  "a head that is too large": {
    ...ending(
      "HeadTooLarge",
      request({ "X-Large": "x".repeat(100) }),
      "431 Request Header Fields Too Large",
      "the head is larger than the limit of 200 bytes (RFC 6585 5)"
    ),
    options: { maxHeadSize: 200 }
  },
  "too many fields": {
    ...ending(
      "TooManyFields",
      request(),
      "431 Request Header Fields Too Large",
      "the head has more fields than the limit of 4 (RFC 6585 5)"
    ),
    options: { maxHeadFields: 4 }
  },
  "HTTP/1.0": ending(
    "HttpVersion",
    request({}, "GET / HTTP/1.0"),
    "505 HTTP Version Not Supported",
    "the request is not HTTP/1.1 (RFC 6455 4.2.1)"
  ),
  "HTTP/2.0": ending(
    "HttpVersion",
    request({}, "GET / HTTP/2.0"),
    "505 HTTP Version Not Supported",
    "the request is not HTTP/1.1 (RFC 6455 4.2.1)"
  ),
  "a foreign Origin": both(
    "ForbiddenOrigin",
    request({ Origin: "https://evil.example" }),
    "403 Forbidden",
    "the Origin is not one that this server takes (RFC 6455 10.2)"
  ),
  // RFC 9110 10.1.1: a refusal is final at once.
  "a foreign Origin that expects a 100": both(
    "ForbiddenOrigin",
    request({ Origin: "https://evil.example", Expect: "100-continue" }),
    "403 Forbidden",
    "the Origin is not one that this server takes (RFC 6455 10.2)"
  )
}

const decisions: Readonly<Record<string, Row>> = {
  "a request whose handler fails": failing("HandlerFailed", () => Effect.fail(new Error("no database"))),
  "a request whose handler dies": failing("HandlerFailed", () => Effect.die(new Error("a bug"))),
  "a request whose handler ends without an answer": failing("Unanswered", () => Effect.void),
  "a request that is accepted with a reserved field": failing("ReservedField", (exchange) =>
    WebSocket.accept(exchange, { headers: { Upgrade: "x" } })
  ),
  "a request that is accepted with a subprotocol nobody offered": failing("SubprotocolNotOffered", (exchange) =>
    WebSocket.accept(exchange, { subprotocols: () => Effect.succeed("x") })
  ),
  "a request that is rejected": rejecting({}, "403 Forbidden", [server, "Content-Length: 0"]),
  "a request that is rejected with all one can": rejecting(
    { status: 401, headers: { "WWW-Authenticate": "Bearer" }, body: "who?" },
    "401 Unauthorized",
    ["WWW-Authenticate: Bearer", server, "Content-Type: text/plain; charset=utf-8", "Content-Length: 4"],
    "who?"
  ),
  "a request that is rejected with bytes": rejecting(
    { status: 418, headers: { "Content-Type": "a/b", Server: "mine" }, body: Uint8Array.of(0x78, 0x79) },
    "418 ",
    ["Content-Type: a/b", "Server: mine", "Content-Length: 2"],
    "xy"
  )
}

interface Outcome {
  readonly text: string
  readonly isKept: boolean
}

/** What a new connection is answered when the request comes in these pieces. */
const outcomeOf = (
  serving: Effect.Effect.Success<ReturnType<typeof serve>>,
  pieces: ReadonlyArray<string>,
  readSize?: number
) =>
  Effect.gen(function* () {
    const line = yield* serving.connect({ readSize })
    for (const piece of pieces) yield* line.ask(piece)
    const outcome: Outcome = { text: line.text, isKept: !line.wire.hasEnded() }
    yield* line.hangUp
    return outcome
  })

/** Asks in one piece, byte by byte and in two pieces of every length. */
const transcribe = (row: Row, request: string, expected: Outcome): Effect.Effect<void, unknown, Scope.Scope> =>
  Effect.gen(function* () {
    const serving = yield* serve(row.handler ?? echo, { server: row.options })
    assert.deepStrictEqual(yield* outcomeOf(serving, [request]), expected)
    assert.deepStrictEqual(yield* outcomeOf(serving, [request], 1), expected)
    for (let at = 1; at < request.length; at++) {
      const pieces = [request.slice(0, at), request.slice(at)]
      assert.deepStrictEqual(yield* outcomeOf(serving, pieces), expected, `split at ${at}`)
    }
    const { accepted, refused } = yield* serving.counts
    const times = request.length + 1
    assert.deepStrictEqual(refused, row.counted === undefined ? {} : { [row.counted]: times })
    assert.strictEqual(accepted, row.counted === undefined ? times : 0)
    yield* serving.stop
  })

describe("WebSocketServer: answers, byte for byte", () => {
  for (const [name, row] of Object.entries(accepting)) {
    it.effect(`server accepts ${name}`, () =>
      leavesNothing(transcribe(row, row.request, { text: row.kept!, isKept: true }))
    )
  }

  for (const [name, row] of [...Object.entries(faults), ...Object.entries(decisions)]) {
    const { closed, kept } = row
    if (kept !== undefined) {
      it.effect(`server refuses ${name}, and keeps the connection`, () =>
        leavesNothing(transcribe(row, row.request, { text: kept, isKept: true }))
      )
    }
    if (closed !== undefined) {
      const asked = kept === undefined ? row.request : closing(row.request)
      it.effect(`server refuses ${name}, and ends the connection`, () =>
        leavesNothing(transcribe(row, asked, { text: closed, isKept: false }))
      )
    }
  }

  it.effect("server writes a 100 in one go with the 101", () =>
    leavesNothing(
      Effect.gen(function* () {
        const serving = yield* serve(echo)
        const line = yield* serving.connect()
        yield* line.ask(request({ Expect: "100-continue" }))
        assert.strictEqual(line.pair.server.ledger.writes, 1)
        yield* line.hangUp
        yield* serving.stop
      })
    )
  )
})

describe("WebSocketServer: answers to what doesn't come in time, byte for byte", () => {
  for (const [name, size] of [
    ["no byte", 0],
    ["half a head", 60],
    ["all but the last byte of a head", request().length - 1]
  ] as const) {
    it.effect(`server answers ${name} with a 408, and ends the connection`, () =>
      leavesNothing(
        Effect.gen(function* () {
          const serving = yield* serve(echo)
          const line = yield* serving.connect()
          if (size > 0) yield* line.ask(request().slice(0, size))
          yield* TestClock.adjust(9999)
          assert.strictEqual(line.text, "")
          yield* TestClock.adjust(501)
          assert.strictEqual(line.text, refused("408 Request Timeout", "the request did not come in time", close))
          assert.isTrue(line.wire.hasEnded())
          assert.deepStrictEqual((yield* serving.counts).refused, { Timeout: 1 })
          yield* line.hangUp
          yield* serving.stop
        })
      )
    )
  }

  it.effect("server answers a request that nobody decides about with a 503, and ends the connection", () =>
    leavesNothing(
      Effect.gen(function* () {
        const serving = yield* serve(() => Effect.never)
        const line = yield* serving.connect()
        yield* line.ask(request())
        yield* TestClock.adjust(10_500)
        assert.strictEqual(line.text, unavailable(close))
        assert.isTrue(line.wire.hasEnded())
        assert.deepStrictEqual((yield* serving.counts).refused, { Timeout: 1 })
        yield* line.hangUp
        yield* serving.stop
      })
    )
  )

  for (const [name, asked] of [
    ["no byte", ""],
    ["half a head", "GET / HT"],
    ["a request that nobody has decided about", request()]
  ] as const) {
    it.effect(`server answers ${name} with a 503 when it goes down, and ends the connection`, () =>
      leavesNothing(
        Effect.gen(function* () {
          const serving = yield* serve(() => Effect.never)
          const line = yield* serving.connect()
          if (asked !== "") yield* line.ask(asked)
          const stopping = yield* Effect.fork(serving.stop)
          yield* settled
          assert.strictEqual(line.text, unavailable(close))
          assert.isTrue(line.wire.hasEnded())
          assert.deepStrictEqual((yield* serving.counts).refused, { ShuttingDown: 1 })
          yield* line.hangUp
          yield* Fiber.join(stopping)
        })
      )
    )
  }

  it.effect("server answers a connection for which there is no place with a 503, whatever it asks", () =>
    leavesNothing(
      Effect.gen(function* () {
        const serving = yield* serve(echo, { server: { maxConnections: 1 } })
        const first = yield* serving.connect()
        for (const asked of ["", request(), "\u0016\u0003"]) {
          const line = yield* serving.connect()
          yield* line.ask(Frames.utf8(asked))
          assert.strictEqual(line.text, unavailable(close))
          assert.isTrue(line.wire.hasEnded())
          yield* line.hangUp
        }
        assert.deepStrictEqual((yield* serving.counts).refused, { maxConnections: 3 })
        yield* first.hangUp
        yield* serving.stop
      })
    )
  )
})
