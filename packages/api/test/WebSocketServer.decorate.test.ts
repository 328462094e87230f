/** A last look at everything that a server answers. */
import type { OutgoingResponse, ResponseDecorator } from "@effect-ws/api/Decorator"
import * as WebSocket from "@effect-ws/api/WebSocket"
import * as Headers from "@effect-ws/core/Headers"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import * as Frames from "./support/frames.ts"
import { leavesNothing, settled } from "./support/leaks.ts"
import {
  accepted,
  closing,
  type Handler,
  head,
  internalError,
  refused,
  request,
  serve,
  type ServeOptions,
  unavailable
} from "./support/serving.ts"

const server = "Server: effect-ws"
const close = "Connection: close"

/** Accepts, and waits for the end. */
const hold: Handler = (exchange) => Effect.flatMap(WebSocket.accept(exchange), (socket) => socket.closed)

/** Asks one server one thing, and returns all that it says, and what `onError` was told. */
const answer = (
  asked: string,
  options: ServeOptions<never>["server"] & { readonly handler?: Handler },
  fallback?: ServeOptions<never>["fallback"]
) =>
  leavesNothing(
    Effect.gen(function* () {
      const { handler = hold, ...rest } = options
      const serving = yield* serve(handler, { server: rest, fallback })
      const line = yield* serving.connect()
      yield* line.ask(asked)
      yield* line.hangUp
      yield* settled
      const counts = yield* serving.counts
      yield* serving.stop
      return { text: line.text, told: serving.causes.map((cause) => Cause.pretty(cause)), counts }
    })
  )

const adding =
  (...fields: ReadonlyArray<Headers.Field>): ResponseDecorator =>
  (response) => ({ ...response, headers: [...response.headers, ...fields] })

const without =
  (name: string): ResponseDecorator =>
  (response) => ({ ...response, headers: Headers.remove(response.headers, name) })

const plainText = (status: string, body: string, ...fields: ReadonlyArray<string>) =>
  head(
    `HTTP/1.1 ${status}`,
    ...fields,
    server,
    "Content-Type: text/plain; charset=utf-8",
    `Content-Length: ${body.length}`
  ) + body

