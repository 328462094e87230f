/** The port as an HTTP server of any platform would use it: its requests are those of the Fetch API here. */
import * as HttpUpgrade from "@effect-ws/api/HttpUpgrade"
import * as WebSocket from "@effect-ws/api/WebSocket"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import { errorOf, frames, headOf, isDone, makeLine, textsOf, wrongKey } from "./support/accepting.ts"
import { leavesNothing, settled } from "./support/leaks.ts"
import * as Frames from "./support/frames.ts"
import { request } from "./support/serving.ts"

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
        assert.isTrue(Exit.isInterrupted(yield* Fiber.await(running)))
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
})
