import type { ConnectOptions } from "@effect-ws/api/ConnectOptions"
import * as WebSocket from "@effect-ws/api/WebSocket"
import * as NodeWebSocketClient from "@effect-ws/platform-node/NodeWebSocketClient"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import * as Net from "node:net"
import * as Ws from "ws"
import { withoutLeaks } from "./support/leaks.ts"
import { close, serveWs, text } from "./support/peers.ts"
import { accepting, acceptRaw, rawServer } from "./support/rawPeer.ts"
import { connect } from "./support/serving.ts"
import { event, socketPath, turn } from "./support/sockets.ts"

/** Connects, which has to fail, and gives the reason. */
const reasonOf = (url: string, options?: ConnectOptions, clientOptions?: NodeWebSocketClient.Options) =>
  Effect.map(Effect.flip(Effect.scoped(connect(url, options, clientOptions))), ({ reason }) => reason)

/** A port on which nothing listens. */
const freePort = Effect.acquireUseRelease(
  Effect.sync(() => Net.createServer()),
  (server) =>
    Effect.map(event(server.listen(0, "127.0.0.1"), "listening"), () => (server.address() as Net.AddressInfo).port),
  (server) => Effect.sync(() => server.close())
)

describe("NodeWebSocketClient.layer", () => {
  it.scopedLive("client connects with the Layer of all defaults, and knows both ends", () =>
    Effect.gen(function* () {
      const server = yield* serveWs()
      const socket = yield* WebSocket.connect(server.url)
      const [peer, request] = yield* server.next
      assert.deepStrictEqual(socket.info, {
        localAddress: { _tag: "TcpAddress", hostname: "127.0.0.1", port: request.socket.remotePort! },
        remoteAddress: { _tag: "TcpAddress", hostname: "127.0.0.1", port: server.port },
        tls: undefined
      })
      assert.notProperty(request.headers, "origin")
      yield* socket.send("hello")
      assert.deepStrictEqual(yield* peer.next, text("hello"))
    }).pipe(Effect.scoped, Effect.provide(NodeWebSocketClient.layer), withoutLeaks)
  )

  it.scopedLive("client tries all addresses of a host name", () =>
    Effect.gen(function* () {
      const server = yield* serveWs()
      const lookup: Net.LookupFunction = (_name, _options, callback) =>
        process.nextTick(() =>
          callback(null, [
            { address: "::1", family: 6 },
            { address: "127.0.0.1", family: 4 }
          ])
        )
      const socket = yield* connect(`ws://chat.test:${server.port}/`, {}, { lookup })
      assert.strictEqual(socket.request.host, `chat.test:${server.port}`)
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("client connects to ws on a unix socket, with the host and the path of the URL", () =>
    Effect.gen(function* () {
      const path = yield* socketPath
      const server = yield* Effect.acquireRelease(
        Effect.sync(() => Net.createServer()),
        (server) => Effect.sync(() => server.close())
      )
      yield* event(server.listen({ path }), "listening")
      const target = yield* Effect.fork(
        Effect.async<string>((resume) => {
          server.once("connection", (socket: Net.Socket) => {
            socket.once("data", (head) => {
              socket.end(accepting(head.toString()))
              socket.resume()
              resume(Effect.succeed(head.toString()))
            })
          })
        })
      )
      yield* Effect.yieldNow()
      const socket = yield* connect("ws://chat.test/a?b=c", { unixPath: path })
      assert.match(yield* Fiber.join(target), /^GET \/a\?b=c HTTP\/1\.1\r\nHost: chat\.test\r\n/)
      assert.deepStrictEqual(socket.info.remoteAddress, { _tag: "UnixAddress", path })
      assert.deepInclude(yield* socket.closed, { _tag: "ConnectionClosed", code: 1006 })
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("client opens many connections at once, each with its own key", () =>
    Effect.gen(function* () {
      const server = yield* serveWs()
      const sockets = yield* Effect.all(
        Array.from({ length: 50 }, () => connect(server.url)),
        {
          concurrency: "unbounded"
        }
      )
      assert.strictEqual(new Set(sockets.map(({ request }) => request.key)).size, 50)
      const outcomes = yield* Effect.forEach(sockets, (socket) => socket.close(), { concurrency: "unbounded" })
      assert.isTrue(outcomes.every(({ clean }) => clean))
    }).pipe(Effect.scoped, withoutLeaks)
  )
})

describe("NodeWebSocketClient: no connection", () => {
  it.live("client fails with the address when nobody listens there", () =>
    Effect.gen(function* () {
      const port = yield* freePort
      const reason = yield* reasonOf(`ws://127.0.0.1:${port}/`)
      assert.strictEqual(reason._tag, "Transport")
      if (reason._tag !== "Transport") return
      assert.deepInclude(reason.error, { _tag: "TransportError", operation: "connect", address: `127.0.0.1:${port}` })
      assert.deepInclude(reason.error.cause, { code: "ECONNREFUSED" })
      assert.include(reason.error.message, `failed to connect to 127.0.0.1:${port}: `)
    }).pipe(withoutLeaks)
  )

  it.live("client fails with the path when there is no such unix socket", () =>
    Effect.gen(function* () {
      const reason = yield* reasonOf("ws://localhost/", { unixPath: "/nothing/here" })
      assert.deepInclude(reason._tag === "Transport" ? reason.error : reason, {
        operation: "connect",
        address: "/nothing/here"
      })
    }).pipe(withoutLeaks)
  )

  it.live(
    "client fails with the name when that can't be resolved",
    () =>
      Effect.gen(function* () {
        // RFC 6761 6.4: a name that no resolver knows.
        const reason = yield* reasonOf("ws://nothing.invalid/", { handshakeTimeout: "1 minute" })
        assert.deepInclude(reason._tag === "Transport" ? reason.error : reason, {
          operation: "resolve",
          address: "nothing.invalid:80"
        })
      }).pipe(withoutLeaks),
    // Where the network swallows the question, the resolver of the system takes its time.
    60_000
  )

  it.live("client fails for a URL that is none for a WebSocket, and keeps its password to itself", () =>
    Effect.gen(function* () {
      for (const url of ["http://localhost/", "ws://localhost/#top", "ws://", "nonsense"]) {
        assert.strictEqual((yield* reasonOf(url))._tag, "InvalidUrl", url)
      }
      const reason = yield* reasonOf("ws://user:secret%ff@localhost/")
      assert.strictEqual(reason._tag, "InvalidUrl")
      assert.notInclude(JSON.stringify(reason), "secret")
    }).pipe(withoutLeaks)
  )

  it.scopedLive("client destroys the transport when the fields that it is to send are invalid", () =>
    Effect.gen(function* () {
      const server = yield* rawServer
      const reason = yield* reasonOf(server.url, { headers: { "X-A": "a\r\nb: c" } })
      assert.strictEqual(reason._tag, "InvalidFieldValue")
      const peer = yield* server.next
      assert.deepStrictEqual(yield* peer.next, { _tag: "End" })
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("client fails when the server hangs up before it has answered", () =>
    Effect.gen(function* () {
      const server = yield* rawServer
      const connecting = yield* Effect.fork(reasonOf(server.url))
      const first = yield* server.next
      first.send(Buffer.from("HTTP/1.1 101 Sw"))
      first.socket.end()
      assert.strictEqual((yield* Fiber.join(connecting))._tag, "PeerGone")
      const again = yield* Effect.fork(reasonOf(server.url))
      const second = yield* server.next
      yield* second.next
      second.socket.resetAndDestroy()
      const reason = yield* Fiber.join(again)
      assert.deepInclude(reason._tag === "Transport" ? reason.error : reason, {
        operation: "read",
        address: server.url.slice("ws://".length)
      })
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("client fails with the check that the answer fails, and ends the transport", () =>
    Effect.gen(function* () {
      const server = yield* rawServer
      const answers: ReadonlyArray<readonly [tag: string, answer: (head: string) => Buffer]> = [
        ["Declined", () => Buffer.from("HTTP/1.1 302 Found\r\nLocation: ws://elsewhere/\r\nContent-Length: 0\r\n\r\n")],
        ["WrongAccept", () => accepting("Sec-WebSocket-Key: x")],
        ["UnrequestedExtension", (head) => accepting(head, "Sec-WebSocket-Extensions: permessage-deflate\r\n")],
        ["UnrequestedSubprotocol", (head) => accepting(head, "Sec-WebSocket-Protocol: chat\r\n")]
      ]
      for (const [tag, answer] of answers) {
        const connecting = yield* Effect.fork(reasonOf(server.url))
        const peer = yield* server.next
        const request = yield* peer.next
        peer.send(answer(request._tag === "Head" ? request.head : ""))
        assert.strictEqual((yield* Fiber.join(connecting))._tag, tag)
        assert.include(["End", "Closed"], (yield* peer.next)._tag)
      }
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("client skips an interim answer", () =>
    Effect.gen(function* () {
      const server = yield* rawServer
      const connecting = yield* Effect.fork(connect(server.url))
      const peer = yield* server.next
      peer.send(Buffer.from("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"))
      yield* acceptRaw(peer, "81 02 68 69")
      const socket = yield* Fiber.join(connecting)
      assert.deepInclude(yield* socket.receive, { text: "hi" })
      peer.socket.destroy()
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scoped("client fails with a timeout when the server takes connections and says nothing", () =>
    Effect.gen(function* () {
      const server = yield* rawServer
      const connecting = yield* Effect.fork(reasonOf(server.url, { handshakeTimeout: "3 seconds" }))
      const peer = yield* server.next
      yield* peer.next
      yield* TestClock.adjust("2999 millis")
      yield* Effect.repeatN(turn, 10)
      assert.isNull(connecting.unsafePoll())
      yield* TestClock.adjust("151 millis")
      const reason = yield* Fiber.join(connecting)
      assert.deepInclude(reason, { _tag: "Timeout", phase: "head" })
      assert.include(["End", "Closed"], (yield* peer.next)._tag)
    })
  )

  it.scopedLive("client that is interrupted during the opening handshake ends the transport", () =>
    Effect.gen(function* () {
      const server = yield* rawServer
      const connecting = yield* Effect.fork(Effect.scoped(connect(server.url)))
      const peer = yield* server.next
      yield* peer.next
      assert.isTrue(Exit.isInterrupted(yield* Fiber.interrupt(connecting)))
      assert.include(["End", "Closed"], (yield* peer.next)._tag)
    }).pipe(Effect.scoped, withoutLeaks)
  )
})

describe("NodeWebSocketClient: a server made by hand", () => {
  const connected = (...more: ReadonlyArray<string>) =>
    Effect.gen(function* () {
      const server = yield* rawServer
      const connecting = yield* Effect.fork(connect(server.url))
      const peer = yield* server.next
      yield* acceptRaw(peer, ...more)
      return { socket: yield* Fiber.join(connecting), peer }
    })

  it.scopedLive("client receives messages that come in one segment with the 101", () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* connected("81 03 6f 6e 65", "82 01 ff", "88 02 03 e8")
      assert.deepInclude(yield* socket.receive, { text: "one" })
      assert.deepStrictEqual([...(yield* socket.receive).bytes], [255])
      assert.deepInclude(yield* Effect.flip(socket.receive), { code: 1000, clean: true })
      assert.strictEqual(yield* peer.nextFrame, "8 03 e8")
      peer.socket.end()
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("client masks every frame, each with a key of its own", () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* connected()
      const keys = new Set<string>()
      peer.socket.on("data", (chunk) => keys.add(chunk.subarray(2, 6).toString("hex")))
      for (let i = 0; i < 8; i++) {
        yield* socket.send("same")
        const frame = yield* peer.next
        assert.isTrue(frame._tag === "Frame" && frame.masked && frame.payload.toString() === "same")
      }
      assert.strictEqual(keys.size, 8)
      peer.socket.destroy()
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("client waits for the server to end the transport after the closing handshake", () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* connected()
      const closing = yield* Effect.fork(socket.close({ code: 1000, reason: "bye" }))
      assert.strictEqual(yield* peer.nextFrame, "8 03 e8 62 79 65")
      peer.send("88 02 03 e8")
      yield* Effect.repeatN(turn, 10)
      // 7.1.1: the server ends first.
      assert.isFalse(peer.socket.readableEnded)
      peer.socket.end()
      assert.deepInclude(yield* Fiber.join(closing), { code: 1000, clean: true })
      assert.deepStrictEqual(yield* peer.next, { _tag: "End" })
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scoped("client ends a transport that the server leaves open after the closing handshake", () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* connected()
      const closing = yield* Effect.fork(socket.close())
      yield* peer.next
      peer.send("88 02 03 e8")
      yield* Effect.repeatN(turn, 10)
      yield* TestClock.adjust("4999 millis")
      yield* Effect.repeatN(turn, 10)
      assert.isFalse(peer.socket.readableEnded)
      yield* TestClock.adjust("251 millis")
      assert.deepInclude(yield* Fiber.join(closing), { code: 1000, clean: true })
      assert.include(["End", "Closed"], (yield* peer.next)._tag)
    })
  )

  it.scoped("client fails to close by the deadline when the server never answers its Close frame", () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* connected()
      const closing = yield* Effect.fork(Effect.flip(socket.close()))
      assert.strictEqual(yield* peer.nextFrame, "8 03 e8")
      yield* TestClock.adjust("5250 millis")
      assert.deepInclude(yield* Fiber.join(closing), { _tag: "ConnectionTimeout", phase: "close" })
      assert.include(["End", "Closed"], (yield* peer.next)._tag)
    })
  )

  it.scoped("client that leaves its scope gives up on a silent server after a second", () =>
    Effect.gen(function* () {
      const server = yield* rawServer
      const leaving = yield* Effect.fork(Effect.scoped(connect(server.url)))
      const peer = yield* server.next
      yield* acceptRaw(peer)
      assert.strictEqual(yield* peer.nextFrame, "8 03 e8")
      yield* TestClock.adjust("999 millis")
      yield* Effect.repeatN(turn, 10)
      assert.isFalse(peer.socket.readableEnded)
      yield* TestClock.adjust("51 millis")
      yield* Fiber.join(leaving)
      assert.include(["End", "Closed"], (yield* peer.next)._tag)
    })
  )

  it.scopedLive("client fails with the operation and the address when the transport is reset", () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* connected()
      peer.socket.resetAndDestroy()
      const error = yield* Effect.flip(socket.receive)
      assert.deepInclude(error, { _tag: "TransportError", operation: "read" })
      assert.match(error.message, /^The transport failed to read from 127\.0\.0\.1:\d+: read ECONNRESET$/)
    }).pipe(Effect.scoped, withoutLeaks)
  )
})

describe("NodeWebSocketClient: release", () => {
  it.scopedLive("client closes each of its connections with 1000 when their scope ends", () =>
    Effect.gen(function* () {
      const server = yield* serveWs()
      const program = Effect.gen(function* () {
        yield* WebSocket.connect(server.url)
        yield* WebSocket.connect(server.url)
        return [(yield* server.next)[0], (yield* server.next)[0]]
      })
      const peers = yield* program.pipe(Effect.scoped, Effect.provide(NodeWebSocketClient.layer))
      for (const peer of peers) {
        assert.deepStrictEqual(yield* peer.next, close(1000))
        assert.strictEqual(peer.socket.readyState, Ws.WebSocket.CLOSED)
      }
    }).pipe(Effect.scoped, withoutLeaks)
  )
})
