/** permessage-deflate (RFC 7692 7.1) in the opening handshake: what is offered, what is answered, byte for byte, and who decides. */
import { Deflate } from "@effect-ws/api/Deflate"
import type * as PermessageDeflate from "@effect-ws/api/PermessageDeflate"
import type { AcceptOptions } from "@effect-ws/api/AcceptOptions"
import * as WebSocket from "@effect-ws/api/WebSocket"
import type { WebSocketError } from "@effect-ws/api/WebSocketError"
import type { DeflateCodec } from "@effect-ws/core/DeflateCodec"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as Answering from "./support/answering.ts"
import {
  awaitHeard,
  compressed,
  field,
  heard,
  openCompressing,
  withTakeover,
  ZlibCodec
} from "./support/compressing.ts"
import { settled } from "./support/leaks.ts"
import * as Serving from "./support/serving.ts"

type Setting = PermessageDeflate.Setting

const forget = "; server_no_context_takeover; client_no_context_takeover"

/** The head of the request of a client with this setting. */
const offered = (permessageDeflate: Setting | undefined, codec: DeflateCodec | undefined) =>
  Effect.gen(function* () {
    const { pair, peer } = yield* Answering.makeServer()
    const asking = yield* Effect.fork(Effect.exit(Answering.handshake(pair.client, { permessageDeflate })))
    const head = yield* peer.awaitHead
    yield* Fiber.interrupt(asking)
    return head
  }).pipe(Effect.provideService(Deflate, codec))

/** What a client makes of this answer: its connection, or the reason against it. */
const agreed = (permessageDeflate: Setting | undefined, ...fields: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const { pair, peer } = yield* Answering.makeServer()
    const answering = yield* Effect.fork(
      Answering.answer(peer, [Answering.bytesOf(Answering.accepted(...fields.map((value) => `${field}: ${value}`)))])
    )
    const outcome = yield* Effect.either(Answering.handshake(pair.client, { permessageDeflate }))
    yield* Fiber.join(answering)
    return { outcome, peer }
  }).pipe(Effect.provideService(Deflate, new ZlibCodec()))

/** The head with which a server with this setting accepts a request with these lines. */
const answered = (
  permessageDeflate: Setting | undefined,
  offers: ReadonlyArray<string>,
  { codec = undefined, own }: { readonly codec?: DeflateCodec | undefined; readonly own?: AcceptOptions } = {
    codec: new ZlibCodec()
  }
) =>
  Effect.gen(function* () {
    const server = yield* Serving.serve(
      (exchange) => Effect.flatMap(WebSocket.accept(exchange, own), ({ closed }) => closed),
      { server: { permessageDeflate } }
    )
    const line = yield* server.connect()
    yield* line.ask(requestWith(...offers))
    const { text } = line
    yield* line.hangUp
    yield* server.stop
    return text
  }).pipe(Effect.scoped, Effect.provideService(Deflate, codec))

const requestWith = (...offers: ReadonlyArray<string>): string =>
  Serving.request().replace(/\r\n$/, offers.map((offer) => `${field}: ${offer}\r\n`).join("") + "\r\n")

const acceptedWith = (...answers: ReadonlyArray<string>): string =>
  Serving.accepted(...answers.map((answer) => `${field}: ${answer}`), "Server: effect-ws")

const assertReserved = (error: WebSocketError): void => {
  assert(error._tag === "ProtocolError", error.message)
  assert.deepInclude(error.reason, { _tag: "ReservedBits", bits: 4, closeCode: 1002 })
}

