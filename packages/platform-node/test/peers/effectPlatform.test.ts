import * as CloseReason from "@effect-ws/core/CloseReason"
import * as WebSocket from "@effect-ws/api/WebSocket"
import * as Socket from "@effect/platform/Socket"
import * as NodeSocket from "@effect/platform-node/NodeSocket"
import * as NodeSocketServer from "@effect/platform-node/NodeSocketServer"
import { assert, describe, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { makeInbox } from "../support/inbox.ts"
import { withoutLeaks } from "../support/leaks.ts"
import { connect, listeners, serve, serveSockets } from "../support/serving.ts"

type Data = string | Uint8Array

/** Runs a socket of `@effect/platform` in a fiber; `ended` tells with what it ended. */
const runSocket = (socket: Socket.Socket) =>
  Effect.gen(function* () {
    const received = makeInbox<Data>()
    const running = yield* Effect.forkScoped(
      Effect.either(socket.runRaw((data) => received.push(typeof data === "string" ? data : Uint8Array.from(data))))
    )
    return { next: received.next, write: yield* socket.writer, ended: Fiber.join(running) }
  })

/** Without an optional argument the default of the socket holds: a Close with 1000 or 1006 is no error. */
const connectSocket = (url: string, options?: Parameters<typeof Socket.makeWebSocket>[1]) =>
  Socket.makeWebSocket(url, options).pipe(
    Effect.provide(NodeSocket.layerWebSocketConstructor),
    Effect.flatMap(runSocket)
  )

for (const [listener, layer] of Object.entries(listeners)) {
  describe(`server ${listener}, NodeSocket as the client`, () => {
    it.scopedLive("server receives text and binary in order, and sends both", () =>
      Effect.gen(function* () {
        const server = yield* serveSockets(layer())
        const client = yield* connectSocket(server.url)
        yield* client.write("héllo")
        yield* client.write(Uint8Array.of(1, 2))
        const socket = yield* server.nextSocket
        assert.deepInclude(yield* socket.receive, { _tag: "Text", text: "héllo" })
        const message = yield* socket.receive
        assert.deepStrictEqual([message._tag, ...message.bytes], ["Binary", 1, 2])
        yield* socket.send("wörld")
        yield* socket.send(Uint8Array.of(3))
        assert.deepStrictEqual([yield* client.next, yield* client.next], ["wörld", Uint8Array.of(3)])
      }).pipe(Effect.scoped, withoutLeaks)
    )

    it.scopedLive("server sees the code and the reason of a client that closes", () =>
      Effect.gen(function* () {
        const server = yield* serveSockets(layer())
        const client = yield* connectSocket(server.url)
        yield* client.write(new Socket.CloseEvent(3002, "enough"))
        const socket = yield* server.nextSocket
        assert.deepInclude(yield* socket.closed, {
          _tag: "ConnectionClosed",
          received: { code: 3002, reason: "enough" },
          clean: false
        })
        const ended = yield* client.ended
        assert.deepInclude(ended._tag === "Left" ? ended.left : ended, { code: 3002 })
      }).pipe(Effect.scoped, withoutLeaks)
    )

    it.scopedLive("server sees a client that leaves its scope close with 1000", () =>
      Effect.gen(function* () {
        const server = yield* serveSockets(layer())
        const client = yield* Effect.fork(Effect.scoped(Effect.flatMap(connectSocket(server.url), ({ next }) => next)))
        const socket = yield* server.nextSocket
        yield* socket.send("enough")
        yield* Fiber.join(client)
        const messages = yield* Stream.runCollect(socket.messages)
        assert.isTrue(Chunk.isEmpty(messages))
        assert.deepInclude(yield* socket.closed, { received: CloseReason.normal, clean: true })
      }).pipe(Effect.scoped, withoutLeaks)
    )

    it.scopedLive("server closes with a code and a reason that the client sees", () =>
      Effect.gen(function* () {
        const server = yield* serveSockets(layer())
        const client = yield* connectSocket(server.url)
        const socket = yield* server.nextSocket
        yield* socket.close({ code: 1011, reason: "sorry" })
        const ended = yield* client.ended
        assert.deepInclude(ended._tag === "Left" ? ended.left : ended, { code: 1011, closeReason: "sorry" })
      }).pipe(Effect.scoped, withoutLeaks)
    )

    it.scopedLive("server chooses a subprotocol that the client offers, and rejects another client", () =>
      Effect.gen(function* () {
        const server = yield* serve(layer(), (exchange) =>
          exchange.request.subprotocols.includes("chat")
            ? Effect.flatMap(WebSocket.accept(exchange, { subprotocols: ["chat"] }), (socket) =>
                socket.send(`${socket.subprotocol}`)
              )
            : WebSocket.reject()
        )
        const client = yield* connectSocket(server.url, { protocols: ["news", "chat"] })
        assert.strictEqual(yield* client.next, "chat")
        const refused = yield* connectSocket(server.url)
        const ended = yield* refused.ended
        assert.deepInclude(ended._tag === "Left" ? ended.left : ended, { reason: "Open" })
      })
    )
  })
}

describe("client, NodeSocketServer as the server", () => {
  /** A server that sends every message back, and closes with 4000 when it is told to. */
  const echoServer = Effect.gen(function* () {
    const server = yield* NodeSocketServer.makeWebSocket({ port: 0, host: "127.0.0.1" })
    const ends = makeInbox<unknown>()
    yield* Effect.forkScoped(
      server.run((socket) =>
        Effect.gen(function* () {
          const write = yield* socket.writer
          const end = yield* Effect.either(
            socket.runRaw((data) => write(data === "close" ? new Socket.CloseEvent(4000, "as you wish") : data))
          )
          ends.push(end._tag === "Left" ? end.left : end)
        }).pipe(Effect.scoped)
      )
    )
    const port = server.address._tag === "TcpAddress" ? server.address.port : 0
    return { url: `ws://127.0.0.1:${port}`, nextEnd: ends.next }
  })

  it.scopedLive("client gets back text and binary", () =>
    Effect.gen(function* () {
      const server = yield* echoServer
      const socket = yield* connect(server.url)
      yield* socket.send("héllo")
      assert.deepInclude(yield* socket.receive, { _tag: "Text", text: "héllo" })
      const bytes = Buffer.alloc(1024 * 1024, "abc")
      yield* socket.send(bytes)
      assert.isTrue(bytes.equals((yield* socket.receive).bytes))
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("client tells the server its code and its reason", () =>
    Effect.gen(function* () {
      const server = yield* echoServer
      const socket = yield* connect(server.url)
      const end = yield* socket.close({ code: 3002, reason: "enough" })
      assert.deepInclude(end, { clean: true, code: 3002 })
      assert.deepInclude(yield* server.nextEnd, { code: 3002, closeReason: "enough" })
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("client fails with the code and the reason of the server", () =>
    Effect.gen(function* () {
      const server = yield* echoServer
      const socket = yield* connect(server.url)
      yield* socket.send("close")
      const error = yield* Effect.flip(Stream.runDrain(socket.messages))
      assert.deepInclude(error, { received: { code: 4000, reason: "as you wish" }, clean: false })
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("client that leaves its scope ends the server's socket without an error", () =>
    Effect.gen(function* () {
      const server = yield* echoServer
      yield* Effect.scoped(connect(server.url))
      assert.deepInclude(yield* server.nextEnd, { _tag: "Right" })
    }).pipe(Effect.scoped, withoutLeaks)
  )
})
