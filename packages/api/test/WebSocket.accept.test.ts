import type { HandshakeError } from "@effect-ws/api/HandshakeError"
import type { UpgradeExchange } from "@effect-ws/api/UpgradeExchange"
import type { AcceptOptions, OriginPolicy } from "@effect-ws/api/AcceptOptions"
import * as WebSocket from "@effect-ws/api/WebSocket"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"
import * as Frames from "./support/frames.ts"
import { leavesNothing, makePair, settled } from "./support/leaks.ts"
import { headBytes, Peer, requestBytes, sampleAccept, sampleKey } from "./support/Peer.ts"

const isDone = (fiber: Fiber.RuntimeFiber<unknown, unknown>) => Effect.map(fiber.poll, Option.isSome)

const acceptedHead = (...fields: ReadonlyArray<string>) =>
  [
    "HTTP/1.1 101 Switching Protocols",
    "Upgrade: websocket",
    "Connection: Upgrade",
    `Sec-WebSocket-Accept: ${sampleAccept}`,
    ...fields
  ].join("\r\n")

/** A request whose fields are those of a correct one, but for those given; an empty value leaves one out. */
const request = (line: string, changes: Readonly<Record<string, string>> = {}) => {
  const fields = {
    Host: "server.example.com",
    Upgrade: "websocket",
    Connection: "Upgrade",
    "Sec-WebSocket-Key": sampleKey,
    "Sec-WebSocket-Version": "13",
    ...changes
  }
  const lines = Object.entries(fields).filter(([, value]) => value !== "")
  return headBytes(line, ...lines.map(([name, value]) => `${name}: ${value}`))
}

const get = "GET / HTTP/1.1"

/** The same head with `Connection: close` behind its other fields. */
const askingToClose = (head: Uint8Array) =>
  Frames.concat([head.subarray(0, -2), Frames.utf8("Connection: close\r\n\r\n")])

const textOf = (socket: WebSocket.WebSocket) =>
  Effect.map(socket.receive, (message) => (message._tag === "Text" ? message.text : ""))

/** A pair of transports, and the peer as a client of ours. */
const clientPeer = Effect.map(makePair(), (pair) => ({ pair, peer: new Peer(pair.client, "client") }))

