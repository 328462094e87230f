import type { ServerError } from "@effect-ws/api/ServerError"
import * as WebSocket from "@effect-ws/api/WebSocket"
import * as NodeSocketServer from "@effect-ws/platform-node/NodeSocketServer"
import * as StockSocketServer from "@effect/platform-node/NodeSocketServer"
import * as Socket from "@effect/platform/Socket"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import type * as Tls from "node:tls"
import { makeCertificate } from "./support/certificate.ts"
import { makeInbox } from "./support/inbox.ts"
import { withoutLeaks } from "./support/leaks.ts"
import { close, connectWs, opened, openWs, pong, text } from "./support/peers.ts"
import { masked, rawClient, rawOpen, rawUpgrade, upgradeRequest } from "./support/rawPeer.ts"
import { connect, httpPort, httpServer } from "./support/serving.ts"
import { build, echo, type Layered, serve } from "./support/socketServers.ts"
import { socketPath, turn } from "./support/sockets.ts"

/** Serves, and tells how the run of each socket ended. */
const serveRuns = (layer: Layered) =>
  Effect.gen(function* () {
    const exits = makeInbox<Exit.Exit<void, Socket.SocketError>>()
    const server = yield* serve(layer, (socket) =>
      Effect.onExit(
        socket.runRaw(() => {}),
        (exit) => Effect.sync(() => exits.push(exit))
      )
    )
    return { ...server, nextExit: exits.next }
  })

const failureOf = <E>(exit: Exit.Exit<unknown, E>): E | undefined =>
  Exit.isFailure(exit) ? Option.getOrUndefined(Cause.failureOption(exit.cause)) : undefined

