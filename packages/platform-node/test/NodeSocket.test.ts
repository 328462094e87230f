import type { HandshakeError } from "@effect-ws/api/HandshakeError"
import * as NodeSocket from "@effect-ws/platform-node/NodeSocket"
import * as StockSocket from "@effect/platform-node/NodeSocket"
import * as Socket from "@effect/platform/Socket"
import { assert, describe, it } from "@effect/vitest"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Http from "node:http"
import * as Https from "node:https"
import type { AddressInfo } from "node:net"
import { makeCertificate } from "./support/certificate.ts"
import { makeInbox } from "./support/inbox.ts"
import { withoutLeaks } from "./support/leaks.ts"
import { binary, serveWs, text } from "./support/peers.ts"
import { acceptRaw, rawServer } from "./support/rawPeer.ts"
import { event, socketPath, turn, until } from "./support/sockets.ts"

const ignore = () => {}

/** Builds the layer until the scope closes. */
const build = <E>(layer: Layer.Layer<Socket.Socket, E>) =>
  Effect.map(Layer.build(Layer.orDie(layer)), (context) => Context.get(context, Socket.Socket))

const failureOf = (run: Effect.Effect<void, Socket.SocketError>) => Effect.flip(run)

/** A server of Node that answers every upgrade with the status. */
const declining = (status: number) =>
  Effect.gen(function* () {
    const server = yield* Effect.acquireRelease(
      Effect.sync(() => Http.createServer()),
      (server) => Effect.sync(() => server.close())
    )
    server.on("upgrade", (_, socket) => socket.end(`HTTP/1.1 ${status} No\r\nContent-Length: 3\r\n\r\nno!`))
    yield* event(server.listen(0, "127.0.0.1"), "listening")
    return `ws://127.0.0.1:${(server.address() as AddressInfo).port}`
  })

/** Waits until the count has begun and stays what it is for many turns. */
const untilStill = (count: () => number): Effect.Effect<void> =>
  Effect.suspend(() => {
    const before = count()
    const later = Effect.replicateEffect(turn, 200, { discard: true })
    return Effect.flatMap(later, () => (before > 0 && count() === before ? Effect.void : untilStill(count)))
  })

