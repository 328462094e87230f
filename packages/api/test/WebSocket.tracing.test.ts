import { TracePropagation } from "@effect-ws/api/TracePropagation"
import { TransportError } from "@effect-ws/api/TransportError"
import * as WebSocket from "@effect-ws/api/WebSocket"
import * as WebSocketClient from "@effect-ws/api/WebSocketClient"
import * as WebSocketServer from "@effect-ws/api/WebSocketServer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"
import * as Tracer from "effect/Tracer"
import { open, roles } from "./support/connections.ts"
import { makeConnector, makeListener } from "./support/endpoints.ts"
import { leavesNothing, settled } from "./support/leaks.ts"
import { type Handler, request, serve } from "./support/serving.ts"
import { Tracing } from "./support/tracing.ts"

const traceId = "0af7651916cd43dd8448eb211c80319c"
const spanId = "b7ad6b7169203331"

/** Serves one request, and ends. */
const visit = <R>(handler: Handler<R>, text: string, last: Effect.Effect<unknown> = Effect.void) =>
  leavesNothing(
    Effect.gen(function* () {
      const { connect, stop } = yield* serve(handler)
      const line = yield* connect()
      yield* line.ask(text)
      yield* last
      yield* line.hangUp
      yield* stop
    })
  )

const accepting: Handler = (exchange) =>
  Effect.flatMap(WebSocket.accept(exchange, { subprotocols: ["chat"], origin: "any" }), (socket) => socket.closed)

