/** What the client reads of an answer that declines, and where it stops (RFC 6455 4.1, RFC 9112 6.3). */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"
import {
  answer,
  bytesOf,
  declined,
  describeError,
  everyPrefix,
  everySplit,
  handshake,
  keys,
  lines,
  makeDeaf,
  makeServer,
  requestHead,
  textOf
} from "./support/answering.ts"
import { leavesNothing, settled } from "./support/leaks.ts"

const isDone = (fiber: Fiber.RuntimeFiber<unknown, unknown>) => Effect.map(fiber.poll, Option.isSome)

type Fields = ReadonlyArray<readonly [string, string]>

interface Row {
  readonly name: string
  readonly head: string
  readonly fields?: Fields
  /** What comes behind the head, as it is written. */
  readonly sent?: string
  readonly body?: string
  readonly behind?: "the end"
  readonly isComplete?: boolean
  readonly reusable?: boolean
}

const length = (count: number): readonly [string, string] => ["Content-Length", `${count}`]
const chunked: readonly [string, string] = ["Transfer-Encoding", "chunked"]

const maxBodySize = 16

const rows: ReadonlyArray<Row> = [
  {
    name: "401 with fields and a body",
    head: "HTTP/1.1 401 Unauthorized",
    fields: [["WWW-Authenticate", 'Basic realm="a"'], ["WWW-Authenticate", "Bearer"], ["Set-Cookie", "a=b"], length(5)],
    sent: "who? ",
    body: "who? ",
    reusable: true
  },
  {
    name: "407 as a proxy does",
    head: "HTTP/1.1 407 Proxy Authentication Required",
    fields: [["Proxy-Authenticate", "Basic"], length(0)],
    reusable: true
  },
  ...[301, 302, 303, 307, 308].map((status) => ({
    name: `${status} to another place`,
    head: `HTTP/1.1 ${status} `,
    fields: [["Location", "wss://example.com/b"] as const, length(2)],
    sent: "b!",
    body: "b!",
    reusable: true
  })),
  { name: "200", head: "HTTP/1.1 200 OK", fields: [length(2)], sent: "ok", body: "ok", reusable: true },
  { name: "204, which has no body", head: "HTTP/1.1 204 No Content", reusable: true },
  { name: "304, whatever length it names", head: "HTTP/1.1 304 x", fields: [length(9)], reusable: true },
  { name: "426", head: "HTTP/1.1 426 x", fields: [["Sec-WebSocket-Version", "13"], length(0)], reusable: true },
  { name: "a status that nobody knows", head: "HTTP/1.1 799 ", fields: [length(0)], reusable: true },
  { name: "503 with an empty body", head: "HTTP/1.1 503 x", fields: [["Retry-After", "5"], length(0)], reusable: true },
  {
    name: "a body in chunks",
    head: "HTTP/1.1 403 x",
    fields: [chunked],
    sent: "3\r\nnot\r\n4;a=b\r\n you\r\n0\r\n\r\n",
    body: "not you",
    reusable: true
  },
  {
    name: "a body in chunks with a trailer",
    head: "HTTP/1.1 403 x",
    fields: [chunked],
    sent: "1\r\na\r\n0\r\nExpires: 0\r\n\r\n",
    body: "a",
    reusable: true
  },
  {
    name: "an empty body in chunks",
    head: "HTTP/1.1 403 x",
    fields: [chunked],
    sent: "0\r\n\r\n",
    reusable: true
  },
  {
    name: "malformed chunks",
    head: "HTTP/1.1 403 x",
    fields: [chunked],
    sent: "2\r\nab\r\nx",
    body: "ab",
    isComplete: false
  },
  { name: "a body to the end", head: "HTTP/1.0 403 x", sent: "not you", body: "not you", behind: "the end" },
  { name: "an empty body to the end", head: "HTTP/1.1 403 x", behind: "the end" },
  {
    name: "a length, and keeps nothing alive",
    head: "HTTP/1.1 403 x",
    fields: [["Connection", "Close"], length(1)],
    sent: "a",
    body: "a"
  },
  { name: "a length, in HTTP/1.0", head: "HTTP/1.0 403 x", fields: [length(1)], sent: "a", body: "a" },
  {
    name: "a length, in HTTP/1.0 that would be kept alive",
    head: "HTTP/1.0 403 x",
    fields: [["Connection", "keep-alive"], length(1)],
    sent: "a",
    body: "a"
  },
  {
    name: "two lengths, of which none can be relied on",
    head: "HTTP/1.1 403 x",
    fields: [length(1), length(2)],
    sent: "ab",
    body: "ab",
    behind: "the end",
    isComplete: false
  },
  {
    name: "a length and chunks, which may be an attempt to smuggle",
    head: "HTTP/1.1 403 x",
    fields: [length(1), chunked],
    sent: "1\r\na\r\n0\r\n\r\n",
    body: "a",
    isComplete: false
  },
  {
    name: "less than its length, and the end",
    head: "HTTP/1.1 403 x",
    fields: [length(5)],
    sent: "hell",
    body: "hell",
    behind: "the end",
    isComplete: false
  },
  {
    name: "half its chunks, and the end",
    head: "HTTP/1.1 403 x",
    fields: [chunked],
    sent: "4\r\nhell\r\n",
    body: "hell",
    behind: "the end",
    isComplete: false
  },
  {
    name: "a body as large as the limit",
    head: "HTTP/1.1 403 x",
    fields: [length(16)],
    sent: "0123456789abcdef",
    body: "0123456789abcdef",
    reusable: true
  },
  {
    name: "a body larger than the limit",
    head: "HTTP/1.1 403 x",
    fields: [length(17)],
    sent: "0123456789abcdefg",
    body: "0123456789abcdef",
    isComplete: false
  },
  {
    name: "chunks larger than the limit",
    head: "HTTP/1.1 403 x",
    fields: [chunked],
    sent: "10\r\n0123456789abcdef\r\n1\r\ng\r\n",
    body: "0123456789abcdef",
    isComplete: false
  },
  {
    name: "more than the limit to the end",
    head: "HTTP/1.1 403 x",
    sent: "0123456789abcdefg",
    body: "0123456789abcdef",
    isComplete: false
  },
  {
    name: "a body after interim answers",
    head: "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 x\r\nLink: <a>\r\n\r\nHTTP/1.1 403 x",
    fields: [length(1)],
    sent: "a",
    body: "a",
    reusable: true
  },
  {
    name: "bytes behind the body",
    head: "HTTP/1.1 403 x",
    fields: [length(1)],
    sent: "aHTTP/1.1 200 OK\r\n\r\n",
    body: "a"
  }
]

