import type { ResponseDecorator } from "@effect-ws/api/Decorator"
import { HandshakeError } from "@effect-ws/api/HandshakeError"
import * as WebSocket from "@effect-ws/api/WebSocket"
import * as HttpMiddleware from "@effect/platform/HttpMiddleware"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Http from "node:http"
import { type App, ours, serveHttp, stock } from "./support/httpServers.ts"
import { echo, done, accepting, withFields, answerTo, onServer } from "./support/httpRoutes.ts"
import { makeInbox } from "./support/inbox.ts"
import { withoutLeaks } from "./support/leaks.ts"
import { close, connectWs, opened, openWs } from "./support/peers.ts"
import { masked, rawClient, rawOpen, rawUpgrade, upgradeRequest } from "./support/rawPeer.ts"
import { connect } from "./support/serving.ts"
import { turn } from "./support/sockets.ts"

const upgrade = Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => request.upgrade)

/** Adds a field that says what was decorated. */
const named: ResponseDecorator = (response) => ({
  ...response,
  headers: [...response.headers, ["X-Seen", `${response.status}`]]
})

describe("WebSocket.acceptHttp", () => {
  it.live("route accepts with the options of the call and those of the Layer", () =>
    onServer(
      accepting((socket) => Effect.flatMap(socket.receive, (message) => socket.send(message)), {
        subprotocols: ["chat"],
        headers: { "X-Call": "1" },
        maxMessageSize: 5
      }),
      (server) =>
        Effect.gen(function* () {
          const socket = yield* connect(server.url, { subprotocols: ["news", "chat"] })
          assert.strictEqual(socket.subprotocol, "chat")
          const fields = socket.response.fields.filter(([name]) => name.startsWith("X-") || name === "Server")
          assert.deepStrictEqual(fields, [
            ["X-Layer", "1"],
            ["X-Call", "1"],
            ["Server", "ours"]
          ])
          yield* socket.send("12345")
          assert.deepInclude(yield* socket.receive, { text: "12345" })
          const other = yield* connect(server.url)
          yield* other.send("123456")
          assert.deepInclude(yield* other.closed, { code: 1009 })
        }),
      { headers: { "X-Layer": "1" }, server: "ours", maxMessageSize: 4 }
    )
  )

  it.live("route gets the frames that came with the request, and those that came before it has decided", () =>
    Effect.gen(function* () {
      const go = yield* Deferred.make<void>()
      const asked = makeInbox<void>()
      const app = Effect.zipRight(
        Effect.zipRight(
          Effect.sync(() => asked.push()),
          Deferred.await(go)
        ),
        echo
      )
      yield* onServer(app, (server) =>
        Effect.gen(function* () {
          const peer = yield* rawUpgrade(server.to, masked(0x81, "one"), masked(0x81, "two").subarray(0, 4))
          yield* asked.next
          peer.send(masked(0x81, "two").subarray(4))
          yield* turn
          yield* Deferred.succeed(go, undefined)
          assert.strictEqual((yield* peer.next)._tag, "Head")
          assert.deepStrictEqual([yield* peer.nextFrame, yield* peer.nextFrame], ["1 6f 6e 65", "1 74 77 6f"])
        })
      )
    })
  )

  it.live("server writes nothing of HTTP after the 101, whatever the route returns", () =>
    onServer(
      accepting((socket) => socket.send("hello")),
      (server) =>
        Effect.gen(function* () {
          const peer = yield* rawOpen(server.to)
          assert.deepStrictEqual([yield* peer.nextFrame, yield* peer.nextFrame], ["1 68 65 6c 6c 6f", "8 03 e8"])
          peer.send(masked(0x88, Uint8Array.of(3, 232)))
          assert.deepStrictEqual([(yield* peer.next)._tag], ["End"])
          peer.socket.end()
        })
    )
  )

  const failing = accepting(() => Effect.fail("failed"))
  const endings: ReadonlyArray<readonly [string, App, HttpMiddleware.HttpMiddleware | undefined]> = [
    ["fails", failing, undefined],
    ["fails under a middleware", failing, HttpMiddleware.make((app) => app)],
    ["dies", accepting(() => Effect.die("died")), HttpMiddleware.make((app) => app)],
    [
      "turns its failure into a 500",
      Effect.catchAll(failing, () => HttpServerResponse.empty({ status: 500 })),
      undefined
    ]
  ]
  for (const [what, app, middleware] of endings) {
    it.live(`server closes with 1011 when a route ${what} after the 101`, () =>
      Effect.gen(function* () {
        const server = yield* serveHttp(ours(), app, middleware)
        const peer = yield* openWs(server.url)
        assert.deepStrictEqual(yield* peer.next, close(1011))
      }).pipe(Effect.scoped, withoutLeaks)
    )
  }

  it.live("route is not interrupted when its connection is lost, but told by it", () =>
    Effect.gen(function* () {
      const ends = makeInbox<unknown>()
      const app = accepting((socket) => Effect.flatMap(socket.closed, (end) => Effect.sync(() => ends.push(end))))
      yield* onServer(app, (server) =>
        Effect.gen(function* () {
          const peer = yield* rawOpen(server.to)
          peer.socket.resetAndDestroy()
          assert.deepInclude(yield* ends.next, { _tag: "TransportError", operation: "read" })
        })
      )
    })
  )

  it.scopedLive("route under the stock server dies of what names our Layer", () =>
    Effect.gen(function* () {
      const causes = makeInbox<Cause.Cause<unknown>>()
      const app = Effect.tapErrorCause(echo, (cause) => Effect.sync(() => causes.push(cause)))
      const server = yield* serveHttp(stock(), app)
      yield* answerTo(server, upgradeRequest)
      assert.match(String(Cause.squash(yield* causes.next)), /NodeHttpServer\.layer of @effect-ws\/platform-node/)
    })
  )

  it.live("route that accepts twice dies of it, and the connection ends with 1011", () =>
    onServer(Effect.zipRight(WebSocket.acceptHttp(), echo), (server) =>
      Effect.gen(function* () {
        const peer = yield* openWs(server.url)
        assert.deepStrictEqual(yield* peer.next, close(1011))
      })
    )
  )
})

