/** Answers that take their time to go out, and what waits for them. */
import type * as MemoryTransport from "@effect-ws/api/testing/MemoryTransport"
import * as WebSocket from "@effect-ws/api/WebSocket"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import * as Frames from "./support/frames.ts"
import { leavesNothing, makePair, settled } from "./support/leaks.ts"
import { accepted, closing, echo, head, request, serve, type ServeOptions } from "./support/serving.ts"

const server = "Server: effect-ws"
const get = head("GET / HTTP/1.1", "Host: a")
const KiB = 1024
const page = new Uint8Array(256 * KiB).fill(10)
const pageHead = (...fields: ReadonlyArray<string>) =>
  head("HTTP/1.1 200 OK", server, "Content-Type: a/b", `Content-Length: ${page.length}`, ...fields)
const answered = page.length + pageHead().length

/** A server of pages, how many were asked for, and a peer that doesn't read. */
const servePages = (options: ServeOptions<never> = {}, pair: MemoryTransport.Options = {}) =>
  Effect.gen(function* () {
    const asked = { count: 0 }
    const serving = yield* serve(echo, {
      fallback: () =>
        Effect.sync(() => (asked.count++, { status: 200, headers: { "Content-Type": "a/b" }, body: page })),
      ...options
    })
    const line = yield* serving.connect(pair)
    line.pair.client.pause()
    return { ...serving, asked, line }
  })