describe("tracing: the opening handshake of a server", () => {
  it.effect(
    "server tells of a request that it accepted, without query and fields, and ends the span with the 101",
    () =>
      Effect.gen(function* () {
        const tracing = new Tracing()
        const during = Effect.sync(() => {
          const [span] = tracing.named("websocket.handshake")
          assert.deepStrictEqual(span, {
            name: "websocket.handshake",
            kind: "server",
            parent: undefined,
            traceId: span!.traceId,
            end: "good",
            attributes: {
              "client.address": "127.0.0.1",
              "http.request.method": "GET",
              "http.response.status_code": 101,
              "network.peer.address": "127.0.0.1",
              "network.peer.port": 49152,
              "network.protocol.name": "http",
              "network.protocol.version": "1.1",
              "server.address": "server.example.com",
              "server.port": 8080,
              "url.path": "/chat",
              "url.scheme": "ws",
              "websocket.id": span!.attributes["websocket.id"],
              "websocket.role": "server",
              "websocket.subprotocol": "chat"
            }
          })
        })
        const asking = request({
          Host: "server.example.com:8080",
          "Sec-WebSocket-Protocol": "chat",
          Authorization: "Bearer secret"
        })
        yield* tracing.run(visit(accepting, asking, during))
        assert.isAbove(Number(tracing.named("websocket.handshake")[0]!.attributes["websocket.id"]), 0)
        assert.notInclude(JSON.stringify(tracing.told), "secret")
        assert.notInclude(JSON.stringify(tracing.told), "room")
      })
  )

  const refusals: ReadonlyArray<readonly [type: string, status: number | undefined, handler: Handler<never>]> = [
    ["Reject", 401, () => WebSocket.reject({ status: 401 })],
    ["Unanswered", 500, () => Effect.void],
    ["HandlerFailed", 500, () => Effect.die("no")],
    ["PeerGone", undefined, () => Effect.never]
  ]
  for (const [type, status, handler] of refusals) {
    it.effect(`server says of a request that came to ${type} so, and what it answered`, () =>
      Effect.gen(function* () {
        const tracing = new Tracing()
        yield* tracing.run(visit(handler, request()))
        const [span, ...others] = tracing.told
        assert.deepInclude(span, { name: "websocket.handshake" })
        assert.strictEqual(span!.attributes["error.type"], type)
        assert.strictEqual(span!.attributes["http.response.status_code"], status)
        assert.strictEqual(span!.end, type === "Unanswered" ? "good" : "bad")
        assert.deepStrictEqual(others, [])
      })
    )
  }

  const contexts: ReadonlyArray<readonly [what: string, fields: Readonly<Record<string, string>>]> = [
    ["traceparent", { traceparent: `00-${traceId}-${spanId}-01` }],
    ["b3", { b3: `${traceId}-${spanId}-1` }],
    ["X-B3", { "X-B3-TraceId": traceId, "X-B3-SpanId": spanId }]
  ]
  for (const [what, fields] of contexts) {
    it.effect(`server goes on with the trace of a request that names it by ${what}`, () =>
      Effect.gen(function* () {
        const tracing = new Tracing()
        yield* tracing.run(visit(accepting, request(fields)))
        const [span] = tracing.named("websocket.handshake")
        assert.deepInclude(span, { traceId, parent: spanId })
      })
    )
  }

  const made: ReadonlyArray<Readonly<Record<string, string>>> = [
    { traceparent: "what-ever" },
    { traceparent: `00-${"0".repeat(32)}-${spanId}-01` },
    { b3: "<script>-1-1" },
    { "X-B3-TraceId": "x".repeat(1000), "X-B3-SpanId": spanId }
  ]
  for (const fields of made) {
    it.effect(`server begins a trace of its own for ${JSON.stringify(fields).slice(0, 50)}`, () =>
      Effect.gen(function* () {
        const tracing = new Tracing()
        yield* tracing.run(visit(accepting, request(fields)))
        assert.isUndefined(tracing.named("websocket.handshake")[0]!.parent)
      })
    )
  }

  it.effect("server that doesn't believe its clients begins a trace of its own", () =>
    Effect.gen(function* () {
      const tracing = new Tracing()
      const asking = request({ traceparent: `00-${traceId}-${spanId}-01` })
      yield* tracing.run(Effect.provideService(visit(accepting, asking), TracePropagation, false))
      assert.isUndefined(tracing.named("websocket.handshake")[0]!.parent)
    })
  )

  it.effect("handler's own spans are below that of the opening handshake, before and after the 101", () =>
    Effect.gen(function* () {
      const tracing = new Tracing()
      const handler: Handler = (exchange) =>
        Effect.withSpan(Effect.void, "before").pipe(
          Effect.zipRight(accepting(exchange)),
          Effect.zipLeft(Effect.withSpan(Effect.void, "after"))
        )
      yield* tracing.run(visit(handler, request()))
      const handshake = tracing.spans.find(({ name }) => name === "websocket.handshake")!
      for (const name of ["before", "after"]) {
        assert.deepInclude(tracing.named(name)[0], { parent: handshake.spanId, traceId: handshake.traceId })
      }
    })
  )

  it.effect("server goes on with a trace without a tracer, so that what the handler asks of others belongs to it", () =>
    Effect.gen(function* () {
      const seen: Array<unknown> = []
      const handler: Handler<never> = () =>
        Effect.map(Effect.option(Effect.currentSpan), (span) => {
          seen.push(Option.getOrUndefined(Option.map(span, ({ name, traceId }) => ({ name, traceId }))))
        })
      yield* visit(handler, request({ traceparent: `00-${traceId}-${spanId}-01` }))
      yield* visit(handler, request())
      yield* Effect.withTracerEnabled(visit(handler, request({ traceparent: `00-${traceId}-${spanId}-01` })), false)
      assert.deepStrictEqual(seen, [{ name: "websocket.handshake", traceId }, undefined, undefined])
    })
  )

  it.effect("server that serves by callbacks tells the same", () =>
    leavesNothing(
      Effect.gen(function* () {
        const tracing = new Tracing()
        const listener = makeListener()
        const server = yield* WebSocketServer.make(listener)
        const serving = WebSocketServer.serve({ onMessage: (message, socket) => socket.send(message) })
        const running = yield* Effect.fork(
          tracing.run(Effect.provideService(serving, WebSocketServer.WebSocketServer, server))
        )
        yield* settled
        const { peer } = yield* listener.connect()
        peer.sendRequest()
        peer.sendText("a", "b")
        yield* peer.awaitFrames(2)
        peer.sendClose(1000)
        yield* peer.awaitClosed
        yield* Fiber.interrupt(running)
        assert.deepStrictEqual(
          tracing.told.map(({ end, name }) => [name, end]),
          [
            ["websocket.handshake", "good"],
            ["websocket.close", "good"]
          ]
        )
      })
    )
  )
})

