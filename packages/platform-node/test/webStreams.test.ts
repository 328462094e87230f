/** The streams of the WHATWG over a real connection. */
import * as NodeWebSocketServer from "@effect-ws/platform-node/NodeWebSocketServer"
import * as WebSocket from "@effect-ws/api/WebSocket"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Crypto from "node:crypto"
import { withoutLeaks } from "./support/leaks.ts"
import { connect, serveSockets } from "./support/serving.ts"
import { until } from "./support/sockets.ts"

const settle = <A>(promise: Promise<A>) => Effect.tryPromise({ try: () => promise, catch: (error) => error })

describe("WebSocket: streams of the WHATWG over a real connection", () => {
  it.live("both sides pipe megabytes through a compressor, and end with 1000", () =>
    Effect.gen(function* () {
      const server = yield* serveSockets(NodeWebSocketServer.layer())
      const client = yield* connect(server.url)
      const other = yield* server.nextSocket
      const bytes = Crypto.randomBytes(4 * 1024 * 1024)
      const pieces = new ReadableStream<Uint8Array>({
        start: (controller) => {
          for (let i = 0; i < bytes.length; i += 100_000) controller.enqueue(bytes.subarray(i, i + 100_000))
          controller.close()
        }
      })
      const sending = settle(
        pieces.pipeThrough(new CompressionStream("gzip")).pipeTo(yield* WebSocket.toWritableStream(client))
      )
      const sent = yield* Effect.fork(sending)
      const incoming = (yield* WebSocket.toReadableStream(other)) as ReadableStream<Uint8Array>
      const back = incoming.pipeThrough(new DecompressionStream("gzip"))
      const received = yield* settle(new Response(back).arrayBuffer())
      assert.isTrue(Buffer.from(received).equals(bytes))
      yield* Fiber.join(sent)
      assert.deepInclude(yield* other.closed, { clean: true, received: { code: 1000, reason: "" } })
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.live("stream that nobody reads slows the peer", () =>
    Effect.gen(function* () {
      const marks = { sendHighWaterMark: 64 * 1024, inboxHighWaterMark: 64 * 1024 }
      const server = yield* serveSockets(NodeWebSocketServer.layer(), marks)
      const client = yield* connect(server.url, marks)
      const other = yield* server.nextSocket
      const reader = (yield* WebSocket.toReadableStream(other)).getReader()
      const writer = (yield* WebSocket.toWritableStream(client)).getWriter()
      const count = 64
      const size = 1024 * 1024
      let written = 0
      const writing = yield* Effect.fork(
        Effect.replicateEffect(
          Effect.map(
            Effect.suspend(() => settle(writer.write(new Uint8Array(size)))),
            () => written++
          ),
          count
        )
      )
      yield* until(() => Effect.runSync(other.status).isPaused && Effect.runSync(client.status).outgoing > 0)
      assert.isBelow(written, count)
      assert.isAtMost((yield* client.status).outgoing, 64 * 1024 + size + 1024)
      for (let i = 0; i < count; i++) assert.lengthOf((yield* settle(reader.read())).value as Uint8Array, size)
      yield* Fiber.join(writing)
      yield* settle(writer.close())
      assert.isTrue((yield* settle(reader.read())).done)
    }).pipe(Effect.scoped, withoutLeaks)
  )
})