describe("WebSocketServer: a decorator of the 101", () => {
  it.effect("server sends fields that were added, replaced and removed", () =>
    Effect.gen(function* () {
      const headers = { "X-One": "1", "X-Two": "2" }
      const added = yield* answer(request(), { headers, decorate: adding(["X-Three", "3"], ["X-Three", "4"]) })
      assert.strictEqual(added.text, accepted("X-One: 1", "X-Two: 2", "X-Three: 3", "X-Three: 4", server))
      const replaced = yield* answer(request(), {
        headers,
        decorate: (response) => ({ ...response, headers: Headers.set(response.headers, "X-One", "0") })
      })
      assert.strictEqual(replaced.text.replace("X-One: 0\r\n", ""), accepted("X-Two: 2", server))
      assert.include(replaced.text, "X-One: 0\r\n")
      const removed = yield* answer(request(), { headers, decorate: without("x-one") })
      assert.strictEqual(removed.text, accepted("X-Two: 2", server))
      for (const { counts, told } of [added, replaced, removed]) {
        assert.deepStrictEqual(told, [])
        assert.strictEqual(counts.accepted, 1)
      }
    })
  )

  it.effect("server shows the decorator the whole 101, and the request", () =>
    Effect.gen(function* () {
      const seen: Array<unknown> = []
      yield* answer(request({ "X-Asked": "1", "Sec-WebSocket-Protocol": "a" }), {
        subprotocols: ["a"],
        headers: { "X-One": "1" },
        decorate: (response, request) => {
          seen.push([response, request?.method, request?.target, Headers.getAll(request?.fields ?? [], "X-Asked")])
          return response
        }
      })
      const headers = accepted("Sec-WebSocket-Protocol: a", "X-One: 1")
        .trim()
        .split("\r\n")
        .slice(1)
        .map((line) => line.split(": "))
      assert.deepStrictEqual(seen, [[{ status: 101, headers, body: new Uint8Array(0) }, "GET", "/chat?room=1", ["1"]]])
    })
  )

  it.effect("server asks the decorator of the call, and that of the server for its own answers", () =>
    Effect.gen(function* () {
      const options = {
        decorate: adding(["X-By", "server"]),
        handler: ((exchange) => WebSocket.accept(exchange, { decorate: adding(["X-By", "call"]) })) satisfies Handler
      }
      const { text } = yield* answer(request({ "Sec-WebSocket-Key": "AAAA" }) + request(), options)
      assert.deepStrictEqual(text.match(/^(HTTP|X-By).*$/gm), [
        "HTTP/1.1 400 Bad Request",
        "X-By: server",
        "HTTP/1.1 101 Switching Protocols",
        "X-By: call"
      ])
    })
  )

  const breaking: Record<string, ResponseDecorator> = {
    "removes Upgrade": without("Upgrade"),
    "replaces Upgrade": (response) => ({ ...response, headers: Headers.set(response.headers, "Upgrade", "h2c") }),
    "repeats Upgrade": adding(["Upgrade", "websocket"]),
    "removes Connection": without("Connection"),
    "adds a Connection": adding(["Connection", "close"]),
    "removes the accept value": without("Sec-WebSocket-Accept"),
    "replaces the accept value": (response) => ({
      ...response,
      headers: Headers.set(response.headers, "Sec-WebSocket-Accept", "x")
    }),
    "adds a subprotocol": adding(["Sec-WebSocket-Protocol", "a"]),
    "adds an extension": adding(["Sec-WebSocket-Extensions", "permessage-deflate"]),
    "adds a length": adding(["Content-Length", "0"]),
    "adds a coding": adding(["Transfer-Encoding", "chunked"]),
    "removes everything": (response) => ({ ...response, headers: [] })
  }
  for (const [name, decorator] of Object.entries(breaking)) {
    it.effect(`server writes nothing of a 101 whose decorator ${name}, but a 500, and tells onError`, () =>
      Effect.gen(function* () {
        const decorate: ResponseDecorator = (response, asked) =>
          response.status === 101 ? decorator(response, asked) : response
        const { counts, text, told } = yield* answer(closing(request()), { decorate })
        assert.strictEqual(text, internalError(close))
        assert.strictEqual(told.length, 1)
        assert.match(told[0]!, /is written by the handshake itself/)
        assert.deepInclude(counts, { accepted: 0, refused: { ReservedField: 1 } })
      })
    )
  }

  const unwritable: Record<string, Headers.Field> = {
    "a CR": ["X-Bad", "a\rb"],
    "a LF": ["X-Bad", "a\nb"],
    "a NUL": ["X-Bad", "a\0b"],
    "a CR and LF in the name": ["X-Bad: 1\r\nX", "b"],
    "a blank in the name": ["X Bad", "b"],
    "a colon in the name": ["X-Bad:", "b"],
    "no name": ["", "b"]
  }
  for (const [name, field] of Object.entries(unwritable)) {
    it.effect(`server writes a 500, whether on a 101 or on a refusal, when a field has ${name}`, () =>
      Effect.gen(function* () {
        for (const asked of [request(), request({ "Sec-WebSocket-Key": "AAAA" })]) {
          let isFirst = true
          const decorate: ResponseDecorator = (response, of) => {
            if (!isFirst) return response
            isFirst = false
            return adding(field)(response, of)
          }
          const { counts, text, told } = yield* answer(closing(asked), { decorate })
          assert.strictEqual(text, internalError(close))
          assert.strictEqual(told.length, 1)
          assert.strictEqual(counts.accepted, 0)
        }
      })
    )
  }

  it.effect("server makes a refusal of a 101 with another status, and no connection", () =>
    Effect.gen(function* () {
      let seen = 0
      const decorate: ResponseDecorator = (response) => {
        seen++
        return { status: 429, headers: [...response.headers, ["Retry-After", "1"]], body: Frames.utf8("later") }
      }
      const { counts, text, told } = yield* answer(request(), { decorate })
      assert.strictEqual(text, plainText("429 Too Many Requests", "later", "Retry-After: 1"))
      assert.deepStrictEqual(told, [])
      assert.deepInclude(counts, { accepted: 0, refused: { Reject: 1 } })
      assert.strictEqual(seen, 1)
    })
  )

  for (const status of [100, 102, 199, 99, 600, 1.5, Number.NaN]) {
    it.effect(`server answers with a 500 instead of a 101 that a decorator has made a ${status}`, () =>
      Effect.gen(function* () {
        const decorate: ResponseDecorator = (response) => (response.status === 101 ? { ...response, status } : response)
        const { counts, text, told } = yield* answer(closing(request()), { decorate })
        assert.strictEqual(text, internalError(close))
        assert.strictEqual(told.length, 1)
        assert.strictEqual(counts.accepted, 0)
      })
    )
  }

  it.effect("server answers with a 500 when a decorator throws, keeps the connection, and tells onError", () =>
    Effect.gen(function* () {
      let isFirst = true
      const decorate: ResponseDecorator = (response) => {
        if (!isFirst) return response
        isFirst = false
        throw new Error("a bug of the decorator")
      }
      const { text, told } = yield* answer(request() + request(), { decorate })
      assert.strictEqual(text, internalError() + accepted(server))
      assert.strictEqual(told.length, 1)
      assert.include(told[0], "a bug of the decorator")
    })
  )
})

