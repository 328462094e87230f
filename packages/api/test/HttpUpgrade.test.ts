/** The port as an HTTP server of any platform would use it: its requests are those of the Fetch API here. */
import * as HttpUpgrade from "@effect-ws/api/HttpUpgrade"
import * as WebSocket from "@effect-ws/api/WebSocket"
import * as WebSocketMetrics from "@effect-ws/api/WebSocketMetrics"
import { clientAbortFiberId } from "@effect/platform/HttpServerError"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as HashSet from "effect/HashSet"
import * as Metric from "effect/Metric"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import { errorOf, frames, headOf, isDone, makeLine, textsOf, wrongKey } from "./support/accepting.ts"
import { leavesNothing, settled } from "./support/leaks.ts"
import * as Frames from "./support/frames.ts"
import { request } from "./support/serving.ts"
import { atEveryPoint, describePoints, interruptions, pauses } from "./support/schedulers.ts"
import { Tracing } from "./support/tracing.ts"

/** A server with one request, whose route is what `handle` is given. */
const makeServer = (options: HttpUpgrade.Options = {}, text = request()) =>
  Effect.gen(function* () {
    const line = yield* makeLine()
    const upgrades = (yield* HttpUpgrade.make(options))()
    const source = new Request("http://localhost/")
    const told: Array<string> = []
    const incoming = { transport: line.pair.server, request: headOf(text), leftover: frames }
    const upgrade = upgrades.take(source, incoming, () => told.push("accepted"))
    const handle = <A, E, R>(route: Effect.Effect<A, E, R>) =>
      Effect.withFiberRuntime<A, unknown, Exclude<R, HttpServerRequest.HttpServerRequest>>((fiber) => {
        upgrade.attend(fiber)
        const current = HttpServerRequest.fromWeb(source)
        return Effect.provideService(route, HttpServerRequest.HttpServerRequest, current.modify({ url: "/other" }))
      })
    return { line, upgrades, upgrade, told, handle }
  })

const key = Uint8Array.of(1, 2, 3, 4)
const closing = Frames.encode(Frames.opcodes.close, Uint8Array.of(3, 232), { key })
const accepted = "HTTP/1.1 101 Switching Protocols"

