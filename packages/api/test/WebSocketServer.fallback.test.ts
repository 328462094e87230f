/** Requests that ask for no WebSocket, on a server that has something to say to them. */
import type { RunOptions } from "@effect-ws/api/WebSocketServer"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import { leavesNothing, settled } from "./support/leaks.ts"
import {
  accepted,
  closing,
  echo,
  head,
  internalError,
  type Line,
  refused,
  request,
  serve,
  unavailable
} from "./support/serving.ts"

type Fallback<R = never> = NonNullable<RunOptions<R>["fallback"]>

const server = "Server: effect-ws"
const close = "Connection: close"

const plain = (line: string, ...fields: ReadonlyArray<string>) => head(line, "Host: a", ...fields)
const get = plain("GET / HTTP/1.1")

const pageHead = (...fields: ReadonlyArray<string>) =>
  head("HTTP/1.1 200 OK", server, "Content-Type: text/plain; charset=utf-8", "Content-Length: 5", ...fields)

const page = (...fields: ReadonlyArray<string>) => `${pageHead(...fields)}page\n`

const toPage: Fallback = () => Effect.succeed({ status: 200, body: "page\n" })

const none = { handshakes: 0, connections: 0, accepted: 0, refused: {} }

describe("WebSocketServer: a fallback", () => {
  it.effect("server answers requests that name no WebSocket one after the other, and then one that does", () =>
    leavesNothing(
      Effect.gen(function* () {
        const serving = yield* serve(echo, { fallback: toPage })
        const line = yield* serving.connect()
        yield* line.ask(get)
        assert.strictEqual(line.text, page())
        yield* line.ask(
          plain("POST / HTTP/1.1", "Content-Length: 0"),
          plain("HEAD / HTTP/1.1"),
          plain("BREW / HTTP/1.1", "Connection: Upgrade", "Upgrade: h2c"),
          request()
        )
        assert.strictEqual(line.text, page() + page() + pageHead() + page() + accepted(server))
        assert.deepInclude(yield* serving.counts, { connections: 1, accepted: 1, refused: {} })
        yield* line.hangUp
        yield* serving.stop
      })
    )
  )

  const endings: Record<string, string> = {
    "asks to close": closing(get),
    "speaks HTTP/1.0": plain("GET / HTTP/1.0"),
    "announces a body": plain("POST / HTTP/1.1", "Content-Length: 4"),
    "announces a body in chunks": plain("POST / HTTP/1.1", "Transfer-Encoding: chunked")
  }
  for (const [name, asked] of Object.entries(endings)) {
    it.effect(`server looks at nothing behind a request that ${name}, but answers it`, () =>
      leavesNothing(
        Effect.gen(function* () {
          const serving = yield* serve(echo, { fallback: toPage })
          const line = yield* serving.connect()
          yield* line.ask(asked, request())
          assert.strictEqual(line.text, page(close))
          assert.isTrue(line.wire.hasEnded())
          yield* line.hangUp
          assert.deepStrictEqual(yield* serving.counts, none)
          yield* serving.stop
        })
      )
    )
  }

  it.effect("server takes as many requests as it was told, plain ones or others", () =>
    leavesNothing(
      Effect.gen(function* () {
        const serving = yield* serve(echo, { fallback: toPage, server: { maxAttempts: 2 } })
        const line = yield* serving.connect()
        yield* line.ask(get, get, request())
        assert.strictEqual(line.text, page() + page(close))
        yield* line.hangUp
        yield* serving.stop
      })
    )
  )

  it.effect("server shows the fallback the request and who asks", () =>
    leavesNothing(
      Effect.gen(function* () {
        const seen: Array<unknown> = []
        const serving = yield* serve(echo, {
          fallback: (request, { remoteAddress }) =>
            Effect.sync(() => (seen.push(request, remoteAddress), { status: 204 }))
        })
        const remote = { _tag: "TcpAddress", hostname: "10.0.0.1", port: 7 } as const
        const line = yield* serving.connect({ clientInfo: { localAddress: remote } })
        yield* line.ask(plain("POST /a%20b?c=d HTTP/1.1", "X-One: 1", "X-One: 2", "Content-Length: 0"))
        yield* line.ask(plain("GET http://b:8/c HTTP/1.0"))
        assert.deepStrictEqual(seen, [
          {
            _tag: "PlainRequest",
            method: "POST",
            target: "/a%20b?c=d",
            path: "/a%20b",
            query: "c=d",
            version: "1.1",
            host: "a",
            fields: [
              ["Host", "a"],
              ["X-One", "1"],
              ["X-One", "2"],
              ["Content-Length", "0"]
            ]
          },
          remote,
          {
            _tag: "PlainRequest",
            method: "GET",
            target: "http://b:8/c",
            path: "/c",
            query: undefined,
            version: "1.0",
            host: "b:8",
            fields: [["Host", "a"]]
          },
          remote
        ])
        assert.strictEqual(
          line.text,
          head("HTTP/1.1 204 No Content", server) + head("HTTP/1.1 204 No Content", server, close)
        )
        yield* line.hangUp
        yield* serving.stop
      })
    )
  )

  it.effect("server sends the fields and the bytes of the answer", () =>
    leavesNothing(
      Effect.gen(function* () {
        const serving = yield* serve(echo, {
          fallback: () =>
            Effect.succeed({
              status: 301,
              headers: { Location: "/b", "Content-Type": "x/y" },
              body: Uint8Array.of(255)
            })
        })
        const line = yield* serving.connect()
        yield* line.ask(get)
        assert.strictEqual(
          line.text,
          `${head("HTTP/1.1 301 Moved Permanently", "Location: /b", "Content-Type: x/y", server, "Content-Length: 1")}\u00ff`
        )
        yield* line.hangUp
        yield* serving.stop
      })
    )
  )

  it.effect("server gives the fallback its services", () =>
    leavesNothing(
      Effect.gen(function* () {
        class Page extends Context.Tag("test/Page")<Page, string>() {}
        const serving = yield* serve(echo, {
          fallback: () => Effect.map(Page, (body) => ({ status: 200, body }))
        }).pipe(Effect.provideService(Page, "page\n"))
        const line = yield* serving.connect()
        yield* line.ask(get)
        assert.strictEqual(line.text, page())
        yield* line.hangUp
        yield* serving.stop
      })
    )
  )

  const unasked: Record<string, readonly [string, string]> = {
    "has no Host": [head("GET / HTTP/1.1"), "400 Bad Request"],
    "has a Host that is none": [head("GET / HTTP/1.1", "Host: a b"), "400 Bad Request"],
    "has two of Host": [head("GET / HTTP/1.1", "Host: a", "Host: b"), "400 Bad Request"],
    "has a target that is none": [plain("GET chat HTTP/1.1"), "400 Bad Request"],
    "is none": ["G@T / HTTP/1.1\r\n\r\n", "400 Bad Request"],
    "names a WebSocket, and has a wrong key": [request({ "Sec-WebSocket-Key": "AAAA" }), "400 Bad Request"],
    "names a WebSocket, and is a POST": [request({}, "POST / HTTP/1.1"), "405 Method Not Allowed"],
    "names a WebSocket among others, in another version": [
      request({ Upgrade: "h2c, WebSocket", "Sec-WebSocket-Version": "8" }),
      "426 Upgrade Required"
    ]
  }
  for (const [name, [asked, status]] of Object.entries(unasked)) {
    it.effect(`server answers a request that ${name} without the fallback`, () =>
      leavesNothing(
        Effect.gen(function* () {
          let count = 0
          const serving = yield* serve(echo, {
            fallback: () => Effect.sync(() => (count++, { status: 200 }))
          })
          const line = yield* serving.connect()
          yield* line.ask(asked)
          assert.deepStrictEqual([line.statusLines, count], [[`HTTP/1.1 ${status}`], 0])
          yield* line.hangUp
          yield* serving.stop
        })
      )
    )
  }

  const mistakes: Record<string, readonly [Fallback, RegExp]> = {
    fails: [() => Effect.fail(new Error("no page")), /no page/],
    dies: [() => Effect.die(new Error("no page")), /no page/],
    throws: [
      () => {
        throw new Error("no page")
      },
      /no page/
    ],
    "answers with a 101": [() => Effect.succeed({ status: 101 }), /status/],
    "answers with a status that is none": [() => Effect.succeed({ status: 1000 }), /status/],
    "answers with a length of its own": [
      () => Effect.succeed({ status: 200, headers: { "Content-Length": "9" } }),
      /Content-Length/
    ],
    "answers with a field that can't be written": [
      () => Effect.succeed({ status: 200, headers: { "X-A": "a\r\nX-B: b" }, body: "secret" }),
      /X-A/
    ]
  }
  for (const [name, [fallback, told]] of Object.entries(mistakes)) {
    it.effect(`server answers with a 500 when the fallback ${name}, tells onError once, and keeps the connection`, () =>
      leavesNothing(
        Effect.gen(function* () {
          const serving = yield* serve(echo, { fallback })
          const line = yield* serving.connect()
          yield* line.ask(get, request())
          assert.strictEqual(line.text, internalError() + accepted(server))
          assert.strictEqual(serving.causes.length, 1)
          assert.match(Cause.pretty(serving.causes[0]!), told)
          yield* line.hangUp
          yield* serving.stop
        })
      )
    )
  }
})

