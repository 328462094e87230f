/** What the client writes and makes of each answer, byte for byte (RFC 6455 4.1). */
import * as HandshakeFault from "@effect-ws/core/HandshakeFault"
import type { Message } from "@effect-ws/core/Message"
import type * as WebSocket from "@effect-ws/api/WebSocket"
import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"
import {
  accepted,
  acceptedFor,
  accepts,
  answer,
  bytesOf,
  describeError,
  everyPrefix,
  everySplit,
  failedFor,
  handshake,
  keys,
  lines,
  makeDeaf,
  makeServer,
  type Options,
  requestHead
} from "./support/answering.ts"
import { leavesNothing, settled } from "./support/leaks.ts"

const offers: Options = { subprotocols: ["a", "b"] }
const request = requestHead(keys[0], "Sec-WebSocket-Protocol: a, b")

const upgrade = ["Upgrade: websocket", "Connection: Upgrade"]
const accept = `Sec-WebSocket-Accept: ${accepts[0]}`
const interim = lines("HTTP/1.1 103 Early Hints", "Link: </style.css>", "")
const fault = HandshakeFault.make

/** A 101 with the fields as they are. */
const switching = (...fields: ReadonlyArray<string>): string => lines("HTTP/1.1 101 Switching Protocols", ...fields, "")

const isDone = (fiber: Fiber.RuntimeFiber<unknown, unknown>) => Effect.map(fiber.poll, Option.isSome)

const textOf = (message: Message): string => (message._tag === "Text" ? message.text : "")

/** The texts that came up to the end of the connection, which is clean. */
const received = (socket: WebSocket.WebSocket) =>
  Effect.gen(function* () {
    const texts: Array<string> = []
    for (;;) {
      const exit = yield* Effect.either(socket.receive)
      if (exit._tag === "Left") {
        assert.deepInclude(exit.left, { _tag: "ConnectionClosed", clean: true })
        return texts
      }
      texts.push(textOf(exit.right))
    }
  })

describe("RFC 6455 4.1: what the client writes", () => {
  const asks: ReadonlyArray<readonly [string, Options, string]> = [
    ["nothing but the host", {}, requestHead(keys[0])],
    ["subprotocols", offers, request],
    ["an origin", { origin: "https://example.com" }, requestHead(keys[0], "Origin: https://example.com")],
    [
      "everything, with a target",
      {
        target: "/chat?x=1",
        subprotocols: ["a"],
        origin: "null",
        headers: [
          ["Cookie", "a=b"],
          ["Cookie", "c=d"]
        ]
      },
      requestHead(keys[0], "Sec-WebSocket-Protocol: a", "Origin: null", "Cookie: a=b", "Cookie: c=d").replace(
        "GET / ",
        "GET /chat?x=1 "
      )
    ]
  ]

  for (const [name, options, head] of asks) {
    it.effect(`client writes the same bytes each time with the same entropy, asked with ${name}`, () =>
      leavesNothing(
        Effect.gen(function* () {
          const { pair, peer } = yield* makeServer()
          const opening = yield* Effect.fork(handshake(pair.client, options))
          yield* answer(peer, [bytesOf(accepted())])
          const socket = yield* Fiber.join(opening)
          assert.strictEqual(peer.head, head)
          assert.strictEqual(pair.client.ledger.bytesWritten, head.length + 4)
          assert.strictEqual(pair.client.ledger.writes, 1)
          assert.strictEqual(socket.request.key, keys[0])
        })
      )
    )
  }

  it.effect("client masks its first frame with the bytes behind those of its key", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { pair, peer } = yield* makeServer()
        const opening = yield* Effect.fork(handshake(pair.client))
        yield* answer(peer, [bytesOf(accepted())])
        yield* (yield* Fiber.join(opening)).send("a")
        yield* peer.awaitFrames(1)
        assert.deepStrictEqual(peer.frames[0]!.key, Uint8Array.of(0x10, 0x11, 0x12, 0x13))
      })
    )
  )
})