describe("HttpUpgrade", () => {
  it.effect("route accepts by the current request, however it was modified, and gets what came behind the head", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { handle, line, told, upgrade } = yield* makeServer()
        const route = Effect.flatMap(WebSocket.acceptHttp(), (socket) => textsOf(socket, 2))
        const running = yield* Effect.fork(Effect.scoped(handle(route)))
        yield* settled
        assert.isTrue(line.text.startsWith(accepted))
        assert.deepStrictEqual(told, ["accepted"])
        assert.isFalse(upgrade.beginAnswer())
        line.wire.send(closing)
        yield* line.hangUp
        assert.deepStrictEqual(yield* Fiber.join(running), ["a", "b"])
      })
    )
  )

  it.effect("server may answer by itself once, and nobody can accept from then on", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { handle, line, upgrade } = yield* makeServer()
        assert.deepStrictEqual([upgrade.beginAnswer(), upgrade.beginAnswer()], [true, false])
        assert.isTrue(Exit.isFailure(yield* Effect.exit(Effect.scoped(handle(WebSocket.acceptHttp())))))
        assert.strictEqual(line.text, "")
        upgrade.endAnswer()
        yield* settled
        assert.isTrue(line.wire.hasEnded())
        line.wire.end()
        yield* settled
      })
    )
  )

  it.effect("server ends a transport whose peer doesn't, behind its answer, when the close timeout is over", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { line, upgrade } = yield* makeServer()
        upgrade.beginAnswer()
        yield* TestClock.adjust("1 hour")
        assert.isTrue(line.isOpen)
        upgrade.endAnswer()
        yield* TestClock.adjust("4999 millis")
        assert.isTrue(line.isOpen)
        yield* TestClock.adjust("51 millis")
        assert.isFalse(line.isOpen)
        yield* line.hangUp
      })
    )
  )

  it.effect("route is interrupted when it doesn't decide in time, and the server may still answer", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { handle, line, upgrade } = yield* makeServer()
        const running = yield* Effect.fork(handle(Effect.never))
        yield* settled
        yield* TestClock.adjust("9999 millis")
        assert.isFalse(yield* isDone(running))
        yield* TestClock.adjust("501 millis")
        assert.isTrue(Exit.isInterrupted(yield* Fiber.await(running)))
        assert.isTrue(upgrade.beginAnswer())
        upgrade.endAnswer()
        line.wire.end()
        yield* settled
      })
    )
  )

  it.effect("route is interrupted when the peer goes away, and the server has nobody to answer", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { handle, line, upgrade } = yield* makeServer()
        const running = yield* Effect.fork(handle(Effect.never))
        yield* settled
        line.wire.end()
        const exit = yield* Fiber.await(running)
        assert.isTrue(Exit.isInterrupted(exit))
        // By which `@effect/platform` tells that nobody waits for the answer.
        assert.isTrue(Exit.isFailure(exit) && HashSet.has(Cause.interruptors(exit.cause), clientAbortFiberId))
        assert.isFalse(upgrade.beginAnswer())
        yield* settled
      })
    )
  )

  it.effect("route is told what is wrong with a request, also when it asks for no upgrade", () =>
    Effect.gen(function* () {
      const { handle, upgrade, upgrades } = yield* makeServer({}, wrongKey)
      const exit = yield* Effect.exit(Effect.scoped(handle(WebSocket.acceptHttp())))
      assert.strictEqual(errorOf(exit as Exit.Exit<never, never>).reason._tag, "InvalidKey")
      assert.strictEqual(errorOf(yield* Effect.exit(upgrade.check)).reason._tag, "InvalidKey")
      const plain = new Request("http://localhost/")
      upgrades.pass(plain, () => headOf("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"))
      const found = HttpUpgrade.find(HttpServerRequest.fromWeb(plain))!
      assert.strictEqual(errorOf(yield* Effect.exit(found.check)).answer?.status, 426)
      assert.isUndefined(HttpUpgrade.find(HttpServerRequest.fromWeb(new Request("http://localhost/"))))
    })
  )

  it.effect("shutdown sends 1001, and destroys what is left at the close timeout, when it also interrupts", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { handle, line, upgrades } = yield* makeServer()
        const running = yield* Effect.fork(Effect.scoped(handle(Effect.zipRight(WebSocket.acceptHttp(), Effect.never))))
        yield* settled
        const ending = yield* Effect.fork(upgrades.shutdown)
        yield* settled
        assert.deepStrictEqual(Array.from(line.wire.received().slice(-4)), [0x88, 2, 0x03, 0xe9])
        yield* TestClock.adjust("4999 millis")
        assert.isFalse(yield* isDone(running))
        yield* TestClock.adjust("1 millis")
        yield* Fiber.join(ending)
        assert.isTrue(Exit.isInterrupted(yield* Fiber.await(running)))
        assert.isFalse(line.isOpen)
        yield* line.hangUp
      })
    )
  )

  it.effect("shutdown gives a peer that has its answer a second to go", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { line, upgrade, upgrades } = yield* makeServer()
        upgrade.beginAnswer()
        upgrade.endAnswer()
        const ending = yield* Effect.fork(upgrades.shutdown)
        yield* settled
        yield* TestClock.adjust("999 millis")
        assert.isTrue(line.isOpen)
        assert.isFalse(yield* isDone(ending))
        yield* TestClock.adjust("51 millis")
        yield* Fiber.join(ending)
        assert.isFalse(line.isOpen)
        yield* line.hangUp
      })
    )
  )

  it.effect("connection of a route that fails is closed with 1011, whatever its scope is told", () =>
    leavesNothing(
      Effect.gen(function* () {
        for (const exit of [Exit.fail("failed"), Exit.succeed(HttpServerResponse.empty({ status: 500 }))]) {
          const { handle, line, upgrade } = yield* makeServer()
          const route = Effect.flatMap(WebSocket.acceptHttp(), (socket) =>
            Effect.zipRight(
              Effect.sync(() => upgrade.conclude(exit)),
              socket.closed
            )
          )
          const running = yield* Effect.fork(Effect.scoped(handle(route)))
          yield* settled
          assert.deepStrictEqual(Array.from(line.wire.received().slice(-4)), [0x88, 2, 0x03, 0xf3])
          line.wire.send(closing)
          yield* line.hangUp
          yield* Fiber.join(running)
        }
      })
    )
  )

  it.effect("route that is answering may take its time, also when the peer has said all that it will", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { handle, line, upgrade } = yield* makeServer()
        const running = yield* Effect.fork(handle(Effect.never))
        yield* settled
        upgrade.beginAnswer()
        line.wire.end()
        yield* TestClock.adjust("1 hour")
        assert.isFalse(yield* isDone(running))
        assert.isTrue(line.isOpen)
        yield* Fiber.interrupt(running)
        upgrade.endAnswer()
        yield* settled
        assert.isFalse(line.isOpen)
        yield* line.hangUp
      })
    )
  )

  it.effect("route that begins when the peer has gone already is interrupted all the same", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { handle, line } = yield* makeServer()
        line.wire.end()
        yield* settled
        const running = yield* Effect.fork(handle(Effect.never))
        assert.isTrue(Exit.isInterrupted(yield* Fiber.await(running)))
      })
    )
  )

  it.effect("request that the server answers by itself takes no room while it does, nor twice when it is over", () =>
    leavesNothing(
      Effect.gen(function* () {
        const make = yield* HttpUpgrade.make({ maxConnections: 1 })
        const upgrades = make()
        const takeOne = Effect.map(makeLine(), (line) => {
          const incoming = { transport: line.pair.server, request: headOf(request()), leftover: undefined }
          return { line, upgrade: upgrades.take({}, incoming, () => {}) }
        })
        const first = yield* takeOne
        const second = yield* takeOne
        assert.strictEqual(errorOf(yield* Effect.exit(second.upgrade.check)).reason._tag, "Overloaded")
        for (const { line, upgrade } of [first, second]) {
          upgrade.beginAnswer()
          upgrade.endAnswer()
          line.wire.end()
        }
        yield* settled
        const third = yield* takeOne
        const fourth = yield* takeOne
        yield* third.upgrade.check
        assert.strictEqual(errorOf(yield* Effect.exit(fourth.upgrade.check)).reason._tag, "Overloaded")
        third.upgrade.beginAnswer()
        const fifth = yield* takeOne
        yield* fifth.upgrade.check
        const ending = yield* Effect.fork(upgrades.shutdown)
        yield* TestClock.adjust("5 seconds")
        yield* Fiber.join(ending)
        for (const { line } of [first, second, third, fourth, fifth]) yield* line.hangUp
      })
    )
  )
})