describe("WebSocket.acceptTransport", () => {
  it.effect("server answers the request of RFC 6455 with exactly the accepting head", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { pair, peer } = yield* clientPeer
        peer.sendRequest()
        const socket = yield* WebSocket.acceptTransport(pair.server)
        assert.strictEqual(yield* peer.awaitHead, acceptedHead("Server: effect-ws"))
        assert.strictEqual(socket.request.target, "/chat?room=1")
        assert.strictEqual(peer.rest.length, 0)
      })
    )
  )

  it.effect("server reads a request whose bytes come one at a time", () =>
    leavesNothing(
      Effect.gen(function* () {
        const pair = yield* makePair({ readSize: 1 })
        const peer = new Peer(pair.client, "client")
        peer.send(requestBytes(), peer.text("first"))
        const socket = yield* WebSocket.acceptTransport(pair.server)
        assert.strictEqual(yield* textOf(socket), "first")
      })
    )
  )

  it.effect("server delivers the frames that came behind the head, in the same chunk and later ones", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { pair, peer } = yield* clientPeer
        const split = peer.text("second")
        peer.send(requestBytes(), peer.text("first"), split.subarray(0, 3))
        peer.send(split.subarray(3))
        const socket = yield* WebSocket.acceptTransport(pair.server)
        assert.strictEqual(yield* textOf(socket), "first")
        assert.strictEqual(yield* textOf(socket), "second")
      })
    )
  )

  it.effect("server takes bytes that were read before, and copies them", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { pair, peer } = yield* clientPeer
        const bytes = Frames.concat([requestBytes(), peer.text("first"), peer.text("second").subarray(0, 4)])
        const before = bytes.slice()
        const socket = yield* WebSocket.acceptTransport(pair.server, { bytes })
        assert.deepStrictEqual(bytes, before)
        bytes.fill(0)
        peer.send(peer.text("second").subarray(4))
        assert.strictEqual(yield* textOf(socket), "first")
        assert.strictEqual(yield* textOf(socket), "second")
      })
    )
  )

  it.effect("server takes half a request that was read before", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { pair, peer } = yield* clientPeer
        const bytes = requestBytes().slice(0, 20)
        const accepting = yield* Effect.fork(WebSocket.acceptTransport(pair.server, { bytes }))
        yield* settled
        bytes.fill(0)
        peer.send(requestBytes().subarray(20))
        yield* Fiber.join(accepting)
        assert.strictEqual(yield* peer.awaitHead, acceptedHead("Server: effect-ws"))
      })
    )
  )

  it.effect("server chooses the first of its own subprotocols that was offered, and sends its fields", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { pair, peer } = yield* clientPeer
        peer.sendRequest("Sec-WebSocket-Protocol: a, b", "Sec-WebSocket-Protocol: c")
        const socket = yield* WebSocket.acceptTransport(pair.server, {
          subprotocols: ["x", "c", "a"],
          headers: [
            ["X-One", "1"],
            ["X-One", "2"]
          ]
        })
        assert.strictEqual(socket.subprotocol, "c")
        assert.strictEqual(
          yield* peer.awaitHead,
          acceptedHead("Sec-WebSocket-Protocol: c", "X-One: 1", "X-One: 2", "Server: effect-ws")
        )
      })
    )
  )

  it.effect("server chooses no subprotocol when none is common", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { pair, peer } = yield* clientPeer
        peer.sendRequest("Sec-WebSocket-Protocol: a")
        const socket = yield* WebSocket.acceptTransport(pair.server, { subprotocols: ["x"] })
        assert.isUndefined(socket.subprotocol)
        yield* peer.awaitHead
        assert.isUndefined(peer.field("Sec-WebSocket-Protocol"))
      })
    )
  )

  const refusals: ReadonlyArray<
    readonly [name: string, bytes: Uint8Array, status: string, reason: string, field?: readonly [string, string]]
  > = [
    ["what is no HTTP", Frames.hex("16 03 01 00 0d 0a 0d 0a"), "400 Bad Request", "MalformedHead"],
    ["HTTP/1.0", request("GET / HTTP/1.0"), "505 HTTP Version Not Supported", "HttpVersion"],
    ["another method", request("POST / HTTP/1.1"), "405 Method Not Allowed", "Method", ["Allow", "GET"]],
    ["a request without a Host", request(get, { Host: "" }), "400 Bad Request", "MissingHost"],
    ["a request that asks for no upgrade", request(get, { Upgrade: "" }), "426 Upgrade Required", "MissingUpgrade"],
    [
      "a request whose Connection doesn't name the upgrade",
      request(get, { Connection: "keep-alive" }),
      "426 Upgrade Required",
      "ConnectionWithoutUpgrade",
      ["Upgrade", "websocket"]
    ],
    ["a request with a body", request(get, { "Content-Length": "5" }), "400 Bad Request", "UnexpectedBody"],
    ["a request without a key", request(get, { "Sec-WebSocket-Key": "" }), "400 Bad Request", "MissingKey"],
    [
      "a key that is no base64 of 16 bytes",
      request(get, { "Sec-WebSocket-Key": "AAAA" }),
      "400 Bad Request",
      "InvalidKey"
    ],
    [
      "another version",
      request(get, { "Sec-WebSocket-Version": "8" }),
      "426 Upgrade Required",
      "UnsupportedVersion",
      ["Sec-WebSocket-Version", "13"]
    ],
    [
      "a head that is too large",
      request(get, { "X-Large": "x".repeat(9000) }),
      "431 Request Header Fields Too Large",
      "HeadTooLarge"
    ],
    [
      "too many fields",
      request(get, Object.fromEntries(Array.from({ length: 101 }, (_, i) => [`X-${i}`, "1"]))),
      "431 Request Header Fields Too Large",
      "TooManyFields"
    ]
  ]

  for (const [name, bytes, status, reason, field] of refusals) {
    it.effect(`server refuses ${name} with ${status}, and ends the transport of who wants no other answer`, () =>
      leavesNothing(
        Effect.gen(function* () {
          const { pair, peer } = yield* clientPeer
          peer.send(askingToClose(bytes))
          const error = yield* Effect.flip(WebSocket.acceptTransport(pair.server))
          assert.strictEqual(error.reason._tag, reason)
          assert.strictEqual(error.role, "server")
          assert.isFalse(error.reusable)
          yield* peer.awaitClosed
          assert.strictEqual(peer.statusLine, `HTTP/1.1 ${status}`)
          assert.strictEqual(peer.field("Connection"), status.startsWith("426") ? "Upgrade, close" : "close")
          assert.strictEqual(peer.field("Content-Length"), `${peer.rest.length}`)
          if (field !== undefined) assert.strictEqual(peer.field(field[0]), field[1])
          assert.isUndefined(peer.error)
        })
      )
    )
  }

  it.effect("server refuses a head over the limits that were set", () =>
    leavesNothing(
      Effect.gen(function* () {
        for (const limit of [{ maxHeadSize: 100 }, { maxHeadFields: 3 }]) {
          const { pair, peer } = yield* clientPeer
          peer.sendRequest()
          yield* Effect.flip(WebSocket.acceptTransport(pair.server, limit))
          yield* peer.awaitClosed
          assert.strictEqual(peer.statusLine, "HTTP/1.1 431 Request Header Fields Too Large")
        }
      })
    )
  )

  it.effect("server answers with a 500 when its own options can't be sent", () =>
    leavesNothing(
      Effect.gen(function* () {
        for (const headers of [{ Upgrade: "h2c" }, { "X-Bad": "a\r\nb: c" }, { "Sec-WebSocket-Accept": "x" }]) {
          const { pair, peer } = yield* clientPeer
          peer.sendRequest("Connection: close")
          const error = yield* Effect.flip(WebSocket.acceptTransport(pair.server, { headers }))
          assert.include(["ReservedField", "InvalidFieldValue"], error.reason._tag)
          yield* peer.awaitClosed
          assert.strictEqual(peer.statusLine, "HTTP/1.1 500 Internal Server Error")
          assert.notInclude(Frames.toText(peer.rest), "X-Bad")
        }
      })
    )
  )

  it.effect("server fails without an answer when the peer goes away", () =>
    leavesNothing(
      Effect.gen(function* () {
        for (const bytes of [new Uint8Array(0), requestBytes().subarray(0, 50), requestBytes()]) {
          const { pair, peer } = yield* clientPeer
          peer.send(bytes)
          peer.end()
          yield* settled
          const exit = yield* Effect.exit(WebSocket.acceptTransport(pair.server))
          const error = Exit.isFailure(exit) ? Option.getOrThrow(Cause.failureOption(exit.cause)) : undefined
          assert.strictEqual(error?.reason._tag, "PeerGone")
          assert.isUndefined(error?.answer)
          yield* peer.awaitClosed
          assert.isUndefined(peer.head)
        }
      })
    )
  )

  it.effect("server tells how the transport failed", () =>
    leavesNothing(
      Effect.gen(function* () {
        const pair = yield* makePair({ failAt: 3 })
        const peer = new Peer(pair.client, "client")
        const accepting = yield* Effect.fork(Effect.flip(WebSocket.acceptTransport(pair.server)))
        yield* settled
        peer.sendRequest()
        const { reason } = yield* Fiber.join(accepting)
        assert.strictEqual(reason._tag === "Transport" && reason.error._tag, "TransportError")
      })
    )
  )

  it.effect("server answers a request that doesn't come in time with a 408", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { pair, peer } = yield* clientPeer
        peer.send(requestBytes().subarray(0, 30))
        const accepting = yield* Effect.fork(Effect.flip(WebSocket.acceptTransport(pair.server)))
        yield* settled
        yield* TestClock.adjust(9999)
        assert.isFalse(yield* isDone(accepting))
        yield* TestClock.adjust(501)
        const { reason } = yield* Fiber.join(accepting)
        assert.deepInclude(reason, { _tag: "Timeout", phase: "head" })
        assert.strictEqual(reason._tag === "Timeout" && Duration.toMillis(reason.duration), 10_000)
        yield* peer.awaitClosed
        assert.strictEqual(peer.statusLine, "HTTP/1.1 408 Request Timeout")
      })
    )
  )

  it.effect("server destroys the transport of a peer that was refused and doesn't end it", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { pair, peer } = yield* clientPeer
        peer.polite = false
        peer.send(askingToClose(request("POST / HTTP/1.1")))
        yield* Effect.flip(WebSocket.acceptTransport(pair.server))
        yield* peer.awaitEnd
        yield* TestClock.adjust(4999)
        assert.isTrue(pair.server.ledger.isOpen)
        yield* TestClock.adjust(251)
        assert.isFalse(pair.server.ledger.isOpen)
        peer.end()
      })
    )
  )

  it.effect("server drops what a refused peer still sends, up to a bound", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { pair, peer } = yield* clientPeer
        peer.polite = false
        peer.send(askingToClose(request("POST / HTTP/1.1")))
        yield* Effect.flip(WebSocket.acceptTransport(pair.server))
        for (let i = 0; i < 10 && pair.server.ledger.isOpen; i++) {
          peer.send(new Uint8Array(64 * 1024))
          yield* settled
        }
        assert.isFalse(pair.server.ledger.isOpen)
        assert.isAtLeast(pair.server.ledger.bytesDelivered, 256 * 1024)
        peer.destroy()
      })
    )
  )

  it.effect("server destroys the transport when it is interrupted", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { pair, peer } = yield* clientPeer
        const accepting = yield* Effect.fork(WebSocket.acceptTransport(pair.server))
        yield* settled
        yield* Fiber.interrupt(accepting)
        yield* peer.awaitClosed
      })
    )
  )

  it.effect("server dies of an exchange that it has not made", () =>
    Effect.gen(function* () {
      const exit = yield* Effect.exit(Effect.scoped(WebSocket.accept({} as UpgradeExchange)))
      assert.isTrue(
        Exit.isFailure(exit) && String(Option.getOrNull(Cause.dieOption(exit.cause))).includes("not made by")
      )
    })
  )

  it.effect("server dies of options that can't be meant, and says which", () =>
    Effect.gen(function* () {
      const pair = yield* makePair()
      const exit = yield* Effect.exit(Effect.scoped(WebSocket.acceptTransport(pair.server, { maxHeadSize: 0 })))
      assert.isTrue(
        Exit.isFailure(exit) && String(Option.getOrNull(Cause.dieOption(exit.cause))).includes("maxHeadSize")
      )
    })
  )
})

