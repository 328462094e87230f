/**
 * What every client of another library must be able to do with our server, however that listens.
 */
import * as WebSocket from "@effect-ws/api/WebSocket"
import * as CloseReason from "@effect-ws/core/CloseReason"
import { assert, describe, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { withoutLeaks } from "./leaks.ts"
import { binary, close, type Connect, opened, text } from "./peers.ts"
import { listeners, serve, serveEcho, serveSockets } from "./serving.ts"

export const serverScenarios = (client: string, connect: Connect): void => {
  for (const [listener, layer] of Object.entries(listeners)) {
    describe(`server ${listener}, ${client} as the client`, () => {
      it.scopedLive("server receives text and binary in order, and sends both", () =>
        Effect.gen(function* () {
          const server = yield* serveSockets(layer())
          const peer = yield* connect(server.url)
          assert.deepStrictEqual(yield* peer.next, opened())
          const socket = yield* server.nextSocket
          assert.deepInclude(socket, { role: "server", subprotocol: undefined })
          peer.send("hello")
          peer.send(Uint8Array.of(0, 255))
          peer.send("")
          peer.send(multibyte)
          assert.deepInclude(yield* socket.receive, { _tag: "Text", text: "hello" })
          const bytes = yield* socket.receive
          assert.deepStrictEqual([bytes._tag, ...bytes.bytes], ["Binary", 0, 255])
          assert.deepInclude(yield* socket.receive, { _tag: "Text", text: "" })
          assert.deepInclude(yield* socket.receive, { _tag: "Text", text: multibyte })
          yield* socket.send("hello")
          yield* socket.send(Uint8Array.of(0, 255))
          yield* socket.send("")
          yield* socket.send(multibyte)
          const received = [yield* peer.next, yield* peer.next, yield* peer.next, yield* peer.next]
          assert.deepStrictEqual(received, [text("hello"), binary(0, 255), text(""), text(multibyte)])
        }).pipe(Effect.scoped, withoutLeaks)
      )

      it.scopedLive("server echoes messages of every length form, up to 5 MiB", () =>
        Effect.gen(function* () {
          const server = yield* serveEcho(layer())
          const peer = yield* connect(server.url)
          yield* peer.next
          for (const size of [1, 125, 126, 65_535, 65_536, 1024 * 1024, 5 * 1024 * 1024]) {
            const sent = pattern(size)
            peer.send(sent)
            const echo = yield* peer.next
            assert.isTrue(echo._tag === "Binary" && Buffer.compare(echo.bytes, sent) === 0, `${size} bytes`)
          }
          const long = multibyte.repeat(50_000)
          peer.send(long)
          const echo = yield* peer.next
          assert.isTrue(echo._tag === "Text" && echo.text === long, "a long text")
        })
      )

      it.scopedLive("server sees the code and the reason of a client that closes, and answers with the code", () =>
        Effect.gen(function* () {
          const server = yield* serveSockets(layer())
          const peer = yield* connect(server.url)
          yield* peer.next
          const socket = yield* server.nextSocket
          peer.send("last")
          peer.close(3001, "enough ✓")
          const received = yield* Effect.exit(Stream.runCollect(socket.messages))
          assert.isTrue(received._tag === "Failure")
          const end = yield* socket.closed
          assert.deepInclude(end, {
            _tag: "ConnectionClosed",
            code: 3001,
            clean: false,
            initiator: "peer",
            received: { code: 3001, reason: "enough ✓" }
          })
          assert.strictEqual((yield* peer.next)._tag === "Close" ? "closed" : "", "closed")
        }).pipe(Effect.scoped, withoutLeaks)
      )

      it.scopedLive("server ends its stream of messages when a client closes with 1000 or without a code", () =>
        Effect.gen(function* () {
          const server = yield* serveSockets(layer())
          for (const code of [1000, undefined]) {
            const peer = yield* connect(server.url)
            yield* peer.next
            const socket = yield* server.nextSocket
            peer.send("last")
            peer.close(code)
            const received = yield* Stream.runCollect(socket.messages)
            assert.deepStrictEqual(Chunk.toReadonlyArray(received).map(textOf), ["last"])
            assert.deepInclude(yield* Effect.flip(socket.receive), { clean: true, code: code ?? 1005 })
            assert.deepStrictEqual(yield* peer.next, close(code ?? 1005))
          }
        })
      )

      it.scopedLive("server closes with a code and a reason that the client sees, and sees the answer", () =>
        Effect.gen(function* () {
          const server = yield* serveSockets(layer())
          const reasons = [CloseReason.normal, { code: 1011, reason: "oh ✗" }, { code: 4999, reason: "x".repeat(123) }]
          for (const reason of [...reasons, CloseReason.none]) {
            const peer = yield* connect(server.url)
            yield* peer.next
            const socket = yield* server.nextSocket
            const end = yield* socket.close(reason)
            assert.deepInclude(end, { initiator: "local", clean: true, sent: reason, discarded: 0 })
            assert.strictEqual(end.code, reason.code)
            assert.deepStrictEqual(yield* peer.next, close(reason.code, reason.reason))
          }
        }).pipe(Effect.scoped, withoutLeaks)
      )

      it.scopedLive("server chooses its first subprotocol that the client offers", () =>
        Effect.gen(function* () {
          const server = yield* serveSockets(layer(), { subprotocols: ["chat.v3", "chat.v2", "chat.v1"] })
          const peer = yield* connect(server.url, { subprotocols: ["chat.v1", "chat.v2"] })
          assert.deepStrictEqual(yield* peer.next, opened("chat.v2"))
          const socket = yield* server.nextSocket
          assert.strictEqual(socket.subprotocol, "chat.v2")
          assert.deepStrictEqual(socket.request.subprotocols, ["chat.v1", "chat.v2"])
        })
      )

      it.scopedLive("server that rejects leaves the client without a connection", () =>
        Effect.gen(function* () {
          const server = yield* serve(layer(), (exchange) =>
            exchange.request.path === "/open" ? WebSocket.accept(exchange) : WebSocket.reject()
          )
          const refused = yield* connect(`${server.url}/secret`)
          assert.notStrictEqual((yield* refused.next)._tag, "Open")
          const accepted = yield* connect(`${server.url}/open`)
          assert.strictEqual((yield* accepted.next)._tag, "Open")
        }).pipe(Effect.scoped, withoutLeaks)
      )
    })
  }
}

const multibyte = "é€😀\u0000漢字"
const textOf = (message: { readonly _tag: string; readonly text?: string }) => message.text ?? message._tag

/** Bytes that differ along the way, so that a piece in the wrong place shows. */
const pattern = (size: number): Uint8Array => {
  const bytes = new Uint8Array(size)
  for (let i = 0; i < size; i++) bytes[i] = (i * 31 + (i >>> 8)) & 255
  return bytes
}