/** An answer, what it chose, and the texts of the frames behind it. */
type Accepting = readonly [
  name: string,
  answer: string,
  subprotocol?: string | undefined,
  texts?: ReadonlyArray<string>
]

/** 81 .. is a text of a server, 88 02 03 e8 its Close frame with 1000 (5.7, 5.5.1). */
const hello = "\x81\x05Hello"
const closing = "\x88\x02\x03\xe8"

const accepting: ReadonlyArray<Accepting> = [
  ["accepts", accepted()],
  ["accepts with the first subprotocol", accepted("Sec-WebSocket-Protocol: a"), "a"],
  ["accepts with the second subprotocol", accepted("sec-websocket-protocol:  b\t"), "b"],
  ["accepts with fields of its own", accepted("Server: x", "Set-Cookie: a=b", "Set-Cookie: c=d")],
  // RFC 9110 15.2: what follows a 101 is no body.
  ["accepts and announces a body", accepted("Content-Length: 5")],
  [
    "spells the fields in its own way",
    lines(
      "HTTP/1.1 101 ",
      "upgrade:WebSocket",
      "CONNECTION: keep-alive, UPGRADE",
      accept.toUpperCase().slice(0, 21) + accept.slice(21),
      ""
    )
  ],
  ["is of a later minor version", accepted().replace("HTTP/1.1", "HTTP/1.2")],
  ["says something before", interim + accepted()],
  ["says something 16 times before", interim.repeat(16) + accepted()],
  [
    "continues before",
    lines("HTTP/1.1 100 Continue", "") + lines("HTTP/1.1 199 ", "Content-Length: 9", "") + accepted()
  ],
  ["sends a frame at once", accepted() + hello, undefined, ["Hello"]],
  [
    "sends frames at once and closes",
    `${interim}${accepted()}${hello}\x01\x03Hel\x80\x02lo${closing}`,
    undefined,
    ["Hello", "Hello"]
  ]
]

/** Plays an answer that accepts, and ends the connection in the manner of a server. */
const play = (pieces: ReadonlyArray<Uint8Array>, slowly: boolean, closes: boolean) =>
  leavesNothing(
    Effect.gen(function* () {
      const { pair, peer } = yield* makeServer()
      const opening = yield* Effect.fork(handshake(pair.client, offers))
      yield* answer(peer, pieces, { slowly })
      const socket = yield* Fiber.join(opening)
      assert.strictEqual(peer.head, request)
      if (closes) peer.sendClose(1000)
      const texts = yield* received(socket)
      assert.deepStrictEqual(yield* peer.awaitFrames(1), ["close 1000"])
      const { fields, status, subprotocol } = socket.response
      return { subprotocol, status, fields, texts }
    })
  )

describe("RFC 6455 4.1: an answer that accepts", () => {
  for (const [name, text, subprotocol, texts = []] of accepting) {
    it.effect(`client connects when the server ${name}, whole, byte by byte and split at every offset`, () =>
      Effect.gen(function* () {
        const closes = !text.endsWith(closing)
        const whole = yield* play([bytesOf(text)], false, closes)
        assert.strictEqual(whole.subprotocol, subprotocol)
        assert.strictEqual(whole.status, 101)
        assert.deepStrictEqual(whole.texts, texts)
        const head = text.slice(text.search(/HTTP\/1\.. 101 /), text.lastIndexOf("\r\n\r\n"))
        assert.strictEqual(whole.fields.length, head.split("\r\n").length - 1)
        for (const [i, pieces] of everySplit(bytesOf(text)).entries()) {
          assert.deepStrictEqual(yield* play(pieces, i % 8 === 1, closes), whole, `split ${i}`)
        }
      })
    )
  }
})

/** An answer and the check that it fails. */
type Refused = readonly [name: string, answer: string, reason: HandshakeFault.HandshakeFault]

