/** What peers and programs do to our HTTP server that nobody had in mind. */
import * as NodeHttpServer from "@effect-ws/platform-node/NodeHttpServer"
import type * as HttpApp from "@effect/platform/HttpApp"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import type { EventEmitter } from "node:events"
import * as Http from "node:http"
import * as Https from "node:https"
import type * as Net from "node:net"
import * as NodeWebSocketServer from "@effect-ws/platform-node/NodeWebSocketServer"
import * as Layer from "effect/Layer"
import { makeCertificate } from "./support/certificate.ts"
import { accepting, answerTo, done, echo, onServer, withFields } from "./support/httpRoutes.ts"
import { type App, closing, ours, serveHttp, type Served } from "./support/httpServers.ts"
import { makeInbox } from "./support/inbox.ts"
import { withoutLeaks } from "./support/leaks.ts"
import { close, openWs, text } from "./support/peers.ts"
import { masked, rawClient, type RawEvent, rawOpen, rawUpgrade, upgradeRequest } from "./support/rawPeer.ts"
import { event, turn, until } from "./support/sockets.ts"

const unavailable = "HTTP/1.1 503 Service Unavailable"
const page = "GET /page HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
const toH2c = page.replace("close", "Upgrade, close\r\nUpgrade: h2c")

/** Makes the service on this server of Node, which nothing is served by yet. */
const make = (server: Http.Server, webSocket?: NodeHttpServer.Options["webSocket"]) =>
  Effect.map(
    NodeHttpServer.make(() => server, { port: 0, host: "127.0.0.1", webSocket }),
    ({ serve }) => {
      const { port } = server.address() as Net.AddressInfo
      const served: Served = {
        port,
        to: { port, host: "127.0.0.1" },
        url: `ws://127.0.0.1:${port}`,
        close: Effect.void
      }
      return { served, serve: (app: App) => serve(app as HttpApp.Default<never, Scope.Scope>) }
    }
  )

const statusOf = (served: Served, request: string) => Effect.map(answerTo(served, request), ({ lines }) => lines[0])

/** What the route is asked, and how: the body of what is no WebSocket. */
const asked: App = Effect.gen(function* () {
  const { method, text, url } = yield* HttpServerRequest.HttpServerRequest
  return HttpServerResponse.text(`${method} ${url} ${yield* text}`)
})

/** Says its name on every connection, and on every page. */
const saying = (name: string): App =>
  Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ url }) =>
    url === "/page" ? HttpServerResponse.text(name) : accepting((socket) => socket.send(name))
  )