describe("WebSocketServer: answers that wait for the peer", () => {
  it.effect("server answers no other request before the peer has taken the last answer", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { asked, line, stop } = yield* servePages()
        yield* line.ask(get.repeat(9))
        yield* line.ask(request())
        assert.strictEqual(asked.count, 1)
        assert.isAtMost(line.pair.server.ledger.bytesWritten, 64 * KiB)
        line.pair.client.resume()
        yield* line.wire.awaitBytes(9 * answered + accepted(server).length)
        assert.strictEqual(asked.count, 9)
        assert.strictEqual(line.statusLines.at(-1), "HTTP/1.1 101 Switching Protocols")
        yield* line.hangUp
        yield* stop
      })
    )
  )

  // Latency: each piece is 3 seconds on its way, and nothing else is sent meanwhile.
  for (const [what, asking, fields] of [
    ["keeps the connection", get, []],
    ["wants it to end", closing(get), ["Connection: close"]]
  ] as const) {
    it.effect(`server gives a peer that reads slowly all the time it needs, when it ${what}`, () =>
      leavesNothing(
        Effect.gen(function* () {
          const limits = { closeTimeout: "7 seconds", handshakeTimeout: "7 seconds" } as const
          const { line, stop } = yield* servePages({ server: limits }, { latency: "3 seconds" })
          line.pair.client.resume()
          yield* line.ask(asking)
          const length = page.length + pageHead(...fields).length
          // 3 seconds for the request and 3 for each of the 5 pieces.
          for (let seconds = 0; seconds < 18; seconds++) yield* TestClock.adjust("1 second")
          assert.strictEqual(line.wire.received().length, length)
          line.wire.end()
          yield* TestClock.adjust("3 seconds")
          yield* TestClock.adjust("3 seconds")
          assert.isUndefined(yield* line.wire.awaitClosed)
          yield* stop
        })
      )
    )
  }

  it.effect("server counts the time for the next request from when the peer has taken the last answer", () =>
    leavesNothing(
      Effect.gen(function* () {
        const options = { server: { closeTimeout: "9 seconds", handshakeTimeout: "10 seconds" } } as const
        const { line, stop } = yield* servePages(options)
        yield* line.ask(get)
        yield* TestClock.adjust("8 seconds")
        line.pair.client.resume()
        yield* line.wire.awaitBytes(answered)
        yield* settled
        yield* TestClock.adjust("9 seconds")
        yield* line.ask(request())
        assert.strictEqual(line.statusLines.at(-1), "HTTP/1.1 101 Switching Protocols")
        yield* line.hangUp
        yield* stop
      })
    )
  )

  for (const asking of [get, get + get, closing(get)]) {
    it.effect(
      `server destroys a peer that takes nothing of an answer in time, having sent ${JSON.stringify(asking)}`,
      () =>
        leavesNothing(
          Effect.gen(function* () {
            const { asked, counts, line, stop } = yield* servePages()
            yield* line.ask(asking)
            yield* TestClock.adjust("4900 millis")
            assert.isTrue(line.isOpen)
            yield* TestClock.adjust("200 millis")
            yield* settled
            assert.isFalse(line.isOpen)
            assert.strictEqual(asked.count, 1)
            assert.deepStrictEqual(yield* counts, { handshakes: 0, connections: 0, accepted: 0, refused: {} })
            line.pair.client.resume()
            yield* line.wire.awaitClosed
            yield* stop
          })
        )
    )
  }

  it.effect("server gives a peer that ended its side meanwhile all of the answer, and ends then", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { asked, line, stop } = yield* servePages()
        yield* line.ask(get + get)
        line.wire.end()
        yield* settled
        line.pair.client.resume()
        yield* line.wire.awaitEnd
        assert.isUndefined(yield* line.wire.awaitClosed)
        assert.deepStrictEqual([line.wire.received().length, asked.count], [answered, 1])
        yield* stop
      })
    )
  )

  it.effect("server asks nobody on behalf of a peer that is gone while an answer goes out", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { asked, counts, line, stop } = yield* servePages()
        yield* line.ask(get + get)
        line.wire.destroy()
        yield* settled
        assert.isFalse(line.isOpen)
        assert.strictEqual(asked.count, 1)
        assert.deepInclude(yield* counts, { connections: 0, refused: {} })
        yield* stop
      })
    )
  )

  for (const asking of [get, get + get, closing(get)]) {
    it.effect(`server that goes down waits a second for an answer to go out, behind ${JSON.stringify(asking)}`, () =>
      leavesNothing(
        Effect.gen(function* () {
          const { asked, line, running } = yield* servePages()
          yield* line.ask(asking)
          const stopping = yield* Effect.fork(Fiber.interrupt(running))
          yield* settled
          yield* TestClock.adjust("900 millis")
          assert.isTrue(line.isOpen)
          yield* TestClock.adjust("200 millis")
          yield* Fiber.join(stopping)
          assert.isFalse(line.isOpen)
          assert.strictEqual(asked.count, 1)
          line.pair.client.resume()
          yield* line.wire.awaitClosed
        })
      )
    )
  }

  it.effect("server that goes down lets a peer have the answer that reads it in time", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { asked, line, running } = yield* servePages()
        yield* line.ask(get + get)
        const stopping = yield* Effect.fork(Fiber.interrupt(running))
        yield* settled
        line.pair.client.resume()
        yield* line.wire.awaitBytes(answered)
        yield* line.wire.awaitEnd
        yield* line.hangUp
        yield* Fiber.join(stopping)
        assert.deepStrictEqual([line.wire.received().length, asked.count], [answered, 1])
      })
    )
  )
})

describe("WebSocket.acceptTransport: answers that wait for the peer", () => {
  it.effect("server reads the next request when the peer has taken the refusal of the last", () =>
    leavesNothing(
      Effect.scoped(
        Effect.gen(function* () {
          const pair = yield* makePair({ highWaterMark: 1 })
          const client = pair.client
          const received: Array<Uint8Array> = []
          const gone = yield* Deferred.make<void>()
          client.start({
            chunk: (bytes) => void received.push(bytes),
            end: () => {},
            drained: () => {},
            closed: () => Deferred.unsafeDone(gone, Effect.void)
          })
          client.pause()
          client.write([Frames.utf8(request({ "Sec-WebSocket-Key": "AAAA" }) + request())])
          const error = yield* Effect.flip(WebSocket.acceptTransport(pair.server))
          assert.isTrue(error.reusable)
          const accepting = yield* Effect.fork(WebSocket.acceptTransport(pair.server))
          yield* settled
          assert.isNull(accepting.unsafePoll())
          assert.strictEqual(pair.server.ledger.writes, 1)
          client.resume()
          const socket = yield* Fiber.join(accepting)
          assert.strictEqual(socket.request.path, "/chat")
          client.destroy()
          yield* Deferred.await(gone)
        })
      )
    )
  )
})
