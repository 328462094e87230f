/** Request after request on one connection, until one is accepted (RFC 9112 9.3). */
import * as HttpHead from "@effect-ws/core/HttpHead"
import * as WebSocket from "@effect-ws/api/WebSocket"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import * as Frames from "./support/frames.ts"
import { leavesNothing, settled } from "./support/leaks.ts"
import {
  accepted,
  closing,
  echo,
  type Handler,
  head,
  internalError,
  latin1,
  refused,
  refusedHead,
  request,
  serve,
  unavailable,
  upgradeRequired
} from "./support/serving.ts"

const server = "Server: effect-ws"
const close = "Connection: close"

const wrongKey = request({ "Sec-WebSocket-Key": "AAAA" })
const wrongKeyText = "the Sec-WebSocket-Key is not the base64 form of 16 bytes (RFC 6455 4.2.1)"
const wrongKeyAnswer = refused("400 Bad Request", wrongKeyText)

const plain = head("GET / HTTP/1.1", "Host: a")
const plainAnswer = upgradeRequired("the request has no Upgrade field (RFC 6455 4.2.1)")

const frame = (text: string) =>
  Frames.encode(Frames.opcodes.text, Frames.utf8(text), { key: Uint8Array.of(0x37, 0xfa, 0x21, 0x3d) })

/** What `echo` answers to a text. */
const echoed = (text: string) => latin1(Frames.encode(Frames.opcodes.text, Frames.utf8(text)))

/** Accepts who says who they are. */
const guarded: Handler = (exchange) =>
  exchange.request.fields.some(([name, value]) => name === "Authorization" && value === "Bearer 1")
    ? echo(exchange)
    : WebSocket.reject({ status: 401, headers: { "WWW-Authenticate": "Bearer" } })

