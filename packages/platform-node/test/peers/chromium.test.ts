import type { AcceptOptions } from "@effect-ws/api/AcceptOptions"
import * as WebSocket from "@effect-ws/api/WebSocket"
import * as NodeWebSocketServer from "@effect-ws/platform-node/NodeWebSocketServer"
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { describeChromium } from "../support/chromium.ts"
import { withoutLeaks } from "../support/leaks.ts"
import { close, opened, text } from "../support/peers.ts"
import { httpPort, httpServer, serve, serveSockets } from "../support/serving.ts"

/** Our server attached to the one that serves the page. */
const served = (options?: AcceptOptions) =>
  Effect.gen(function* () {
    const http = yield* httpServer
    const server = yield* serveSockets(NodeWebSocketServer.layerAttached(http), options)
    return { ...server, origin: `http://127.0.0.1:${httpPort(http)}` }
  })

describeChromium("server, a page in Chromium as the client", (connectFrom) => {
  it.scopedLive("server accepts a page that was served beside it, and sees where it comes from", () =>
    Effect.gen(function* () {
      const server = yield* served({ subprotocols: ["chat.v2"] })
      const peer = yield* connectFrom(server.origin)(server.url, { subprotocols: ["chat.v1", "chat.v2"] })
      assert.deepStrictEqual(yield* peer.next, opened("chat.v2"))
      const socket = yield* server.nextSocket
      assert.deepInclude(socket.request, { origin: server.origin, subprotocols: ["chat.v1", "chat.v2"] })
      assert.strictEqual(socket.subprotocol, "chat.v2")
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("server refuses a page of another origin, which gets an error, and logs both", () =>
    Effect.gen(function* () {
      const server = yield* served()
      const { origin } = yield* served()
      const peer = yield* connectFrom(origin)(server.url)
      assert.strictEqual((yield* peer.next)._tag, "Error")
      assert.deepStrictEqual(yield* peer.next, close(1006))
      assert.strictEqual(server.logged.length, 1)
      assert.include(server.logged[0], origin)
      assert.include(server.logged[0], `127.0.0.1:${server.port}`)
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("server takes a page of another origin that it lists", () =>
    Effect.gen(function* () {
      const { origin } = yield* served()
      const server = yield* served({ origin: [origin] })
      const peer = yield* connectFrom(origin)(server.url)
      assert.deepStrictEqual(yield* peer.next, opened())
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("server that speaks first, right behind its 101, is heard, and then closes", () =>
    Effect.gen(function* () {
      const http = yield* httpServer
      const server = yield* serve(NodeWebSocketServer.layerAttached(http), (exchange) =>
        Effect.gen(function* () {
          const socket = yield* WebSocket.accept(exchange)
          yield* socket.send("early")
          yield* socket.send(Uint8Array.of(1))
          yield* socket.close({ code: 4000, reason: "that was it ✓" })
        })
      )
      const peer = yield* connectFrom()(server.url)
      assert.deepStrictEqual([yield* peer.next, yield* peer.next], [opened(), text("early")])
      assert.deepInclude(yield* peer.next, { _tag: "Binary", bytes: Uint8Array.of(1) })
      assert.deepStrictEqual(yield* peer.next, close(4000, "that was it ✓"))
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("server declines permessage-deflate, which the page offers", () =>
    Effect.gen(function* () {
      const server = yield* served()
      const peer = yield* connectFrom()(server.url)
      assert.deepStrictEqual(yield* peer.next, opened("", ""))
      const socket = yield* server.nextSocket
      assert.deepStrictEqual(
        socket.request.extensions.map(({ name }) => name),
        ["permessage-deflate"]
      )
      peer.send("x".repeat(1000))
      assert.deepInclude(yield* socket.receive, { text: "x".repeat(1000) })
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("server sees a page that is left close with 1001", () =>
    Effect.gen(function* () {
      const server = yield* served()
      const socket = yield* Effect.scoped(Effect.flatMap(connectFrom()(server.url), () => server.nextSocket))
      assert.deepInclude(yield* socket.closed, { received: { code: 1001, reason: "" }, clean: true })
    }).pipe(Effect.scoped, withoutLeaks)
  )
})