describe("tracing: the opening handshake of a client", () => {
  const connect = (tracing: Tracing, url: string, memory = makeConnector()) =>
    tracing
      .run(leavesNothing(Effect.exit(WebSocketClient.make(memory.connector).connect(url))))
      .pipe(Effect.zipRight(Effect.sync(() => memory.peers[0])))

  it.effect(
    "client tells what it asked for, without query and credentials, and says in the request where it belongs",
    () =>
      Effect.gen(function* () {
        const tracing = new Tracing()
        const peer = yield* connect(tracing, "wss://me:secret@example.com:8443/chat?token=secret")
        const [handshake, close] = tracing.told
        assert.deepStrictEqual(handshake, {
          name: "websocket.handshake",
          kind: "client",
          parent: undefined,
          traceId: handshake!.traceId,
          end: "good",
          attributes: {
            "http.request.method": "GET",
            "http.response.status_code": 101,
            "network.peer.address": "127.0.0.1",
            "network.peer.port": 80,
            "network.protocol.name": "http",
            "network.protocol.version": "1.1",
            "server.address": "example.com",
            "server.port": 8443,
            "url.path": "/chat",
            "url.scheme": "wss",
            "websocket.id": handshake!.attributes["websocket.id"],
            "websocket.role": "client"
          }
        })
        const id = tracing.spans[0]!.spanId
        assert.strictEqual(peer!.field("traceparent"), `00-${handshake!.traceId}-${id}-01`)
        assert.strictEqual(peer!.field("b3"), `${handshake!.traceId}-${id}-1`)
        assert.deepInclude(close, { name: "websocket.close", parent: id, end: "good" })
        assert.strictEqual(tracing.told.length, 2)
        assert.notInclude(JSON.stringify(tracing.told), "secret")
      })
  )

  it.effect("client says nothing of a span to its server when it isn't to, or when there is none", () =>
    Effect.gen(function* () {
      const tracing = new Tracing()
      const kept = yield* Effect.provideService(connect(tracing, "ws://a"), TracePropagation, false)
      assert.strictEqual(tracing.told.length, 2)
      const off = yield* Effect.withTracerEnabled(connect(new Tracing(), "ws://a"), false)
      const memory = makeConnector()
      yield* leavesNothing(WebSocketClient.make(memory.connector).connect("ws://a"))
      for (const peer of [kept, off, memory.peers[0]]) {
        assert.isString(peer!.field("Sec-WebSocket-Key"))
        assert.isUndefined(peer!.field("traceparent"))
        assert.isUndefined(peer!.field("b3"))
      }
    })
  )

  it.effect("client goes on with a trace without a tracer", () =>
    Effect.gen(function* () {
      const memory = makeConnector()
      yield* leavesNothing(WebSocketClient.make(memory.connector).connect("ws://a")).pipe(
        Effect.withParentSpan(Tracer.externalSpan({ traceId, spanId }))
      )
      assert.match(memory.peers[0]!.field("traceparent")!, new RegExp(`^00-${traceId}-[0-9a-f]{16}-01$`))
    })
  )

  it.effect("client leaves the fields alone that the program gives", () =>
    Effect.gen(function* () {
      const memory = makeConnector()
      const client = WebSocketClient.make(memory.connector, { headers: { TraceParent: "mine" } })
      yield* new Tracing().run(leavesNothing(client.connect("ws://a")))
      assert.deepStrictEqual(memory.peers[0]!.head!.match(/^traceparent: .*$/gim), ["TraceParent: mine"])
    })
  )

  it.effect("client says why there is no connection", () =>
    Effect.gen(function* () {
      const refused = new TransportError({ operation: "connect", address: "a:80", cause: new Error("refused") })
      const failing = new Tracing()
      yield* failing.run(
        Effect.exit(Effect.scoped(WebSocketClient.make(() => Effect.fail(refused)).connect("ws://a/b")))
      )
      const late = new Tracing()
      const connecting = yield* Effect.fork(connect(late, "ws://a/b", makeConnector({ accepts: false })))
      yield* settled
      yield* TestClock.adjust("11 seconds")
      yield* Fiber.join(connecting)
      const wrong = new Tracing()
      yield* connect(wrong, "http://a/b")
      for (const [tracing, type] of [
        [failing, "Transport"],
        [late, "Timeout"],
        [wrong, "InvalidUrl"]
      ] as const) {
        assert.strictEqual(tracing.told.length, 1)
        assert.deepInclude(tracing.told[0], { name: "websocket.handshake", end: "bad" })
        assert.strictEqual(tracing.told[0]!.attributes["error.type"], type)
      }
    })
  )
})