describe("WebSocketServer: attempts", () => {
  it.effect("server accepts the right request behind a wrong one on the same connection", () =>
    leavesNothing(
      Effect.gen(function* () {
        const serving = yield* serve(echo)
        const line = yield* serving.connect()
        yield* line.ask(wrongKey)
        assert.strictEqual(line.text, wrongKeyAnswer)
        yield* line.ask(request())
        assert.strictEqual(line.text, wrongKeyAnswer + accepted(server))
        yield* line.ask(frame("a"))
        assert.strictEqual(line.text, wrongKeyAnswer + accepted(server) + echoed("a"))
        yield* line.hangUp
        yield* serving.stop
      })
    )
  )

  it.effect("server lets a client that a handler rejected ask again, each time in a scope of its own", () =>
    leavesNothing(
      Effect.gen(function* () {
        const log: Array<string> = []
        const serving = yield* serve((exchange) =>
          Effect.zipRight(
            Effect.acquireRelease(
              Effect.sync(() => log.push("acquire")),
              () => Effect.sync(() => log.push("release"))
            ),
            guarded(exchange)
          )
        )
        const line = yield* serving.connect()
        const challenge = head("HTTP/1.1 401 Unauthorized", "WWW-Authenticate: Bearer", server, "Content-Length: 0")
        yield* line.ask(request())
        assert.strictEqual(line.text, challenge)
        assert.deepStrictEqual(log, ["acquire", "release"])
        yield* line.ask(request({ Authorization: "Bearer 1" }))
        assert.strictEqual(line.text, challenge + accepted(server))
        assert.deepStrictEqual(log, ["acquire", "release", "acquire"])
        assert.deepInclude(yield* serving.counts, { accepted: 1, refused: { Reject: 1 } })
        assert.deepStrictEqual(serving.causes, [])
        yield* line.hangUp
        yield* serving.stop
      })
    )
  )

  it.effect("server takes requests that come one behind the other, and the frames behind the last, however cut", () =>
    leavesNothing(
      Effect.gen(function* () {
        const serving = yield* serve(guarded)
        const asked = Frames.concat([
          Frames.utf8(wrongKey + plain + request() + request({ Authorization: "Bearer 1" })),
          frame("a"),
          frame("b")
        ])
        const challenge = head("HTTP/1.1 401 Unauthorized", "WWW-Authenticate: Bearer", server, "Content-Length: 0")
        const expected = wrongKeyAnswer + plainAnswer + challenge + accepted(server) + echoed("a") + echoed("b")
        const whole = yield* serving.connect()
        yield* whole.ask(asked)
        assert.strictEqual(whole.text, expected)
        yield* whole.hangUp
        const bytewise = yield* serving.connect({ readSize: 1 })
        yield* bytewise.ask(asked)
        assert.strictEqual(bytewise.text, expected)
        yield* bytewise.hangUp
        for (let at = 1; at < asked.length; at++) {
          const line = yield* serving.connect()
          yield* line.ask(asked.subarray(0, at))
          yield* line.ask(asked.subarray(at))
          assert.strictEqual(line.text, expected, `split at ${at}`)
          yield* line.hangUp
        }
        yield* serving.stop
      })
    )
  )

  it.effect("server takes any number of requests in one chunk when it was told so", () =>
    leavesNothing(
      Effect.gen(function* () {
        const serving = yield* serve(echo, { server: { maxAttempts: 1_000_000 } })
        const line = yield* serving.connect()
        line.wire.send(Frames.utf8(plain.repeat(5000) + request()))
        yield* line.wire.awaitBytes(5000 * plainAnswer.length + accepted(server).length)
        assert.strictEqual(line.statusLines.at(-1), "HTTP/1.1 101 Switching Protocols")
        yield* line.hangUp
        yield* serving.stop
      })
    )
  )

  it.effect("server holds the requests behind one that a handler decides about, and not without a bound", () =>
    leavesNothing(
      Effect.gen(function* () {
        const go = yield* Deferred.make<void>()
        const serving = yield* serve(
          (exchange) =>
            exchange.request.path === "/slow"
              ? Effect.zipRight(Deferred.await(go), WebSocket.reject())
              : echo(exchange),
          { server: { maxAttempts: 1000 } }
        )
        const line = yield* serving.connect()
        yield* line.ask(request({}, "GET /slow HTTP/1.1"))
        const batch = wrongKey.repeat(10)
        for (let i = 0; i < 30; i++) yield* line.ask(batch)
        assert.isTrue(line.pair.server.ledger.isPaused)
        assert.isBelow(line.pair.server.ledger.bytesDelivered, 20_000)
        assert.strictEqual(line.text, "")
        yield* Deferred.succeed(go, undefined)
        yield* line.ask(request())
        const answers = [...Array.from({ length: 300 }, () => "HTTP/1.1 400 Bad Request")]
        assert.deepStrictEqual(line.statusLines, [
          "HTTP/1.1 403 Forbidden",
          ...answers,
          "HTTP/1.1 101 Switching Protocols"
        ])
        yield* line.hangUp
        yield* serving.stop
      })
    )
  )

  // RFC 9110 9.3.2: the answer announces a body that doesn't come.
  it.effect("server sends no body to a HEAD, and finds the next request", () =>
    leavesNothing(
      Effect.gen(function* () {
        const serving = yield* serve(echo)
        const line = yield* serving.connect()
        yield* line.ask(request({}, "HEAD / HTTP/1.1") + request())
        const answer = refusedHead("405 Method Not Allowed", "the method is not GET (RFC 6455 4.2.1)", "Allow: GET")
        assert.strictEqual(line.text, answer + accepted(server))
        yield* line.hangUp
        yield* serving.stop
      })
    )
  )

  for (const [name, maxAttempts, times] of [
    ["ten requests", undefined, 10],
    ["as many requests as it was told", 3, 3],
    ["one request when it was told so", 1, 1]
  ] as const) {
    it.effect(`server takes ${name} on a connection, says so with the last answer, and looks at no other`, () =>
      leavesNothing(
        Effect.gen(function* () {
          let asked = 0
          const handler: Handler = (exchange) =>
            Effect.zipRight(
              Effect.sync(() => asked++),
              echo(exchange)
            )
          const serving = yield* serve(handler, { server: { maxAttempts } })
          const line = yield* serving.connect()
          yield* line.ask(wrongKey.repeat(times), request())
          const last = refused("400 Bad Request", wrongKeyText, close)
          assert.strictEqual(line.text, wrongKeyAnswer.repeat(times - 1) + last)
          assert.isTrue(line.wire.hasEnded())
          assert.strictEqual(asked, 0)
          assert.deepStrictEqual((yield* serving.counts).refused, { InvalidKey: times })
          yield* line.hangUp
          yield* serving.stop
        })
      )
    )
  }

  it.effect("server counts the answers of handlers among the attempts", () =>
    leavesNothing(
      Effect.gen(function* () {
        const serving = yield* serve(() => Effect.fail("no"), { server: { maxAttempts: 2 } })
        const line = yield* serving.connect()
        yield* line.ask(request(), request(), request())
        assert.strictEqual(line.text, internalError() + internalError(close))
        assert.isTrue(line.wire.hasEnded())
        yield* line.hangUp
        yield* serving.stop
      })
    )
  )

  const endings: Readonly<Record<string, string>> = {
    "asks to close": closing(plain),
    "speaks HTTP/1.0": plain.replace("1.1", "1.0"),
    "announces a body": plain.replace("\r\n\r\n", "\r\nContent-Length: 400\r\n\r\n"),
    "is malformed": "\r\n\r\nGET / HTTP/1.1\r\n\r\n",
    "is too large": `GET /${"x".repeat(9000)} HTTP/1.1\r\n\r\n`
  }
  for (const [name, last] of Object.entries(endings)) {
    it.effect(`server looks at no request behind one that ${name}`, () =>
      leavesNothing(
        Effect.gen(function* () {
          let asked = 0
          const serving = yield* serve((exchange) =>
            Effect.zipRight(
              Effect.sync(() => asked++),
              echo(exchange)
            )
          )
          for (const first of ["", wrongKey]) {
            const line = yield* serving.connect()
            yield* line.ask(first, last, request())
            assert.strictEqual(line.statusLines.length, first === "" ? 1 : 2)
            assert.include(line.text.slice(first === "" ? 0 : wrongKeyAnswer.length), `close\r\n\r\n`)
            assert.isTrue(line.wire.hasEnded())
            yield* line.ask(request())
            assert.strictEqual(asked, 0)
            yield* line.hangUp
          }
          yield* serving.stop
        })
      )
    )
  }

  it.effect("server ends the connection behind the answer to a request that somebody else has read", () =>
    leavesNothing(
      Effect.gen(function* () {
        const serving = yield* serve(echo)
        const decoded = HttpHead.requestDecoder().push(Frames.utf8(wrongKey))
        assert.strictEqual(decoded._tag, "Decoded")
        const read = decoded._tag === "Decoded" ? decoded.head : undefined
        const line = yield* serving.connect({}, { request: read, leftover: Frames.utf8(request()) })
        yield* settled
        assert.strictEqual(line.text, refused("400 Bad Request", wrongKeyText, close))
        assert.isTrue(line.wire.hasEnded())
        yield* line.hangUp
        yield* serving.stop
      })
    )
  )
})

