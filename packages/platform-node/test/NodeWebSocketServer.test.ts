import type { ServerError } from "@effect-ws/api/ServerError"
import * as WebSocket from "@effect-ws/api/WebSocket"
import * as WebSocketServer from "@effect-ws/api/WebSocketServer"
import * as NodeWebSocketServer from "@effect-ws/platform-node/NodeWebSocketServer"
import { assert, describe, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Fs from "node:fs"
import * as Http from "node:http"
import * as Net from "node:net"
import * as Os from "node:os"
import { makeInbox } from "./support/inbox.ts"
import { withoutLeaks } from "./support/leaks.ts"
import { connectWs, opened, openWs, text } from "./support/peers.ts"
import { masked, rawClient, rawOpen, rawUpgrade, upgradeRequest } from "./support/rawPeer.ts"
import { connect, httpPort, httpServer, listeners, serve, serveEcho, serveSockets } from "./support/serving.ts"
import { event, socketPath, turn, until } from "./support/sockets.ts"

const hasIpv6 = Object.values(Os.networkInterfaces()).some((all) => all?.some(({ address }) => address === "::1"))

const buildError = <E>(layer: Layer.Layer<WebSocketServer.WebSocketServer, E>): Effect.Effect<E, string> =>
  Effect.flip(Effect.scoped(Effect.as(Layer.build(layer), "it listens")))

/** Sends a GET on a connection of its own and returns the body of the answer. */
const get = (port: number, path: string) =>
  Effect.async<string>((resume) => {
    Http.get({ port, path, host: "127.0.0.1", agent: false }, (response) => {
      const chunks: Array<Buffer> = []
      response.on("data", (chunk) => chunks.push(chunk))
      response.on("end", () => resume(Effect.succeed(Buffer.concat(chunks).toString())))
    })
  })

describe("NodeWebSocketServer.layer", () => {
  it.scopedLive("server listens on this machine alone by default, on a port that the system chooses", () =>
    Effect.gen(function* () {
      const server = yield* serveEcho(NodeWebSocketServer.layer())
      assert.deepInclude(server.address, { _tag: "TcpAddress", hostname: "127.0.0.1" })
      assert.isAbove(server.port, 0)
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("server tells its address to the program, and serves it", () =>
    Effect.gen(function* () {
      const address = yield* WebSocketServer.address
      const port = address._tag === "TcpAddress" ? address.port : 0
      yield* Effect.forkScoped(
        WebSocketServer.run((exchange) =>
          Effect.flatMap(WebSocket.accept(exchange), (socket) => socket.send(exchange.request.path))
        )
      )
      const peer = yield* openWs(`ws://127.0.0.1:${port}/chat`)
      assert.deepStrictEqual(yield* peer.next, text("/chat"))
    }).pipe(Effect.scoped, Effect.provide(NodeWebSocketServer.layer()), withoutLeaks)
  )

  it.scopedLive.runIf(hasIpv6)("server listens on IPv6 and names the address with brackets", () =>
    Effect.gen(function* () {
      const server = yield* serveEcho(NodeWebSocketServer.layer({ host: "::1" }))
      assert.strictEqual(server.url, `ws://[::1]:${server.port}`)
      const socket = yield* connect(server.url)
      assert.deepInclude(socket.info.remoteAddress, { hostname: "::1", port: server.port })
      const peer = yield* connectWs(server.url)
      assert.deepStrictEqual(yield* peer.next, opened())
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("server tells the handler who asks", () =>
    Effect.gen(function* () {
      const server = yield* serve(NodeWebSocketServer.layer(), ({ info }) =>
        WebSocket.reject({ status: 400, body: JSON.stringify(info) })
      )
      const peer = yield* connectWs(server.url)
      const refusal = yield* peer.next
      const info = refusal._tag === "Refused" ? JSON.parse(refusal.body) : undefined
      assert.deepStrictEqual(info.localAddress, { _tag: "TcpAddress", hostname: "127.0.0.1", port: server.port })
      assert.deepInclude(info.remoteAddress, { _tag: "TcpAddress", hostname: "127.0.0.1" })
      assert.isUndefined(info.tls)
    })
  )

  it.scopedLive("server lets connections wait that come before it is run", () =>
    Effect.gen(function* () {
      const context = yield* Layer.build(NodeWebSocketServer.layer())
      const server = Context.get(context, WebSocketServer.WebSocketServer)
      const port = server.address._tag === "TcpAddress" ? server.address.port : 0
      const peer = yield* rawUpgrade({ port }, masked(0x81, "early"))
      yield* event(peer.socket, "connect")
      yield* Effect.forkScoped(
        server.run((exchange) =>
          Effect.flatMap(WebSocket.accept(exchange), (socket) =>
            WebSocket.run(socket, (message) => socket.send(message))
          )
        )
      )
      assert.match(JSON.stringify(yield* peer.next), /101 Switching/)
      assert.strictEqual(yield* peer.nextFrame, "1 65 61 72 6c 79")
      peer.socket.end()
      assert.deepStrictEqual(yield* peer.next, { _tag: "End" })
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("server on a unix socket serves ws and our client, and removes the file on release", () =>
    Effect.gen(function* () {
      const path = yield* socketPath
      const program = Effect.gen(function* () {
        const server = yield* serveSockets(NodeWebSocketServer.layer({ unixPath: path }))
        assert.deepStrictEqual(server.address, { _tag: "UnixAddress", path })
        const peer = yield* openWs(`ws+unix:${path}:/chat?a=b`)
        const first = yield* server.nextSocket
        assert.strictEqual(first.request.target, "/chat?a=b")
        assert.deepStrictEqual(first.info.localAddress, server.address)
        yield* first.send("hello")
        assert.deepStrictEqual(yield* peer.next, text("hello"))
        const socket = yield* connect("ws://localhost/rooms", { unixPath: path })
        const second = yield* server.nextSocket
        assert.deepInclude(second.request, { path: "/rooms", host: "localhost" })
        assert.deepStrictEqual(socket.info.remoteAddress, server.address)
        yield* socket.send("hello")
        assert.deepInclude(yield* second.receive, { text: "hello" })
        const closing = yield* Effect.fork(socket.close({ code: 3000, reason: "bye" }))
        assert.deepInclude(yield* Effect.flip(second.receive), { received: { code: 3000, reason: "bye" } })
        assert.isTrue((yield* Fiber.join(closing)).clean)
      })
      yield* Effect.scoped(program)
      assert.isFalse(Fs.existsSync(path))
    }).pipe(Effect.scoped, withoutLeaks)
  )
})

describe("NodeWebSocketServer.layer: errors", () => {
  it.scopedLive("server fails with the address when the port is in use", () =>
    Effect.gen(function* () {
      const { port } = yield* serveEcho(NodeWebSocketServer.layer())
      const error = yield* buildError(NodeWebSocketServer.layer({ port }))
      assert.deepInclude(error, { _tag: "ServerError", address: `127.0.0.1:${port}` })
      assert.strictEqual(error.reason._tag, "AddressInUse")
      assert.strictEqual(error.message, `Port ${port} of 127.0.0.1 is already in use`)
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("server fails with the path when the unix socket is in use, and leaves the other alone", () =>
    Effect.gen(function* () {
      const path = yield* socketPath
      yield* serveEcho(NodeWebSocketServer.layer({ unixPath: path }))
      const error = yield* buildError(NodeWebSocketServer.layer({ unixPath: path }))
      assert.deepStrictEqual([error.reason._tag, error.address], ["AddressInUse", path])
      const socket = yield* connect("ws://localhost", { unixPath: path })
      yield* socket.send("still there?")
      assert.deepInclude(yield* socket.receive, { text: "still there?" })
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.live.runIf(process.platform === "linux")("server fails with the address when the system denies access", () =>
    Effect.gen(function* () {
      // Nobody may make a file there, not even root.
      const error = yield* buildError(NodeWebSocketServer.layer({ unixPath: "/proc/effect-ws" }))
      assert.deepStrictEqual([error.reason._tag, error.address], ["AccessDenied", "/proc/effect-ws"])
      assert.strictEqual(error.message, "The path /proc/effect-ws may not be listened on: access denied")
    }).pipe(withoutLeaks)
  )

  it.live("server fails when the host is not of this machine", () =>
    Effect.gen(function* () {
      const error = yield* buildError(NodeWebSocketServer.layer({ host: "192.0.2.1", port: 8080 }))
      assert.deepStrictEqual([error.reason._tag, error.address], ["AddressNotAvailable", "192.0.2.1:8080"])
    }).pipe(withoutLeaks)
  )

  it.live(
    "server fails when the name of the host is unknown",
    () =>
      Effect.gen(function* () {
        const error = yield* buildError(NodeWebSocketServer.layer({ host: "nothing.invalid", port: 8080 }))
        assert.deepStrictEqual([error.reason._tag, error.address], ["AddressNotAvailable", "nothing.invalid:8080"])
      }).pipe(withoutLeaks),
    // Where the network swallows the question, the resolver of the system takes its time.
    60_000
  )

  it.live("server fails when the TLS material is missing or can't be used", () =>
    Effect.gen(function* () {
      for (const tls of [{}, { cert: "x" }, { key: "x", cert: "y" }, { pfx: Buffer.from("x") }]) {
        const error: ServerError = yield* buildError(NodeWebSocketServer.layer({ port: 8443, tls }))
        assert.deepStrictEqual([error.reason._tag, error.address], ["BadTlsMaterial", "127.0.0.1:8443"])
        assert.match(error.message, /^Port 8443 of 127\.0\.0\.1 can't be served over TLS: ./)
      }
    }).pipe(withoutLeaks)
  )

  it.live("server dies with the name of an option that can't be meant", () =>
    Effect.gen(function* () {
      const exit = yield* Effect.exit(Effect.scoped(Layer.build(NodeWebSocketServer.layer({ maxMessageSize: 0 }))))
      assert.match(Exit.isFailure(exit) ? String(exit.cause) : "", /RangeError: The option maxMessageSize/)
    }).pipe(withoutLeaks)
  )
})

describe("NodeWebSocketServer.layerConfig", () => {
  const layer = NodeWebSocketServer.layerConfig({
    host: Config.string("HOST"),
    port: Config.port("PORT").pipe(Config.withDefault(0)),
    maxMessageSize: Config.integer("MAX_MESSAGE_SIZE").pipe(Config.withDefault(4))
  })
  const withConfig = (...entries: ReadonlyArray<readonly [string, string]>) =>
    Layer.provide(layer, Layer.setConfigProvider(ConfigProvider.fromMap(new Map(entries))))

  it.scopedLive("server takes its options from the configuration", () =>
    Effect.gen(function* () {
      const server = yield* serveSockets(Layer.orDie(withConfig(["HOST", "localhost"], ["MAX_MESSAGE_SIZE", "3"])))
      assert.include(["127.0.0.1", "::1"], server.address._tag === "TcpAddress" ? server.address.hostname : "")
      const peer = yield* openWs(server.url)
      const socket = yield* server.nextSocket
      peer.send("four")
      assert.deepInclude(yield* Effect.flip(socket.receive), { _tag: "MessageTooBig", limit: 3 })
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.live("server fails with a ConfigError when a key is missing or of the wrong type", () =>
    Effect.gen(function* () {
      const missing = yield* buildError(withConfig())
      assert.deepInclude(missing, { _op: "MissingData", path: ["HOST"] })
      const wrong = yield* buildError(withConfig(["HOST", "localhost"], ["PORT", "http"]))
      assert.deepInclude(wrong, { _op: "InvalidData", path: ["PORT"] })
    }).pipe(withoutLeaks)
  )

  it.scopedLive("server fails with a ServerError when it can't listen where the configuration says", () =>
    Effect.gen(function* () {
      const { port } = yield* serveEcho(NodeWebSocketServer.layer())
      const error = yield* buildError(withConfig(["HOST", "127.0.0.1"], ["PORT", String(port)]))
      assert.deepInclude(error, { _tag: "ServerError", address: `127.0.0.1:${port}` })
    })
  )
})

describe("NodeWebSocketServer.layerAttached", () => {
  it.scopedLive("server takes the upgrades, and leaves all other requests on the port to their server", () =>
    Effect.gen(function* () {
      const http = yield* httpServer
      const server = yield* serveEcho(NodeWebSocketServer.layerAttached(http))
      assert.deepStrictEqual(server.address, { _tag: "TcpAddress", hostname: "127.0.0.1", port: httpPort(http) })
      const peer = yield* openWs(server.url)
      peer.send("hello")
      assert.strictEqual(yield* get(server.port, "/index.html"), "page of /index.html")
      assert.deepStrictEqual(yield* peer.next, text("hello"))
      peer.send("again")
      assert.deepStrictEqual(yield* peer.next, text("again"))
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("server takes an upgrade that follows another request on the same connection", () =>
    Effect.gen(function* () {
      const http = yield* httpServer
      const server = yield* serveEcho(NodeWebSocketServer.layerAttached(http))
      const answer = yield* Effect.acquireRelease(
        Effect.sync(() => Net.connect(server.port, "127.0.0.1")),
        (socket) => Effect.sync(() => socket.destroy())
      )
      let seen = ""
      answer.on("data", (chunk) => (seen += chunk.toString("latin1")))
      answer.write("GET /first HTTP/1.1\r\nHost: x\r\n\r\n" + upgradeRequest)
      answer.write(masked(0x81, "hello"))
      yield* until(() => seen.endsWith("hello"))
      answer.write(masked(0x88, Uint8Array.of(3, 232)))
      yield* event(answer, "end")
      assert.match(seen, /^HTTP\/1\.1 200 OK[^]*page of \/first/)
      assert.match(seen, /HTTP\/1\.1 101 /)
      assert.isTrue(seen.endsWith("\r\n\r\n\x81\x05hello\x88\x02\x03\xe8"))
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("server leaves an upgrade to h2c to the other listeners that its HTTP server has", () =>
    Effect.gen(function* () {
      const http = yield* httpServer
      const others = makeInbox<Net.Socket>()
      http.on("upgrade", (request: Http.IncomingMessage, socket: Net.Socket) => {
        if (request.headers.upgrade === "h2c") others.push(socket)
      })
      const server = yield* serveEcho(NodeWebSocketServer.layerAttached(http))
      const other = yield* rawClient({ port: server.port })
      other.send(Buffer.from(upgradeRequest.replace("Upgrade: websocket", "Upgrade: h2c")))
      const taken = yield* others.next
      // What our server would have to say is said by now.
      yield* Effect.repeatN(turn, 10)
      taken.end("HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n")
      const head = yield* other.next
      assert.include(head._tag === "Head" ? head.head : "", "Upgrade: h2c")
      assert.deepStrictEqual(yield* other.next, { _tag: "End" })
      taken.destroy()
      const peer = yield* openWs(server.url)
      peer.send("hello")
      assert.deepStrictEqual(yield* peer.next, text("hello"))
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("server leaves an upgrade to h2c to its HTTP server when nobody else listens for it", () =>
    Effect.gen(function* () {
      const server = yield* serveEcho(NodeWebSocketServer.layerAttached(yield* httpServer))
      const other = yield* rawClient({ port: server.port })
      const asked = upgradeRequest.replace("Upgrade: websocket", "Upgrade: h2c")
      other.send(Buffer.from(asked.replace("Connection: Upgrade", "Connection: Upgrade, close")))
      const head = yield* other.next
      assert.match(head._tag === "Head" ? head.head : "", /^HTTP\/1\.1 200 OK\r\n/)
      assert.deepStrictEqual(yield* other.next, { _tag: "Body", body: "page of /" })
      assert.deepStrictEqual(yield* other.next, { _tag: "End" })
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("server refuses a head of which its HTTP server may have dropped fields", () =>
    Effect.gen(function* () {
      const http = yield* httpServer
      http.maxHeadersCount = 40
      const server = yield* serveEcho(NodeWebSocketServer.layerAttached(http))
      const other = yield* rawClient({ port: server.port })
      const fields = `${"a:\r\n".repeat(60)}Transfer-Encoding: chunked\r\n`
      other.send(Buffer.from(upgradeRequest.replace("\r\n\r\n", `\r\n${fields}\r\n`)))
      const head = yield* other.next
      assert.match(head._tag === "Head" ? head.head : "", /^HTTP\/1\.1 431 [^]*\r\nConnection: close$/)
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("server that is released leaves the HTTP server as it was, listening", () =>
    Effect.gen(function* () {
      const http = yield* httpServer
      const scope = yield* Scope.make()
      const server = yield* Scope.extend(serveEcho(NodeWebSocketServer.layerAttached(http)), scope)
      const peer = yield* openWs(server.url)
      const program = Effect.zipRight(Scope.close(scope, Exit.void), peer.next)
      assert.deepInclude(yield* withoutLeaks(program, { http }), { _tag: "Close", code: 1001 })
      assert.strictEqual(http.listenerCount("upgrade"), 0)
      assert.strictEqual(yield* get(server.port, "/"), "page of /")
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("server fails when the HTTP server can't listen, and waits until it does", () =>
    Effect.gen(function* () {
      const taken = httpPort(yield* httpServer)
      const http = yield* Effect.acquireRelease(
        Effect.sync(() => Http.createServer()),
        (http) => Effect.sync(() => http.close())
      )
      const failing = yield* Effect.fork(buildError(NodeWebSocketServer.layerAttached(http)))
      yield* Effect.yieldNow()
      http.listen(taken, "127.0.0.1")
      const error = yield* Fiber.join(failing)
      assert.deepStrictEqual([error.reason._tag, error.address], ["AddressInUse", `127.0.0.1:${taken}`])
      const waiting = yield* Effect.fork(serveEcho(NodeWebSocketServer.layerAttached(http)))
      yield* Effect.yieldNow()
      http.listen(0, "127.0.0.1")
      const server = yield* Fiber.join(waiting)
      assert.strictEqual(server.port, httpPort(http))
    }).pipe(Effect.scoped, withoutLeaks)
  )
})

for (const [listener, layer] of Object.entries(listeners)) {
  describe(`server ${listener}, a client made by hand`, () => {
    it.scopedLive("server receives messages that come in one segment with the request", () =>
      Effect.gen(function* () {
        const server = yield* serveSockets(layer())
        const close = masked(0x88, Uint8Array.of(0x03, 0xe8))
        const peer = yield* rawOpen({ port: server.port }, masked(0x81, "one"), masked(0x82, "two"), close)
        const socket = yield* server.nextSocket
        const received = Chunk.toReadonlyArray(yield* Stream.runCollect(socket.messages))
        assert.deepStrictEqual(
          received.map(({ _tag, bytes }) => `${_tag} ${Buffer.from(bytes)}`),
          ["Text one", "Binary two"]
        )
        assert.strictEqual(yield* peer.nextFrame, "8 03 e8")
        assert.deepStrictEqual(yield* peer.next, { _tag: "End" })
      }).pipe(Effect.scoped, withoutLeaks)
    )

    it.scopedLive("server sends the echoes of what came in one segment with a Close frame before its answer", () =>
      Effect.gen(function* () {
        const server = yield* serveEcho(layer())
        const close = masked(0x88, Uint8Array.of(0x03, 0xe8))
        const peer = yield* rawOpen({ port: server.port }, masked(0x81, "one"), masked(0x82, "two"), close)
        assert.strictEqual(yield* peer.nextFrame, "1 6f 6e 65")
        assert.strictEqual(yield* peer.nextFrame, "2 74 77 6f")
        assert.strictEqual(yield* peer.nextFrame, "8 03 e8")
        assert.deepStrictEqual(yield* peer.next, { _tag: "End" })
      }).pipe(Effect.scoped, withoutLeaks)
    )

    it.scopedLive("server holds such messages while the handler decides, and drops them when it rejects", () =>
      Effect.gen(function* () {
        const server = yield* serve(layer(), (exchange) =>
          exchange.request.fields.length > 0 ? WebSocket.reject({ body: "no" }) : WebSocket.accept(exchange)
        )
        const peer = yield* rawClient({ port: server.port })
        peer.send(Buffer.from(closing(upgradeRequest)), masked(0x81, "one"), "ff ff ff")
        const head = yield* peer.next
        assert.match(head._tag === "Head" ? head.head : "", /^HTTP\/1\.1 403 Forbidden\r\n/)
        assert.deepStrictEqual(yield* peer.next, { _tag: "Body", body: "no" })
        assert.deepStrictEqual(yield* peer.next, { _tag: "End" })
      }).pipe(Effect.scoped, withoutLeaks)
    )

    it.scopedLive("server answers what breaks the protocol with a Close frame, then ends", () =>
      Effect.gen(function* () {
        const server = yield* serveSockets(layer())
        for (const [frame, reason, code] of violations) {
          const peer = yield* rawOpen({ port: server.port })
          const socket = yield* server.nextSocket
          peer.send(masked(0x81, "good"), frame)
          assert.deepInclude(yield* socket.receive, { text: "good" })
          const error = yield* Effect.flip(socket.receive)
          assert.strictEqual(error._tag === "ProtocolError" ? error.reason._tag : error._tag, reason)
          const answer = yield* peer.next
          assert.isTrue(answer._tag === "Frame" && answer.first === 0x88 && !answer.masked, reason)
          assert.strictEqual(answer._tag === "Frame" ? answer.payload.readUInt16BE(0) : 0, code, reason)
          assert.deepStrictEqual(yield* peer.next, { _tag: "End" })
          peer.socket.end()
          assert.deepStrictEqual(yield* peer.next, { _tag: "Closed" })
        }
      }).pipe(Effect.scoped, withoutLeaks)
    )

    it.scopedLive("server interrupts a handler that has not decided when the client goes away", () =>
      Effect.gen(function* () {
        const asked = yield* Effect.makeSemaphore(0)
        const interrupted = yield* Effect.makeSemaphore(0)
        const server = yield* serve(layer(), () =>
          Effect.zipRight(asked.release(1), Effect.never).pipe(Effect.onInterrupt(() => interrupted.release(1)))
        )
        const peer = yield* rawUpgrade({ port: server.port })
        yield* asked.take(1)
        peer.socket.resetAndDestroy()
        yield* interrupted.take(1)
        const other = yield* rawUpgrade({ port: server.port })
        yield* asked.take(1)
        other.socket.end()
        yield* interrupted.take(1)
      }).pipe(Effect.scoped, withoutLeaks)
    )
  })
}

describe("server with its own listener, a client made by hand", () => {
  it.scopedLive("server answers a request that is none for a WebSocket, without asking the handler", () =>
    Effect.gen(function* () {
      const server = yield* serve(NodeWebSocketServer.layer(), () => Effect.die("asked"))
      const requests = [
        ["GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "426 Upgrade Required"],
        [closing(upgradeRequest).replace("Version: 13", "Version: 12"), "426 Upgrade Required"],
        [closing(upgradeRequest).replace("GET", "POST"), "405 Method Not Allowed"],
        [closing(upgradeRequest).replace("dGhl", ""), "400 Bad Request"],
        ["nonsense\r\n\r\n", "400 Bad Request"],
        [`GET / HTTP/1.1\r\nX: ${"x".repeat(9000)}\r\n\r\n`, "431 Request Header Fields Too Large"]
      ] as const
      for (const [request, status] of requests) {
        const peer = yield* rawClient({ port: server.port })
        peer.send(Buffer.from(request))
        const head = yield* peer.next
        assert.strictEqual(head._tag === "Head" ? head.head.split("\r\n")[0] : head._tag, `HTTP/1.1 ${status}`)
        assert.strictEqual((yield* peer.next)._tag, "Body")
        assert.deepStrictEqual(yield* peer.next, { _tag: "End" })
      }
    }).pipe(Effect.scoped, withoutLeaks)
  )
})

/** A request after which no other one may come. */
const closing = (request: string) => request.replace("Connection: Upgrade", "Connection: Upgrade, close")

const violations: ReadonlyArray<readonly [frame: Uint8Array, reason: string, code: number]> = [
  [Buffer.from("8102686f", "hex"), "UnmaskedFrame", 1002],
  [masked(0xc1, "x"), "ReservedBits", 1002],
  [masked(0x80, "x"), "UnexpectedContinuation", 1002],
  [masked(0x81, Uint8Array.of(0xc3, 0x28)), "InvalidUtf8", 1007],
  [masked(0x88, Uint8Array.of(0x03, 0xed)), "InvalidCloseCode", 1002]
]
