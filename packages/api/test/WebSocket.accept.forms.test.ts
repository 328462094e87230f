/** `acceptTransport` in all its forms: what was read before, and one attempt after the other. */
import type { AcceptTransportOptions, Read } from "@effect-ws/api/AcceptTransportOptions"
import * as WebSocket from "@effect-ws/api/WebSocket"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import {
  assertNotReusable,
  close,
  frame,
  frames,
  headOf,
  isDone,
  makeLine,
  refuse,
  server,
  textsOf,
  wrongKey,
  wrongKeyAnswer,
  wrongKeyText
} from "./support/accepting.ts"
import * as Frames from "./support/frames.ts"
import { leavesNothing, settled } from "./support/leaks.ts"
import { accepted, refused, request } from "./support/serving.ts"

const tooLarge = "HTTP/1.1 431 Request Header Fields Too Large"

describe("WebSocket.acceptTransport: what was read before", () => {
  const whole = Frames.concat([Frames.utf8(request()), frames])

  /** Accepts with what was read, while the rest comes by the transport; the arrays are left as they are, and free then. */
  const takes = (read: Read, given: Uint8Array | undefined, rest: Uint8Array, how: string) =>
    Effect.scoped(
      Effect.gen(function* () {
        const before = given?.slice()
        const line = yield* makeLine()
        line.wire.send(rest)
        const socket = yield* WebSocket.acceptTransport(line.pair.server, read)
        assert.deepStrictEqual(given, before, how)
        given?.fill(0)
        assert.deepStrictEqual(yield* textsOf(socket, 2), ["a", "b"], how)
        assert.deepStrictEqual(given, before?.fill(0), how)
        yield* settled
        assert.strictEqual(line.text, accepted(server), how)
        line.wire.destroy()
      })
    )

  it.effect("server reads the request and the frames in the same chunk from the transport", () =>
    leavesNothing(takes({}, undefined, whole, ""))
  )

  it.effect("server takes the first bytes, wherever they end, and the rest from the transport", () =>
    leavesNothing(
      Effect.gen(function* () {
        for (let at = 0; at <= whole.length; at++) {
          const bytes = whole.slice(0, at)
          yield* takes({ bytes }, bytes, whole.subarray(at), `split at ${at}`)
        }
      })
    )
  )

  it.effect("server takes a request, and the frames from the transport", () =>
    leavesNothing(takes({ request: headOf(request()) }, undefined, frames, ""))
  )

  it.effect("server takes a request and the first bytes of the frames, wherever they end", () =>
    leavesNothing(
      Effect.gen(function* () {
        for (let at = 0; at <= frames.length; at++) {
          const leftover = frames.slice(0, at)
          yield* takes({ request: headOf(request()), leftover }, leftover, frames.subarray(at), `split at ${at}`)
        }
      })
    )
  )

  it.effect("server takes the same bytes for several transports", () =>
    leavesNothing(
      Effect.gen(function* () {
        const before = whole.slice()
        for (const read of [{ bytes: whole }, { bytes: whole }, { request: headOf(request()), leftover: frames }]) {
          const line = yield* makeLine()
          const socket = yield* WebSocket.acceptTransport(line.pair.server, read)
          assert.deepStrictEqual(yield* textsOf(socket, 2), ["a", "b"])
          assert.deepStrictEqual(whole, before)
          line.wire.destroy()
        }
      })
    )
  )
})

