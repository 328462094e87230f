/** Whose a transport is between the attempts of `acceptTransport`, and everything that ends one. */
import type { MemoryTransport } from "@effect-ws/api/testing/MemoryTransport"
import type { SubprotocolChoice } from "@effect-ws/api/AcceptOptions"
import * as WebSocket from "@effect-ws/api/WebSocket"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import {
  assertNotReusable,
  close,
  errorOf,
  frames,
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
import { atEveryPoint, describePoints, interruptions, pauses } from "./support/schedulers.ts"
import { accepted, closing, refused, request } from "./support/serving.ts"

describe("WebSocket.acceptTransport: scopes", () => {
  it.effect("server ends a transport that rests when the scope of the attempt closes, behind its answer", () =>
    leavesNothing(
      Effect.gen(function* () {
        const line = yield* makeLine()
        yield* line.ask(wrongKey)
        yield* Effect.scoped(refuse(line.pair.server))
        yield* settled
        assert.strictEqual(line.text, wrongKeyAnswer)
        assert.isTrue(line.wire.hasEnded())
        assertNotReusable(yield* Effect.flip(WebSocket.acceptTransport(line.pair.server)))
        yield* TestClock.adjust(4999)
        assert.isTrue(line.isOpen)
        yield* TestClock.adjust(251)
        assert.isFalse(line.isOpen)
        line.wire.destroy()
      })
    )
  )

  it.effect("server leaves a connection alone when the scope of an earlier attempt closes", () =>
    leavesNothing(
      Effect.gen(function* () {
        const line = yield* makeLine()
        const earlier = yield* Scope.make()
        yield* line.ask(wrongKey, request())
        yield* Scope.extend(refuse(line.pair.server), earlier)
        const socket = yield* WebSocket.acceptTransport(line.pair.server)
        yield* Scope.close(earlier, Exit.void)
        yield* line.ask(frames)
        assert.deepStrictEqual(yield* textsOf(socket, 2), ["a", "b"])
        yield* line.hangUp
      })
    )
  )

  it.effect("server leaves an attempt that waits alone when the scope of an earlier one closes", () =>
    leavesNothing(
      Effect.gen(function* () {
        const line = yield* makeLine()
        const earlier = yield* Scope.make()
        yield* line.ask(wrongKey)
        yield* Scope.extend(refuse(line.pair.server), earlier)
        const accepting = yield* Effect.fork(WebSocket.acceptTransport(line.pair.server))
        yield* settled
        yield* Scope.close(earlier, Exit.void)
        yield* line.ask(request(), frames)
        assert.deepStrictEqual(yield* textsOf(yield* Fiber.join(accepting), 2), ["a", "b"])
        yield* line.hangUp
      })
    )
  )

  it.effect("server leaves a transport on which a later attempt rests to the scope of that one", () =>
    leavesNothing(
      Effect.gen(function* () {
        const line = yield* makeLine()
        const [earlier, later] = [yield* Scope.make(), yield* Scope.make()]
        yield* line.ask(wrongKey, wrongKey)
        yield* Scope.extend(refuse(line.pair.server), earlier)
        yield* Scope.extend(refuse(line.pair.server), later)
        yield* Scope.close(earlier, Exit.void)
        yield* settled
        assert.isFalse(line.wire.hasEnded())
        yield* Scope.close(later, Exit.void)
        yield* settled
        assert.isTrue(line.wire.hasEnded())
        assert.strictEqual(line.text, wrongKeyAnswer.repeat(2))
        yield* line.hangUp
      })
    )
  )
})

describe("WebSocket.acceptTransport: transports that are in use, or were", () => {
  it.effect("server leaves a transport alone on which another attempt waits", () =>
    leavesNothing(
      Effect.gen(function* () {
        for (const isSecond of [false, true]) {
          const line = yield* makeLine()
          if (isSecond) yield* line.ask(wrongKey)
          if (isSecond) yield* refuse(line.pair.server)
          const accepting = yield* Effect.fork(WebSocket.acceptTransport(line.pair.server))
          yield* settled
          assertNotReusable(
            yield* Effect.flip(
              WebSocket.acceptTransport(line.pair.server, { maxHeadSize: 1, bytes: Frames.utf8("no request\r\n\r\n") })
            )
          )
          yield* line.ask(request(), frames)
          assert.deepStrictEqual(yield* textsOf(yield* Fiber.join(accepting), 2), ["a", "b"])
          yield* line.hangUp
        }
      })
    )
  )

  it.effect("server gives a transport to one of two who come at once", () =>
    leavesNothing(
      Effect.gen(function* () {
        for (const isSecond of [false, true]) {
          const line = yield* makeLine()
          if (isSecond) yield* line.ask(wrongKey)
          if (isSecond) yield* refuse(line.pair.server)
          const both = yield* Effect.fork(
            Effect.all(
              [1, 2].map(() => Effect.exit(WebSocket.acceptTransport(line.pair.server))),
              {
                concurrency: "unbounded"
              }
            )
          )
          yield* settled
          yield* line.ask(request(), frames)
          const exits = yield* Fiber.join(both)
          const [socket] = exits.flatMap((exit) => (Exit.isSuccess(exit) ? [exit.value] : []))
          exits.filter(Exit.isFailure).forEach((exit) => assertNotReusable(errorOf(exit)))
          assert.strictEqual(exits.filter(Exit.isFailure).length, 1)
          assert.deepStrictEqual(yield* textsOf(socket!, 2), ["a", "b"])
          yield* line.hangUp
        }
      })
    )
  )

  it.effect("server takes no transport on which the last attempt left nothing to go on from", () =>
    leavesNothing(
      Effect.gen(function* () {
        const interrupted = (transport: MemoryTransport) =>
          Effect.gen(function* () {
            const fiber = yield* Effect.fork(WebSocket.acceptTransport(transport))
            yield* settled
            yield* Fiber.interrupt(fiber)
          })
        const attempt = (transport: MemoryTransport) => Effect.exit(WebSocket.acceptTransport(transport))
        const ways: Record<
          string,
          readonly [string, (transport: MemoryTransport) => Effect.Effect<unknown, never, Scope.Scope>]
        > = {
          "that was closed by the peer's wish": [closing(wrongKey), attempt],
          "with a head that is none": ["G@T / HTTP/1.1\r\n\r\n", attempt],
          "with an attempt that was interrupted": ["GET /", interrupted]
        }
        for (const [name, [asked, begin]] of Object.entries(ways)) {
          const line = yield* makeLine()
          yield* line.ask(asked)
          yield* begin(line.pair.server)
          assertNotReusable(yield* Effect.flip(WebSocket.acceptTransport(line.pair.server)))
          yield* settled
          assert.isTrue(line.wire.hasEnded(), name)
          yield* line.hangUp
        }
      })
    )
  )

  it.effect("server leaves a transport that rests as it is when the options of another attempt can't be meant", () =>
    leavesNothing(
      Effect.gen(function* () {
        const line = yield* makeLine()
        yield* line.ask(wrongKey, request())
        yield* refuse(line.pair.server)
        const exit = yield* Effect.exit(WebSocket.acceptTransport(line.pair.server, { maxHeadSize: 0 }))
        assert.isTrue(Exit.isFailure(exit) && Cause.isDie(exit.cause))
        yield* WebSocket.acceptTransport(line.pair.server)
        yield* line.hangUp
      })
    )
  )
})

describe("WebSocket.acceptTransport: again, disturbed", () => {
  for (const points of [...interruptions, ...pauses]) {
    it.effect(`server loses no transport when another attempt is ${describePoints(points)}`, () =>
      Effect.gen(function* () {
        for (const [asked, status] of [
          [request(), "101 Switching Protocols"],
          [closing(wrongKey), "400 Bad Request"]
        ] as const) {
          const count = yield* atEveryPoint(points, (disturbed) =>
            Effect.gen(function* () {
              const line = yield* makeLine()
              yield* line.ask(wrongKey)
              const earlier = yield* Scope.make()
              yield* Scope.extend(refuse(line.pair.server), earlier)
              const choose: SubprotocolChoice = () => Effect.as(Effect.yieldNow(), undefined)
              const accepting = WebSocket.acceptTransport(line.pair.server, { subprotocols: choose })
              const exit = yield* disturbed(accepting, line.ask(asked))
              yield* Scope.close(earlier, Exit.void)
              yield* settled
              const isAnswered = Exit.isSuccess(exit) || !Exit.isInterrupted(exit)
              if (isAnswered) assert.deepStrictEqual(line.statusLines.slice(1), [`HTTP/1.1 ${status}`])
              // Interrupted at the very last step it is a connection, which the scope closes.
              else if (line.statusLines.length === 1) assert.isTrue(line.wire.hasEnded() || line.wire.isClosed())
              if (!line.wire.isClosed()) line.wire.destroy()
            })
          )
          assert.isAbove(count, 5)
        }
      })
    )
  }
})

describe("WebSocket.acceptTransport: two at once, disturbed", () => {
  for (const points of pauses) {
    it.effect(`server gives a transport that rests to one of two when one is ${describePoints(points)}`, () =>
      Effect.gen(function* () {
        const count = yield* atEveryPoint(points, (disturbed) =>
          Effect.gen(function* () {
            const line = yield* makeLine()
            yield* line.ask(wrongKey, request())
            yield* refuse(line.pair.server)
            const other = yield* Effect.fork(Effect.exit(WebSocket.acceptTransport(line.pair.server)))
            const exit = yield* disturbed(WebSocket.acceptTransport(line.pair.server))
            const exits = [exit, yield* Fiber.join(other)]
            line.wire.destroy()
            const failed = exits.filter(Exit.isFailure)
            assert.strictEqual(failed.length, 1)
            assertNotReusable(errorOf(failed[0]!))
          })
        )
        assert.isAbove(count, 5)
      })
    )
  }
})

describe("WebSocket.acceptTransport: a transport that fails", () => {
  const scenarios: Record<string, readonly [string, number, string]> = {
    "an accept": [request(), 1, accepted(server)],
    "a refusal that keeps the connection, and an accept": [wrongKey + request(), 2, wrongKeyAnswer + accepted(server)],
    "a refusal that ends the connection": [closing(wrongKey), 1, refused("400 Bad Request", wrongKeyText, close)]
  }
  for (const [name, [asked, attempts, expected]] of Object.entries(scenarios)) {
    it.effect(`server leaves nothing behind whichever operation fails, in ${name}`, () =>
      Effect.gen(function* () {
        let hasFailed = true
        let failAt = 0
        while (hasFailed) {
          failAt++
          hasFailed = yield* leavesNothing(
            Effect.gen(function* () {
              const line = yield* makeLine({ failAt })
              yield* line.ask(asked)
              for (let i = 0; i < attempts; i++) {
                const exit = yield* Effect.exit(WebSocket.acceptTransport(line.pair.server))
                if (Exit.isFailure(exit)) errorOf(exit)
              }
              yield* settled
              if (!line.pair.hasFailed()) assert.strictEqual(line.text, expected)
              line.wire.end()
              yield* line.wire.awaitClosed
              return line.pair.hasFailed()
            })
          )
        }
        assert.isAbove(failAt, 6)
      })
    )
  }
})