describe("WebSocketServer: between attempts", () => {
  it.effect("server gives each request the whole time, and ends a connection on which none follows silently", () =>
    leavesNothing(
      Effect.gen(function* () {
        const serving = yield* serve(echo)
        const line = yield* serving.connect()
        yield* TestClock.adjust(9000)
        yield* line.ask(wrongKey)
        yield* TestClock.adjust(9000)
        yield* line.ask(wrongKey)
        assert.strictEqual(line.text, wrongKeyAnswer.repeat(2))
        yield* TestClock.adjust(9999)
        assert.isFalse(line.wire.hasEnded())
        yield* TestClock.adjust(501)
        assert.isTrue(line.wire.hasEnded())
        assert.strictEqual(line.text, wrongKeyAnswer.repeat(2))
        assert.deepStrictEqual((yield* serving.counts).refused, { InvalidKey: 2 })
        yield* line.hangUp
        yield* serving.stop
      })
    )
  )

  it.effect("server answers a second request that doesn't come in time with a 408", () =>
    leavesNothing(
      Effect.gen(function* () {
        const serving = yield* serve(echo)
        const line = yield* serving.connect()
        yield* line.ask(wrongKey, "G")
        yield* TestClock.adjust(10_500)
        assert.strictEqual(
          line.text,
          wrongKeyAnswer + refused("408 Request Timeout", "the request did not come in time", close)
        )
        assert.isTrue(line.wire.hasEnded())
        assert.deepStrictEqual((yield* serving.counts).refused, { InvalidKey: 1, Timeout: 1 })
        yield* line.hangUp
        yield* serving.stop
      })
    )
  )

  it.effect("server ends a connection on which nothing follows silently when it goes down", () =>
    leavesNothing(
      Effect.gen(function* () {
        const serving = yield* serve(echo)
        const line = yield* serving.connect()
        yield* line.ask(wrongKey)
        const stopping = yield* Effect.fork(serving.stop)
        yield* settled
        assert.isTrue(line.wire.hasEnded())
        assert.strictEqual(line.text, wrongKeyAnswer)
        assert.deepStrictEqual((yield* serving.counts).refused, { InvalidKey: 1 })
        yield* line.hangUp
        yield* Fiber.join(stopping)
      })
    )
  )

  it.effect("server answers the beginning of a second request with a 503 when it goes down", () =>
    leavesNothing(
      Effect.gen(function* () {
        const serving = yield* serve(echo)
        const line = yield* serving.connect()
        yield* line.ask(wrongKey, "G")
        const stopping = yield* Effect.fork(serving.stop)
        yield* settled
        assert.strictEqual(line.text, wrongKeyAnswer + unavailable(close))
        assert.deepStrictEqual((yield* serving.counts).refused, { InvalidKey: 1, ShuttingDown: 1 })
        yield* line.hangUp
        yield* Fiber.join(stopping)
      })
    )
  )

  it.effect("server lets a refusal arrive although the client has ended its half behind the request", () =>
    leavesNothing(
      Effect.gen(function* () {
        const serving = yield* serve(echo)
        for (const [asked, count] of [
          [wrongKey, 1],
          [wrongKey + wrongKey, 2]
        ] as const) {
          const line = yield* serving.connect()
          line.wire.send(Frames.utf8(asked))
          yield* line.hangUp
          assert.strictEqual(line.text, wrongKeyAnswer.repeat(count))
          assert.isUndefined(yield* line.wire.awaitClosed)
        }
        assert.deepStrictEqual((yield* serving.counts).refused, { InvalidKey: 3 })
        yield* serving.stop
      })
    )
  )

  it.effect("server lets a refusal arrive although the client leaves within the next request", () =>
    leavesNothing(
      Effect.gen(function* () {
        const serving = yield* serve(echo)
        const line = yield* serving.connect()
        line.wire.send(Frames.utf8(`${wrongKey}G`))
        yield* line.hangUp
        assert.strictEqual(line.text, wrongKeyAnswer)
        assert.isUndefined(yield* line.wire.awaitClosed)
        assert.deepStrictEqual((yield* serving.counts).refused, { InvalidKey: 1, PeerGone: 1 })
        yield* serving.stop
      })
    )
  )

  it.effect("server lets a refusal that travels arrive although it goes down", () =>
    leavesNothing(
      Effect.gen(function* () {
        const serving = yield* serve(echo)
        const line = yield* serving.connect({ latency: "200 millis" })
        yield* line.ask(wrongKey)
        yield* TestClock.adjust(200)
        const stopping = yield* Effect.fork(serving.stop)
        yield* TestClock.adjust(200)
        assert.strictEqual(line.text, wrongKeyAnswer)
        assert.isTrue(line.wire.hasEnded())
        line.wire.end()
        yield* TestClock.adjust(200)
        assert.isUndefined(yield* line.wire.awaitClosed)
        yield* Fiber.join(stopping)
      })
    )
  )

  it.effect("server destroys a kept connection whose peer doesn't end it, in bounded time", () =>
    leavesNothing(
      Effect.gen(function* () {
        const serving = yield* serve(echo)
        const line = yield* serving.connect()
        yield* line.ask(wrongKey)
        yield* TestClock.adjust(10_500)
        assert.isTrue(line.wire.hasEnded())
        assert.strictEqual((yield* serving.counts).connections, 1)
        yield* TestClock.adjust(5250)
        assert.isFalse(line.isOpen)
        assert.strictEqual((yield* serving.counts).connections, 0)
        line.wire.destroy()
        yield* serving.stop
      })
    )
  )
})