describe("several applications on one server", () => {
  it.live("server gives an upgrade to the application that is served longest, and to it alone", () =>
    Effect.gen(function* () {
      const { serve, served } = yield* make(Http.createServer())
      const [one, two] = [yield* Scope.make(), yield* Scope.make()]
      yield* Scope.extend(serve(saying("one")), one)
      yield* Scope.extend(serve(saying("two")), two)
      for (const [name, scope] of [
        ["one", one],
        ["two", two]
      ] as const) {
        const peer = yield* rawOpen(served.to)
        assert.strictEqual(
          yield* peer.nextFrame,
          `1 ${Buffer.from(name)
            .toString("hex")
            .replace(/..(?!$)/g, "$& ")}`
        )
        assert.strictEqual(yield* peer.nextFrame, "8 03 e8")
        peer.send(masked(0x88, Uint8Array.of(3, 232)))
        assert.strictEqual((yield* peer.next)._tag, "End")
        peer.socket.end()
        assert.strictEqual((yield* answerTo(served, toH2c)).body, name)
        yield* Scope.close(scope, Exit.void)
      }
      assert.strictEqual(yield* statusOf(served, upgradeRequest), unavailable)
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.live("server that WebSockets are attached to as well gives an upgrade to one of them", () =>
    Effect.gen(function* () {
      const server = Http.createServer()
      const { serve, served } = yield* make(server)
      yield* serve(saying("one"))
      yield* Layer.build(NodeWebSocketServer.layerAttached(server))
      const peer = yield* openWs(served.url)
      assert.deepStrictEqual(yield* peer.next, text("one"))
      assert.strictEqual((yield* answerTo(served, toH2c)).body, "one")
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.live("server turns away who comes before there is one, and after, whoever has made it before", () =>
    Effect.gen(function* () {
      const server = Http.createServer()
      const listeners = () => server.eventNames().map((name) => [name, server.listenerCount(name)])
      const before = listeners()
      for (let i = 0; i < 3; i++) {
        yield* Effect.scoped(
          Effect.gen(function* () {
            const { serve, served } = yield* make(server)
            for (const request of [page, toH2c, upgradeRequest])
              assert.strictEqual(yield* statusOf(served, request), unavailable)
            yield* Effect.scoped(Effect.zipRight(serve(Effect.succeed(done)), statusOf(served, page)))
            assert.strictEqual(yield* statusOf(served, page), unavailable)
          })
        )
        assert.deepStrictEqual(listeners(), before)
      }
    }).pipe(withoutLeaks)
  )
})

describe("a server that has listeners of its own", () => {
  it.live("server leaves upgrades to other protocols to them", () =>
    Effect.gen(function* () {
      const server = Http.createServer()
      server.on("upgrade", (request, socket) => {
        if (request.headers.upgrade === "h2c") socket.end("HTTP/1.1 501 Not Implemented\r\n\r\n")
      })
      const { serve, served } = yield* make(server)
      yield* serve(saying("ours"))
      assert.strictEqual(yield* statusOf(served, toH2c), "HTTP/1.1 501 Not Implemented")
      const peer = yield* openWs(served.url)
      assert.deepStrictEqual(yield* peer.next, text("ours"))
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.live("server has room again for a WebSocket when one of them has destroyed the socket", () =>
    Effect.gen(function* () {
      const server = Http.createServer()
      let left = 2
      server.on("upgrade", (_, socket) => void (left-- > 0 && socket.destroy()))
      const { serve, served } = yield* make(server, { maxConnections: 1 })
      yield* serve(saying("ours"))
      for (let i = 0; i < 2; i++) assert.strictEqual((yield* (yield* rawUpgrade(served.to)).next)._tag, "End")
      const peer = yield* openWs(served.url)
      assert.deepStrictEqual(yield* peer.next, text("ours"))
    }).pipe(Effect.scoped, withoutLeaks)
  )
})

describe("a request that is none for a WebSocket after all", () => {
  it.live("server reads the body of an upgrade request for the route, and refuses to accept it", () =>
    Effect.gen(function* () {
      const route: App = Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ url }) => (url === "/" ? asked : echo))
      yield* onServer(route, (server) =>
        Effect.gen(function* () {
          for (const [field, body] of [
            ["Content-Length: 5", "hello"],
            ["Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\n\r\n"]
          ]) {
            const request = `${withFields("Connection: close", field!)}${body}`
            assert.strictEqual((yield* answerTo(server, request)).body, "GET / hello")
            const refused = yield* answerTo(server, request.replace("GET /", "GET /accept"))
            assert.strictEqual(refused.lines[0], "HTTP/1.1 400 Bad Request")
            assert.match(refused.body, /announces a body/)
          }
        })
      )
    })
  )

  it.live("server refuses an upgrade without a Host before a route sees it", () =>
    onServer(Effect.die("asked"), (server) =>
      Effect.gen(function* () {
        const request = upgradeRequest.replace("Host: localhost\r\n", "")
        assert.strictEqual(yield* statusOf(server, request), "HTTP/1.1 400 Bad Request")
      })
    )
  )

  it.live("server says 100 before the body of an upgrade by POST, and before the 101", () =>
    onServer(
      Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ method }) => (method === "GET" ? echo : asked)),
      (server) =>
        Effect.gen(function* () {
          const expecting = withFields("Expect: 100-continue")
          const post = expecting.replace("GET", "POST").replace("\r\n\r\n", "\r\nContent-Length: 5\r\n\r\n")
          for (const [request, status] of [
            [post, "HTTP/1.1 200 OK"],
            [expecting, "HTTP/1.1 101 Switching Protocols"]
          ] as const) {
            const socket = (yield* rawClient(server.to)).socket
            let said = ""
            socket.on("data", (bytes) => void (said += bytes.toString("latin1")))
            socket.write(request)
            yield* until(() => said.startsWith("HTTP/1.1 100 Continue\r\n\r\n"))
            socket.write("hello")
            yield* until(() => said.includes(status))
            socket.destroy()
          }
        })
    )
  )

  it.live("server answers a HEAD that wants an upgrade without a body, and goes on with the connection", () =>
    onServer(asked, (server) =>
      Effect.gen(function* () {
        const head = upgradeRequest.replace("GET", "HEAD")
        const { body, lines } = yield* answerTo(server, `${head}${page}`)
        assert.include(lines, "HTTP/1.1 200 OK")
        assert.match(body, /^HTTP\/1\.1 200 OK[^]*GET \/page $/)
      })
    )
  )
})

describe("room", () => {
  it.live("peers that don't read plain answers take no room from those who want a WebSocket", () =>
    Effect.gen(function* () {
      const big = HttpServerResponse.uint8Array(new Uint8Array(16 * 1024 * 1024))
      const app: App = Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ url }) =>
        url === "/big" ? Effect.succeed(big) : echo
      )
      yield* onServer(
        app,
        (server) =>
          Effect.gen(function* () {
            for (let i = 0; i < 3; i++) {
              const peer = yield* rawClient(server.to)
              peer.send(Buffer.from(upgradeRequest.replace("GET /", "GET /big")))
              assert.strictEqual((yield* peer.next)._tag, "Head")
              peer.socket.pause()
            }
            const peer = yield* rawUpgrade(server.to)
            assert.match(((yield* peer.next) as { readonly head: string }).head, /^HTTP\/1\.1 101 /)
          }),
        { maxHandshakes: 2, closeTimeout: "100 millis" }
      )
    })
  )

  it.live("server counts those behind a trusted proxy by their own address, and whoever says he is one by his", () =>
    onServer(
      echo,
      (server) =>
        Effect.gen(function* () {
          const asking = (address: string) => withFields(`X-Forwarded-For: ${address}`)
          for (const address of ["192.0.2.1", "192.0.2.2"]) {
            const peer = yield* rawClient(server.to)
            peer.send(Buffer.from(asking(address)))
            assert.match(((yield* peer.next) as { readonly head: string }).head, /^HTTP\/1\.1 101 /)
          }
          assert.strictEqual(yield* statusOf(server, asking("192.0.2.1")), unavailable)
          assert.strictEqual(yield* statusOf(server, asking("198.51.100.1, 192.0.2.2")), unavailable)
        }),
      { maxConnectionsPerAddress: 1, trustedProxies: ["127.0.0.1"] }
    )
  )
})