const written = requestHead(keys[0])

const headOf = (head: string, fields: Fields) => lines(head, ...fields.map(([name, value]) => `${name}: ${value}`), "")

/** Plays an answer that declines, and returns what the client tells. */
const play = (pieces: ReadonlyArray<Uint8Array>, behind: "the end" | undefined) =>
  leavesNothing(
    Effect.gen(function* () {
      const { pair, peer } = yield* makeServer()
      const opening = yield* Effect.fork(Effect.flip(handshake(pair.client, { maxBodySize })))
      yield* answer(peer, pieces)
      if (behind === "the end") peer.end()
      const error = yield* Fiber.join(opening)
      assert.strictEqual(peer.head, written)
      assert.strictEqual(pair.client.ledger.bytesWritten, written.length + 4)
      assert.strictEqual(pair.client.ledger.isOpen, error.reusable)
      return describeError(error)
    })
  )

const statusOf = (head: string): number => Number(/HTTP\/1\.. (\d+) [^\r]*$/.exec(head)![1])

describe("RFC 6455 4.1: an answer that declines", () => {
  for (const { body = "", fields = [], head, isComplete = true, name, reusable = false, sent = "", behind } of rows) {
    it.effect(`client tells it all of ${name}, whole, byte by byte and split at every offset`, () =>
      Effect.gen(function* () {
        const expected = declined(statusOf(head), fields, body, { isComplete, reusable })
        for (const [i, pieces] of everySplit(bytesOf(headOf(head, fields) + sent)).entries()) {
          assert.deepStrictEqual(yield* play(pieces, behind), expected, `split ${i}`)
        }
      })
    )
  }

  it.effect("client keeps 64 KiB of a body by default, and takes no more from the transport", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { pair, peer } = yield* makeServer({ readSize: 1000 })
        const opening = yield* Effect.fork(Effect.flip(handshake(pair.client)))
        yield* peer.awaitHead
        peer.sendHead("HTTP/1.1 403 x", "Content-Length: 9999999")
        peer.send(new Uint8Array(1_000_000).fill(0x61))
        const error = yield* Fiber.join(opening)
        const body = "a".repeat(64 * 1024)
        assert.deepStrictEqual(describeError(error), declined(403, [length(9_999_999)], body, { isComplete: false }))
        assert.isFalse(pair.client.ledger.isOpen)
        // 16 KiB may be held until a turn of the program, which ends it.
        assert.isBelow(pair.client.ledger.bytesDelivered, 64 * 1024 + 16 * 1024 + 2000)
      })
    )
  )

  it.effect("client reads on for a body that is slow, and hands out bytes that nobody else holds", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { pair, peer } = yield* makeServer()
        const opening = yield* Effect.fork(Effect.flip(handshake(pair.client)))
        yield* peer.awaitHead
        peer.sendHead("HTTP/1.1 403 x", "Content-Length: 3")
        for (const byte of "abc") {
          yield* TestClock.adjust(3000)
          assert.isFalse(yield* isDone(opening))
          peer.send(bytesOf(byte))
        }
        const { reason } = yield* Fiber.join(opening)
        assert(reason._tag === "Declined")
        assert.strictEqual(textOf(reason.body), "abc")
        assert.strictEqual(reason.body.buffer.byteLength, 3)
      })
    )
  )
})

