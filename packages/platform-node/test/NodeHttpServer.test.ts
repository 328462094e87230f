import * as NodeHttpServer from "@effect-ws/platform-node/NodeHttpServer"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpMiddleware from "@effect/platform/HttpMiddleware"
import * as HttpRouter from "@effect/platform/HttpRouter"
import * as HttpServer from "@effect/platform/HttpServer"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as HashMap from "effect/HashMap"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Http from "node:http"
import * as Net from "node:net"
import { both, closing, ours, serveHttp } from "./support/httpServers.ts"
import { echo, done, accepting, answerTo, onServer } from "./support/httpRoutes.ts"
import { makeInbox } from "./support/inbox.ts"
import { withoutLeaks } from "./support/leaks.ts"
import { close, openWs, text } from "./support/peers.ts"
import { rawClient, upgradeRequest } from "./support/rawPeer.ts"
import { connect } from "./support/serving.ts"
import { turn, until } from "./support/sockets.ts"

describe("going down", () => {
  it.live("server sends 1001, lets routes finish, and answers 503 meanwhile to those who come back", () =>
    Effect.gen(function* () {
      const go = yield* Deferred.make<void>()
      const ends = makeInbox<string>()
      const app = accepting((socket) =>
        Effect.zipRight(Stream.runDrain(socket.messages), Deferred.await(go)).pipe(
          Effect.onExit((exit) => Effect.sync(() => ends.push(exit._tag)))
        )
      )
      yield* onServer(app, (server) =>
        Effect.gen(function* () {
          const peer = yield* openWs(server.url)
          const isDone = yield* closing(server)
          assert.deepStrictEqual(yield* peer.next, close(1001))
          for (const request of [upgradeRequest, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"]) {
            const { lines } = yield* answerTo(server, request)
            assert.strictEqual(lines[0], "HTTP/1.1 503 Service Unavailable")
          }
          assert.isFalse(isDone())
          yield* Deferred.succeed(go, undefined)
          assert.strictEqual(yield* ends.next, "Success")
          yield* server.close
        })
      )
    })
  )

  it.scopedLive("server ends its WebSockets when it is closed while the scope of its application is still open", () =>
    Effect.gen(function* () {
      const program = Effect.gen(function* () {
        yield* HttpServer.serveEffect(echo)
        const { address } = yield* HttpServer.HttpServer
        return yield* openWs(`ws://127.0.0.1:${address._tag === "TcpAddress" ? address.port : 0}/`)
      })
      const server = NodeHttpServer.layer(() => Http.createServer(), { port: 0, host: "127.0.0.1" })
      // The Layer goes first: the scope of `serveEffect` is the one around it.
      const peer = yield* Effect.provide(program, server)
      assert.deepStrictEqual(yield* peer.next, close(1001))
    })
  )

  it.live("server interrupts routes that haven't decided, with a 503, and those that don't end, at the deadline", () =>
    Effect.gen(function* () {
      const told = makeInbox<string>()
      const telling = (what: string) => Effect.onInterrupt(Effect.never, () => Effect.sync(() => told.push(what)))
      const app = Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ url }) =>
        Effect.zipRight(
          Effect.sync(() => told.push(url)),
          url === "/undecided" ? telling("undecided") : accepting(() => telling("accepted"))
        )
      )
      yield* onServer(
        app,
        (server) =>
          Effect.gen(function* () {
            const peer = yield* rawClient(server.to)
            peer.send(Buffer.from(upgradeRequest.replace("GET / ", "GET /undecided ")))
            assert.strictEqual(yield* told.next, "/undecided")
            yield* openWs(server.url)
            assert.strictEqual(yield* told.next, "/")
            yield* server.close
            assert.deepStrictEqual([yield* told.next, yield* told.next], ["undecided", "accepted"])
            assert.match(((yield* peer.next) as { readonly head: string }).head, /^HTTP\/1\.1 503 /)
          }),
        { closeTimeout: "100 millis" }
      )
    })
  )

  it.live("server serves another application when the first is over", () =>
    Effect.gen(function* () {
      const nodeServer = Http.createServer()
      const layer = NodeHttpServer.layerServer(() => nodeServer, { port: 0, host: "127.0.0.1" })
      yield* Effect.gen(function* () {
        const { address } = yield* HttpServer.HttpServer
        const url = `ws://127.0.0.1:${address._tag === "TcpAddress" ? address.port : 0}`
        for (const word of ["one", "two"]) {
          const app = accepting((socket) => socket.send(word))
          yield* Effect.scoped(
            Effect.gen(function* () {
              yield* HttpServer.serveEffect(app)
              const peer = yield* openWs(url)
              assert.deepStrictEqual(yield* peer.next, text(word))
            })
          )
        }
      }).pipe(Effect.provide(layer))
    }).pipe(Effect.scoped, withoutLeaks)
  )
})

