/** What a hostile client may send as a request, over real sockets. */
import * as BasicAuthorization from "@effect-ws/api/BasicAuthorization"
import type { OriginPolicy } from "@effect-ws/api/AcceptOptions"
import * as WebSocket from "@effect-ws/api/WebSocket"
import * as NodeWebSocketServer from "@effect-ws/platform-node/NodeWebSocketServer"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Http from "node:http"
import { inspect } from "node:util"
import { withoutLeaks } from "./support/leaks.ts"
import { masked, rawClient, rawOpen, rawUpgrade, upgradeRequest } from "./support/rawPeer.ts"
import { httpPort, listeners, serve, serveEcho, type Server, serveSockets } from "./support/serving.ts"
import { event } from "./support/sockets.ts"

const sampleKey = "dGhlIHNhbXBsZSBub25jZQ=="

/** A correct request whose lines with these names are replaced: by none, one, or several. */
const request = (
  changes: Readonly<Record<string, ReadonlyArray<string>>> = {},
  line = "GET / HTTP/1.1",
  ...more: ReadonlyArray<string>
): string => {
  const correct = {
    Host: ["Host: localhost"],
    Upgrade: ["Upgrade: websocket"],
    Connection: ["Connection: Upgrade"],
    "Sec-WebSocket-Key": [`Sec-WebSocket-Key: ${sampleKey}`],
    "Sec-WebSocket-Version": ["Sec-WebSocket-Version: 13"]
  }
  return [line, ...Object.values({ ...correct, ...changes }).flat(), ...more, "", ""].join("\r\n")
}

const withField = (...lines: ReadonlyArray<string>): string => request({}, undefined, ...lines)

/** The head that answers the bytes, sent in one write on a connection of its own. */
const answerTo = ({ port }: Server, bytes: string | Buffer): Effect.Effect<string> =>
  Effect.scoped(
    Effect.gen(function* () {
      const peer = yield* rawClient({ host: "127.0.0.1", port })
      peer.send(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes)
      const answer = yield* peer.next
      return answer._tag === "Head" ? answer.head : answer._tag
    })
  )

const statusOf = (head: string): string => /^HTTP\/1\.1 (\d{3}) /.exec(head)?.[1] ?? head

const assertStatus = (server: Server, status: number, bytes: string | Buffer) =>
  Effect.map(answerTo(server, bytes), (head) => {
    assert.strictEqual(statusOf(head), `${status}`, inspect(bytes.toString("latin1").slice(0, 200)))
    return head
  })

/** Asserts the status of the answer to each, and that the server is there after all of them. */
const assertStatuses = (server: Server, status: number, ...requests: ReadonlyArray<string | Buffer>) =>
  Effect.gen(function* () {
    const heads = yield* Effect.forEach(requests, (bytes) => assertStatus(server, status, bytes))
    yield* assertStatus(server, 101, request())
    return heads
  })

const server = serveEcho(NodeWebSocketServer.layer())

/** Runs the test with a server of its own, and asserts that nothing of it is left. */
const test = (title: string, body: (server: Server) => Effect.Effect<unknown>) =>
  it.scopedLive(title, () => Effect.flatMap(server, body).pipe(Effect.scoped, withoutLeaks))

const assertEnded = ({ port }: Server, bytes: string) =>
  Effect.scoped(
    Effect.gen(function* () {
      const peer = yield* rawClient({ host: "127.0.0.1", port })
      peer.send(Buffer.from(bytes, "latin1"))
      const head = yield* peer.next
      const body = yield* peer.next
      assert.strictEqual((yield* peer.next)._tag, "End")
      assert.match(head._tag === "Head" ? head.head : head._tag, /^Connection: close$/m)
      return body._tag === "Body" ? body.body : body._tag
    })
  )