const limits = { maxHeadSize: 400, maxHeadFields: 8 }
const malformed = (detail: string, offset: number) => fault("MalformedHead", { detail, offset })

const refused: ReadonlyArray<Refused> = [
  [
    "is of HTTP/1.0",
    accepted().replace("HTTP/1.1", "HTTP/1.0"),
    fault("HttpVersion", { head: "response", version: "1.0" })
  ],
  [
    "is of HTTP/2",
    accepted().replace("HTTP/1.1", "HTTP/2.0"),
    fault("HttpVersion", { head: "response", version: "2.0" })
  ],
  ["sends no Upgrade field", switching("Connection: Upgrade", accept), fault("MissingUpgrade", { head: "response" })],
  [
    "upgrades to something else",
    switching("Upgrade: h2c", "Connection: Upgrade", accept),
    fault("UpgradeWithoutWebsocket", { head: "response", value: "h2c" })
  ],
  [
    "upgrades to two protocols",
    switching("Upgrade: websocket", "Upgrade: h2c", "Connection: Upgrade", accept),
    fault("UpgradeWithoutWebsocket", { head: "response", value: "websocket, h2c" })
  ],
  [
    "sends a malformed Upgrade field",
    switching("Upgrade: web socket", "Connection: Upgrade", accept),
    fault("MalformedField", { field: "Upgrade" })
  ],
  [
    "sends no Connection field",
    switching("Upgrade: websocket", accept),
    fault("MissingConnection", { head: "response" })
  ],
  [
    "doesn't name the upgrade in Connection",
    switching("Upgrade: websocket", "Connection: keep-alive", "Connection: close", accept),
    fault("ConnectionWithoutUpgrade", { head: "response", value: "keep-alive, close" })
  ],
  [
    "sends a malformed Connection field",
    switching("Upgrade: websocket", "Connection: Upgrade now", accept),
    fault("MalformedField", { field: "Connection" })
  ],
  ["sends no accept value", switching(...upgrade), fault("MissingAccept", {})],
  ["sends an empty accept value", switching(...upgrade, "Sec-WebSocket-Accept: "), fault("WrongAccept", {})],
  ["sends the accept value of another key", acceptedFor(accepts[1]), fault("WrongAccept", {})],
  ["sends the accept value in another case", acceptedFor(accepts[0].toLowerCase()), fault("WrongAccept", {})],
  ["sends its accept value twice in one field", acceptedFor(`${accepts[0]}, ${accepts[0]}`), fault("WrongAccept", {})],
  ["sends its accept value twice", accepted(accept), fault("RepeatedField", { field: "Sec-WebSocket-Accept" })],
  [
    "chooses a subprotocol that was not offered",
    accepted("Sec-WebSocket-Protocol: c"),
    fault("UnrequestedSubprotocol", { subprotocol: "c" })
  ],
  [
    "chooses a subprotocol in another case",
    accepted("Sec-WebSocket-Protocol: A"),
    fault("UnrequestedSubprotocol", { subprotocol: "A" })
  ],
  ["chooses two subprotocols", accepted("Sec-WebSocket-Protocol: a, b"), fault("MultipleSubprotocols", {})],
  [
    "chooses two subprotocols in two fields",
    accepted("Sec-WebSocket-Protocol: a", "Sec-WebSocket-Protocol: a"),
    fault("MultipleSubprotocols", {})
  ],
  [
    "chooses an empty subprotocol",
    accepted("Sec-WebSocket-Protocol:"),
    fault("MalformedField", { field: "Sec-WebSocket-Protocol" })
  ],
  [
    "chooses a malformed subprotocol",
    accepted("Sec-WebSocket-Protocol: a b"),
    fault("MalformedField", { field: "Sec-WebSocket-Protocol" })
  ],
  [
    "uses an extension that was not offered",
    accepted("Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover"),
    fault("UnrequestedExtension", { extension: "permessage-deflate" })
  ],
  [
    "sends a malformed list of extensions",
    accepted("Sec-WebSocket-Extensions: x; ;"),
    fault("MalformedField", { field: "Sec-WebSocket-Extensions" })
  ],
  [
    "sends an empty list of extensions",
    accepted("Sec-WebSocket-Extensions: "),
    fault("MalformedField", { field: "Sec-WebSocket-Extensions" })
  ],
  ["sends too large a head", accepted(`X: ${"x".repeat(300)}`), fault("HeadTooLarge", { limit: 400 })],
  ["sends too large a head in one line", `HTTP/1.1 101 ${"x".repeat(400)}`, fault("HeadTooLarge", { limit: 400 })],
  ["sends too many fields", accepted("a:", "b:", "c:", "d:", "e:", "f:"), fault("TooManyFields", { limit: 8 })],
  [
    "sends too large a head of an interim response",
    `HTTP/1.1 103 ${"x".repeat(400)}`,
    fault("HeadTooLarge", { limit: 400 })
  ],
  ["speaks something else", "hello\r\n\r\n", malformed("the HTTP version is malformed", 0)],
  ["sends an empty line first", `\r\n${accepted()}`, malformed("the HTTP version is malformed", 0)],
  ["sends a status of two digits", "HTTP/1.1 10 OK\r\n\r\n", malformed("the status is not three digits", 11)],
  ["sends no space behind the status", "HTTP/1.1 101\r\n\r\n", malformed("the status is not followed by a space", 12)],
  ["ends a line in LF", "HTTP/1.1 101 OK\n\n", malformed("the reason phrase has a control character", 15)],
  ["folds a line", switching("X: a", " b"), malformed("a line begins with a blank; folded lines are obsolete", 40)],
  ["puts a blank before a colon", switching("X : a"), malformed("a blank stands before a colon", 35)],
  ["sends a frame instead of a head", hello, malformed("the HTTP version is malformed", 0)],
  ["sends a malformed head behind an interim one", `${interim}HTTP/1.x`, malformed("the HTTP version is malformed", 7)],
  [
    "says something 17 times before",
    lines("HTTP/1.1 103 ", "").repeat(17) + accepted(),
    fault("TooManyInterimResponses", { limit: 16 })
  ]
]

