/** Programs that were written for the WebSocket class, on ours: those of `@effect/platform` and `@effect/rpc`, and plain ones. */
import * as WebSocketConstructor from "@effect-ws/api/WebSocketConstructor"
import * as NodeWebSocketClient from "@effect-ws/platform-node/NodeWebSocketClient"
import * as NodeWebSocketServer from "@effect-ws/platform-node/NodeWebSocketServer"
import * as StockSocket from "@effect/platform-node/NodeSocket"
import * as Socket from "@effect/platform/Socket"
import { assert, describe, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { makeInbox } from "./support/inbox.ts"
import { withoutLeaks } from "./support/leaks.ts"
import { serveWs } from "./support/peers.ts"
import * as Rpcs from "./support/rpc.ts"
import { serveEcho, serveSockets } from "./support/serving.ts"

const constructor = Layer.provide(WebSocketConstructor.layer, NodeWebSocketClient.layer)

/** Runs a socket of `@effect/platform` over our class; `ended` tells with what it ended. */
const run = (url: string, options?: Parameters<typeof Socket.makeWebSocket>[1], classes = constructor) =>
  Effect.gen(function* () {
    const context = yield* Layer.build(classes)
    const socket = yield* Effect.provide(Socket.makeWebSocket(url, options), context)
    const received = makeInbox<string | Uint8Array>()
    const running = yield* Effect.forkScoped(Effect.either(socket.runRaw((data) => received.push(data))))
    return { next: received.next, write: yield* socket.writer, ended: Fiber.join(running) }
  })

describe("the stock socket over our class", () => {
  it.scopedLive("client gets its text and its bytes back, from ws and from our server", () =>
    Effect.gen(function* () {
      const ours = yield* serveEcho(NodeWebSocketServer.layer())
      const ws = yield* serveWs()
      yield* Effect.forkScoped(
        Effect.flatMap(ws.next, ([{ socket }]) =>
          Effect.sync(() => socket.on("message", (data: Buffer, binary) => socket.send(data, { binary })))
        )
      )
      for (const { url } of [ours, ws]) {
        const client = yield* run(url)
        yield* client.write("héllo")
        assert.strictEqual(yield* client.next, "héllo")
        yield* client.write(Uint8Array.of(1, 2, 255))
        assert.deepStrictEqual(yield* client.next, Uint8Array.of(1, 2, 255))
      }
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("client offers subprotocols, and closes with the code and the reason that it writes", () =>
    Effect.gen(function* () {
      const server = yield* serveSockets(NodeWebSocketServer.layer(), { subprotocols: ["chat"] })
      const client = yield* run(server.url, { protocols: ["chat", "other"] })
      const socket = yield* server.nextSocket
      assert.strictEqual(socket.subprotocol, "chat")
      yield* client.write(new Socket.CloseEvent(3002, "enough"))
      assert.deepInclude(yield* socket.closed, { received: { code: 3002, reason: "enough" } })
      assert.deepInclude(yield* Effect.flip(Effect.flatten(client.ended)), { reason: "Close", code: 3002 })
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("client ends normally when the server closes with 1000", () =>
    Effect.gen(function* () {
      const server = yield* serveSockets(NodeWebSocketServer.layer())
      const client = yield* run(server.url)
      const socket = yield* server.nextSocket
      yield* socket.close()
      yield* Effect.flatten(client.ended)
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("client whose connection is lost fails, and succeeds over the stock class", () =>
    Effect.gen(function* () {
      const server = yield* serveSockets(NodeWebSocketServer.layer())
      const stock = yield* run(server.url, {}, StockSocket.layerWebSocketConstructor)
      yield* (yield* server.nextSocket).destroy
      assert.deepStrictEqual(yield* stock.ended, Either.void)
      const client = yield* run(server.url)
      const socket = yield* server.nextSocket
      yield* socket.destroy
      const error = yield* Effect.flip(Effect.flatten(client.ended))
      assert.deepInclude(error, { _tag: "SocketError", reason: "Read" })
      assert.deepInclude((error as any).cause.error, { _tag: "ConnectionClosed", code: 1006 })
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("client finds the reason of a failed opening handshake in the cause", () =>
    Effect.gen(function* () {
      const server = yield* serveSockets(NodeWebSocketServer.layer())
      const refused = yield* Socket.makeWebSocket(server.url).pipe(
        Effect.flatMap((socket) => Effect.flip(socket.run(() => {}))),
        Effect.provide(
          Layer.provide(WebSocketConstructor.layerWith({ origin: "http://elsewhere" }), NodeWebSocketClient.layer)
        )
      )
      assert.deepInclude(refused, { _tag: "SocketError", reason: "Open" })
      assert.deepInclude((refused as any).cause.error, { _tag: "HandshakeError" })
      assert.deepInclude((refused as any).cause.error.reason, { _tag: "Declined", status: 403 })
    }).pipe(Effect.scoped, withoutLeaks)
  )
})

describe("@effect/rpc over the stock socket and our class", () => {
  const socket = (url: string) => Layer.provide(Socket.layerWebSocket(url), constructor)
  for (const [carrierName, carrier] of Object.entries(Rpcs.carriers)) {
    it.scopedLive(`client calls, streams and interrupts over ${carrierName}`, () =>
      Effect.gen(function* () {
        const serialization = Rpcs.serializations["ndjson"]!
        const server = yield* Rpcs.serve(carrier, serialization)
        const client = yield* Rpcs.connect(socket(server.url), serialization)
        assert.strictEqual(yield* client.Double({ number: 21 }), 42)
        const all = yield* Stream.runCollect(client.Count({ to: 200 }))
        assert.deepStrictEqual(
          Chunk.toReadonlyArray(all),
          Array.from({ length: 200 }, (_, index) => index + 1)
        )
        const calling = yield* Effect.fork(client.Forever({ id: 7 }))
        assert.strictEqual(yield* server.next, "began 7")
        yield* Fiber.interrupt(calling)
        assert.strictEqual(yield* server.next, "interrupted 7")
      }).pipe(Effect.scoped, withoutLeaks)
    )
  }
})

describe("a plain program over our class", () => {
  it.scopedLive("client compresses as the class was told, says so in extensions, and its buffer empties", () =>
    Effect.gen(function* () {
      const server = yield* serveWs({ perMessageDeflate: true })
      const WebSocket = yield* Effect.provide(
        WebSocketConstructor.make({ permessageDeflate: true }),
        NodeWebSocketClient.layer
      )
      const socket = new WebSocket(server.url)
      const told = makeInbox<unknown>()
      socket.onopen = () => told.push("open")
      socket.onmessage = ({ data }) => told.push(data)
      socket.onclose = ({ code }) => told.push(code)
      const [peer] = yield* server.next
      assert.strictEqual(yield* told.next, "open")
      assert.include(socket.extensions, "permessage-deflate")
      // Large enough to be compressed slice by slice.
      const long = "abc ".repeat(200_000)
      socket.send(long)
      socket.send("behind it")
      assert.strictEqual(socket.bufferedAmount, long.length + 9)
      const [first, second] = [yield* peer.next, yield* peer.next]
      assert.isTrue(first._tag === "Text" && first.text === long)
      assert.deepInclude(second, { _tag: "Text", text: "behind it" })
      peer.send("thanks")
      assert.strictEqual(yield* told.next, "thanks")
      assert.strictEqual(socket.bufferedAmount, 0)
      socket.close(1000)
      assert.strictEqual(yield* told.next, 1000)
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("client gets ten thousand echoes in order, text and bytes by turns", () =>
    Effect.gen(function* () {
      const server = yield* serveEcho(NodeWebSocketServer.layer())
      const WebSocket = yield* Effect.provide(WebSocketConstructor.make(), NodeWebSocketClient.layer)
      const socket = new WebSocket(server.url)
      socket.binaryType = "arraybuffer"
      const count = 10_000
      const received = yield* Effect.async<Array<number>>((resume) => {
        const numbers: Array<number> = []
        socket.onopen = () => {
          for (let i = 0; i < count; i++) socket.send(i % 2 === 0 ? `${i}` : Uint32Array.of(i))
        }
        socket.onmessage = ({ data }) => {
          numbers.push(typeof data === "string" ? Number(data) : new Uint32Array(data)[0]!)
          if (numbers.length === count) resume(Effect.succeed(numbers))
        }
      })
      assert.deepStrictEqual(
        received,
        Array.from({ length: count }, (_, index) => index)
      )
      assert.strictEqual(socket.bufferedAmount, 0)
    }).pipe(Effect.scoped, withoutLeaks)
  )
})
