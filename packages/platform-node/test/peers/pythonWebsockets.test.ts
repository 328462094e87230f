import * as WebSocket from "@effect-ws/api/WebSocket"
import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { withoutLeaks } from "../support/leaks.ts"
import { close, pong, text, type Connect } from "../support/peers.ts"
import { describeWith } from "../support/programs.ts"
import { connectPython, python, servePython } from "../support/python.ts"
import { serverScenarios } from "../support/serverScenarios.ts"
import { connect, listeners, serve, serveSockets } from "../support/serving.ts"

/** Opens without the fields, which the scenarios don't ask for. */
const connectWithoutFields: Connect = (url, options) =>
  Effect.map(connectPython(url, options), (peer) => ({
    ...peer,
    next: Effect.map(peer.next, (event) =>
      event._tag === "Open" ? { _tag: event._tag, subprotocol: event.subprotocol, extensions: event.extensions } : event
    )
  }))

describeWith(python, "python's websockets", () => {
  serverScenarios("python's websockets", connectWithoutFields)

  for (const [listener, layer] of Object.entries(listeners)) {
    describe(`server ${listener}, python's websockets as the client`, () => {
      it.scopedLive("server and client see the fields of each other, and agree on a subprotocol", () =>
        Effect.gen(function* () {
          const server = yield* serveSockets(layer(), { subprotocols: ["chat.v2"], headers: { "X-Seen": "1" } })
          const options = { subprotocols: ["chat.v1", "chat.v2"], headers: { "X-User": "ann" } }
          const peer = yield* connectPython(server.url, options)
          const open = yield* peer.next
          assert.deepInclude(open, { _tag: "Open", subprotocol: "chat.v2" })
          assert.deepInclude(open.headers, { "x-seen": "1", "sec-websocket-protocol": "chat.v2" })
          const socket = yield* server.nextSocket
          assert.strictEqual(socket.subprotocol, "chat.v2")
          assert.deepInclude(socket.request.fields, ["X-User", "ann"])
        }).pipe(Effect.scoped, withoutLeaks)
      )

      it.scopedLive("server declines permessage-deflate, which the client offers, and both send without", () =>
        Effect.gen(function* () {
          const server = yield* serveSockets(layer())
          const peer = yield* connectPython(server.url)
          const open = yield* peer.next
          assert.deepInclude(open, { _tag: "Open", extensions: "" })
          assert.notProperty(open.headers, "sec-websocket-extensions")
          const socket = yield* server.nextSocket
          assert.deepStrictEqual(
            socket.request.extensions.map(({ name }) => name),
            ["permessage-deflate"]
          )
          peer.send("x".repeat(1000))
          assert.deepInclude(yield* socket.receive, { text: "x".repeat(1000) })
          yield* socket.send("y".repeat(1000))
          assert.deepStrictEqual(yield* peer.next, text("y".repeat(1000)))
        }).pipe(Effect.scoped, withoutLeaks)
      )

      it.scopedLive("server answers a Ping with its payload, and gets the Pong to its own", () =>
        Effect.gen(function* () {
          const server = yield* serveSockets(layer())
          const peer = yield* connectPython(server.url)
          yield* peer.next
          const socket = yield* server.nextSocket
          peer.ping("are you there?")
          assert.deepStrictEqual(yield* peer.next, pong("are you there?"))
          assert.isTrue(Duration.greaterThan(yield* socket.ping(Buffer.from("and you?")), Duration.zero))
        }).pipe(Effect.scoped, withoutLeaks)
      )

      it.scopedLive("server refuses with a status, fields and a body that the client reads", () =>
        Effect.gen(function* () {
          const server = yield* serve(layer(), () =>
            WebSocket.reject({ status: 401, headers: { "WWW-Authenticate": "Bearer" }, body: "who are you? é" })
          )
          const peer = yield* connectPython(server.url)
          const refusal = yield* peer.next
          assert.deepInclude(refusal, { _tag: "Refused", status: 401, body: "who are you? é" })
          assert.deepInclude(refusal.headers, { "www-authenticate": "Bearer", "content-length": "15" })
        }).pipe(Effect.scoped, withoutLeaks)
      )
    })
  }

  describe("client, python's websockets as the server", () => {
    it.scopedLive("client and server see the fields of each other, and agree on a subprotocol", () =>
      Effect.gen(function* () {
        const server = yield* servePython
        const socket = yield* connect(server.url, {
          subprotocols: ["news", "chat.v1"],
          headers: { "X-User": "ann" }
        })
        const open = yield* server.next
        assert.deepInclude(open, { _tag: "Open", subprotocol: "chat.v1", extensions: "" })
        assert.deepInclude(open.headers, { "x-user": "ann", "sec-websocket-protocol": "news, chat.v1" })
        assert.strictEqual(socket.subprotocol, "chat.v1")
        assert.isTrue(socket.response.fields.some(([name, value]) => name === "Server" && value.startsWith("Python/")))
      }).pipe(Effect.scoped, withoutLeaks)
    )

    it.scopedLive("client sends text and binary in order, and receives both", () =>
      Effect.gen(function* () {
        const server = yield* servePython
        const socket = yield* connect(server.url)
        yield* server.next
        const bytes = Buffer.alloc(1024 * 1024, "0123456789abc")
        yield* socket.send("é€😀")
        yield* socket.send(bytes)
        assert.deepStrictEqual(yield* server.next, text("é€😀"))
        const received = yield* server.next
        assert.isTrue(received._tag === "Binary" && bytes.equals(received.bytes))
        server.send("é€😀")
        server.send(bytes)
        assert.deepInclude(yield* socket.receive, { _tag: "Text", text: "é€😀" })
        assert.isTrue(bytes.equals((yield* socket.receive).bytes))
      }).pipe(Effect.scoped, withoutLeaks)
    )

    it.scopedLive("client answers a Ping with its payload, and gets the Pong to its own", () =>
      Effect.gen(function* () {
        const server = yield* servePython
        const socket = yield* connect(server.url)
        yield* server.next
        server.ping("are you there?")
        assert.deepStrictEqual(yield* server.next, pong("are you there?"))
        assert.isTrue(Duration.greaterThan(yield* socket.ping(Buffer.from("and you?")), Duration.zero))
      }).pipe(Effect.scoped, withoutLeaks)
    )

    it.scopedLive("client and server tell each other codes and reasons", () =>
      Effect.gen(function* () {
        const server = yield* servePython
        const first = yield* connect(server.url)
        yield* server.next
        const end = yield* first.close({ code: 3001, reason: "enough ✓" })
        assert.deepInclude(end, { clean: true, code: 3001, initiator: "local" })
        assert.deepStrictEqual(yield* server.next, close(3001, "enough ✓"))
        const second = yield* connect(server.url)
        yield* server.next
        server.close(4000, "sorry ✗")
        assert.deepInclude(yield* second.closed, {
          _tag: "ConnectionClosed",
          received: { code: 4000, reason: "sorry ✗" },
          initiator: "peer",
          clean: false
        })
        assert.deepInclude(yield* server.next, { _tag: "Close", code: 4000 })
      }).pipe(Effect.scoped, withoutLeaks)
    )

    it.scopedLive("client fails with the status and the fields of a server that declines", () =>
      Effect.gen(function* () {
        const server = yield* servePython
        const error = yield* Effect.flip(connect(`${server.url}/secret`))
        assert.deepInclude(error, { _tag: "HandshakeError", role: "client" })
        assert.deepInclude(error.reason, { _tag: "Declined", status: 403 })
        if (error.reason._tag !== "Declined") return
        assert.deepInclude(error.reason.headers, ["X-Reason", "members only"])
        assert.deepInclude(error.reason.headers, ["Content-Length", "12"])
      }).pipe(Effect.scoped, withoutLeaks)
    )
  })
})