// What was not read yet when the server closes, the system answers with a reset.
const isEnd = ({ _tag }: RawEvent) => _tag === "End" || _tag === "Closed"

describe("going down under attack", () => {
  it.live("server waits for an answer that is under way, and for nobody who has asked nothing", () =>
    Effect.gen(function* () {
      const told = makeInbox<() => void>()
      const app: App = Effect.async((resume) => told.push(() => resume(Effect.succeed(done))))
      const server = yield* serveHttp(ours(), app)
      const peers = yield* Effect.forEach(["", "GET / HTT", page], (bytes) =>
        Effect.tap(rawClient(server.to), ({ socket }) => Effect.sync(() => socket.write(bytes)))
      )
      const answer = yield* told.next
      const isDone = yield* closing(server)
      yield* Effect.repeatN(turn, 20)
      assert.isFalse(isDone())
      answer()
      assert.match(((yield* peers[2]!.next) as { readonly head: string }).head, /^HTTP\/1\.1 200 /)
      yield* until(isDone)
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.live("peer that asks while the server goes down gets an answer, a Close or an end, whenever it is", () =>
    Effect.gen(function* () {
      for (let turns = 0; turns < 12; turns++) {
        const server = yield* serveHttp(ours({ closeTimeout: "1 second" }), echo)
        const peer = yield* rawClient(server.to)
        yield* event(peer.socket, "connect")
        peer.send(Buffer.from(upgradeRequest))
        yield* Effect.repeatN(turn, turns)
        const isDone = yield* closing(server)
        const first = yield* peer.next
        if (first._tag === "Head" && first.head.startsWith("HTTP/1.1 101 ")) {
          assert.strictEqual(yield* peer.nextFrame, "8 03 e9")
          peer.send(masked(0x88, Uint8Array.of(3, 233)))
        } else if (first._tag === "Head") assert.isTrue(first.head.startsWith(unavailable))
        yield* Effect.repeat(first._tag === "Head" ? peer.next : Effect.succeed(first), { until: isEnd })
        peer.socket.end()
        yield* until(isDone)
      }
    }).pipe(Effect.scoped, withoutLeaks)
  )
})

describe("listeners", () => {
  it.live(
    "server is left by a thousand connections as it was, however they end",
    () =>
      Effect.gen(function* () {
        const server = Http.createServer()
        const { serve, served } = yield* make(server, { maxConnections: 100 })
        yield* serve(saying("ours"))
        const emitters: Record<string, EventEmitter> = { server }
        const one = (i: number) =>
          Effect.scoped(
            Effect.gen(function* () {
              const request = i % 4 === 0 ? toH2c : i % 4 === 1 ? upgradeRequest.replace("ZQ==", "Z") : upgradeRequest
              const peer = yield* rawClient(served.to)
              peer.send(Buffer.from(request))
              assert.strictEqual((yield* peer.next)._tag, "Head")
              if (i % 4 === 3) peer.socket.resetAndDestroy()
            })
          )
        yield* withoutLeaks(
          Effect.forEach(
            Array.from({ length: 1000 }, (_, i) => i),
            one,
            { concurrency: 20 }
          ),
          emitters
        )
      }).pipe(Effect.scoped),
    60_000
  )

  it.live("connection that asks for another protocol again and again has the same listeners each time", () =>
    Effect.gen(function* () {
      const server = Http.createServer()
      const counts = makeInbox<string>()
      server.on("request", ({ socket }) =>
        counts.push(
          socket
            .eventNames()
            .map((name) => `${String(name)} ${socket.listenerCount(name)}`)
            .join()
        )
      )
      const { serve, served } = yield* make(server)
      yield* serve(Effect.succeed(done))
      const peer = yield* rawClient(served.to)
      const ask = Effect.suspend(() => {
        peer.send(Buffer.from(toH2c.replace(", close", "")))
        return counts.next
      })
      yield* ask
      const second = yield* ask
      for (let i = 0; i < 20; i++) assert.strictEqual(yield* ask, second)
    }).pipe(Effect.scoped, withoutLeaks)
  )
})

describe("a server with TLS", () => {
  it.live("server accepts, gives back what is for another protocol, and goes down", () =>
    Effect.gen(function* () {
      const { cert, key } = yield* makeCertificate([], ["127.0.0.1"])
      const server = Https.createServer({ cert, key })
      const { serve, served } = yield* make(server)
      const scope = yield* Scope.make()
      yield* Scope.extend(serve(saying("ours")), scope)
      const peer = yield* openWs(served.url.replace("ws:", "wss:"), { ca: cert })
      assert.deepStrictEqual([yield* peer.next, yield* peer.next], [text("ours"), close(1000)])
      const answer = yield* Effect.async<string>((resume) => {
        const headers = { connection: "Upgrade", upgrade: "h2c" }
        Https.get({ ...(served.to as object), path: "/page", ca: cert, headers }, (response) =>
          response.setEncoding("utf8").on("data", (body: string) => resume(Effect.succeed(body)))
        )
      })
      assert.strictEqual(answer, "ours")
      yield* Scope.close(scope, Exit.void)
    }).pipe(Effect.scoped, withoutLeaks)
  )
})