/** Adds what it was shown of the request to the answer. */
const naming: ResponseDecorator = (response, asked) =>
  adding(["X-Asked", asked === undefined ? "nothing" : `${asked.method} ${asked.target}`])(response, asked)

const asks = (method: string) => `X-Asked: ${method} /chat?room=1`

describe("WebSocketServer: a decorator of refusals", () => {
  const unavailableText = "the server can't take the connection now"
  const noRequest = "X-Asked: nothing"
  const wrongKeyText = "the Sec-WebSocket-Key is not the base64 form of 16 bytes (RFC 6455 4.2.1)"

  const kinds: Record<string, readonly [string, Handler, string]> = {
    "a request that can't be accepted": [
      request({ "Sec-WebSocket-Key": "AAAA" }),
      hold,
      plainText("400 Bad Request", `${wrongKeyText}\n`, asks("GET"))
    ],
    "a rejection": [
      request(),
      () => WebSocket.reject({ status: 401, headers: { "WWW-Authenticate": "Bearer" }, body: "who?" }),
      plainText("401 Unauthorized", "who?", "WWW-Authenticate: Bearer", asks("GET"))
    ],
    "a foreign page": [
      request({ Origin: "https://evil.example" }),
      hold,
      refused("403 Forbidden", "the Origin is not one that this server takes (RFC 6455 10.2)", asks("GET"))
    ],
    "a handler that fails": [request(), () => Effect.fail("no"), internalError(asks("GET"))],
    "a handler that doesn't answer": [request(), () => Effect.void, internalError(asks("GET"))],
    "a request that is none": [
      "G@T / HTTP/1.1\r\n\r\n",
      hold,
      refused(
        "400 Bad Request",
        "the head is malformed at byte 1: the method has a character that is not of a token (RFC 9112 2.1)",
        noRequest,
        close
      )
    ],
    "a head that is too large": [
      request({ "X-Large": "x".repeat(9000) }),
      hold,
      "HTTP/1.1 431 Request Header Fields Too Large\r\nX-Asked: nothing\r\n"
    ]
  }
  for (const [name, [asked, handler, expected]] of Object.entries(kinds)) {
    it.effect(`server shows the decorator the answer to ${name}, with the request where there was one`, () =>
      Effect.gen(function* () {
        const { text } = yield* answer(asked, { decorate: naming, handler })
        assert.strictEqual(text.slice(0, expected.length), expected)
        if (!expected.endsWith("nothing\r\n")) assert.strictEqual(text, expected)
      })
    )
  }

  it.effect("server shows the decorator the answer of a fallback, with the request", () =>
    Effect.gen(function* () {
      const { text } = yield* answer(head("HEAD /page HTTP/1.1", "Host: a"), { decorate: naming }, () =>
        Effect.succeed({ status: 200, body: "page" })
      )
      assert.strictEqual(text, plainText("200 OK", "page", "X-Asked: HEAD /page").slice(0, -4))
    })
  )

  it.effect("server shows the decorator the answer to who comes too late, or is too many", () =>
    leavesNothing(
      Effect.gen(function* () {
        const serving = yield* serve(() => Effect.never, { server: { decorate: naming, maxConnections: 3 } })
        const silent = yield* serving.connect()
        const half = yield* serving.connect()
        yield* half.ask("GET /")
        const waiting = yield* serving.connect()
        yield* waiting.ask(request())
        const turnedAway = yield* serving.connect()
        yield* turnedAway.ask(request())
        assert.strictEqual(turnedAway.text, unavailable(noRequest, close))
        yield* TestClock.adjust(10_500)
        assert.strictEqual(waiting.text, refused("503 Service Unavailable", unavailableText, asks("GET"), close))
        for (const line of [silent, half]) {
          assert.strictEqual(
            line.text,
            refused("408 Request Timeout", "the request did not come in time", noRequest, close)
          )
        }
        for (const line of [silent, half, waiting]) yield* line.hangUp
        yield* serving.stop
        turnedAway.wire.destroy()
      })
    )
  )

  it.effect("server sends the status, the fields and the body that a decorator puts in place of its own", () =>
    Effect.gen(function* () {
      const decorate: ResponseDecorator = (response): OutgoingResponse =>
        response.status === 401
          ? { status: 404, headers: [["Content-Type", "text/html"]], body: Frames.utf8("<p>none</p>") }
          : response
      const { text } = yield* answer(request(), {
        decorate,
        handler: () => WebSocket.reject({ status: 401, headers: { "WWW-Authenticate": "Bearer" }, body: "who?" })
      })
      assert.strictEqual(
        text,
        `${head("HTTP/1.1 404 Not Found", "Content-Type: text/html", server, "Content-Length: 11")}<p>none</p>`
      )
    })
  )

  const broken: Record<string, ResponseDecorator> = {
    throws: () => {
      throw new Error("a bug of the decorator")
    },
    "makes it a 101": (response) => ({ ...response, status: 101 }),
    "makes it a 100": (response) => ({ ...response, status: 100 }),
    "gives it a status that is none": (response) => ({ ...response, status: 999 }),
    "adds a length": adding(["Content-Length", "1"]),
    "adds a coding": adding(["Transfer-Encoding", "chunked"]),
    "adds a Connection": adding(["Connection", "keep-alive"])
  }
  for (const [name, decorate] of Object.entries(broken)) {
    it.effect(`server answers with a 500 when the decorator of a refusal ${name}, and tells onError each time`, () =>
      Effect.gen(function* () {
        const wrongKey = request({ "Sec-WebSocket-Key": "AAAA" })
        const all = yield* answer(wrongKey + closing(wrongKey), { decorate })
        assert.strictEqual(all.text, internalError() + internalError(close))
        assert.strictEqual(all.told.length, 2)
        const rejected = yield* answer(closing(request()), { decorate, handler: () => WebSocket.reject() })
        assert.strictEqual(rejected.text, internalError(close))
        assert.strictEqual(rejected.told.length, 1)
      })
    )
  }

  it.effect("server turns away with a 500 when the decorator throws", () =>
    leavesNothing(
      Effect.gen(function* () {
        const decorate: ResponseDecorator = () => {
          throw new Error("a bug of the decorator")
        }
        const serving = yield* serve(hold, { server: { decorate, maxConnections: 1 } })
        const first = yield* serving.connect()
        const second = yield* serving.connect()
        yield* second.ask(request())
        assert.strictEqual(second.text, internalError(close))
        yield* second.hangUp
        yield* first.hangUp
        yield* serving.stop
      })
    )
  )
})