describe("NodeSocketServer.layerWebSocket", () => {
  it.scopedLive("server hands every connection to the handler as a socket: text as text, bytes as bytes", () =>
    Effect.gen(function* () {
      const server = yield* serve(NodeSocketServer.layerWebSocket(), echo)
      assert.deepInclude(server.address, { _tag: "TcpAddress", hostname: "127.0.0.1" })
      const peer = yield* openWs(server.url)
      peer.send("Grüße")
      peer.send(Uint8Array.of(0, 255))
      assert.deepStrictEqual(yield* peer.next, text("Grüße"))
      assert.deepStrictEqual(yield* peer.next, { _tag: "Binary", bytes: Uint8Array.of(0, 255) })
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("server handles the messages of a connection one after the other", () =>
    Effect.gen(function* () {
      const server = yield* serve(NodeSocketServer.layerWebSocket(), (socket) =>
        Effect.scoped(
          Effect.gen(function* () {
            const write = yield* socket.writer
            // The first takes longest: with all of them at once it would be answered last.
            let turns = 4
            yield* socket.runRaw((data) =>
              Effect.zipRight(Effect.replicateEffect(turn, turns--, { discard: true }), write(data))
            )
          })
        )
      )
      const peer = yield* openWs(server.url)
      for (const message of ["one", "two", "three", "four"]) peer.send(message)
      for (const message of ["one", "two", "three", "four"]) assert.deepStrictEqual(yield* peer.next, text(message))
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("handler has the request and the connection in its context", () =>
    Effect.gen(function* () {
      const told = makeInbox<unknown>()
      const server = yield* serve(
        NodeSocketServer.layerWebSocket({ subprotocols: ["b", "a"] }),
        () =>
          Effect.gen(function* () {
            const { client, request } = yield* NodeSocketServer.CurrentExchange
            const { subprotocol } = yield* NodeSocketServer.CurrentWebSocket
            const message = yield* NodeSocketServer.IncomingMessage
            const { headers, httpVersion, method, rawHeaders, socket, url } = message
            told.push({
              target: request.target,
              subprotocol,
              client: client.address,
              message: { method, url, httpVersion, host: headers.host, list: headers["x-list"] },
              raw: rawHeaders.filter((_, index) => rawHeaders[index - 1] === "X-List"),
              remote: socket.remoteAddress,
              sameTag: (yield* StockSocketServer.IncomingMessage) === message
            })
          }) as Effect.Effect<void>
      )
      const headers = { "X-List": ["1", "2"] as unknown as string }
      yield* openWs(`${server.url}/chat?room=1`, { subprotocols: ["a", "b"], headers })
      assert.deepStrictEqual(yield* told.next, {
        target: "/chat?room=1",
        subprotocol: "b",
        client: "127.0.0.1",
        message: {
          method: "GET",
          url: "/chat?room=1",
          httpVersion: "1.1",
          host: `127.0.0.1:${server.port}`,
          list: "1, 2"
        },
        raw: ["1", "2"],
        remote: "127.0.0.1",
        sameTag: true
      })
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("a program that asks for the connection outside of a handler is told so", () =>
    Effect.gen(function* () {
      const asked = [Effect.asVoid(NodeSocketServer.CurrentWebSocket), Effect.asVoid(NodeSocketServer.CurrentExchange)]
      for (const asking of asked) {
        const cause = yield* Effect.flip(Effect.sandbox(asking))
        assert.include(Cause.pretty(cause), "and nowhere else")
      }
    }).pipe(withoutLeaks)
  )

  it.scopedLive("handler sees TLS and cookies in the request as node:http would show them", () =>
    Effect.gen(function* () {
      const { cert, key } = yield* makeCertificate(["localhost"])
      const told = makeInbox<unknown>()
      const tell = Effect.map(NodeSocketServer.IncomingMessage, ({ headers, socket }) => {
        told.push([headers.cookie, (socket as Tls.TLSSocket).encrypted ?? false])
      }) as Effect.Effect<void>
      const secure = yield* serve(NodeSocketServer.layerWebSocket({ tls: { cert, key } }), () => tell)
      yield* openWs(`wss://localhost:${secure.port}`, { ca: cert, headers: { Cookie: "a=1" } })
      assert.deepStrictEqual(yield* told.next, ["a=1", true])
      const plain = yield* serve(NodeSocketServer.layerWebSocket(), () => tell)
      const peer = yield* rawClient({ port: plain.port, host: "127.0.0.1" })
      peer.send(Buffer.from(upgradeRequest.replace(/\r\n$/, "Cookie: a=1\r\nCookie: b=2\r\n\r\n")))
      assert.deepStrictEqual(yield* told.next, ["a=1; b=2", false])
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("handler that asks for a scope gets that of the program, as with the stock server", () =>
    Effect.gen(function* () {
      for (const layer of [
        NodeSocketServer.layerWebSocket(),
        StockSocketServer.layerWebSocket({ port: 0, host: "127.0.0.1" })
      ]) {
        const scope = yield* Scope.make()
        const handled = makeInbox<Scope.Scope>()
        const server = yield* serve(layer, () => Effect.map(Effect.scope, handled.push)).pipe(Scope.extend(scope))
        yield* Effect.scoped(openWs(server.url))
        assert.strictEqual(yield* handled.next, scope)
        yield* Scope.close(scope, Exit.void)
      }
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("server closes the connection with 1000 when its handler is done", () =>
    Effect.gen(function* () {
      const server = yield* serve(NodeSocketServer.layerWebSocket(), () => Effect.void)
      const peer = yield* openWs(server.url)
      assert.deepStrictEqual(yield* peer.next, close(1000))
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("server takes a CloseEvent as the close code", () =>
    Effect.gen(function* () {
      const server = yield* serve(NodeSocketServer.layerWebSocket(), (socket) =>
        Effect.scoped(
          Effect.flatMap(socket.writer, (write) =>
            socket.runRaw(() => write(new Socket.CloseEvent(4001, "that is enough")))
          )
        )
      )
      const peer = yield* openWs(server.url)
      peer.send("too much")
      assert.deepStrictEqual(yield* peer.next, close(4001, "that is enough"))
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("server reports a handler that fails at the level for unhandled errors, and closes with 1011", () =>
    Effect.gen(function* () {
      const logs = makeInbox<readonly [level: string, cause: string]>()
      const logger = Logger.make(({ cause, logLevel }) => logs.push([logLevel.label, JSON.stringify(cause)]))
      const run = (level: Option.Option<LogLevel.LogLevel>) =>
        Effect.gen(function* () {
          const server = yield* serve(NodeSocketServer.layerWebSocket(), () => Effect.fail("no luck"))
          const peer = yield* openWs(server.url)
          assert.deepStrictEqual(yield* peer.next, close(1011))
          yield* Fiber.interrupt(server.running)
        }).pipe(
          Effect.withUnhandledErrorLogLevel(level),
          Effect.provide(Logger.replace(Logger.defaultLogger, logger)),
          Logger.withMinimumLogLevel(LogLevel.All)
        )
      yield* run(Option.none())
      yield* run(Option.some(LogLevel.Warning))
      const [level, cause] = yield* logs.next
      assert.strictEqual(level, "WARN")
      assert.include(cause, "no luck")
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("server tells a handler that the connection was lost, which the stock one takes for success", () =>
    Effect.gen(function* () {
      const lose = (layer: Layered) =>
        Effect.gen(function* () {
          const server = yield* serveRuns(layer)
          const peer = yield* rawOpen({ port: server.port, host: "127.0.0.1" })
          peer.socket.destroy()
          return yield* server.nextExit
        })
      const stock = yield* lose(StockSocketServer.layerWebSocket({ port: 0, host: "127.0.0.1" }))
      assert.deepStrictEqual(stock, Exit.void)
      const ours = failureOf(yield* lose(NodeSocketServer.layerWebSocket()))
      assert.deepInclude(ours, { _tag: "SocketError", reason: "Close", code: 1006 })
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("server takes a close code as success where closeCodeIsError says so", () =>
    Effect.gen(function* () {
      const server = yield* serveRuns(NodeSocketServer.layerWebSocket({ closeCodeIsError: (code) => code !== 4000 }))
      const first = yield* openWs(server.url)
      first.close(4000)
      assert.deepStrictEqual(yield* server.nextExit, Exit.void)
      const second = yield* openWs(server.url)
      second.close(1000, "so")
      assert.deepInclude(failureOf(yield* server.nextExit), { reason: "Close", code: 1000, closeReason: "so" })
    }).pipe(Effect.scoped, withoutLeaks)
  )
})

describe("NodeSocketServer requests", () => {
  it.scopedLive("server serves its path alone, whatever the query, and answers others with 404", () =>
    Effect.gen(function* () {
      const server = yield* serve(NodeSocketServer.layerWebSocket({ path: "/rpc" }), echo)
      const peer = yield* connectWs(`${server.url}/rpc?version=2`)
      assert.deepStrictEqual(yield* peer.next, opened())
      const other = yield* connectWs(`${server.url}/rpc/more`)
      assert.deepInclude(yield* other.next, { _tag: "Refused", status: 404 })
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("server refuses as onUpgrade says, and its handler is not asked", () =>
    Effect.gen(function* () {
      const handled: Array<string> = []
      const layer = NodeSocketServer.layerWebSocket({
        onUpgrade: ({ request }) => (request.path === "/in" ? Effect.void : WebSocket.reject({ status: 401 }))
      })
      const server = yield* serve(layer, () =>
        Effect.map(NodeSocketServer.CurrentExchange, ({ request }) => handled.push(request.path))
      )
      const out = yield* connectWs(`${server.url}/out`)
      assert.deepInclude(yield* out.next, { _tag: "Refused", status: 401 })
      const peer = yield* openWs(`${server.url}/in`)
      assert.deepStrictEqual(yield* peer.next, close(1000))
      assert.deepStrictEqual(handled, ["/in"])
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("server refuses pages of other sites, unlike the stock one, unless it is told who may come", () =>
    Effect.gen(function* () {
      const headers = { Origin: "https://example.com" }
      const strict = yield* serve(NodeSocketServer.layerWebSocket(), echo)
      const refused = yield* connectWs(strict.url, { headers })
      assert.deepInclude(yield* refused.next, { _tag: "Refused", status: 403 })
      const open = yield* serve(NodeSocketServer.layerWebSocket({ origin: ["https://example.com"] }), echo)
      yield* openWs(open.url, { headers })
      const stock = yield* serve(StockSocketServer.layerWebSocket({ port: 0, host: "127.0.0.1" }), echo)
      yield* openWs(stock.url, { headers })
    }).pipe(Effect.scoped, withoutLeaks)
  )
})

describe("NodeSocketServer with options of ws", () => {
  it.scopedLive("server takes maxPayload as the largest message, before maxMessageSize", () =>
    Effect.gen(function* () {
      const server = yield* serve(NodeSocketServer.layerWebSocket({ maxPayload: 4, maxMessageSize: 100 }), echo)
      const peer = yield* openWs(server.url)
      peer.send("four")
      assert.deepStrictEqual(yield* peer.next, text("four"))
      peer.send("fives")
      assert.deepInclude(yield* peer.next, { _tag: "Close", code: 1009 })
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("server compresses as perMessageDeflate says", () =>
    Effect.gen(function* () {
      const all = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
      const cases = [
        [undefined, ""],
        [false, ""],
        [true, all],
        [{}, all],
        [
          { serverNoContextTakeover: false, clientNoContextTakeover: false, serverMaxWindowBits: 10 },
          "permessage-deflate; server_max_window_bits=10"
        ]
      ] as const
      for (const [perMessageDeflate, expected] of cases) {
        const server = yield* serve(NodeSocketServer.layerWebSocket({ perMessageDeflate }), echo)
        const socket = yield* connectWs(server.url, { perMessageDeflate: true })
        const event = yield* socket.next
        assert.strictEqual(event._tag === "Open" ? event.extensions : event._tag, expected === "" ? "" : offered)
        assert.strictEqual(yield* extensionsOf(server.port), expected)
      }
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("server attaches to an HTTP server, and leaves it to its owner", () =>
    Effect.gen(function* () {
      const http = yield* httpServer
      yield* Effect.scoped(
        Effect.gen(function* () {
          const server = yield* serve(NodeSocketServer.layerWebSocket({ server: http, path: "/ws" }), echo)
          assert.strictEqual(server.port, httpPort(http))
          const peer = yield* openWs(`${server.url}/ws`)
          peer.send("hello")
          assert.deepStrictEqual(yield* peer.next, text("hello"))
        })
      )
      assert.isTrue(http.listening)
      assert.strictEqual(http.listenerCount("upgrade"), 0)
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("server refuses a head of which the HTTP server it is attached to may have dropped fields", () =>
    Effect.gen(function* () {
      const http = yield* httpServer
      http.maxHeadersCount = 5
      const server = yield* serve(NodeSocketServer.layerWebSocket({ server: http }), echo)
      const peer = yield* rawUpgrade({ port: server.port, host: "127.0.0.1" })
      const answer = yield* peer.next
      assert.match(answer._tag === "Head" ? answer.head : answer._tag, /^HTTP\/1\.1 431 /)
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("server names itself in the Server field as its option says", () =>
    Effect.gen(function* () {
      const server = yield* serve(NodeSocketServer.layerWebSocket({ server: "mine" }), echo)
      const socket = yield* connect(server.url)
      assert.deepInclude(socket.response.fields, ["Server", "mine"])
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("server listens on a unix socket", () =>
    Effect.gen(function* () {
      const unixPath = yield* socketPath
      const server = yield* serve(NodeSocketServer.layerWebSocket({ unixPath, path: "/in" }), echo)
      assert.deepStrictEqual(server.address, { _tag: "UnixAddress", path: unixPath })
      const socket = yield* connect("ws://localhost/in", { unixPath })
      yield* socket.send("hello")
      assert.deepInclude(yield* socket.receive, { text: "hello" })
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("server reads its options from the configuration", () =>
    Effect.gen(function* () {
      const layer = NodeSocketServer.layerWebSocketConfig({
        path: Config.string("WS_PATH"),
        maxPayload: Config.integer("WS_MAX").pipe(Config.withDefault(10))
      })
      const server = yield* serve(Layer.orDie(layer), echo)
      const peer = yield* openWs(`${server.url}/configured`)
      peer.send("longer than that")
      assert.deepInclude(yield* peer.next, { _tag: "Close", code: 1009 })
    }).pipe(
      Effect.withConfigProvider(ConfigProvider.fromMap(new Map([["WS_PATH", "/configured"]]))),
      Effect.scoped,
      withoutLeaks
    )
  )

  it.scopedLive("server says why it can't listen", () =>
    Effect.gen(function* () {
      const { port } = yield* build(NodeSocketServer.layerWebSocket())
      const error = yield* Effect.flip(Layer.build(NodeSocketServer.layerWebSocket({ port })))
      assert.deepInclude(error, { _tag: "SocketServerError", reason: "Open" })
      assert.strictEqual((error.cause as ServerError).reason._tag, "AddressInUse")
    }).pipe(Effect.scoped, withoutLeaks)
  )
})

describe("NodeSocketServer.run", () => {
  it.scopedLive("connections that come before run wait for it; the stock server loses them", () =>
    Effect.gen(function* () {
      const server = yield* build(NodeSocketServer.layerWebSocket())
      const peer = yield* connectWs(server.url)
      for (let i = 0; i < 10; i++) yield* turn
      yield* Effect.forkScoped(server.run(echo))
      assert.deepStrictEqual(yield* peer.next, opened())
      peer.send("hello")
      assert.deepStrictEqual(yield* peer.next, text("hello"))

      const stock = yield* build(StockSocketServer.layerWebSocket({ port: 0, host: "127.0.0.1" }))
      const lost = yield* openWs(stock.url)
      yield* Effect.forkScoped(stock.run(echo))
      lost.send("hello")
      const later = yield* openWs(stock.url)
      later.send("hello")
      assert.deepStrictEqual(yield* later.next, text("hello"))
      lost.socket.ping("still there?")
      assert.deepStrictEqual(yield* lost.next, pong("still there?"))
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("server closes connections with 1001 when run is interrupted, and may run again", () =>
    Effect.gen(function* () {
      const server = yield* serveRuns(NodeSocketServer.layerWebSocket())
      const first = yield* openWs(server.url)
      yield* Fiber.interrupt(server.running)
      assert.deepStrictEqual(yield* first.next, close(1001))
      assert.deepInclude(failureOf(yield* server.nextExit), { reason: "Close", code: 1001 })
      const between = yield* connectWs(server.url)
      for (let i = 0; i < 10; i++) yield* turn
      yield* Effect.forkScoped(server.run(echo))
      assert.deepStrictEqual(yield* between.next, opened())
      between.send("still here")
      assert.deepStrictEqual(yield* between.next, text("still here"))
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("server ends a peer that doesn't answer its Close frame, and a handler that doesn't stop", () =>
    Effect.gen(function* () {
      const interrupted = makeInbox<"interrupted">()
      const layer = NodeSocketServer.layerWebSocket({ closeTimeout: "100 millis" })
      const server = yield* serve(layer, () =>
        Effect.onInterrupt(Effect.never, () => Effect.sync(() => interrupted.push("interrupted")))
      )
      const peer = yield* rawOpen({ port: server.port, host: "127.0.0.1" })
      yield* Fiber.interrupt(server.running)
      assert.strictEqual(yield* interrupted.next, "interrupted")
      assert.strictEqual(yield* peer.nextFrame, "8 03 e9")
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("server hands over what came with the request", () =>
    Effect.gen(function* () {
      const server = yield* serve(NodeSocketServer.layerWebSocket(), echo)
      const peer = yield* rawOpen({ port: server.port, host: "127.0.0.1" }, masked(0x81, "early"))
      assert.strictEqual(
        yield* peer.nextFrame,
        `1 ${Buffer.from("early")
          .toString("hex")
          .replace(/..(?!$)/g, "$& ")}`
      )
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("a second run at the same time is a defect that says so, and harms the first one not", () =>
    Effect.gen(function* () {
      const server = yield* serve(NodeSocketServer.layerWebSocket(), echo)
      yield* openWs(server.url)
      const cause = yield* Effect.flip(Effect.sandbox(server.run(echo)))
      assert.include(Cause.pretty(cause), "runs already")
      const peer = yield* openWs(server.url)
      peer.send("hello")
      assert.deepStrictEqual(yield* peer.next, text("hello"))
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("server that is released while connections wait for run ends them", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const server = yield* Scope.extend(build(NodeSocketServer.layerWebSocket()), scope)
      const peer = yield* rawUpgrade({ port: server.port, host: "127.0.0.1" })
      for (let i = 0; i < 10; i++) yield* turn
      yield* Scope.close(scope, Exit.void)
      const end = yield* peer.next
      assert.include(["End", "Closed"], end._tag)
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("server passes on the servers of plain TCP", () =>
    Effect.sync(() => {
      assert.strictEqual(NodeSocketServer.layer, StockSocketServer.layer)
      assert.strictEqual(NodeSocketServer.make, StockSocketServer.make)
    })
  )
})

const offered = "permessage-deflate"

/** The extensions in the answer to a request that offers permessage-deflate with everything in it. */
const extensionsOf = (port: number) =>
  Effect.gen(function* () {
    const peer = yield* rawClient({ port, host: "127.0.0.1" })
    const offer = `Sec-WebSocket-Extensions: ${offered}; client_max_window_bits\r\n\r\n`
    peer.send(Buffer.from(upgradeRequest.replace(/\r\n$/, offer)))
    const answer = yield* peer.next
    const head = answer._tag === "Head" ? answer.head : answer._tag
    return /^sec-websocket-extensions: *(.*)$/im.exec(head)?.[1]?.trim() ?? ""
  })
