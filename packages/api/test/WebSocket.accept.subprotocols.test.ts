/** A subprotocol that is chosen by an effect. */
import type { SubprotocolChoice } from "@effect-ws/api/AcceptOptions"
import * as WebSocket from "@effect-ws/api/WebSocket"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import { close, errorOf, isDone, makeLine, refuse, server } from "./support/accepting.ts"
import { leavesNothing, settled } from "./support/leaks.ts"
import { accepted, closing, head, type Line, refused, request, unavailable } from "./support/serving.ts"

describe("WebSocket.accept: a subprotocol by effect", () => {
  class Chosen extends Context.Tag("test/Chosen")<Chosen, { readonly subprotocol: string | undefined }>() {}

  const offering = request({ "Sec-WebSocket-Protocol": "a, b" })
  const fromService: SubprotocolChoice<Chosen> = () => Effect.map(Chosen, ({ subprotocol }) => subprotocol)

  it.effect(
    "server sends what the effect has chosen among the offers, with a service, and nothing when it chose none",
    () =>
      leavesNothing(
        Effect.gen(function* () {
          for (const subprotocol of ["b", undefined]) {
            const line = yield* makeLine()
            yield* line.ask(offering)
            const socket = yield* Effect.provideService(
              WebSocket.acceptTransport(line.pair.server, { subprotocols: fromService }),
              Chosen,
              { subprotocol }
            )
            assert.strictEqual(socket.subprotocol, subprotocol)
            yield* settled
            const fields = subprotocol === undefined ? [] : [`Sec-WebSocket-Protocol: ${subprotocol}`]
            assert.strictEqual(line.text, accepted(...fields, server))
            yield* line.hangUp
          }
        })
      )
  )

  it.effect("server shows the effect what was offered, and the request", () =>
    leavesNothing(
      Effect.gen(function* () {
        const seen: Array<unknown> = []
        for (const asked of [offering, request()]) {
          const line = yield* makeLine()
          yield* line.ask(asked)
          yield* WebSocket.acceptTransport(line.pair.server, {
            subprotocols: (offers, { path }) => Effect.sync(() => void seen.push([offers, path]))
          })
          yield* line.hangUp
        }
        assert.deepStrictEqual(seen, [
          [["a", "b"], "/chat"],
          [[], "/chat"]
        ])
      })
    )
  )

  it.effect("server writes a 500 and nothing else when the effect chose what was not offered", () =>
    leavesNothing(
      Effect.gen(function* () {
        const line = yield* makeLine()
        yield* line.ask(closing(offering))
        const error = yield* Effect.flip(
          WebSocket.acceptTransport(line.pair.server, { subprotocols: () => Effect.succeed("c") })
        )
        assert.deepInclude(error.reason, { _tag: "SubprotocolNotOffered" })
        yield* settled
        assert.strictEqual(line.text, refused("500 Internal Server Error", "the request could not be answered", close))
        yield* line.hangUp
      })
    )
  )

  it.effect("server writes the refusal with which the effect fails, and takes another request", () =>
    leavesNothing(
      Effect.gen(function* () {
        const line = yield* makeLine()
        yield* line.ask(request(), offering)
        const subprotocols: SubprotocolChoice = ([first]) =>
          first === undefined ? WebSocket.reject({ status: 400, body: "which?" }) : Effect.succeed(first)
        const error = yield* refuse(line.pair.server, { subprotocols })
        assert.deepInclude(error.reason, { _tag: "Reject", status: 400 })
        const refusal = head(
          "HTTP/1.1 400 Bad Request",
          server,
          "Content-Type: text/plain; charset=utf-8",
          "Content-Length: 6"
        )
        const socket = yield* WebSocket.acceptTransport(line.pair.server, { subprotocols })
        assert.strictEqual(socket.subprotocol, "a")
        yield* settled
        assert.strictEqual(line.text, `${refusal}which?${accepted("Sec-WebSocket-Protocol: a", server)}`)
        yield* line.hangUp
      })
    )
  )

  it.effect("server answers with a 500 when the effect dies or throws, and dies of that", () =>
    leavesNothing(
      Effect.gen(function* () {
        const mistakes: ReadonlyArray<SubprotocolChoice> = [
          () => Effect.dieMessage("no choice"),
          () => {
            throw new Error("no choice")
          }
        ]
        for (const subprotocols of mistakes) {
          const line = yield* makeLine()
          yield* line.ask(closing(offering))
          const exit = yield* Effect.exit(WebSocket.acceptTransport(line.pair.server, { subprotocols }))
          assert.isTrue(Exit.isFailure(exit) && Cause.isDie(exit.cause), String(exit))
          yield* settled
          assert.deepStrictEqual(line.statusLines, ["HTTP/1.1 500 Internal Server Error"])
          yield* line.hangUp
        }
      })
    )
  )

  /** Waits for a choice that never comes; returns what it fails with, and whether it was interrupted. */
  const waiting = (line: Line) =>
    Effect.gen(function* () {
      const state = { interrupted: false }
      const subprotocols: SubprotocolChoice = () =>
        Effect.onInterrupt(Effect.never, () => Effect.sync(() => (state.interrupted = true)))
      yield* line.ask(offering)
      const fiber = yield* Effect.fork(Effect.exit(WebSocket.acceptTransport(line.pair.server, { subprotocols })))
      yield* settled
      assert.isFalse(yield* isDone(fiber))
      return { fiber, state }
    })

  for (const leave of ["end", "destroy"] as const) {
    it.effect(`server interrupts the effect when the peer is lost by ${leave}`, () =>
      leavesNothing(
        Effect.gen(function* () {
          const line = yield* makeLine()
          const { fiber, state } = yield* waiting(line)
          line.wire[leave]()
          yield* settled
          assert.isTrue(state.interrupted)
          const error = errorOf(yield* Fiber.join(fiber))
          assert.deepInclude(error, { reason: { _tag: "PeerGone" }, reusable: false, answer: undefined })
          yield* line.wire.awaitClosed
          assert.strictEqual(line.text, "")
        })
      )
    )
  }

  it.effect("server interrupts the effect when the time is up, and answers with a 503", () =>
    leavesNothing(
      Effect.gen(function* () {
        const line = yield* makeLine()
        const { fiber, state } = yield* waiting(line)
        yield* TestClock.adjust(9999)
        assert.isFalse(state.interrupted)
        yield* TestClock.adjust(51)
        assert.isTrue(state.interrupted)
        const error = errorOf(yield* Fiber.join(fiber))
        assert.deepInclude(error.reason, { _tag: "Timeout", phase: "accept" })
        assert.isFalse(error.reusable)
        yield* settled
        assert.strictEqual(line.text, unavailable(close))
        yield* line.hangUp
      })
    )
  )

  it.effect("server drops the transport without an answer when the effect is interrupted from outside", () =>
    leavesNothing(
      Effect.gen(function* () {
        const line = yield* makeLine()
        const { fiber, state } = yield* waiting(line)
        yield* Fiber.interrupt(fiber)
        assert.isTrue(state.interrupted)
        yield* settled
        assert.isFalse(line.isOpen)
        yield* line.hangUp
        assert.strictEqual(line.text, "")
      })
    )
  )
})