describe("Attack cases of the opening handshake: requests", () => {
  test("server, case 1: more fields than it takes, the Upgrade behind them, is answered with 431 and the end", (server) =>
    Effect.gen(function* () {
      const many = Array.from({ length: 101 }, (_, i) => `X-${i}: a`)
      const swallowed = request({}, ["GET / HTTP/1.1", ...many].join("\r\n"))
      yield* assertStatuses(server, 431, swallowed)
      yield* assertEnded(server, swallowed)
    }))

  it.scopedLive(
    "server, case 1: attached to node:http whose limit swallows the Upgrade, it answers with 431, and opens nothing",
    () =>
      Effect.gen(function* () {
        const http = yield* Effect.acquireRelease(
          Effect.sync(() => Http.createServer((_, response) => response.end("a page"))),
          (http) =>
            Effect.sync(() => {
              http.close()
              http.closeAllConnections()
            })
        )
        http.maxHeadersCount = 50
        yield* event(http.listen(0, "127.0.0.1"), "listening")
        const attached = yield* serveEcho(NodeWebSocketServer.layerAttached(http))
        const port = httpPort(http)
        const filler = Array.from({ length: 200 }, (_, i) => `X-${i}: a`).join("\r\n")
        yield* assertStatus({ ...attached, port }, 431, request({}, `GET / HTTP/1.1\r\nHost: localhost\r\n${filler}`))
        yield* assertStatus({ ...attached, port }, 431, request({}, `GET / HTTP/1.1\r\n${filler}`))
        http.maxHeadersCount = 100
        yield* assertStatus({ ...attached, port }, 101, request())
      }).pipe(Effect.scoped, withoutLeaks)
  )

  test("server, case 2: a line that is too long is answered with 431, wherever it is, and before it has an end", (server) =>
    Effect.gen(function* () {
      const long = "a".repeat(9000)
      yield* assertStatuses(server, 431, withField(`X: ${long}`), request({}, `GET /${long} HTTP/1.1`), `GET /${long}`)
      yield* assertEnded(server, withField(`X: ${long}`))
    }))

  // Nothing is offered where all that is there are blanks and commas, and 4.3 wants one token at least.
  it.scopedLive("server, case 5: tens of KiB of blanks, commas and quotes in the offers are answered with 400", () =>
    Effect.gen(function* () {
      const roomy = yield* serveEcho(NodeWebSocketServer.layer({ maxHeadSize: 128 * 1024 }))
      const size = 60_000
      const values = [
        ",".repeat(size),
        ` , ${" ".repeat(size)},`,
        '"'.repeat(size),
        `a${" ".repeat(size)}b`,
        ";".repeat(size)
      ]
      for (const field of ["Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions"]) {
        yield* assertStatuses(roomy, 400, ...values.map((value) => withField(`${field}: ${value}`)))
      }
    }).pipe(Effect.scoped, withoutLeaks)
  )

  test("server, case 6: extensions and parameters named like members of Object are unknown ones", (server) =>
    Effect.gen(function* () {
      for (const name of ["constructor", "__proto__", "toString", "hasOwnProperty"]) {
        const offers = [name, `${name}; ${name}`, `${name}; ${name}=1`, `permessage-deflate; ${name}=1`]
        for (const offer of offers) {
          const head = yield* assertStatus(server, 101, withField(`Sec-WebSocket-Extensions: ${offer}`))
          assert.notMatch(head, /^Sec-WebSocket-Extensions:/im)
        }
        const head = yield* assertStatus(server, 101, withField(`Sec-WebSocket-Protocol: ${name}`, `${name}: ${name}`))
        assert.notMatch(head, /^Sec-WebSocket-Protocol:/im)
      }
    }))

  test("server, case 7: a parameter whose quotes don't close, or close badly, is answered with 400", (server) =>
    assertStatuses(
      server,
      400,
      ...['a; b="c', 'a; b="', 'a; b="c\\', 'a; b="c\\"', 'a; b="c"d', 'a; b="c" "d"', 'a; b=""', 'a; b="c d"'].map(
        (offer) => withField(`Sec-WebSocket-Extensions: ${offer}`)
      )
    ))

  test("server, case 8: offers of deflate are declined, whatever their parameters are", (server) =>
    Effect.gen(function* () {
      const bits = ["0", "7", "8", "08", "15", "16", "8.5", "15x", "-8", "1e1", "99999999999999999999"]
      const offers = [
        "permessage-deflate",
        "permessage-deflate; client_max_window_bits; client_max_window_bits=9",
        "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; unknown=1, permessage-deflate",
        ...bits.flatMap((value) => [
          `permessage-deflate; server_max_window_bits=${value}`,
          `permessage-deflate; client_max_window_bits="${value}"`
        ])
      ]
      for (const offer of offers) {
        const head = yield* assertStatus(server, 101, withField(`Sec-WebSocket-Extensions: ${offer}`))
        assert.notMatch(head, /^Sec-WebSocket-Extensions:/im, offer)
      }
    }))

  test("server, case 9: another method gets 405 with Allow, HTTP/1.0 gets 505, and targets are read strictly", (server) =>
    Effect.gen(function* () {
      const methods = ["POST", "HEAD", "OPTIONS", "get", "PRI"].map((method) => request({}, `${method} / HTTP/1.1`))
      for (const head of yield* assertStatuses(server, 405, ...methods)) assert.match(head, /^Allow: GET$/m)
      const versions = ["1.0", "2.0", "0.9"].map((version) => request({}, `GET / HTTP/${version}`))
      yield* assertStatuses(server, 505, ...versions)
      const targets = ["localhost:80", "*", "chat", "ftp://localhost/", "http://user@localhost/", "http://", "/a#b"]
      yield* assertStatuses(server, 400, ...targets.map((target) => request({}, `GET ${target} HTTP/1.1`)))
      yield* assertStatus(server, 101, request({}, "GET http://other.test/a?b HTTP/1.1"))
    }))

  test("server, case 10: without the tokens in Upgrade and Connection it gets 426 with what to ask for", (server) =>
    Effect.gen(function* () {
      const heads = yield* assertStatuses(
        server,
        426,
        request({ Upgrade: [] }),
        request({ Connection: [] }),
        request({ Upgrade: ["Upgrade: h2c"] }),
        request({ Upgrade: ["Upgrade: websockets"] }),
        request({ Upgrade: ["Upgrade:"] }),
        request({ Connection: ["Connection: keep-alive"] }),
        request({ Connection: ["Connection:"] })
      )
      for (const head of heads) {
        assert.match(head, /^Upgrade: websocket$/m)
        assert.match(head, /^Connection: Upgrade$/m)
        assert.match(head, /^Sec-WebSocket-Version: 13$/m)
      }
      yield* assertStatus(server, 101, request({ Upgrade: ["uPGRADE: h2c, WebSocket"] }))
      yield* assertStatus(server, 101, request({ Upgrade: ["Upgrade: h2c", "Upgrade: websocket"] }))
      yield* assertStatus(server, 101, request({ Connection: ["CONNECTION:keep-alive ,\tUPGRADE "] }))
      yield* assertStatus(server, 101, request({ Connection: ["Connection: keep-alive", "Connection: upgrade"] }))
    }))

  test("server, case 11: a key that is none gets 400, a version that is not 13 gets 426 and the version", (server) =>
    Effect.gen(function* () {
      const key = (...values: ReadonlyArray<string>) =>
        request({ "Sec-WebSocket-Key": values.map((value) => `Sec-WebSocket-Key: ${value}`) })
      const wrong = ["", "1234", sampleKey.slice(0, -1), `${sampleKey}=`, `${"A".repeat(22)}=A`, `${"!".repeat(22)}==`]
      // Its last character has bits that 16 bytes don't use.
      yield* assertStatuses(
        server,
        400,
        key(),
        key(sampleKey, sampleKey),
        key(`${"A".repeat(21)}B==`),
        ...wrong.map((one) => key(one))
      )
      const version = (...values: ReadonlyArray<string>) =>
        request({ "Sec-WebSocket-Version": values.map((value) => `Sec-WebSocket-Version: ${value}`) })
      const unsupported = ["8", "0", "12", "14", "013", "13.0", "8, 13", "+13", ""].map((one) => version(one))
      for (const head of yield* assertStatuses(server, 426, ...unsupported))
        assert.match(head, /^Sec-WebSocket-Version: 13$/m)
      yield* assertStatuses(server, 400, version(), version("13", "13"))
    }))

  test("server, case 12: a body gets 400 and the end, so that what is in it is no request", (server) =>
    Effect.gen(function* () {
      const bodies = [
        ["Content-Length: 5"],
        ["Transfer-Encoding: chunked"],
        ["Transfer-Encoding: identity"],
        ["Content-Length: 5", "Transfer-Encoding: chunked"],
        ["Content-Length: 0", "Content-Length: 5"],
        ["Content-Length: 5", "Content-Length: 5"],
        ["Content-Length: 0, 0"],
        ["Content-Length: +0"],
        ["Content-Length: -1"],
        ["Content-Length: 0x0"]
      ]
      for (const fields of bodies) {
        yield* assertStatus(server, 400, withField(...fields))
        const body = yield* assertEnded(server, withField(...fields) + request())
        assert.notMatch(body, /HTTP\/1\.1/)
      }
      yield* assertStatus(server, 101, withField("Content-Length: 0"))
    }))

  test("server, case 13: what two readers may read in two ways is answered with 400 and the end", (server) =>
    Effect.gen(function* () {
      const good = request()
      yield* assertStatuses(
        server,
        400,
        request({ Host: [] }),
        request({ Host: ["Host:"] }),
        request({ Host: ["Host: a", "Host: a"] }),
        request({ Host: ["Host: a, b"] }),
        request({ Host: ["Host: user@a"] })
      )
      const malformed = [
        withField("X: a", " b"),
        withField("X: a", "\tb"),
        good.replaceAll("\r\n", "\n"),
        good.replace("Host: localhost\r\n", "Host: localhost\n"),
        withField("X: a\rb"),
        withField("X: a\0b"),
        withField("X\0: a"),
        request({}, "GET /\0 HTTP/1.1"),
        withField("X : a"),
        withField(": a"),
        withField("no colon"),
        request({}, "GET  / HTTP/1.1"),
        request({}, "GET / HTTP/1.1 "),
        `\r\n\r\n${good}`
      ]
      yield* assertStatuses(server, 400, ...malformed)
      for (const bytes of malformed) yield* assertEnded(server, bytes)
    }))

  it.scopedLive("server, case 14: frames behind the head, in its segment, are delivered in order and counted", () =>
    Effect.gen(function* () {
      const { nextSocket, port } = yield* serveSockets(NodeWebSocketServer.layer({ maxMessageSize: 100 }))
      const texts = Array.from({ length: 50 }, (_, i) => `message ${i}`)
      yield* rawOpen({ port }, ...texts.map((text) => masked(0x81, text)), masked(0x81, "x".repeat(101)))
      const socket = yield* nextSocket
      for (const text of texts) assert.deepInclude(yield* socket.receive, { text })
      assert.deepInclude(yield* Effect.flip(socket.receive), { _tag: "MessageTooBig", limit: 100 })
    }).pipe(Effect.scoped, withoutLeaks)
  )

  test("server, case 15: a page of another origin gets 403, null and what is no origin too", (server) =>
    Effect.gen(function* () {
      const foreign = [
        "http://evil.test",
        "null",
        "",
        "localhost",
        "http://localhost.evil.test",
        "http://evil.test/localhost",
        "http://localhost:81",
        "https://localhost@evil.test",
        "file://",
        "HTTP://LOCALHOST/"
      ]
      yield* assertStatuses(server, 403, ...foreign.map((origin) => withField(`Origin: ${origin}`)))
      yield* assertStatuses(server, 400, withField("Origin: http://localhost", "Origin: http://evil.test"))
      yield* assertStatuses(
        server,
        101,
        withField("Origin: http://localhost"),
        withField("Origin: HTTP://LocalHost:80"),
        request()
      )
    }))

  it.scopedLive(
    "server, case 15: an allow-list is exact, a function decides by itself, and none of them is asked without Origin",
    () =>
      Effect.gen(function* () {
        const asked: Array<string> = []
        const policies: ReadonlyArray<[OriginPolicy, ReadonlyArray<string>, ReadonlyArray<string>]> = [
          [
            ["https://a.test"],
            ["https://a.test"],
            ["http://a.test", "https://a.test.evil", "https://b.a.test", "null"]
          ],
          [
            (origin) => {
              asked.push(origin)
              return /^https:\/\/[a-z]+\.a\.test$/.test(origin)
            },
            ["https://b.a.test"],
            ["https://a.test", "https://b.a.test.evil", "null"]
          ],
          [[], [], ["http://localhost"]],
          ["any", ["https://evil.test", "null"], []]
        ]
        for (const [origin, taken, refused] of policies) {
          const server = yield* serveSockets(NodeWebSocketServer.layer(), { origin })
          yield* assertStatuses(server, 101, ...taken.map((value) => withField(`Origin: ${value}`)))
          yield* assertStatuses(server, 403, ...refused.map((value) => withField(`Origin: ${value}`)))
        }
        assert.deepStrictEqual(asked, ["https://b.a.test", "https://a.test", "https://b.a.test.evil", "null"])
      }).pipe(Effect.scoped, withoutLeaks)
  )

  for (const [kind, layer] of Object.entries(listeners)) {
    it.scopedLive(
      `server, case 19: ${kind}: a peer that resets while the handler decides ends the handler, and isn't counted`,
      () =>
        Effect.gen(function* () {
          const begun = yield* Deferred.make<void>()
          const interrupted = yield* Deferred.make<void>()
          const server = yield* serve(layer(), (exchange) =>
            exchange.request.path === "/slow"
              ? Deferred.succeed(begun, undefined).pipe(
                  Effect.zipRight(Effect.never),
                  Effect.onInterrupt(() => Deferred.succeed(interrupted, undefined))
                )
              : WebSocket.accept(exchange)
          )
          const peer = yield* rawClient({ port: server.port })
          peer.send(Buffer.from(request({}, "GET /slow HTTP/1.1")))
          yield* Deferred.await(begun)
          peer.socket.resetAndDestroy()
          yield* Deferred.await(interrupted)
          yield* assertStatus(server, 101, request())
          assert.deepStrictEqual(server.logged, [])
        }).pipe(Effect.scoped, withoutLeaks)
    )
  }

  it.scopedLive("server, case 19: peers that reset in the middle of the head, at each byte, do no harm", () =>
    Effect.gen(function* () {
      const echo = yield* server
      for (let size = 0; size < upgradeRequest.length; size += 16) {
        const peer = yield* rawClient({ port: echo.port })
        yield* event(peer.socket, "connect")
        peer.send(Buffer.from(upgradeRequest.slice(0, size)))
        peer.socket.resetAndDestroy()
      }
      yield* assertStatus(echo, 101, request())
      assert.deepStrictEqual(echo.logged, [])
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("server, case 21: credentials are compared in constant time, and shown nowhere", () =>
    Effect.gen(function* () {
      const secret = "wonderland"
      const header = `Basic ${Buffer.from(`alice:${secret}`).toString("base64")}`
      const shown: Array<string> = []
      const show = (value: unknown) =>
        shown.push(inspect(value, { depth: 8, showHidden: true }), JSON.stringify(value), String(value))
      const server = yield* serve(NodeWebSocketServer.layer(), (exchange) =>
        Effect.gen(function* () {
          show(exchange)
          const given = BasicAuthorization.credentials(exchange.request)
          show(given)
          const isRight = Option.exists(given, ({ password }) =>
            BasicAuthorization.isEqual(password, Redacted.make(secret))
          )
          if (!isRight) return yield* WebSocket.reject({ status: 401, headers: { "WWW-Authenticate": "Basic" } })
          const socket = yield* WebSocket.accept(exchange)
          show(socket)
          return yield* Effect.fail("the handler fails, and its request is told with it")
        })
      )
      const asking = (...fields: ReadonlyArray<string>) => request({}, "GET /?token=cheshire HTTP/1.1", ...fields)
      assert.match(yield* assertStatus(server, 401, asking()), /^WWW-Authenticate: Basic$/m)
      yield* assertStatus(server, 401, asking("Authorization: Basic YWxpY2U6d29uZGVybGFuZQ=="))
      yield* assertStatus(server, 101, asking(`Authorization: ${header}`))
      show(Cause.pretty(yield* server.nextFailure))
      shown.push(...server.logged)
      assert.isAbove(shown.length, 12)
      for (const text of shown.filter((text) => text !== undefined)) {
        for (const hidden of [secret, header, header.slice(6), "cheshire"]) assert.notInclude(text, hidden)
      }
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("server, case 22: connections above a limit are answered with 503, unread, and places come back", () =>
    Effect.gen(function* () {
      for (const option of ["maxConnections", "maxConnectionsPerAddress"]) {
        const server = yield* serveSockets(NodeWebSocketServer.layer({ [option]: 2 }))
        const first = yield* rawUpgrade({ port: server.port, host: "127.0.0.1" })
        assert.strictEqual((yield* first.next)._tag, "Head")
        const opened = yield* server.nextSocket
        const second = yield* rawUpgrade({ port: server.port, host: "127.0.0.1" })
        assert.strictEqual((yield* second.next)._tag, "Head")
        yield* server.nextSocket
        // It says nothing, and is answered all the same: so nothing of it was read.
        const third = yield* rawClient({ port: server.port, host: "127.0.0.1" })
        const answer = yield* third.next
        assert.match(answer._tag === "Head" ? answer.head : answer._tag, /^HTTP\/1\.1 503 /, option)
        third.socket.end()
        const closing = yield* Effect.fork(opened.close())
        assert.strictEqual(yield* first.nextFrame, "8 03 e8")
        first.send(masked(0x88, Buffer.of(3, 0xe8)))
        assert.strictEqual((yield* first.next)._tag, "End")
        first.socket.end()
        yield* closing
        yield* opened.closed
        yield* Effect.retry(
          Effect.filterOrFail(answerTo(server, request()), (head) => statusOf(head) === "101"),
          {
            times: 100
          }
        )
      }
    }).pipe(Effect.scoped, withoutLeaks)
  )
})