describe("WebSocketServer: a fallback that takes its time", () => {
  /** Asks a fallback that never answers, and ends that: it is interrupted, and nobody is told. */
  const waiting = (end: (line: Line, stop: Effect.Effect<unknown>) => Effect.Effect<unknown>, expected: string) =>
    leavesNothing(
      Effect.gen(function* () {
        let interrupted = 0
        const serving = yield* serve(echo, {
          fallback: () => Effect.onInterrupt(Effect.never, () => Effect.sync(() => interrupted++))
        })
        const line = yield* serving.connect()
        yield* line.ask(get, request())
        yield* end(line, serving.stop)
        yield* settled
        assert.strictEqual(interrupted, 1)
        assert.strictEqual(line.text, expected)
        yield* line.hangUp
        yield* settled
        assert.strictEqual(serving.causes.length, 0)
        assert.deepInclude(yield* serving.counts, { handshakes: 0, connections: 0, accepted: 0 })
        yield* serving.stop
      })
    )

  it.effect("server interrupts the fallback when the peer goes", () =>
    waiting((line) => Effect.sync(() => line.wire.end()), "")
  )

  it.effect("server interrupts the fallback when the peer is reset", () =>
    waiting((line) => Effect.sync(() => line.wire.destroy()), "")
  )

  it.effect("server interrupts the fallback when the time is up, answers with a 503, and ends the connection", () =>
    waiting(() => TestClock.adjust(10_050), unavailable(close))
  )

  it.effect("server interrupts the fallback when it goes down, answers with a 503, and ends the connection", () =>
    waiting((_, stop) => Effect.fork(stop), unavailable(close))
  )
})