describe("RFC 7692 7.1: what a client offers", () => {
  const offers: ReadonlyArray<readonly [title: string, setting: Setting, line: string]> = [
    ["the defaults", true, `permessage-deflate${forget}; client_max_window_bits`],
    ["both sides remembering", withTakeover, "permessage-deflate; client_max_window_bits"],
    [
      "the server alone remembering",
      { serverContextTakeover: true },
      "permessage-deflate; client_no_context_takeover; client_max_window_bits"
    ],
    [
      "the client alone remembering",
      { clientContextTakeover: true },
      "permessage-deflate; server_no_context_takeover; client_max_window_bits"
    ],
    [
      "smaller windows",
      { ...withTakeover, serverMaxWindowBits: 9, clientMaxWindowBits: 12 },
      "permessage-deflate; server_max_window_bits=9; client_max_window_bits=12"
    ],
    [
      "alternatives",
      [{ ...withTakeover, serverMaxWindowBits: 10 }, withTakeover],
      "permessage-deflate; server_max_window_bits=10; client_max_window_bits, permessage-deflate; client_max_window_bits"
    ]
  ]
  for (const [title, setting, line] of offers) {
    it.scoped(`client offers ${title}, in one line`, () =>
      Effect.gen(function* () {
        const head = yield* offered(setting, new ZlibCodec())
        assert.strictEqual(head, Answering.requestHead(Answering.keys[0], `${field}: ${line}`))
      })
    )
  }

  it.scoped("client offers nothing by default, nor when it is off, nor without a codec", () =>
    Effect.gen(function* () {
      const plain = Answering.requestHead(Answering.keys[0])
      for (const setting of [undefined, false, []]) {
        assert.strictEqual(yield* offered(setting, new ZlibCodec()), plain)
      }
      for (const setting of [true, withTakeover, [withTakeover]]) {
        assert.strictEqual(yield* offered(setting, undefined), plain)
      }
    })
  )
})

describe("RFC 7692 7.1: what a client makes of an answer", () => {
  it.scoped("client goes without when the server doesn't speak of it", () =>
    Effect.gen(function* () {
      const { outcome, peer } = yield* agreed({ threshold: 0 })
      const socket = yield* outcome
      yield* socket.send("a".repeat(100))
      assert.deepStrictEqual(yield* awaitHeard(peer, 1), [`text ${"a".repeat(100)}`])
      peer.send(compressed(peer, "b"))
      assertReserved(yield* socket.closed)
    })
  )

  it.scoped("client takes an answer that says more than was asked, and compresses as it says", () =>
    Effect.gen(function* () {
      const answer =
        "permessage-deflate; client_no_context_takeover; client_max_window_bits=9; server_max_window_bits=8"
      const { outcome, peer } = yield* agreed(withTakeover, answer)
      const socket = yield* outcome
      for (let i = 0; i < 2; i++) yield* socket.send("a".repeat(100))
      // Who remembers nothing understands both.
      assert.deepStrictEqual(yield* awaitHeard(peer, 2), Array(2).fill(`* text ${"a".repeat(100)}`))
    })
  )

  it.scoped("client compresses from the threshold on of the alternative that was agreed on", () =>
    Effect.gen(function* () {
      const setting = [
        { serverMaxWindowBits: 9, threshold: 10 },
        { ...withTakeover, serverMaxWindowBits: 12, threshold: 1000 },
        { ...withTakeover, threshold: 100 }
      ]
      for (const [answer, threshold] of [
        [`permessage-deflate${forget}; server_max_window_bits=9`, 10],
        ["permessage-deflate; server_max_window_bits=12", 1000],
        ["permessage-deflate; server_max_window_bits=13", 100],
        ["permessage-deflate", 100]
      ] as const) {
        const { outcome, peer } = yield* agreed(setting, answer)
        const socket = yield* outcome
        for (const size of [threshold - 1, threshold]) yield* socket.send("a".repeat(size))
        yield* peer.awaitFrames(2)
        assert.deepStrictEqual(
          peer.frames.map(({ rsv }) => rsv),
          [0, 4],
          answer
        )
      }
    })
  )

  const mismatches: ReadonlyArray<readonly [title: string, setting: Setting, answers: ReadonlyArray<string>]> = [
    ["a parameter that is unknown", withTakeover, ["permessage-deflate; x"]],
    ["a parameter that is repeated", withTakeover, [`permessage-deflate${forget}; server_no_context_takeover`]],
    ["a flag with a value", withTakeover, ["permessage-deflate; server_no_context_takeover=1"]],
    ["a window of the client without a value", withTakeover, ["permessage-deflate; client_max_window_bits"]],
    ["a window of the server without a value", withTakeover, ["permessage-deflate; server_max_window_bits"]],
    ...["0", "7", "16", "08", "8.5", "15x", '"99999999999999999999"', "-1"].map(
      (bits) =>
        [`a window of ${bits} bits`, withTakeover, [`permessage-deflate; server_max_window_bits=${bits}`]] as const
    ),
    ["what was asked of the server unconfirmed", true, ["permessage-deflate"]],
    [
      "a window of the server that is larger than was asked",
      { ...withTakeover, serverMaxWindowBits: 9 },
      ["permessage-deflate; server_max_window_bits=10"]
    ],
    [
      "a window of the server that was to be smaller, unconfirmed",
      { ...withTakeover, serverMaxWindowBits: 9 },
      ["permessage-deflate"]
    ],
    [
      "a window of the client that is larger than it can",
      { ...withTakeover, clientMaxWindowBits: 9 },
      ["permessage-deflate; client_max_window_bits=10"]
    ],
    ["it twice", withTakeover, ["permessage-deflate, permessage-deflate"]],
    ["it twice, in two lines", withTakeover, ["permessage-deflate", "permessage-deflate"]]
  ]
  for (const [title, setting, answers] of mismatches) {
    it.scoped(`client fails with ExtensionMismatch when the answer has ${title} (attack case 25)`, () =>
      Effect.gen(function* () {
        const { outcome, peer } = yield* agreed(setting, ...answers)
        const error = yield* Either.flip(outcome)
        assert.deepInclude(error, { _tag: "HandshakeError", role: "client", answer: undefined, reusable: false })
        assert.deepInclude(error.reason, { _tag: "ExtensionMismatch", extension: "permessage-deflate" })
        // Nothing is said any more.
        yield* peer.awaitClosed
        assert.lengthOf(peer.said, 0)
      })
    )
  }

  it.scoped("client fails for an answer that it did not ask for (attack case 25)", () =>
    Effect.gen(function* () {
      for (const [setting, answer] of [
        [false, "permessage-deflate"],
        [undefined, "permessage-deflate"],
        [true, "permessage-deflate, x-webkit-deflate-frame"]
      ] as const) {
        const { outcome } = yield* agreed(setting, answer)
        assert.deepInclude((yield* Either.flip(outcome)).reason, { _tag: "UnrequestedExtension" })
      }
    })
  )
})