describe("a route that is disturbed while it accepts", () => {
  const choosing = WebSocket.acceptHttp({ subprotocols: () => Effect.as(Effect.yieldNow(), undefined) })

  for (const points of [...interruptions, ...pauses]) {
    it.effect(
      `connection is the peer's with its Close, or the server may still answer, ${describePoints(points)}`,
      () =>
        atEveryPoint(points, (disturbed) =>
          Effect.gen(function* () {
            const { handle, line, told, upgrade } = yield* makeServer()
            const hangUp = (fiber: Fiber.RuntimeFiber<unknown, unknown>): Effect.Effect<void> =>
              Effect.suspend(() => {
                if (fiber.unsafePoll() !== null) return Effect.void
                if (!line.text.startsWith(accepted)) return Effect.zipRight(Effect.yieldNow(), hangUp(fiber))
                line.wire.send(closing)
                line.wire.end()
                return Effect.void
              })
            const exit = yield* disturbed(Effect.scoped(handle(choosing)), hangUp)
            assert.isTrue(Exit.isSuccess(exit) || Exit.isInterrupted(exit), String(exit))
            const isAccepted = line.text.startsWith(accepted)
            assert.deepStrictEqual(told, isAccepted ? ["accepted"] : [])
            assert.strictEqual(upgrade.beginAnswer(), !isAccepted)
            if (isAccepted)
              assert.include([1000, 1001], (line.wire.received().at(-2)! << 8) | line.wire.received().at(-1)!)
            else upgrade.endAnswer()
            yield* line.hangUp
          })
        )
    )
  }
})