/** Plays an answer that fails a check: nothing but the request was written, and the transport is gone. */
const playRefused = (pieces: ReadonlyArray<Uint8Array>, slowly: boolean) =>
  leavesNothing(
    Effect.gen(function* () {
      const { pair, peer } = yield* makeServer()
      const opening = yield* Effect.fork(Effect.flip(handshake(pair.client, { ...offers, ...limits })))
      yield* answer(peer, pieces, { slowly })
      const error = yield* Fiber.join(opening)
      assert.isFalse(pair.client.ledger.isOpen)
      assert.strictEqual(peer.head, request)
      assert.strictEqual(pair.client.ledger.bytesWritten, request.length + 4)
      yield* peer.awaitClosed
      return describeError(error)
    })
  )

describe("RFC 6455 4.1: an answer that fails a check", () => {
  for (const [name, text, reason] of refused) {
    it.effect(`client fails when the server ${name}, whole, byte by byte and split at every offset`, () =>
      Effect.gen(function* () {
        for (const [i, pieces] of everySplit(bytesOf(text)).entries()) {
          assert.deepStrictEqual(yield* playRefused(pieces, i % 8 === 1), failedFor(reason), `split ${i}`)
        }
      })
    )
  }

  it.effect(
    "client takes a frame behind the answer for one of the connection, and fails it for what is wrong there",
    () =>
      leavesNothing(
        Effect.gen(function* () {
          const { pair, peer } = yield* makeServer()
          const opening = yield* Effect.fork(handshake(pair.client))
          // 5.1: a server must not mask.
          yield* answer(peer, [bytesOf(`${accepted()}\x81\x81\0\0\0\0a`)])
          const socket = yield* Fiber.join(opening)
          assert.strictEqual((yield* Effect.flip(socket.receive))._tag, "ProtocolError")
          assert.deepStrictEqual(
            yield* peer.awaitFrames(1).pipe(Effect.map((said) => said[0]!.slice(0, 10))),
            "close 1002"
          )
        })
      )
  )
})

