import * as CloseReason from "@effect-ws/core/CloseReason"
import * as WebSocket from "@effect-ws/api/WebSocket"
import { assert, describe, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { withoutLeaks } from "../support/leaks.ts"
import { binary, close, ping, pong, serveWs, text } from "../support/peers.ts"
import { connect } from "../support/serving.ts"

const connected = (options?: Parameters<typeof serveWs>[0]) =>
  Effect.gen(function* () {
    const server = yield* serveWs(options)
    const socket = yield* connect(server.url)
    const [peer, request] = yield* server.next
    return { socket, peer, raw: request.socket }
  })

const multibyte = "é€😀\u0000漢字"

describe("client, ws as the server", () => {
  it.scopedLive("client sends text and binary in order, and receives both", () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* connected()
      assert.deepInclude(socket, { role: "client", subprotocol: undefined })
      for (const data of ["hello", Uint8Array.of(0, 255), "", multibyte]) yield* socket.send(data)
      const received = [yield* peer.next, yield* peer.next, yield* peer.next, yield* peer.next]
      assert.deepStrictEqual(received, [text("hello"), binary(0, 255), text(""), text(multibyte)])
      for (const data of ["hello", Uint8Array.of(0, 255), multibyte]) peer.send(data)
      assert.deepInclude(yield* socket.receive, { _tag: "Text", text: "hello" })
      const bytes = yield* socket.receive
      assert.deepStrictEqual([bytes._tag, ...bytes.bytes], ["Binary", 0, 255])
      assert.deepInclude(yield* socket.receive, { _tag: "Text", text: multibyte })
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("client sends each kind of bytes as what it covers, and may reuse them at once", () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* connected()
      const buffer = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8)
      yield* socket.send(buffer.buffer.slice(0, 2))
      yield* socket.send(buffer.subarray(2, 4))
      yield* socket.send(new DataView(buffer.buffer, 4, 2))
      yield* socket.send(new Uint16Array(buffer.buffer, 6, 1))
      buffer.fill(0)
      for (const [a, b] of [
        [1, 2],
        [3, 4],
        [5, 6],
        [7, 8]
      ] as const) {
        assert.deepStrictEqual(yield* peer.next, binary(a, b))
      }
    })
  )

  it.scopedLive("client sends and receives messages of 1 and 5 MiB", () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* connected()
      for (const mebibytes of [1, 5]) {
        const bytes = Buffer.alloc(mebibytes * 1024 * 1024, "0123456789abc")
        yield* socket.send(bytes)
        const received = yield* peer.next
        assert.isTrue(received._tag === "Binary" && bytes.equals(received.bytes))
        peer.send(bytes)
        assert.isTrue(bytes.equals((yield* socket.receive).bytes))
        peer.send(bytes.toString())
        const message = yield* socket.receive
        assert.isTrue(message._tag === "Text" && message.text === bytes.toString())
      }
    })
  )

  it.scopedLive("client joins the fragments of a message, with control frames between them", () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* connected()
      peer.socket.send("a é", { fin: false })
      peer.socket.ping("between")
      peer.socket.send(" z", { fin: true })
      assert.deepInclude(yield* socket.receive, { _tag: "Text", text: "a é z" })
      assert.deepStrictEqual(yield* peer.next, pong("between"))
    })
  )

  it.scopedLive("client sends back a message as it came", () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* connected()
      yield* Effect.forkScoped(WebSocket.run(socket, (message) => socket.send(message)))
      peer.send(multibyte)
      peer.socket.send("a", { fin: false })
      peer.socket.send("b", { fin: true })
      peer.send(Uint8Array.of(1))
      assert.deepStrictEqual(
        [yield* peer.next, yield* peer.next, yield* peer.next],
        [text(multibyte), text("ab"), binary(1)]
      )
    })
  )

  it.scopedLive("client sends back what came right before a Close frame, then answers that", () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* connected()
      peer.send("one")
      peer.send("two")
      peer.close(1000, "enough")
      yield* WebSocket.run(socket, (message) => socket.send(message))
      assert.deepStrictEqual(
        [yield* peer.next, yield* peer.next, yield* peer.next],
        [text("one"), text("two"), close(1000)]
      )
    })
  )

  it.scopedLive("client answers a Ping with its payload, and tells a Pong's time of its own", () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* connected()
      peer.socket.ping("x")
      assert.deepStrictEqual(yield* peer.next, pong("x"))
      const taken = yield* socket.ping(Buffer.from("y"))
      assert.isTrue(Duration.greaterThan(taken, Duration.zero))
      assert.deepStrictEqual(yield* peer.next, ping("y"))
      yield* socket.pong(Buffer.from("z"))
      assert.deepStrictEqual(yield* peer.next, pong("z"))
    })
  )

  it.scopedLive("client that closes tells the server the code and the reason, and sees the answer", () =>
    Effect.gen(function* () {
      const server = yield* serveWs()
      for (const reason of [CloseReason.normal, { code: 3999, reason: "enough ✓" }, CloseReason.none]) {
        const socket = yield* connect(server.url)
        const [peer] = yield* server.next
        const end = yield* socket.close(reason)
        assert.deepInclude(end, { initiator: "local", clean: true, sent: reason })
        assert.deepStrictEqual(yield* peer.next, close(reason.code, reason.reason))
        assert.strictEqual(yield* socket.close(), end)
        const rejected = yield* Effect.flip(socket.send("late"))
        assert.strictEqual(rejected, end)
      }
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("client receives what comes before the answer to its Close frame", () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* connected()
      peer.send("first")
      peer.send("second")
      yield* socket.close()
      const received = yield* Stream.runCollect(socket.messages)
      assert.deepStrictEqual(
        Chunk.toReadonlyArray(received).map((message) => message.byteLength),
        [5, 6]
      )
    })
  )

  it.scopedLive("client ends its messages normally when the server closes with 1000, 1001 or no code", () =>
    Effect.gen(function* () {
      const server = yield* serveWs()
      for (const code of [1000, 1001, undefined]) {
        for (const consume of consumers) {
          const socket = yield* connect(server.url)
          const [peer] = yield* server.next
          peer.send("last")
          peer.close(code, code === undefined ? undefined : "bye")
          assert.deepStrictEqual(yield* consume(socket), ["last"])
          const end = yield* Effect.flip(socket.receive)
          const received = code === undefined ? CloseReason.none : { code, reason: "bye" }
          assert.deepInclude(end, { _tag: "ConnectionClosed", clean: true, initiator: "peer", received })
          assert.deepInclude(end, { sent: { code: code ?? 1005, reason: "" } })
          assert.deepStrictEqual(yield* peer.next, close(code ?? 1005))
        }
      }
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("client fails its messages when the server closes with another code", () =>
    Effect.gen(function* () {
      const server = yield* serveWs()
      for (const code of [1008, 1011, 3000]) {
        for (const consume of consumers) {
          const socket = yield* connect(server.url)
          const [peer] = yield* server.next
          peer.send("last")
          peer.close(code, "sorry")
          const error = yield* Effect.flip(consume(socket))
          assert.deepInclude(error, {
            _tag: "ConnectionClosed",
            code,
            clean: false,
            initiator: "peer",
            received: { code, reason: "sorry" }
          })
          assert.strictEqual(yield* socket.closed, error)
        }
      }
    })
  )

  it.scopedLive("client fails with an abnormal end when the server is gone without a Close frame", () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* connected()
      peer.socket.terminate()
      const error = yield* Effect.flip(socket.receive)
      assert.deepInclude(error, { _tag: "ConnectionClosed", code: 1006, clean: false })
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("client that is declined fails with the status and the fields of the answer", () =>
    Effect.gen(function* () {
      const server = yield* serveWs({
        verifyClient: (_, done) => done(false, 401, "who are you?", { "WWW-Authenticate": "Bearer" })
      })
      const error = yield* Effect.flip(connect(server.url))
      assert.deepInclude(error, { _tag: "HandshakeError", role: "client", answer: undefined })
      assert.deepInclude(error.reason, { _tag: "Declined", status: 401 })
      if (error.reason._tag !== "Declined") return
      const fields = error.reason.headers.map(([name, value]) => `${name}: ${value}`)
      assert.include(fields, "WWW-Authenticate: Bearer")
      assert.strictEqual(
        error.message,
        "The opening handshake failed: the server declined with status 401 (RFC 6455 4.1)"
      )
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("client and server agree on a subprotocol that was offered", () =>
    Effect.gen(function* () {
      const server = yield* serveWs({ handleProtocols: (offered) => [...offered][1]! })
      const socket = yield* connect(server.url, { subprotocols: ["chat.v2", "chat.v1"] })
      const [peer] = yield* server.next
      assert.deepStrictEqual([socket.subprotocol, peer.socket.protocol], ["chat.v1", "chat.v1"])
      const none = yield* connect(server.url)
      assert.strictEqual(none.subprotocol, undefined)
    })
  )

  it.scopedLive("client refuses a subprotocol that it did not offer", () =>
    Effect.gen(function* () {
      const server = yield* serveWs({ handleProtocols: () => "other" })
      const error = yield* Effect.flip(connect(server.url, { subprotocols: ["chat"] }))
      assert.strictEqual(error.reason._tag, "UnrequestedSubprotocol")
    })
  )

  it.scopedLive("client sends the path, the query, the origin and fields of the Layer and of the call", () =>
    Effect.gen(function* () {
      const server = yield* serveWs()
      yield* connect(
        `${server.url}/a%20b?c=d`,
        { origin: "https://example.com", headers: { "X-Call": "1" } },
        { headers: { "X-Layer": "2" } }
      )
      const [, { headers, url }] = yield* server.next
      assert.strictEqual(url, "/a%20b?c=d")
      assert.deepInclude(headers, {
        host: `127.0.0.1:${server.port}`,
        origin: "https://example.com",
        "x-call": "1",
        "x-layer": "2"
      })
    })
  )

  it.scopedLive("client offers no extension, and a server that would like permessage-deflate goes without", () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* connected({ perMessageDeflate: { threshold: 0 } })
      assert.strictEqual(peer.socket.extensions, "")
      assert.deepStrictEqual(socket.response.extensions, [])
      peer.send("x".repeat(1000))
      assert.deepInclude(yield* socket.receive, { text: "x".repeat(1000) })
      yield* socket.send("y".repeat(1000))
      assert.deepStrictEqual(yield* peer.next, text("y".repeat(1000)))
    })
  )

  it.scopedLive("client fails on a frame that breaks the protocol, tells the server, and keeps what came before", () =>
    Effect.gen(function* () {
      const server = yield* serveWs()
      for (const [bytes, reason, closeCode] of violations) {
        const socket = yield* connect(server.url)
        const [peer, request] = yield* server.next
        // In one segment with a good message, so that both are decoded in one go.
        request.socket.write(
          Buffer.concat([Buffer.from("8102686f", "hex"), Buffer.from(bytes.replaceAll(" ", ""), "hex")])
        )
        assert.deepInclude(yield* socket.receive, { text: "ho" }, reason)
        const error = yield* Effect.flip(socket.receive)
        if (error._tag !== "ProtocolError") assert.fail(`${reason}: ${error.message}`)
        assert.deepStrictEqual([error.reason._tag, error.closeCode], [reason, closeCode])
        assert.deepStrictEqual(yield* peer.next, close(closeCode, error.reason.message))
        assert.strictEqual(yield* socket.closed, error)
      }
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("client that leaves its scope closes with 1000, with 1011 after a failure", () =>
    Effect.gen(function* () {
      const server = yield* serveWs()
      yield* Effect.scoped(connect(server.url))
      yield* Effect.exit(Effect.scoped(Effect.zipRight(connect(server.url), Effect.fail("no"))))
      const [first] = yield* server.next
      const [second] = yield* server.next
      assert.deepStrictEqual([yield* first.next, yield* second.next], [close(1000), close(1011)])
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("client that is interrupted closes with 1001", () =>
    Effect.gen(function* () {
      const server = yield* serveWs()
      const program = Effect.flatMap(connect(server.url), (socket) =>
        Effect.zipRight(socket.send("here"), socket.receive)
      )
      const fiber = yield* Effect.fork(Effect.scoped(program))
      const [peer] = yield* server.next
      assert.deepStrictEqual(yield* peer.next, text("here"))
      assert.isTrue(Exit.isInterrupted(yield* Fiber.interrupt(fiber)))
      assert.deepStrictEqual(yield* peer.next, close(1001))
    }).pipe(Effect.scoped, withoutLeaks)
  )
})

/** `messages` and `run`, as what was received. */
const consumers = [
  (socket: WebSocket.WebSocket) =>
    Effect.map(Stream.runCollect(socket.messages), (messages) => Chunk.toReadonlyArray(messages).map(textOf)),
  (socket: WebSocket.WebSocket) =>
    Effect.suspend(() => {
      const received: Array<string> = []
      return Effect.as(
        WebSocket.run(socket, (message) => void received.push(textOf(message))),
        received
      )
    })
]

const textOf = (message: { readonly _tag: string; readonly text?: string }) => message.text ?? message._tag

const violations: ReadonlyArray<readonly [bytes: string, reason: string, closeCode: 1002 | 1007]> = [
  ["81 82 00 00 00 00 68 6f", "MaskedFrame", 1002],
  ["c1 02 68 6f", "ReservedBits", 1002],
  ["83 00", "ReservedOpcode", 1002],
  ["80 00", "UnexpectedContinuation", 1002],
  ["01 01 68 81 01 6f", "ExpectedContinuation", 1002],
  ["09 00", "FragmentedControlFrame", 1002],
  ["89 7e 00 7e", "ControlFrameTooLong", 1002],
  ["82 7e 00 7d", "NonMinimalLength", 1002],
  ["82 7f 80 00 00 00 00 00 00 00", "LengthOutOfRange", 1002],
  ["81 01 ff", "InvalidUtf8", 1007],
  ["88 01 03", "ClosePayloadTooShort", 1002],
  ["88 02 03 ed", "InvalidCloseCode", 1002],
  ["88 03 03 e8 ff", "InvalidCloseReason", 1007]
]