describe("WebSocketServer: its name", () => {
  const wrongKey = request({ "Sec-WebSocket-Key": "AAAA" })
  const names: Record<string, readonly [NonNullable<ServeOptions<never>["server"]>, string | undefined]> = {
    "effect-ws by default": [{}, "effect-ws"],
    "the name it was given": [{ server: "mine/1" }, "mine/1"],
    "no name when it was told so": [{ server: false }, undefined],
    "the name that a decorator gave": [{ server: "mine", decorate: adding(["sERVER", "its"]) }, "its"],
    "the name that a decorator gave although it has none": [
      { server: false, decorate: adding(["Server", "its"]) },
      "its"
    ]
  }
  for (const [name, [options, expected]] of Object.entries(names)) {
    it.effect(`server sends ${name}, with refusals, with the 101, and with a page`, () =>
      Effect.gen(function* () {
        const fallback = () => Effect.succeed({ status: 200, body: "page\n" })
        const plain = head("GET / HTTP/1.1", "Host: a")
        const { text } = yield* answer(wrongKey + plain + request(), options, fallback)
        const all = Array.from(text.matchAll(/^server: (.*)$/gim), ([, value]) => value)
        assert.strictEqual(text.match(/^HTTP/gm)?.length, 3)
        assert.deepStrictEqual(all, expected === undefined ? [] : [expected, expected, expected])
      })
    )
  }

  it.effect("server sends one name when its fields have one", () =>
    Effect.gen(function* () {
      const { text } = yield* answer(request(), { headers: { Server: "of the fields" }, server: "mine" })
      assert.strictEqual(text, accepted("Server: of the fields"))
    })
  )

  it.effect("server answers with a 500 without a name when its name can't be sent, and tells onError", () =>
    Effect.gen(function* () {
      for (const asked of [wrongKey, request()]) {
        const { text, told } = yield* answer(closing(asked), { server: "a\r\nX-B: b" })
        assert.strictEqual(text, internalError(close).replace(`${server}\r\n`, ""))
        assert.isAbove(told.length, 0)
        assert.match(told[0]!, /Server/)
      }
    })
  )
})