describe("a refusal", () => {
  const refusal = WebSocket.reject({
    status: 401,
    headers: [
      ["WWW-Authenticate", "Bearer"],
      ["Set-Cookie", "a=1"],
      ["Set-Cookie", "b=2; Path=/"],
      ["X-Twice", "1"],
      ["X-Twice", "2"]
    ],
    body: "who are you?"
  })

  const rejected = [
    "HTTP/1.1 401 Unauthorized",
    "www-authenticate: Bearer",
    "x-twice: 1, 2",
    "content-type: text/plain; charset=utf-8",
    "content-length: 12",
    "set-cookie: a=1",
    "set-cookie: b=2; Path=/",
    "Connection: close"
  ]

  for (const [how, app] of [
    ["fails with it", refusal],
    ["dies of it", Effect.orDie(refusal)]
  ] as const) {
    it.live(`server answers as a HandshakeError says when a route ${how}`, () =>
      onServer(app, (server) =>
        Effect.gen(function* () {
          const { body, lines } = yield* answerTo(server, upgradeRequest)
          assert.deepStrictEqual([lines, body], [rejected, "who are you?"])
        })
      )
    )
  }

  const upgradeRequired = ["upgrade: websocket", "sec-websocket-version: 13"]
  const cases: ReadonlyArray<readonly [what: string, request: string, status: string, fields: ReadonlyArray<string>]> =
    [
      ["a malformed key", upgradeRequest.replace("ZQ==", "Z"), "400 Bad Request", []],
      ["another version", upgradeRequest.replace("Version: 13", "Version: 7"), "426 Upgrade Required", upgradeRequired],
      ["a foreign origin", withFields("Origin: https://example.com"), "403 Forbidden", []],
      ["no key", upgradeRequest.replace(/Sec-WebSocket-Key.*\r\n/, ""), "400 Bad Request", []],
      ["a subprotocol twice", withFields("Sec-WebSocket-Protocol: a, a"), "400 Bad Request", []],
      ["another method", upgradeRequest.replace("GET", "DELETE"), "405 Method Not Allowed", ["allow: GET"]],
      ["another protocol", upgradeRequest.replace("websocket\r\n", "h2c\r\n"), "426 Upgrade Required", upgradeRequired],
      [
        "too many fields",
        withFields(...Array.from({ length: 8 }, (_, i) => `X-${i}: ${i}`)),
        "431 Request Header Fields Too Large",
        []
      ]
    ]

  for (const [what, request, status, fields] of cases) {
    it.live(`server answers ${status} to ${what}`, () =>
      onServer(
        echo,
        (server) =>
          Effect.gen(function* () {
            const { body, lines } = yield* answerTo(server, request.replace("\r\n", "\r\nConnection: close\r\n"))
            assert.strictEqual(lines[0], `HTTP/1.1 ${status}`)
            for (const field of fields) assert.include(lines, field)
            assert.match(body, /\(RFC \d+ [\d.]+\)\n$/)
            assert.strictEqual(lines.filter((line) => /^connection: .*close$/i.test(line)).length, 1)
          }),
        { maxHeadFields: 10 }
      )
    )
  }

  it.live("server answers as it does by itself when a route dies of what its upgrade was refused for", () =>
    Effect.gen(function* () {
      const app = Effect.as(Effect.orDie(upgrade), done)
      const server = yield* serveHttp(ours({ decorate: named }), app)
      for (const [request, status] of [
        [withFields("Origin: https://example.com"), "403 Forbidden"],
        [upgradeRequest.replace("Version: 13", "Version: 7"), "426 Upgrade Required"],
        [upgradeRequest.replace("ZQ==", "Z"), "400 Bad Request"]
      ] as const) {
        const { lines } = yield* answerTo(server, request)
        assert.includeMembers(lines, [`HTTP/1.1 ${status}`, `x-seen: ${status.slice(0, 3)}`])
      }
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.live("decorator of the Layer or of the call sees the 101 or the refusal, once", () =>
    Effect.gen(function* () {
      const seen: Array<number> = []
      const decorate: ResponseDecorator = (response, request) => {
        seen.push(response.status)
        return request?.target === "/" ? named(response, request) : { ...response, status: 418 }
      }
      const app = Effect.zipRight(WebSocket.acceptHttp({ decorate }), done)
      const server = yield* serveHttp(ours({ decorate: () => assert.fail("the call's wins") }), app)
      const refused = yield* answerTo(server, upgradeRequest.replace("ZQ==", "Z"))
      assert.include(refused.lines, "x-seen: 400")
      const turned = yield* answerTo(server, upgradeRequest.replace("GET / ", "GET /turned "))
      assert.strictEqual(turned.lines[0], "HTTP/1.1 418 I'm a Teapot")
      assert.deepStrictEqual(seen, [400, 101])
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.live("server takes the host and the scheme of a page from proxies that it trusts", () =>
    Effect.gen(function* () {
      const request = withFields(
        "Origin: https://example.com",
        "X-Forwarded-For: 192.0.2.1",
        "X-Forwarded-Host: example.com"
      )
      const server = yield* serveHttp(ours({ trustedProxies: ["127.0.0.1"] }), echo)
      const peer = yield* rawClient(server.to)
      peer.send(Buffer.from(request))
      assert.match(((yield* peer.next) as { readonly head: string }).head, /^HTTP\/1\.1 101 /)
      peer.socket.destroy()
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.live("server answers a plain request whose route would accept", () =>
    onServer(echo, (server) =>
      Effect.gen(function* () {
        const { lines } = yield* answerTo(server, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert.includeMembers(lines, [
          "HTTP/1.1 426 Upgrade Required",
          "upgrade: websocket",
          "connection: Upgrade, close"
        ])
      })
    )
  )

  it.live("server answers a 500 for a refusal that can't be sent, and for the error of a client", () =>
    Effect.gen(function* () {
      const bad = WebSocket.reject({ headers: { "X-Bad": "a\r\nb" } })
      const client = new HandshakeError({
        role: "client",
        reason: { _tag: "PeerGone" },
        answer: undefined,
        reusable: false
      })
      for (const app of [bad, Effect.fail(client)]) {
        yield* onServer(app, (server) =>
          Effect.gen(function* () {
            const { lines } = yield* answerTo(server, upgradeRequest)
            assert.strictEqual(lines[0], "HTTP/1.1 500 Internal Server Error")
          })
        )
      }
    })
  )

  it.live("server refuses what is above a limit with 503, and accepts again when there is room", () =>
    onServer(
      echo,
      (server) =>
        Effect.gen(function* () {
          const first = yield* openWs(server.url)
          const { lines } = yield* answerTo(server, upgradeRequest)
          assert.strictEqual(lines[0], "HTTP/1.1 503 Service Unavailable")
          first.close(1000)
          assert.deepStrictEqual(yield* first.next, close(1000))
          const second = yield* connectWs(server.url)
          assert.deepStrictEqual(yield* second.next, opened())
        }),
      { maxConnections: 2, maxConnectionsPerAddress: 1 }
    )
  )

  it.live("server interrupts a route that doesn't decide in time, and answers 503", () =>
    onServer(
      Effect.never,
      (server) =>
        Effect.gen(function* () {
          const { lines } = yield* answerTo(server, upgradeRequest)
          assert.strictEqual(lines[0], "HTTP/1.1 503 Service Unavailable")
        }),
      { handshakeTimeout: "50 millis" }
    )
  )
})

describe("a route that answers plainly", () => {
  it.live("server refuses with all of a body that the peer reads slowly, and ends the connection", () =>
    onServer(HttpServerResponse.stream(Stream.repeatValue(Buffer.alloc(64 * 1024)).pipe(Stream.take(64))), (server) =>
      Effect.gen(function* () {
        const peer = yield* rawUpgrade(server.to)
        peer.socket.pause()
        yield* Effect.repeatN(turn, 50)
        peer.socket.resume()
        assert.strictEqual((yield* peer.next)._tag, "Head")
        const body = yield* peer.next
        // With the lengths of its chunks.
        assert.isAbove((body as { readonly body: string }).body.length, 64 * 64 * 1024)
        assert.strictEqual((yield* peer.next)._tag, "End")
        peer.socket.end()
      })
    )
  )

  it.live("server lets a route end whose peer has gone in the middle of the answer", () =>
    Effect.gen(function* () {
      const ends = makeInbox<void>()
      const app = Effect.zipRight(
        Effect.addFinalizer(() => Effect.sync(() => ends.push())),
        HttpServerResponse.uint8Array(new Uint8Array(16 * 1024 * 1024))
      )
      yield* onServer(app, (server) =>
        Effect.gen(function* () {
          const peer = yield* rawUpgrade(server.to)
          assert.strictEqual((yield* peer.next)._tag, "Head")
          peer.socket.resetAndDestroy()
          yield* ends.next
        })
      )
    })
  )

  it.live("server reads an upgrade to another protocol, or by another method, as a plain request with its body", () =>
    onServer(
      Effect.gen(function* () {
        const request = yield* HttpServerRequest.HttpServerRequest
        return HttpServerResponse.text(`${request.method} ${yield* request.text}`)
      }),
      (server) =>
        Effect.gen(function* () {
          for (const [name, connection] of [
            ["h2c", "Upgrade, HTTP2-Settings, close"],
            ["websocket", "Upgrade, close"]
          ]) {
            const head = `POST / HTTP/1.1\r\nHost: localhost\r\nConnection: ${connection}\r\nUpgrade: ${name}\r\nContent-Length: 5\r\n\r\n`
            const { body, lines } = yield* answerTo(server, `${head}hello`)
            assert.deepStrictEqual([lines[0], body], ["HTTP/1.1 200 OK", "POST hello"])
          }
        })
    )
  )

  it.live("server drops a connection on which an upgrade overtakes an answer", () =>
    onServer(Effect.interruptible(Effect.never), (server) =>
      Effect.gen(function* () {
        const peer = yield* rawClient(server.to)
        peer.send(Buffer.from(`GET /pending HTTP/1.1\r\nHost: localhost\r\n\r\n${upgradeRequest}`))
        assert.strictEqual((yield* peer.next)._tag, "End")
      })
    )
  )

  it.live("server accepts an upgrade on a connection that has had an answer, and refuses one", () =>
    Effect.gen(function* () {
      const app = Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ url }) =>
        url === "/page" ? done : url === "/" ? echo : WebSocket.reject()
      )
      yield* onServer(app, (server) =>
        Effect.gen(function* () {
          for (const [path, status] of [
            ["/", 101],
            ["/no", 403]
          ] as const) {
            const agent = yield* Effect.acquireRelease(
              Effect.sync(() => new Http.Agent({ keepAlive: true, maxSockets: 1 })),
              (agent) => Effect.sync(() => agent.destroy())
            )
            const used: Array<number | undefined> = []
            const get = (path: string, headers = {}) =>
              Effect.async<number>((resume) => {
                const request = Http.get({ ...server.to, path, headers, agent } as Http.RequestOptions)
                request.on("socket", (socket) => socket.once("connect", () => used.push(socket.localPort)))
                request.on("response", (response) =>
                  response.resume().on("end", () => resume(Effect.succeed(response.statusCode!)))
                )
                request.on("upgrade", (response, socket) => {
                  socket.destroy()
                  resume(Effect.succeed(response.statusCode!))
                })
              })
            assert.strictEqual(yield* get("/page"), 200)
            const fields = {
              connection: "Upgrade",
              upgrade: "websocket",
              "sec-websocket-version": "13",
              "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ=="
            }
            assert.strictEqual(yield* get(path, fields), status)
            assert.strictEqual(used.length, 1)
          }
        })
      )
    })
  )
})