describe("RFC 6455 4.1: no whole answer", () => {
  const answers: ReadonlyArray<readonly [string, string]> = [
    ["an answer that accepts", accepted()],
    ["an answer behind an interim one", interim + accepted()],
    ["the head of one that declines", lines("HTTP/1.1 401 Unauthorized", "Content-Length: 5", "")]
  ]

  for (const [name, text] of answers) {
    it.effect(`client fails when the server ends at any point within ${name}`, () =>
      Effect.gen(function* () {
        for (const prefix of everyPrefix(bytesOf(text))) {
          yield* leavesNothing(
            Effect.gen(function* () {
              const { pair, peer } = yield* makeServer()
              const opening = yield* Effect.fork(Effect.flip(handshake(pair.client)))
              yield* answer(peer, [prefix])
              if (prefix.length % 2 === 0) yield* settled
              peer.end()
              assert.deepStrictEqual(describeError(yield* Fiber.join(opening)), failedFor({ _tag: "PeerGone" }))
              assert.isFalse(pair.client.ledger.isOpen)
              yield* peer.awaitClosed
            })
          )
        }
      })
    )

    it.effect(`client fails when the connection is reset at any point within ${name}`, () =>
      Effect.gen(function* () {
        for (const prefix of everyPrefix(bytesOf(text))) {
          yield* leavesNothing(
            Effect.gen(function* () {
              const { pair, peer } = yield* makeDeaf()
              const opening = yield* Effect.fork(Effect.flip(handshake(pair.client)))
              yield* settled
              peer.send(prefix)
              yield* settled
              assert.isFalse(yield* isDone(opening))
              peer.destroy()
              const { reason } = yield* Fiber.join(opening)
              assert.strictEqual(reason._tag, "Transport")
              assert.include(reason._tag === "Transport" && reason.error.message, "ECONNRESET")
              assert.isFalse(pair.client.ledger.isOpen)
              assert.strictEqual(pair.client.ledger.bytesDelivered, prefix.length)
            })
          )
        }
      })
    )

    it.effect(`client gives up at the deadline at any point within ${name}`, () =>
      Effect.gen(function* () {
        for (const prefix of everyPrefix(bytesOf(text))) {
          yield* leavesNothing(
            Effect.gen(function* () {
              const { pair, peer } = yield* makeServer()
              const opening = yield* Effect.fork(Effect.flip(handshake(pair.client, { handshakeTimeout: 1000 })))
              // What comes in between gives no more time.
              yield* TestClock.adjust(600)
              yield* answer(peer, [prefix])
              yield* settled
              yield* TestClock.adjust(399)
              assert.isFalse(yield* isDone(opening))
              yield* TestClock.adjust(1)
              const error = yield* Fiber.join(opening)
              const timeout = { _tag: "Timeout", phase: "head", duration: Duration.millis(1000) }
              assert.deepStrictEqual(describeError(error), failedFor(timeout))
              assert.isFalse(pair.client.ledger.isOpen)
              yield* peer.awaitClosed
            })
          )
        }
      })
    )
  }

  it.effect("client destroys the transport when it is interrupted at any point within an answer", () =>
    Effect.gen(function* () {
      for (const prefix of everyPrefix(bytesOf(interim + accepted()))) {
        yield* leavesNothing(
          Effect.gen(function* () {
            const { pair, peer } = yield* makeServer()
            const opening = yield* Effect.fork(handshake(pair.client))
            yield* answer(peer, [prefix])
            yield* settled
            assert.isTrue(Exit.isInterrupted(yield* Fiber.interrupt(opening)))
            assert.isFalse(pair.client.ledger.isOpen)
            yield* peer.awaitClosed
          })
        )
      }
    })
  )
})
