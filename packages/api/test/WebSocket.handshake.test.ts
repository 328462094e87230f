import * as WebSocket from "@effect-ws/api/WebSocket"
import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"
import * as Frames from "./support/frames.ts"
import { leavesNothing, makePair, settled } from "./support/leaks.ts"
import { headBytes, Peer, sampleAccept } from "./support/Peer.ts"

const isDone = (fiber: Fiber.RuntimeFiber<unknown, unknown>) => Effect.map(fiber.poll, Option.isSome)

const textOf = (socket: WebSocket.WebSocket) =>
  Effect.map(socket.receive, (message) => (message._tag === "Text" ? message.text : ""))

/** A pair of transports, and the peer as a server of ours. */
const serverPeer = Effect.map(makePair(), (pair) => ({ pair, peer: new Peer(pair.server, "server") }))

describe("WebSocket.handshake", () => {
  const host = "server.example.com"

  it.effect("client writes a request with what it was given", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { pair, peer } = yield* serverPeer
        const opening = yield* Effect.fork(
          WebSocket.handshake(pair.client, {
            host,
            target: "/chat?x=1",
            subprotocols: ["a", "b"],
            origin: "https://example.com",
            headers: { Authorization: "Bearer 1" }
          })
        )
        yield* peer.acceptRequest("Sec-WebSocket-Protocol: b", "X-Field: 1")
        const socket = yield* Fiber.join(opening)
        const key = peer.field("Sec-WebSocket-Key")!
        assert.match(key, /^[A-Za-z0-9+/]{22}==$/)
        assert.strictEqual(
          peer.head,
          [
            "GET /chat?x=1 HTTP/1.1",
            `Host: ${host}`,
            "Upgrade: websocket",
            "Connection: Upgrade",
            `Sec-WebSocket-Key: ${key}`,
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Protocol: a, b",
            "Origin: https://example.com",
            "Authorization: Bearer 1"
          ].join("\r\n")
        )
        assert.strictEqual(socket.subprotocol, "b")
        assert.deepInclude(socket.response.fields, ["X-Field", "1"])
      })
    )
  )

  it.effect("client delivers the frames that came behind the response", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { pair, peer } = yield* serverPeer
        const opening = yield* Effect.fork(WebSocket.handshake(pair.client, { host }))
        yield* peer.awaitHead
        peer.send(
          headBytes(
            "HTTP/1.1 101 OK",
            "Upgrade: WebSocket",
            "Connection: upgrade",
            `Sec-WebSocket-Accept: ${peer.acceptValue}`
          ),
          peer.text("a"),
          peer.close(1000)
        )
        peer.end()
        const socket = yield* Fiber.join(opening)
        assert.strictEqual(yield* textOf(socket), "a")
        assert.deepInclude(yield* Effect.flip(socket.receive), { _tag: "ConnectionClosed", clean: true })
        yield* socket.closed
      })
    )
  )

  it.effect("client skips interim responses, and not without a bound", () =>
    leavesNothing(
      Effect.gen(function* () {
        const first = yield* serverPeer
        const opening = yield* Effect.fork(WebSocket.handshake(first.pair.client, { host }))
        yield* first.peer.awaitHead
        first.peer.send(headBytes("HTTP/1.1 100 Continue"), headBytes("HTTP/1.1 103 Early Hints", "Link: </a>"))
        yield* settled
        yield* first.peer.acceptRequest()
        yield* Fiber.join(opening)

        const second = yield* serverPeer
        const failing = yield* Effect.fork(Effect.flip(WebSocket.handshake(second.pair.client, { host })))
        yield* second.peer.awaitHead
        second.peer.send(...Array.from({ length: 17 }, () => headBytes("HTTP/1.1 103 Early Hints")))
        assert.deepInclude((yield* Fiber.join(failing)).reason, { _tag: "TooManyInterimResponses", limit: 16 })
      })
    )
  )

  const upgrade = ["Upgrade: websocket", "Connection: Upgrade"]
  const wrong: ReadonlyArray<readonly [string, (accept: string) => Uint8Array, object]> = [
    [
      "declines",
      () =>
        headBytes("HTTP/1.1 401 Unauthorized", "WWW-Authenticate: Bearer", "Content-Length: 0", "Connection: close"),
      {
        _tag: "Declined",
        status: 401,
        headers: [
          ["WWW-Authenticate", "Bearer"],
          ["Content-Length", "0"],
          ["Connection", "close"]
        ]
      }
    ],
    [
      "redirects",
      () => headBytes("HTTP/1.1 302 Found", "Location: /a", "Content-Length: 0", "Connection: close"),
      { _tag: "Declined", status: 302 }
    ],
    [
      "answers 200",
      () => headBytes("HTTP/1.1 200 OK", "Content-Length: 0", "Connection: close"),
      { _tag: "Declined", status: 200 }
    ],
    [
      "sends a wrong accept value",
      () => headBytes("HTTP/1.1 101 OK", ...upgrade, `Sec-WebSocket-Accept: ${sampleAccept}`),
      { _tag: "WrongAccept" }
    ],
    ["sends no accept value", () => headBytes("HTTP/1.1 101 OK", ...upgrade), { _tag: "MissingAccept" }],
    [
      "sends no Upgrade field",
      (accept) => headBytes("HTTP/1.1 101 OK", "Connection: Upgrade", `Sec-WebSocket-Accept: ${accept}`),
      { _tag: "MissingUpgrade" }
    ],
    [
      "chooses a subprotocol that was not offered",
      (accept) =>
        headBytes("HTTP/1.1 101 OK", ...upgrade, `Sec-WebSocket-Accept: ${accept}`, "Sec-WebSocket-Protocol: x"),
      { _tag: "UnrequestedSubprotocol" }
    ],
    [
      "uses an extension that was not offered",
      (accept) =>
        headBytes("HTTP/1.1 101 OK", ...upgrade, `Sec-WebSocket-Accept: ${accept}`, "Sec-WebSocket-Extensions: x"),
      { _tag: "UnrequestedExtension" }
    ],
    ["sends no HTTP", () => Frames.utf8("hello\r\n\r\n"), { _tag: "MalformedHead" }],
    [
      "sends a head that is too large",
      () => headBytes("HTTP/1.1 101 OK", `X: ${"x".repeat(9000)}`),
      { _tag: "HeadTooLarge" }
    ]
  ]

  for (const [name, bytes, reason] of wrong) {
    it.effect(`client fails when the server ${name}, and destroys the transport`, () =>
      leavesNothing(
        Effect.gen(function* () {
          const { pair, peer } = yield* serverPeer
          const opening = yield* Effect.fork(
            Effect.flip(WebSocket.handshake(pair.client, { host, subprotocols: ["a"] }))
          )
          yield* peer.awaitHead
          peer.send(bytes(peer.acceptValue))
          const error = yield* Fiber.join(opening)
          assert.deepInclude(error.reason, reason)
          assert.strictEqual(error.role, "client")
          assert.isUndefined(error.answer)
          assert.isFalse(error.reusable)
          assert.isFalse(pair.client.ledger.isOpen)
          yield* peer.awaitClosed
        })
      )
    )
  }

  it.effect("client fails for what it can't ask for, writes nothing, and destroys the transport", () =>
    leavesNothing(
      Effect.gen(function* () {
        const asks = [
          { host: "a b" },
          { host, target: "no-slash" },
          { host, headers: { Host: "x" } },
          { host, headers: { "X-A": "a\r\nb" } },
          { host, subprotocols: ["a", "a"] },
          { host, origin: "a\nb" }
        ]
        for (const ask of asks) {
          const { pair, peer } = yield* serverPeer
          const error = yield* Effect.flip(WebSocket.handshake(pair.client, ask))
          assert.strictEqual(error.role, "client")
          assert.strictEqual(pair.client.ledger.bytesWritten, 0)
          yield* peer.awaitClosed
        }
      })
    )
  )

  it.effect("client fails when the server goes away", () =>
    leavesNothing(
      Effect.gen(function* () {
        for (const leave of ["end", "destroy"] as const) {
          const { pair, peer } = yield* serverPeer
          const opening = yield* Effect.fork(Effect.flip(WebSocket.handshake(pair.client, { host })))
          yield* peer.awaitHead
          peer.send("48 54 54 50")
          yield* settled
          peer[leave]()
          assert.strictEqual((yield* Fiber.join(opening)).reason._tag, "PeerGone")
          yield* peer.awaitClosed
        }
      })
    )
  )

  it.effect("client fails when the response doesn't come in time", () =>
    leavesNothing(
      Effect.gen(function* () {
        for (const [handshakeTimeout, millis] of [
          [undefined, 10_000],
          ["1 second", 1000]
        ] as const) {
          const { pair, peer } = yield* serverPeer
          const opening = yield* Effect.fork(Effect.flip(WebSocket.handshake(pair.client, { host, handshakeTimeout })))
          yield* peer.awaitHead
          peer.send("48")
          yield* TestClock.adjust(millis - 1)
          assert.isFalse(yield* isDone(opening))
          yield* TestClock.adjust(1 + Math.max(50, millis / 20))
          const { reason } = yield* Fiber.join(opening)
          assert.deepInclude(reason, { _tag: "Timeout", phase: "head" })
          assert.strictEqual(reason._tag === "Timeout" && Duration.toMillis(reason.duration), millis)
          yield* peer.awaitClosed
        }
      })
    )
  )

  it.effect("client forgets the deadline of the opening handshake once it is done", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { pair, peer } = yield* serverPeer
        const opening = yield* Effect.fork(WebSocket.handshake(pair.client, { host }))
        yield* peer.acceptRequest()
        const socket = yield* Fiber.join(opening)
        yield* TestClock.adjust("1 minute")
        peer.sendText("still here")
        assert.strictEqual(yield* textOf(socket), "still here")
      })
    )
  )
})