describe("NodeSocket.layerWebSocket", () => {
  it.scopedLive("client connects when it is run, and speaks text and bytes both ways", () =>
    Effect.gen(function* () {
      const server = yield* serveWs()
      const received = makeInbox<string | Uint8Array>()
      const socket = yield* build(NodeSocket.layerWebSocket(server.url))
      const write = yield* socket.writer
      yield* Effect.forkScoped(socket.runRaw((data) => received.push(data)))
      const [peer] = yield* server.next
      yield* write("Grüße")
      yield* write(Uint8Array.of(1, 2))
      assert.deepStrictEqual(yield* peer.next, text("Grüße"))
      assert.deepStrictEqual(yield* peer.next, binary(1, 2))
      peer.send("hello")
      peer.send(Uint8Array.of(3))
      assert.strictEqual(yield* received.next, "hello")
      assert.deepStrictEqual(Uint8Array.from((yield* received.next) as Uint8Array), Uint8Array.of(3))
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("client asks as its options say", () =>
    Effect.gen(function* () {
      const server = yield* serveWs({ perMessageDeflate: true })
      const asked = (options: NodeSocket.Options) =>
        Effect.scoped(
          Effect.gen(function* () {
            const socket = yield* build(NodeSocket.layerWebSocket(`${server.url}/feed?from=1`, options))
            yield* Effect.forkScoped(socket.runRaw(ignore))
            const [{ socket: peer }, { headers, url }] = yield* server.next
            return { url, protocol: peer.protocol, extensions: peer.extensions, token: headers["x-token"] }
          })
        )
      const plain = { url: "/feed?from=1", protocol: "", extensions: "", token: undefined }
      assert.deepStrictEqual(yield* asked({}), plain)
      assert.deepStrictEqual(yield* asked({ protocols: "one" }), { ...plain, protocol: "one" })
      assert.deepStrictEqual(yield* asked({ protocols: ["two", "one"] }), { ...plain, protocol: "two" })
      assert.deepStrictEqual(yield* asked({ subprotocols: ["three"] }), { ...plain, protocol: "three" })
      assert.deepStrictEqual(yield* asked({ headers: { "X-Token": "t" } }), { ...plain, token: "t" })
      assert.deepStrictEqual(yield* asked({ permessageDeflate: true }), { ...plain, extensions: "permessage-deflate" })
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("client connects over TLS with a certificate that its options name", () =>
    Effect.gen(function* () {
      const { cert, key } = yield* makeCertificate(["localhost"])
      const https = yield* Effect.acquireRelease(
        Effect.sync(() => Https.createServer({ cert, key })),
        (server) => Effect.sync(() => server.close())
      )
      yield* event(https.listen(0, "localhost"), "listening")
      const server = yield* serveWs({ server: https }, "wss")
      const socket = yield* build(NodeSocket.layerWebSocket(`wss://localhost:${server.port}`, { tls: { ca: cert } }))
      const write = yield* socket.writer
      yield* Effect.forkScoped(socket.runRaw(ignore))
      yield* write("in secret")
      const [peer] = yield* server.next
      assert.deepStrictEqual(yield* peer.next, text("in secret"))
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("client connects to a unix socket", () =>
    Effect.gen(function* () {
      const unixPath = yield* socketPath
      const http = yield* Effect.acquireRelease(
        Effect.sync(() => Http.createServer()),
        (server) => Effect.sync(() => server.close())
      )
      yield* event(http.listen(unixPath), "listening")
      const server = yield* serveWs({ server: http })
      const socket = yield* build(NodeSocket.layerWebSocket("ws://somewhere/", { unixPath }))
      const write = yield* socket.writer
      yield* Effect.forkScoped(socket.runRaw(ignore))
      yield* write("hello")
      const [peer, { headers }] = yield* server.next
      assert.strictEqual(headers.host, "somewhere")
      assert.deepStrictEqual(yield* peer.next, text("hello"))
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("client reads the URL and its options from the configuration", () =>
    Effect.gen(function* () {
      const server = yield* serveWs()
      const layer = NodeSocket.layerWebSocketConfig(Config.string("FEED_URL"), {
        protocols: Config.string("FEED_PROTOCOL")
      })
      const settings = new Map([
        ["FEED_URL", `${server.url}/configured`],
        ["FEED_PROTOCOL", "feed"]
      ])
      const socket = yield* Effect.withConfigProvider(build(layer), ConfigProvider.fromMap(settings))
      yield* Effect.forkScoped(socket.runRaw(ignore))
      const [{ socket: peer }, { url }] = yield* server.next
      assert.deepStrictEqual([url, peer.protocol], ["/configured", "feed"])
    }).pipe(Effect.scoped, withoutLeaks)
  )
})

describe("NodeSocket.makeWebSocket", () => {
  it.scopedLive("client asks for the URL anew for each run", () =>
    Effect.gen(function* () {
      const server = yield* serveWs()
      let runs = 0
      const socket = yield* NodeSocket.makeWebSocket(Effect.sync(() => `${server.url}/${++runs}`))
      for (const path of ["/1", "/2"]) {
        const running = yield* Effect.fork(socket.runRaw(ignore))
        const [peer, { url }] = yield* server.next
        assert.strictEqual(url, path)
        peer.close(1000)
        assert.deepStrictEqual(yield* Fiber.await(running), Exit.void)
      }
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("client fails with what the effect for the URL fails with", () =>
    Effect.gen(function* () {
      const error = new Socket.SocketGenericError({ reason: "Open", cause: "no token" })
      const socket = yield* NodeSocket.makeWebSocket(Effect.fail(error))
      assert.strictEqual(yield* failureOf(socket.runRaw(ignore)), error)
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("client closes the connection when its run is interrupted", () =>
    Effect.gen(function* () {
      const server = yield* serveWs()
      const socket = yield* NodeSocket.makeWebSocket(server.url)
      const isOpen = yield* Deferred.make<void>()
      const onOpen = Deferred.succeed(isOpen, undefined)
      const running = yield* Effect.fork(socket.runRaw(ignore, { onOpen }))
      const [peer] = yield* server.next
      yield* Deferred.await(isOpen)
      yield* Fiber.interrupt(running)
      assert.deepStrictEqual(yield* peer.next, { _tag: "Close", code: 1001, reason: "" })
    }).pipe(Effect.scoped, withoutLeaks)
  )
})

describe("NodeSocket without a connection", () => {
  const reasonOf = (error: Socket.SocketError) => (error as { readonly cause?: HandshakeError }).cause?.reason

  it.scopedLive("client fails at once with the answer of a server that declines", () =>
    Effect.gen(function* () {
      const socket = yield* NodeSocket.makeWebSocket(yield* declining(401))
      const error = yield* failureOf(socket.runRaw(ignore))
      assert.deepInclude(error, { _tag: "SocketError", reason: "Open" })
      assert.deepInclude(reasonOf(error), { _tag: "Declined", status: 401, body: new TextEncoder().encode("no!") })
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("client says that nobody listens, and that a URL is none", () =>
    Effect.gen(function* () {
      const { url } = yield* Effect.scoped(rawServer)
      const alone = yield* failureOf((yield* NodeSocket.makeWebSocket(url)).runRaw(ignore))
      assert.deepInclude(alone, { reason: "Open" })
      assert.strictEqual(reasonOf(alone)?._tag, "Transport")
      const wrong = yield* failureOf((yield* NodeSocket.makeWebSocket("ftp://host/")).runRaw(ignore))
      assert.deepInclude(wrong, { reason: "Open" })
      assert.strictEqual(reasonOf(wrong)?._tag, "InvalidUrl")
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("client gives up after the openTimeout, and after the handshakeTimeout", () =>
    Effect.gen(function* () {
      const server = yield* rawServer
      for (const options of [{ openTimeout: "50 millis" }, { handshakeTimeout: "50 millis" }] as const) {
        const socket = yield* NodeSocket.makeWebSocket(server.url, options)
        const error = yield* failureOf(socket.runRaw(ignore))
        assert.deepInclude(error, { _tag: "SocketError", reason: "OpenTimeout" })
      }
      const waiting = yield* NodeSocket.makeWebSocket(Effect.never, { openTimeout: "50 millis" })
      assert.deepInclude(yield* failureOf(waiting.runRaw(ignore)), { reason: "OpenTimeout" })
    }).pipe(Effect.scoped, withoutLeaks)
  )
})

describe("NodeSocket with a connection", () => {
  it.scopedLive("client fails when the connection is lost, which the stock one takes for success", () =>
    Effect.gen(function* () {
      const server = yield* serveWs()
      const lose = (layer: Layer.Layer<Socket.Socket>) =>
        Effect.gen(function* () {
          const socket = yield* build(layer)
          const running = yield* Effect.fork(socket.runRaw(ignore))
          const [peer] = yield* server.next
          peer.socket.terminate()
          return yield* Fiber.await(running)
        })
      assert.deepStrictEqual(yield* lose(StockSocket.layerWebSocket(server.url)), Exit.void)
      const exit = yield* lose(NodeSocket.layerWebSocket(server.url))
      assert.deepInclude(yield* Effect.flip(exit), { _tag: "SocketError", reason: "Close", code: 1006 })
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive(
    "client fails with the close code and the reason of the server, unless closeCodeIsError says otherwise",
    () =>
      Effect.gen(function* () {
        const server = yield* serveWs()
        const closed = (options: NodeSocket.Options) =>
          Effect.gen(function* () {
            const socket = yield* NodeSocket.makeWebSocket(server.url, options)
            const running = yield* Effect.fork(socket.runRaw(ignore))
            const [peer] = yield* server.next
            peer.close(4004, "gone")
            return yield* Fiber.await(running)
          })
        const error = yield* Effect.flip(yield* closed({}))
        assert.deepInclude(error, { reason: "Close", code: 4004, closeReason: "gone" })
        assert.deepStrictEqual(yield* closed({ closeCodeIsError: () => false }), Exit.void)
      }).pipe(Effect.scoped, withoutLeaks)
  )

  for (const [name, options] of [
    ["all at once by default", {}],
    ["one after the other where it is told to", { concurrency: 1 }]
  ] as const) {
    it.scopedLive(`client handles messages ${name}`, () =>
      Effect.gen(function* () {
        const server = yield* serveWs()
        const mayGoOn = yield* Deferred.make<void>()
        const begun: Array<string> = []
        const socket = yield* NodeSocket.makeWebSocket(server.url, options)
        yield* Effect.forkScoped(
          socket.runRaw((data) => {
            begun.push(String(data))
            return Deferred.await(mayGoOn)
          })
        )
        const [peer] = yield* server.next
        for (const message of ["one", "two", "three"]) peer.send(message)
        // The answer to a Ping says that the client has read all that came before it.
        const answered = event(peer.socket, "pong")
        peer.socket.ping()
        yield* answered
        for (let i = 0; i < 10; i++) yield* turn
        assert.deepStrictEqual(begun, "concurrency" in options ? ["one"] : ["one", "two", "three"])
        yield* Deferred.succeed(mayGoOn, undefined)
        yield* until(() => begun.length === 3)
        assert.deepStrictEqual(begun, ["one", "two", "three"])
      }).pipe(Effect.scoped, withoutLeaks)
    )
  }

  it.scopedLive("client's writer waits while the server doesn't read, and the stock one piles it up", () =>
    Effect.gen(function* () {
      const server = yield* rawServer
      /** Writes 50 MiB, of which the system holds no more than a part, to a peer that reads when it is told to. */
      const writeTo = (layer: Layer.Layer<Socket.Socket>) =>
        Effect.gen(function* () {
          const socket = yield* build(layer)
          const write = yield* socket.writer
          yield* Effect.forkScoped(socket.runRaw(ignore))
          const peer = yield* server.next
          yield* acceptRaw(peer)
          peer.socket.pause()
          let written = 0
          const piece = Effect.tap(write(new Uint8Array(256 * 1024)), () => void written++)
          const writing = yield* Effect.fork(Effect.replicateEffect(piece, 200, { discard: true }))
          yield* untilStill(() => written)
          return { peer, writing, written: () => written }
        })
      const stock = yield* writeTo(StockSocket.layerWebSocket(server.url))
      assert.strictEqual(stock.written(), 200)
      stock.peer.socket.destroy()
      const ours = yield* writeTo(NodeSocket.layerWebSocket(server.url))
      assert.isBelow(ours.written(), 200)
      assert.isNull(ours.writing.unsafePoll())
      ours.peer.socket.resume()
      yield* Fiber.join(ours.writing)
      assert.strictEqual(ours.written(), 200)
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it("client passes on the sockets of plain TCP", () => {
    for (const name of ["fromDuplex", "layerNet", "makeNet", "makeNetChannel", "NetSocket"] as const) {
      assert.strictEqual<unknown>(NodeSocket[name], StockSocket[name])
    }
  })
})