describe("RFC 7692 7.1: what a server answers", () => {
  const offers: ReadonlyArray<
    readonly [title: string, setting: Setting, offers: ReadonlyArray<string>, answer: string]
  > = [
    ["the defaults to a bare offer", true, ["permessage-deflate"], `permessage-deflate${forget}`],
    ["the defaults to Chromium", true, ["permessage-deflate; client_max_window_bits"], `permessage-deflate${forget}`],
    ["no more than its name when both may remember", withTakeover, ["permessage-deflate"], "permessage-deflate"],
    [
      "what was asked of it",
      withTakeover,
      ["permessage-deflate; server_no_context_takeover; server_max_window_bits=9"],
      "permessage-deflate; server_no_context_takeover; server_max_window_bits=9"
    ],
    [
      "the windows that it wants",
      { ...withTakeover, serverMaxWindowBits: 10, clientMaxWindowBits: 9 },
      ["permessage-deflate; client_max_window_bits"],
      "permessage-deflate; server_max_window_bits=10; client_max_window_bits=9"
    ],
    [
      "the first offer that it can take",
      { ...withTakeover, clientMaxWindowBits: 9 },
      ["x-unknown, permessage-deflate; bad", "permessage-deflate, permessage-deflate; client_max_window_bits=12"],
      "permessage-deflate; client_max_window_bits=9"
    ],
    [
      "by the first of its alternatives",
      [{ serverContextTakeover: true }, withTakeover],
      ["permessage-deflate"],
      "permessage-deflate; client_no_context_takeover"
    ]
  ]
  for (const [title, setting, lines, answer] of offers) {
    it.effect(`server with the option of its Layer answers ${title}`, () =>
      Effect.gen(function* () {
        assert.strictEqual(yield* answered(setting, lines), acceptedWith(answer))
      })
    )
  }

  it.effect(
    "server answers nothing by default, nor when it is off, nor without a codec, nor when nothing is offered",
    () =>
      Effect.gen(function* () {
        const plain = acceptedWith()
        const offer = ["permessage-deflate; client_max_window_bits"]
        for (const setting of [undefined, false, []]) assert.strictEqual(yield* answered(setting, offer), plain)
        assert.strictEqual(yield* answered(true, offer, { codec: undefined }), plain)
        assert.strictEqual(yield* answered(true, []), plain)
        assert.strictEqual(yield* answered(true, ["x-webkit-deflate-frame"]), plain)
      })
  )

  const declined: ReadonlyArray<string> = [
    "server_max_window_bits",
    ...["0", "7", "16", "08", "8.5", "15x", "99999999999999999999", '"08"', "constructor"].flatMap((bits) => [
      `server_max_window_bits=${bits}`,
      `client_max_window_bits=${bits}`
    ]),
    "server_no_context_takeover=true",
    "client_no_context_takeover; client_no_context_takeover",
    "server_max_window_bits=10; server_max_window_bits=12",
    "client_max_window_bits; client_max_window_bits=9",
    "unknown",
    "__proto__",
    "toString=1"
  ]
  for (const parameters of declined) {
    it.effect(`server declines an offer with ${parameters} and goes without (attack case 8)`, () =>
      Effect.gen(function* () {
        for (const setting of [true, withTakeover]) {
          assert.strictEqual(yield* answered(setting, [`permessage-deflate; ${parameters}`]), acceptedWith())
        }
        // The next one may do.
        const next = yield* answered(true, [`permessage-deflate; ${parameters}, permessage-deflate`])
        assert.strictEqual(next, acceptedWith(`permessage-deflate${forget}`))
      })
    )
  }

  it.effect("server takes windows of 8 bits, its own and the client's (attack case 8)", () =>
    Effect.gen(function* () {
      const offer = "permessage-deflate; server_max_window_bits=8; client_max_window_bits=8"
      assert.strictEqual(yield* answered(withTakeover, [offer]), acceptedWith(offer))
    })
  )

  it.scoped("server that has declined sends and takes messages as they are", () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* openCompressing("server", { says: "permessage-deflate; unknown" })
      assert.isUndefined(peer.field(field))
      yield* socket.send("a".repeat(1000))
      assert.deepStrictEqual(yield* peer.awaitFrames(1), [`text ${"a".repeat(1000)}`])
      assert.strictEqual(peer.frames[0]!.rsv, 0)
      peer.send(compressed(peer, "a"))
      assertReserved(yield* socket.closed)
    })
  )

  it.effect("server lets the options of accept win over those of its Layer", () =>
    Effect.gen(function* () {
      const offer = ["permessage-deflate"]
      const codec = new ZlibCodec()
      const off = yield* answered(true, offer, { codec, own: { permessageDeflate: false } })
      assert.strictEqual(off, acceptedWith())
      const on = yield* answered(false, offer, { codec, own: { permessageDeflate: true } })
      assert.strictEqual(on, acceptedWith(`permessage-deflate${forget}`))
      const other = yield* answered(true, offer, { codec, own: { permessageDeflate: withTakeover } })
      assert.strictEqual(other, acceptedWith("permessage-deflate"))
      const kept = yield* answered(true, offer, { codec, own: { permessageDeflate: undefined } })
      assert.strictEqual(kept, acceptedWith(`permessage-deflate${forget}`))
    })
  )

  it.scoped("server tells the next client to forget when there is no room to remember more, until there is", () =>
    Effect.gen(function* () {
      const codec = new ZlibCodec()
      const server = yield* Serving.serve(Serving.echo, { server: { permessageDeflate: withTakeover } }).pipe(
        Effect.provideService(Deflate, withRoomFor(codec, 2))
      )
      const ask = Effect.gen(function* () {
        const line = yield* server.connect()
        yield* line.ask(requestWith("permessage-deflate"))
        return line
      })
      const [first, second, third] = [yield* ask, yield* ask, yield* ask]
      for (const line of [first, second]) assert.strictEqual(line.text, acceptedWith("permessage-deflate"))
      assert.strictEqual(third.text, acceptedWith("permessage-deflate; client_no_context_takeover"))
      assert.strictEqual(codec.inflaters, 2)
      yield* first.hangUp
      yield* settled
      assert.strictEqual(codec.inflaters, 1)
      const fourth = yield* ask
      assert.strictEqual(fourth.text, acceptedWith("permessage-deflate"))
      for (const line of [second, third, fourth]) yield* line.hangUp
      yield* settled
      assert.strictEqual(codec.inflaters, 0)
      yield* server.stop
    })
  )

  it.scoped("server compresses from its own threshold on, whatever is offered", () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* openCompressing("server", { setting: true })
      for (const size of [255, 256]) yield* socket.send("a".repeat(size))
      yield* peer.awaitFrames(2)
      assert.deepStrictEqual(heard(peer), [`text ${"a".repeat(255)}`, `* text ${"a".repeat(256)}`])
    })
  )
})

/** The same codec, which has room for so many who remember what the peer has sent. */
const withRoomFor = (codec: ZlibCodec, count: number): DeflateCodec => ({
  get hasRoom() {
    return codec.inflaters < count
  },
  later: codec.later,
  deflater: (windowBits, takeover) => codec.deflater(windowBits, takeover),
  inflater: (windowBits, takeover) => codec.inflater(windowBits, takeover)
})
