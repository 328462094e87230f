import * as WebSocket from "@effect-ws/api/WebSocket"
import { assert, describe, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { withoutLeaks } from "../support/leaks.ts"
import { close, connectWs, opened, openWs, ping, pong, text } from "../support/peers.ts"
import { serverScenarios } from "../support/serverScenarios.ts"
import { listeners, serve, serveEcho, serveSockets } from "../support/serving.ts"

serverScenarios("ws", connectWs)

for (const [listener, layer] of Object.entries(listeners)) {
  describe(`server ${listener}, ws as the client`, () => {
    it.scopedLive("server joins the fragments of a message, with control frames between them", () =>
      Effect.gen(function* () {
        const server = yield* serveSockets(layer())
        const peer = yield* openWs(server.url)
        const socket = yield* server.nextSocket
        peer.socket.send("a é", { fin: false })
        peer.socket.ping("between")
        peer.socket.send("", { fin: false })
        peer.socket.send(" z", { fin: true })
        peer.socket.send(Uint8Array.of(1), { fin: false })
        peer.socket.send(Uint8Array.of(2), { fin: true })
        assert.deepInclude(yield* socket.receive, { _tag: "Text", text: "a é z" })
        assert.deepStrictEqual([...(yield* socket.receive).bytes], [1, 2])
        assert.deepStrictEqual(yield* peer.next, pong("between"))
      })
    )

    it.scopedLive("server answers a Ping with its payload, and tells a Pong's time of its own", () =>
      Effect.gen(function* () {
        const server = yield* serveSockets(layer())
        const peer = yield* openWs(server.url)
        const socket = yield* server.nextSocket
        peer.socket.ping("x".repeat(125))
        peer.socket.ping()
        assert.deepStrictEqual([yield* peer.next, yield* peer.next], [pong("x".repeat(125)), pong("")])
        const taken = yield* socket.ping(Buffer.from("are you there?"))
        assert.isTrue(Duration.greaterThan(taken, Duration.zero))
        assert.deepStrictEqual(yield* peer.next, ping("are you there?"))
        yield* socket.pong(Buffer.from("unasked"))
        assert.deepStrictEqual(yield* peer.next, pong("unasked"))
        peer.socket.pong("unasked")
        peer.send("still open")
        assert.deepInclude(yield* socket.receive, { text: "still open" })
      })
    )

    it.scopedLive("server fails with an abnormal end when the client is gone without a Close frame", () =>
      Effect.gen(function* () {
        const server = yield* serveSockets(layer())
        const peer = yield* openWs(server.url)
        const socket = yield* server.nextSocket
        peer.send("last")
        assert.deepInclude(yield* socket.receive, { text: "last" })
        peer.socket.terminate()
        const error = yield* Effect.flip(socket.receive)
        assert.deepInclude(error, { _tag: "ConnectionClosed", code: 1006, clean: false, received: undefined })
        assert.strictEqual(yield* Effect.flip(Stream.runDrain(socket.messages)), error)
        assert.strictEqual(yield* Effect.flip(WebSocket.run(socket, () => {})), error)
        assert.strictEqual(yield* Effect.flip(socket.send("x")), error)
        assert.strictEqual(yield* Effect.flip(socket.ping()), error)
        assert.strictEqual(yield* Effect.flip(socket.close()), error)
        assert.strictEqual(yield* socket.closed, error)
      }).pipe(Effect.scoped, withoutLeaks)
    )

    it.scopedLive("server refuses with a status, fields and a body", () =>
      Effect.gen(function* () {
        const server = yield* serve(layer(), ({ request }) =>
          request.path === "/default"
            ? WebSocket.reject()
            : WebSocket.reject({ status: 401, headers: { "WWW-Authenticate": "Bearer" }, body: "who are you? é" })
        )
        const peer = yield* connectWs(`${server.url}/secret`)
        const refusal = yield* peer.next
        assert.deepInclude(refusal, { _tag: "Refused", status: 401, body: "who are you? é" })
        if (refusal._tag !== "Refused") return
        assert.deepInclude(refusal.headers, { "www-authenticate": "Bearer", "content-length": "15" })
        const other = yield* connectWs(`${server.url}/default`)
        assert.deepInclude(yield* other.next, { _tag: "Refused", status: 403, body: "" })
      }).pipe(Effect.scoped, withoutLeaks)
    )

    it.scopedLive("server refuses a page of another origin with 403, unless its policy says otherwise", () =>
      Effect.gen(function* () {
        const server = yield* serve(layer(), (exchange) =>
          WebSocket.accept(exchange, exchange.request.path === "/any" ? { origin: "any" } : {})
        )
        const own = server.url.replace("ws:", "http:")
        const outcome = (path: string, origin: string) =>
          Effect.flatMap(connectWs(server.url + path, { origin }), ({ next }) => next)
        assert.deepInclude(yield* outcome("/", "https://other.test"), { _tag: "Refused", status: 403 })
        assert.deepInclude(yield* outcome("/", "null"), { _tag: "Refused", status: 403 })
        assert.deepStrictEqual(yield* outcome("/", own), opened())
        assert.deepStrictEqual(yield* outcome("/any", "https://other.test"), opened())
        assert.strictEqual(server.logged.length, 2)
        assert.include(server.logged[0], `"https://other.test" is not the Host "127.0.0.1:${server.port}"`)
      }).pipe(Effect.scoped, withoutLeaks)
    )

    it.scopedLive("server answers 500 when the handler fails or ends without an answer, and tells onError", () =>
      Effect.gen(function* () {
        const server = yield* serve(layer(), ({ request }) =>
          request.path === "/fails" ? Effect.fail("a secret") : Effect.void
        )
        for (const path of ["/fails", "/forgets"]) {
          const peer = yield* connectWs(server.url + path)
          const refusal = yield* peer.next
          assert.deepInclude(refusal, { _tag: "Refused", status: 500 })
          assert.notInclude(JSON.stringify(refusal), "secret")
          yield* server.nextFailure
        }
      })
    )

    it.scopedLive("server closes with 1011 when the handler fails after it accepted, and tells onError", () =>
      Effect.gen(function* () {
        const server = yield* serve(layer(), (exchange) =>
          Effect.zipRight(WebSocket.accept(exchange), Effect.fail("a secret"))
        )
        const peer = yield* connectWs(server.url)
        assert.deepStrictEqual([yield* peer.next, yield* peer.next], [opened(), close(1011)])
        yield* server.nextFailure
      })
    )

    it.scopedLive("server closes with 1000 when the handler is done", () =>
      Effect.gen(function* () {
        const server = yield* serve(layer(), (exchange) =>
          Effect.flatMap(WebSocket.accept(exchange), (socket) => socket.send("that was it"))
        )
        const peer = yield* connectWs(server.url)
        assert.deepStrictEqual(
          [yield* peer.next, yield* peer.next, yield* peer.next],
          [opened(), text("that was it"), close(1000)]
        )
      })
    )

    it.scopedLive("server declines permessage-deflate, and the client that offers it sends without", () =>
      Effect.gen(function* () {
        const server = yield* serveSockets(layer())
        const offering = yield* connectWs(server.url, {
          perMessageDeflate: { threshold: 0, serverNoContextTakeover: true }
        })
        const silent = yield* connectWs(server.url, { perMessageDeflate: false })
        for (const peer of [offering, silent]) {
          assert.deepStrictEqual(yield* peer.next, opened("", ""))
          const socket = yield* server.nextSocket
          const { extensions } = socket.request
          assert.deepStrictEqual(
            extensions.map(({ name }) => name),
            peer === offering ? ["permessage-deflate"] : []
          )
          peer.send("x".repeat(1000))
          assert.deepInclude(yield* socket.receive, { text: "x".repeat(1000) })
          yield* socket.send("y".repeat(1000))
          assert.deepStrictEqual(yield* peer.next, text("y".repeat(1000)))
        }
      })
    )

    it.scopedLive("server that gets a message over its limit closes with 1009, after those before it", () =>
      Effect.gen(function* () {
        const server = yield* serveSockets(layer({ maxMessageSize: 10 }))
        const peer = yield* openWs(server.url)
        const socket = yield* server.nextSocket
        peer.send("0123456789")
        peer.send("0123456789a")
        const received = yield* Stream.runCollect(Stream.catchAll(socket.messages, () => Stream.empty))
        assert.strictEqual(Chunk.size(received), 1)
        assert.deepInclude(yield* Effect.flip(socket.receive), { _tag: "MessageTooBig", limit: 10, size: 11 })
        assert.deepInclude(yield* peer.next, { _tag: "Close", code: 1009 })
      }).pipe(Effect.scoped, withoutLeaks)
    )

    it.scopedLive("server adds fields to its 101, and the client sees them", () =>
      Effect.gen(function* () {
        const server = yield* serve(layer(), (exchange) =>
          WebSocket.accept(exchange, {
            headers: [
              ["Set-Cookie", "a=1"],
              ["Set-Cookie", "b=2"]
            ]
          })
        )
        const peer = yield* connectWs(server.url)
        const cookies = yield* Effect.async<unknown>((resume) => {
          peer.socket.once("upgrade", ({ headers }) => resume(Effect.succeed(headers["set-cookie"])))
        })
        assert.deepStrictEqual(cookies, ["a=1", "b=2"])
      })
    )

    it.scopedLive("server keeps many connections apart", () =>
      Effect.gen(function* () {
        const server = yield* serveEcho(layer())
        const echo = (name: number) =>
          Effect.gen(function* () {
            const peer = yield* openWs(server.url)
            for (let i = 0; i < 20; i++) peer.send(`${name} ${i}`)
            for (let i = 0; i < 20; i++) assert.deepStrictEqual(yield* peer.next, text(`${name} ${i}`))
            peer.close(1000)
            assert.deepStrictEqual(yield* peer.next, close(1000))
          })
        yield* Effect.forEach(
          Array.from({ length: 50 }, (_, i) => i),
          echo,
          { concurrency: "unbounded" }
        )
      }).pipe(Effect.scoped, withoutLeaks)
    )
  })
}