describe("RFC 6455 4.1: an answer that declines and breaks off", () => {
  const framings: ReadonlyArray<
    readonly [name: string, fields: Fields, sent: string, bodyOf: (sent: string) => string]
  > = [
    ["a body with its length", [length(6)], "hello", (sent) => sent],
    ["a body in chunks", [chunked], "5\r\nhello\r\n0\r\n\r", (sent) => sent.slice(3, 8)],
    ["a body to the end", [], "hello", (sent) => sent]
  ]

  const head = (fields: Fields) => headOf("HTTP/1.1 403 x", fields)

  for (const [name, fields, sent, bodyOf] of framings) {
    const parts = [...everyPrefix(bytesOf(sent)), bytesOf(sent)]
    const expected = (part: Uint8Array) => declined(403, fields, bodyOf(textOf(part)), { isComplete: false })

    it.effect(`client tells what came of ${name} by the deadline, at any point`, () =>
      Effect.gen(function* () {
        for (const part of parts) {
          yield* leavesNothing(
            Effect.gen(function* () {
              const { pair, peer } = yield* makeServer()
              const opening = yield* Effect.fork(Effect.flip(handshake(pair.client, { handshakeTimeout: 1000 })))
              yield* TestClock.adjust(600)
              yield* answer(peer, [bytesOf(head(fields)), part])
              yield* settled
              yield* TestClock.adjust(399)
              assert.isFalse(yield* isDone(opening))
              yield* TestClock.adjust(1)
              assert.deepStrictEqual(describeError(yield* Fiber.join(opening)), expected(part))
              assert.isFalse(pair.client.ledger.isOpen)
              yield* peer.awaitClosed
            })
          )
        }
      })
    )

    it.effect(`client tells what came of ${name} before a reset, at any point`, () =>
      Effect.gen(function* () {
        for (const part of parts) {
          yield* leavesNothing(
            Effect.gen(function* () {
              const { pair, peer } = yield* makeDeaf()
              const opening = yield* Effect.fork(Effect.flip(handshake(pair.client)))
              yield* settled
              peer.send(bytesOf(head(fields)), part)
              yield* settled
              assert.isFalse(yield* isDone(opening))
              peer.destroy()
              assert.deepStrictEqual(describeError(yield* Fiber.join(opening)), expected(part))
              assert.isFalse(pair.client.ledger.isOpen)
            })
          )
        }
      })
    )

    it.effect(`client tells what came of ${name} before the server ended, at any point`, () =>
      Effect.gen(function* () {
        for (const part of parts) {
          yield* leavesNothing(
            Effect.gen(function* () {
              const { pair, peer } = yield* makeServer()
              const opening = yield* Effect.fork(Effect.flip(handshake(pair.client)))
              yield* answer(peer, [bytesOf(head(fields)), part])
              peer.end()
              const isComplete = fields.length === 0
              assert.deepStrictEqual(
                describeError(yield* Fiber.join(opening)),
                declined(403, fields, bodyOf(textOf(part)), { isComplete })
              )
              assert.isFalse(pair.client.ledger.isOpen)
            })
          )
        }
      })
    )

    it.effect(`client leaves nothing when it is interrupted within ${name}, at any point`, () =>
      Effect.gen(function* () {
        for (const part of parts) {
          yield* leavesNothing(
            Effect.gen(function* () {
              const { pair, peer } = yield* makeServer()
              const opening = yield* Effect.fork(handshake(pair.client))
              yield* answer(peer, [bytesOf(head(fields)), part])
              yield* settled
              assert.isTrue((yield* Fiber.interrupt(opening))._tag === "Failure")
              assert.isFalse(pair.client.ledger.isOpen)
              yield* peer.awaitClosed
            })
          )
        }
      })
    )
  }
})