describe.each(roles)("tracing: the end of a connection of a %s", (role) => {
  it.effect(`${role} tells how it closed, in the trace of the opening handshake`, () =>
    Effect.gen(function* () {
      const tracing = new Tracing()
      let id = 0
      const closing = Effect.gen(function* () {
        const { socket } = yield* open(role)
        id = socket.id
        assert.deepStrictEqual(tracing.named("websocket.close"), [])
        yield* socket.close({ code: 4001, reason: "secret" })
      })
      yield* tracing.run(leavesNothing(closing))
      const handshake = tracing.spans.find(({ kind, name }) => name === "websocket.handshake" && kind === role)!
      assert.deepStrictEqual(tracing.named("websocket.close"), [
        {
          name: "websocket.close",
          kind: "internal",
          parent: handshake.spanId,
          traceId: handshake.traceId,
          end: "good",
          attributes: {
            "network.peer.address": "127.0.0.1",
            "network.peer.port": role === "client" ? 80 : 49152,
            "websocket.id": id,
            "websocket.role": role,
            "websocket.close.initiator": "local",
            "websocket.close.received": 4001,
            "websocket.close.sent": 4001
          }
        }
      ])
      assert.notInclude(JSON.stringify(tracing.told), "secret")
    })
  )

  it.effect(`${role} tells that the peer closed, from its Close frame on to the end of the transport`, () =>
    Effect.gen(function* () {
      const tracing = new Tracing()
      const closing = Effect.gen(function* () {
        const { peer, socket } = yield* open(role, { peer: { polite: false } })
        peer.sendClose(1000)
        yield* Effect.flip(socket.receive)
        yield* settled
        const begun = tracing.named("websocket.close")
        assert.deepStrictEqual(
          begun.map(({ end }) => end),
          ["none"]
        )
        peer.end()
        yield* socket.closed
      })
      yield* tracing.run(leavesNothing(closing))
      const [span, ...others] = tracing.named("websocket.close")
      assert.deepStrictEqual(others, [])
      assert.strictEqual(span!.end, "good")
      assert.deepInclude(span!.attributes, {
        "websocket.close.initiator": "peer",
        "websocket.close.received": 1000,
        "websocket.close.sent": 1000
      })
    })
  )

  it.effect(`${role} tells of an end that was none of its choice as an error`, () =>
    Effect.gen(function* () {
      const lost = new Tracing()
      const losing = Effect.gen(function* () {
        const { peer, socket } = yield* open(role)
        peer.destroy()
        yield* socket.closed
      })
      yield* lost.run(leavesNothing(losing))
      const faulty = new Tracing()
      const breaking = Effect.gen(function* () {
        const { peer, socket } = yield* open(role)
        peer.send(peer.frame(0x3))
        yield* Effect.flip(socket.receive)
      })
      yield* faulty.run(leavesNothing(breaking))
      for (const [tracing, type, sent] of [
        [lost, "ConnectionClosed", undefined],
        [faulty, "ProtocolError", 1002]
      ] as const) {
        const [span, ...others] = tracing.named("websocket.close")
        assert.deepStrictEqual(others, [])
        assert.strictEqual(span!.end, "bad")
        assert.strictEqual(span!.attributes["error.type"], type)
        assert.strictEqual(span!.attributes["websocket.close.sent"], sent)
      }
    })
  )

  it.effect(`${role} makes no span for messages`, () =>
    Effect.gen(function* () {
      const tracing = new Tracing()
      const talking = Effect.gen(function* () {
        const { peer, socket } = yield* open(role)
        for (const text of ["a", "b", "c"]) {
          peer.sendText(text)
          yield* Effect.flatMap(socket.receive, socket.send.bind(socket))
        }
        assert.deepStrictEqual(yield* peer.awaitFrames(3), ["text a", "text b", "text c"])
      })
      yield* tracing.run(leavesNothing(talking))
      assert.deepStrictEqual(
        tracing.told.map(({ name }) => name),
        ["websocket.handshake", "websocket.close"]
      )
    })
  )
})