describe("WebSocketServer: a transport that fails", () => {
  const wrongKeyText = "the Sec-WebSocket-Key is not the base64 form of 16 bytes (RFC 6455 4.2.1)"
  const scenarios: Record<string, readonly [string, string]> = {
    "an accept": [request(), accepted(server)],
    "a refusal that keeps the connection, and an accept": [
      request({ "Sec-WebSocket-Key": "AAAA" }) + request(),
      refused("400 Bad Request", wrongKeyText) + accepted(server)
    ],
    "an answer of the fallback, and an accept": [get + request(), page() + accepted(server)],
    "an answer of the fallback that ends the connection": [closing(get), page(close)]
  }
  for (const [name, [asked, expected]] of Object.entries(scenarios)) {
    it.effect(`server leaves nothing behind and counts nothing whichever operation fails, in ${name}`, () =>
      Effect.gen(function* () {
        let hasFailed = true
        let failAt = 0
        while (hasFailed) {
          failAt++
          hasFailed = yield* leavesNothing(
            Effect.gen(function* () {
              const serving = yield* serve(echo, { fallback: toPage })
              const line = yield* serving.connect({ failAt })
              yield* line.ask(asked)
              if (!line.pair.hasFailed()) assert.strictEqual(line.text, expected)
              yield* line.hangUp
              yield* settled
              assert.deepInclude(yield* serving.counts, { handshakes: 0, connections: 0 })
              yield* serving.stop
              return line.pair.hasFailed()
            })
          )
        }
        assert.isAbove(failAt, 6)
      })
    )
  }
})