describe("WebSocket.acceptTransport: again on the same transport", () => {
  it.effect("server accepts a client that corrects itself", () =>
    leavesNothing(
      Effect.gen(function* () {
        const line = yield* makeLine()
        yield* line.ask(wrongKey)
        const error = yield* refuse(line.pair.server)
        assert.deepInclude(error.reason, { _tag: "InvalidKey" })
        yield* line.ask(request(), frames)
        assert.strictEqual(line.text, wrongKeyAnswer)
        const socket = yield* WebSocket.acceptTransport(line.pair.server)
        assert.deepStrictEqual(yield* textsOf(socket, 2), ["a", "b"])
        yield* settled
        assert.strictEqual(line.text, wrongKeyAnswer + accepted(server))
        yield* line.hangUp
      })
    )
  )

  it.effect("server finds requests and frames that came in one chunk in their order, however they were read", () =>
    leavesNothing(
      Effect.gen(function* () {
        const asked = Frames.concat([Frames.utf8(wrongKey + wrongKey + request()), frames])
        for (let at = 0; at <= asked.length; at++) {
          const line = yield* makeLine()
          line.wire.send(asked.subarray(at))
          const first = asked.slice(0, at)
          yield* refuse(line.pair.server, { bytes: first })
          first.fill(0)
          yield* refuse(line.pair.server)
          const socket = yield* WebSocket.acceptTransport(line.pair.server)
          assert.deepStrictEqual(yield* textsOf(socket, 2), ["a", "b"], `split at ${at}`)
          yield* settled
          assert.strictEqual(line.text, wrongKeyAnswer.repeat(2) + accepted(server), `split at ${at}`)
          line.wire.destroy()
        }
      })
    )
  )

  // Somebody who has read several requests in one chunk hands them on one by one; what came since is behind all of them.
  it.effect("server takes what is given for another attempt ahead of what the transport has brought", () =>
    leavesNothing(
      Effect.gen(function* () {
        const bytes = Frames.utf8(request())
        const ways: ReadonlyArray<readonly [Read, Uint8Array]> = [
          [{ bytes: bytes.subarray(0, 30) }, Frames.concat([bytes.subarray(30), frames])],
          [{ bytes: Frames.concat([bytes, frame("a")]) }, frame("b")],
          [{ request: headOf(request()) }, frames],
          [{ request: headOf(request()), leftover: frames.subarray(0, 3) }, frames.subarray(3)]
        ]
        for (const [read, rest] of ways) {
          const line = yield* makeLine()
          yield* refuse(line.pair.server, { request: headOf(wrongKey) })
          yield* line.ask(rest)
          const socket = yield* WebSocket.acceptTransport(line.pair.server, read)
          assert.deepStrictEqual(yield* textsOf(socket, 2), ["a", "b"])
          line.wire.destroy()
        }
      })
    )
  )

  for (const isPipelined of [false, true]) {
    const how = isPipelined ? "that came with the first" : "that comes later"

    it.effect(`server reads a request ${how} with the limits of the call that accepts it`, () =>
      leavesNothing(
        Effect.gen(function* () {
          const large = request({ "X-Large": "x".repeat(600), "X-1": "1", "X-2": "2" })
          const narrow = [{ maxHeadSize: 300 }, { maxHeadFields: 6 }]
          for (const limits of narrow) {
            const wider = yield* makeLine()
            yield* wider.ask(wrongKey, isPipelined ? large : "")
            yield* refuse(wider.pair.server, limits)
            if (!isPipelined) yield* wider.ask(large)
            yield* WebSocket.acceptTransport(wider.pair.server)
            yield* settled
            assert.strictEqual(wider.text, wrongKeyAnswer + accepted(server))
            wider.wire.destroy()
            const narrower = yield* makeLine()
            yield* narrower.ask(wrongKey, isPipelined ? large : "")
            yield* refuse(narrower.pair.server)
            if (!isPipelined) yield* narrower.ask(large)
            const error = yield* Effect.flip(WebSocket.acceptTransport(narrower.pair.server, limits))
            assert.isFalse(error.reusable)
            yield* settled
            assert.strictEqual(narrower.statusLines.at(-1), tooLarge)
            yield* narrower.hangUp
          }
        })
      )
    )
  }

  it.effect("server gives another attempt the time that its own call names", () =>
    leavesNothing(
      Effect.gen(function* () {
        for (const [first, second] of [
          [1000, 5000],
          [5000, 1000]
        ] as const) {
          const line = yield* makeLine()
          yield* line.ask(wrongKey)
          yield* refuse(line.pair.server, { handshakeTimeout: first })
          const accepting = yield* Effect.fork(
            Effect.flip(WebSocket.acceptTransport(line.pair.server, { handshakeTimeout: second }))
          )
          yield* settled
          yield* TestClock.adjust(second - 1)
          assert.isFalse(yield* isDone(accepting))
          yield* TestClock.adjust(51)
          const error = yield* Fiber.join(accepting)
          assert.deepInclude(error.reason, { _tag: "Timeout", phase: "head" })
          assert.isFalse(error.reusable)
          yield* line.hangUp
        }
      })
    )
  )

  it.effect("server has no deadline for a transport that rests", () =>
    leavesNothing(
      Effect.gen(function* () {
        const line = yield* makeLine()
        yield* line.ask(wrongKey)
        yield* refuse(line.pair.server)
        yield* TestClock.adjust("1 hour")
        assert.isFalse(line.wire.hasEnded())
        yield* line.ask(request())
        yield* WebSocket.acceptTransport(line.pair.server)
        yield* line.hangUp
      })
    )
  )

  it.effect("server answers as the call says that answers", () =>
    leavesNothing(
      Effect.gen(function* () {
        const line = yield* makeLine()
        const name = (value: string): AcceptTransportOptions => ({
          server: value,
          decorate: (response) => ({ ...response, headers: [...response.headers, ["X-Attempt", value]] })
        })
        yield* line.ask(wrongKey, wrongKey, request())
        for (const value of ["one", "two"]) yield* refuse(line.pair.server, name(value))
        yield* WebSocket.acceptTransport(line.pair.server, name("three"))
        yield* settled
        const values = (field: RegExp) => Array.from(line.text.matchAll(field), ([, value]) => value)
        assert.deepStrictEqual(values(/^Server: (.*)$/gm), ["one", "two", "three"])
        assert.deepStrictEqual(values(/^X-Attempt: (.*)$/gm), ["one", "two", "three"])
        yield* line.hangUp
      })
    )
  )

  it.effect("server ends the connection behind a refusal when the call says so", () =>
    leavesNothing(
      Effect.gen(function* () {
        const line = yield* makeLine()
        yield* line.ask(wrongKey, wrongKey, request())
        yield* refuse(line.pair.server)
        const error = yield* Effect.flip(WebSocket.acceptTransport(line.pair.server, { keepAlive: false }))
        assert.isFalse(error.reusable)
        yield* settled
        assert.strictEqual(line.text, wrongKeyAnswer + refused("400 Bad Request", wrongKeyText, close))
        assert.isTrue(line.wire.hasEnded())
        assertNotReusable(yield* Effect.flip(WebSocket.acceptTransport(line.pair.server)))
        yield* line.hangUp
      })
    )
  )

  it.effect("server takes ten requests on a transport, whoever asks for them", () =>
    leavesNothing(
      Effect.gen(function* () {
        const line = yield* makeLine()
        yield* line.ask(wrongKey.repeat(10), request())
        for (let i = 0; i < 9; i++) yield* refuse(line.pair.server)
        const last = yield* Effect.flip(WebSocket.acceptTransport(line.pair.server))
        assert.deepInclude(last.reason, { _tag: "InvalidKey" })
        assert.isFalse(last.reusable)
        yield* settled
        assert.strictEqual(line.text, wrongKeyAnswer.repeat(9) + refused("400 Bad Request", wrongKeyText, close))
        yield* line.hangUp
      })
    )
  )

  it.effect("server tells another attempt that the peer has gone meanwhile, and how", () =>
    leavesNothing(
      Effect.gen(function* () {
        for (const leave of ["end", "destroy"] as const) {
          const line = yield* makeLine()
          yield* line.ask(wrongKey)
          yield* refuse(line.pair.server)
          yield* settled
          line.wire[leave]()
          yield* settled
          const error = yield* Effect.flip(WebSocket.acceptTransport(line.pair.server))
          assert.deepInclude(error, { reason: { _tag: "PeerGone" }, reusable: false, answer: undefined })
          yield* line.wire.awaitClosed
          assert.strictEqual(line.text, wrongKeyAnswer)
        }
        const broken = yield* makeLine({ failAt: 6 })
        yield* broken.ask(wrongKey)
        yield* refuse(broken.pair.server)
        yield* broken.ask("G")
        assert.isTrue(broken.pair.hasFailed())
        const { reason } = yield* Effect.flip(WebSocket.acceptTransport(broken.pair.server))
        assert.strictEqual(reason._tag === "Transport" && reason.error._tag, "TransportError")
      })
    )
  )
})