describe("what becomes of a request", () => {
  const counts = (outcomes: ReadonlyArray<WebSocketMetrics.Outcome>) =>
    Effect.forEach(outcomes, (outcome) =>
      Effect.map(Metric.value(WebSocketMetrics.handshakes("server", outcome)), ({ count }) => count)
    )

  /** What was counted meanwhile, one after the other. */
  const counted = <A, E, R>(outcomes: ReadonlyArray<WebSocketMetrics.Outcome>, effect: Effect.Effect<A, E, R>) =>
    Effect.gen(function* () {
      const before = yield* counts(outcomes)
      yield* effect
      const after = yield* counts(outcomes)
      return outcomes.map((outcome, i) => [outcome, after[i]! - before[i]!] as const).filter(([, count]) => count > 0)
    })

  const outcomes = [
    "accepted",
    "PeerGone",
    "Transport",
    "Timeout",
    "ShuttingDown",
    "InvalidKey",
    "ForbiddenOrigin",
    "Reject",
    "MissingUpgrade",
    "HandlerFailed",
    "Interrupted"
  ] as const

  type Route = Effect.Effect<
    HttpServerResponse.HttpServerResponse,
    unknown,
    HttpServerRequest.HttpServerRequest | Scope.Scope
  >

  const page = HttpServerResponse.text("page")
  const accepting: Route = Effect.as(WebSocket.acceptHttp(), page)
  const foreign = request({ Origin: "https://other.example" })

  const cases: ReadonlyArray<readonly [what: string, outcome: WebSocketMetrics.Outcome, route: Route, text?: string]> =
    [
      ["is accepted", "accepted", accepting],
      ["is answered with a page", "Reject", page],
      ["is rejected", "Reject", WebSocket.reject({ status: 401 })],
      ["has a wrong key", "InvalidKey", accepting, wrongKey],
      ["has a foreign origin", "ForbiddenOrigin", accepting, foreign],
      [
        "has a foreign origin, which the route makes a page of",
        "ForbiddenOrigin",
        Effect.orElseSucceed(accepting, () => page),
        foreign
      ],
      [
        "is tried once more with another policy",
        "accepted",
        Effect.orElse(accepting, () => Effect.as(WebSocket.acceptHttp({ origin: "any" }), page)),
        foreign
      ],
      ["comes to a route that dies", "HandlerFailed", Effect.die("died")],
      ["comes to a route that interrupts itself", "Interrupted", Effect.interrupt]
    ]

  for (const [what, outcome, route, text] of cases) {
    it.effect(`server counts a request that ${what} as ${outcome}, once`, () =>
      leavesNothing(
        Effect.gen(function* () {
          const { handle, line, upgrade } = yield* makeServer({}, text)
          const serving = Effect.scoped(
            Effect.gen(function* () {
              const exit = yield* Effect.exit(handle(route))
              upgrade.conclude(exit)
              if (upgrade.beginAnswer()) upgrade.endAnswer()
              line.wire.send(closing)
              line.wire.end()
            })
          )
          assert.deepStrictEqual(yield* counted(outcomes, Effect.zipRight(serving, settled)), [[outcome, 1]])
          yield* line.hangUp
        })
      )
    )
  }

  const losing: ReadonlyArray<
    readonly [
      outcome: WebSocketMetrics.Outcome,
      lose: (server: Effect.Effect.Success<ReturnType<typeof makeServer>>) => Effect.Effect<unknown>
    ]
  > = [
    ["PeerGone", ({ line }) => Effect.sync(() => line.wire.end())],
    ["PeerGone", ({ line }) => Effect.sync(() => line.wire.destroy())],
    [
      "Transport",
      ({ line }) =>
        Effect.sync(() => {
          line.wire.send(frames)
          line.wire.destroy()
        })
    ],
    ["Timeout", () => TestClock.adjust("11 seconds")],
    ["ShuttingDown", ({ upgrades }) => Effect.forkDaemon(upgrades.shutdown)]
  ]

  for (const [outcome, lose] of losing) {
    it.effect(`server counts a request as ${outcome}, once, whose route was interrupted for that`, () =>
      leavesNothing(
        Effect.gen(function* () {
          const server = yield* makeServer()
          const { handle, line, upgrade } = server
          const serving = Effect.gen(function* () {
            const running = yield* Effect.fork(handle(Effect.never))
            yield* settled
            yield* lose(server)
            yield* Fiber.await(running)
            if (upgrade.beginAnswer()) upgrade.endAnswer()
            line.wire.end()
            yield* settled
          })
          assert.deepStrictEqual(yield* counted(outcomes, serving), [[outcome, 1]])
          yield* line.hangUp
        })
      )
    )
  }

  it.effect("server counts who would accept a plain request", () =>
    Effect.gen(function* () {
      const { handle, line, upgrade, upgrades } = yield* makeServer()
      const plain = new Request("http://localhost/")
      upgrades.pass(plain, () => headOf("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"))
      const found = HttpUpgrade.find(HttpServerRequest.fromWeb(plain))!
      const trying = Effect.exit(Effect.scoped(found.accept()))
      assert.deepStrictEqual(yield* counted(outcomes, Effect.zipRight(Effect.exit(found.check), trying)), [
        ["MissingUpgrade", 1]
      ])
      upgrade.beginAnswer()
      upgrade.endAnswer()
      yield* Effect.scoped(handle(Effect.void))
      line.wire.end()
      yield* line.hangUp
    })
  )

  it.effect("accepting has a span below that of the HTTP server, which ends with the answer or the refusal", () =>
    leavesNothing(
      Effect.gen(function* () {
        for (const [text, end, attributes] of [
          [request(), "good", { "http.response.status_code": 101 }],
          [foreign, "bad", { "error.type": "ForbiddenOrigin", "http.response.status_code": 403 }]
        ] as const) {
          const tracing = new Tracing()
          const { handle, line, upgrade } = yield* makeServer({}, text)
          const route = Effect.withSpan(Effect.exit(Effect.scoped(handle(accepting))), "http.server GET", {
            kind: "server"
          })
          const running = yield* Effect.fork(tracing.run(route))
          yield* settled
          if (upgrade.beginAnswer()) upgrade.endAnswer()
          line.wire.send(closing)
          yield* line.hangUp
          yield* Fiber.join(running)
          const [above, span] = tracing.told
          assert.deepStrictEqual([above!.name, span!.name], ["http.server GET", "websocket.handshake"])
          assert.deepInclude(span!, { kind: "internal", parent: tracing.spans[0]!.spanId, end })
          assert.deepInclude(span!.attributes, { ...attributes, "websocket.id": upgrade.id })
        }
      })
    )
  )
})