describe("WebSocket.accept: origins", () => {
  const accepting = (origin: string | undefined, options: AcceptOptions) =>
    Effect.gen(function* () {
      const { pair, peer } = yield* clientPeer
      if (origin === undefined) peer.sendRequest()
      else peer.sendRequest(`Origin: ${origin}`)
      const exit = yield* Effect.exit(WebSocket.acceptTransport(pair.server, options))
      yield* peer.awaitHead
      return { exit, peer }
    })

  const own = "https://server.example.com"
  const foreign = "https://evil.example"
  const cases: ReadonlyArray<readonly [string, string | undefined, OriginPolicy | undefined, boolean]> = [
    ["a request without an Origin", undefined, undefined, true],
    ["a request without an Origin whatever the policy is", undefined, [], true],
    ["a page of its own host", own, undefined, true],
    ["a page of its own host on another port", `${own}:8443`, undefined, false],
    ["a page of another host", foreign, undefined, false],
    ["a page of no host", "null", undefined, false],
    ["any page when it is told so", foreign, "any", true],
    ["a page that is listed", foreign, [foreign], true],
    ["its own page when it isn't listed", own, [foreign], false],
    [
      "a page that the function approves of",
      foreign,
      (origin, request) => origin === foreign && request.path === "/chat",
      true
    ],
    ["a page that the function doesn't approve of", own, () => false, false]
  ]
  for (const [name, origin, policy, accepts] of cases) {
    it.effect(`server ${accepts ? "accepts" : "refuses"} ${name}`, () =>
      leavesNothing(
        Effect.gen(function* () {
          const { exit, peer } = yield* accepting(origin, { origin: policy })
          assert.strictEqual(Exit.isSuccess(exit), accepts)
          assert.strictEqual(peer.statusLine, accepts ? "HTTP/1.1 101 Switching Protocols" : "HTTP/1.1 403 Forbidden")
          const error = Exit.isFailure(exit) ? Option.getOrThrow(Cause.failureOption(exit.cause)) : undefined
          if (!accepts)
            assert.deepInclude(error?.reason, {
              _tag: "ForbiddenOrigin",
              origin: `${origin}`,
              host: "server.example.com"
            })
        })
      )
    )
  }
})

describe("WebSocket.reject", () => {
  const answerOf = (effect: Effect.Effect<never, HandshakeError>) =>
    Effect.map(Effect.flip(effect), ({ answer }) => answer!)

  it.effect("server rejects with 403 and no body by default", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(WebSocket.reject())
      assert.deepInclude(error, { _tag: "HandshakeError", role: "server", reason: { _tag: "Reject", status: 403 } })
      assert.deepInclude(yield* answerOf(WebSocket.reject()), { status: 403, fields: [], body: new Uint8Array(0) })
    })
  )

  it.effect("server rejects with the status, the fields and the body that are given", () =>
    Effect.gen(function* () {
      const headers = { "WWW-Authenticate": "Bearer" }
      const answer = yield* answerOf(WebSocket.reject({ status: 401, headers, body: "who?" }))
      assert.deepInclude(answer, { status: 401, fields: [["WWW-Authenticate", "Bearer"]], body: Frames.utf8("who?") })
      const bytes = yield* answerOf(WebSocket.reject({ body: Uint8Array.of(1) }))
      assert.deepStrictEqual(bytes.body, Uint8Array.of(1))
    })
  )
})