describe("NodeHttpServer", () => {
  it.live("layerTest serves on a free port, and its client asks there", () =>
    Effect.gen(function* () {
      const routes = HttpRouter.empty.pipe(HttpRouter.get("/page", done), HttpRouter.get("/echo", echo))
      yield* HttpServer.serveEffect(routes)
      const response = yield* HttpClient.get("/page")
      assert.strictEqual(yield* response.text, "done")
      const url = yield* HttpServer.addressFormattedWith((url) =>
        Effect.succeed(url.replace("http", "ws").replace("0.0.0.0", "127.0.0.1"))
      )
      const socket = yield* connect(`${url}/echo`)
      yield* socket.send("hello")
      assert.deepInclude(yield* socket.receive, { text: "hello" })
    }).pipe(Effect.scoped, Effect.provide(NodeHttpServer.layerTest))
  )

  it.live("layerConfig reads its options from the configuration", () =>
    Effect.gen(function* () {
      const layer = NodeHttpServer.layerConfig(() => Http.createServer(), {
        port: Config.integer("PORT"),
        host: Config.succeed("127.0.0.1"),
        webSocket: Config.all({ maxMessageSize: Config.integer("MAX") })
      })
      const provider = ConfigProvider.fromMap(
        new Map([
          ["PORT", "0"],
          ["MAX", "3"]
        ])
      )
      yield* Effect.gen(function* () {
        yield* HttpServer.serveEffect(echo)
        const url = yield* HttpServer.addressFormattedWith((url) => Effect.succeed(url.replace("http", "ws")))
        const socket = yield* connect(url)
        yield* socket.send("1234")
        assert.deepInclude(yield* socket.closed, { code: 1009 })
      }).pipe(Effect.provide(Layer.provide(layer, Layer.setConfigProvider(provider))))
    }).pipe(Effect.scoped)
  )

  it.live("what a route and its middleware log about an upgrade is annotated with the id of the connection", () =>
    Effect.gen(function* () {
      const logged = makeInbox<unknown>()
      const logger = Logger.make(({ annotations }) =>
        logged.push(Option.getOrUndefined(HashMap.get(annotations, "websocket.id")))
      )
      const app = accepting((socket) => Effect.sync(() => logged.push(socket.id)))
      for (const middleware of [undefined, HttpMiddleware.make((app) => Effect.zipRight(Effect.log("in"), app))]) {
        const logging = Effect.zipRight(Effect.log("asked"), app)
        const server = yield* Effect.provide(
          serveHttp(ours(), logging, middleware),
          Logger.replace(Logger.defaultLogger, logger)
        )
        const peer = yield* openWs(server.url)
        assert.deepStrictEqual(yield* peer.next, close(1000))
        const ids = yield* Effect.replicateEffect(logged.next, middleware === undefined ? 2 : 3)
        assert.isAbove(Number(ids[0]), 0)
        assert.deepStrictEqual(
          ids,
          ids.map(() => ids[0])
        )
      }
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.effect("make dies of an option that is no limit, and names it", () =>
    Effect.gen(function* () {
      const made = NodeHttpServer.make(() => Http.createServer(), { port: 0, webSocket: { maxMessageSize: -1 } })
      const exit = yield* Effect.exit(Effect.scoped(made))
      assert.match(String(Exit.isFailure(exit) && Cause.squash(exit.cause)), /RangeError: .*maxMessageSize/)
    })
  )

  it.live("make leaves nothing behind when it is interrupted while an address is looked up", () =>
    Effect.gen(function* () {
      const server = Http.createServer()
      let isEnded = false
      server.on("close", () => (isEnded = true))
      const making = Effect.scoped(NodeHttpServer.make(() => server, { port: 0, host: "localhost" }))
      // At once, and in the same turn: the lookup can't be over.
      const fiber = Effect.runFork(making)
      assert.deepStrictEqual([server.listenerCount("error"), server.listening], [1, false])
      yield* Fiber.interrupt(fiber)
      yield* until(() => isEnded)
    }).pipe(withoutLeaks)
  )

  it.live("make fails with a ServeError when the port is taken", () =>
    Effect.gen(function* () {
      const server = yield* serveHttp(ours(), done)
      const error = yield* Effect.flip(
        NodeHttpServer.make(() => Http.createServer(), { port: server.port, host: "127.0.0.1" })
      )
      assert.deepInclude(error.cause, { code: "EADDRINUSE" })
    }).pipe(Effect.scoped, withoutLeaks)
  )
})

// What no type says of @effect/platform-node, and the way of the upgrade through its handler rests on.
describe("the handler of @effect/platform-node", () => {
  for (const [name, fixture] of Object.entries(both)) {
    it.scopedLive(`${name} makes a request of its own for each request, which can be given other members`, () =>
      Effect.gen(function* () {
        const requests: Array<HttpServerRequest.HttpServerRequest> = []
        const app = Effect.map(HttpServerRequest.HttpServerRequest, (request) => {
          requests.push(request)
          return done
        })
        const server = yield* serveHttp(fixture(), app)
        for (let i = 0; i < 2; i++)
          yield* answerTo(server, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert.notStrictEqual(requests[0], requests[1])
        assert.notStrictEqual(requests[0]!.source, requests[1]!.source)
        assert.isTrue(
          requests.every(
            (request) => Object.isExtensible(request) && request.modify({ url: "/other" }).source === request.source
          )
        )
      })
    )
  }

  it.scoped("handler writes the head first, and nothing when the response has ended", () =>
    Effect.gen(function* () {
      const handler = yield* NodeHttpServer.makeHandler(done)
      const calls: Array<string> = []
      class Response extends Http.ServerResponse {
        override writeHead(): this {
          calls.push("writeHead")
          return this
        }
        override write(): boolean {
          calls.push("write")
          return true
        }
        override end(): this {
          calls.push("end")
          return this
        }
      }
      const request = new Http.IncomingMessage(new Net.Socket())
      request.method = "GET"
      request.url = "/"
      handler(request, new Response(request))
      const ended = new Response(request)
      Object.defineProperty(ended, "writableEnded", { value: true })
      handler(request, ended)
      yield* turn
      assert.deepStrictEqual(calls, ["writeHead", "end"])
    })
  )
})
