import * as ConnectionOptions from "@effect-ws/api/ConnectionOptions"
import * as ServerOptions from "@effect-ws/api/ServerOptions"
import * as TrustedProxies from "@effect-ws/api/TrustedProxies"
import * as WebSocket from "@effect-ws/api/WebSocket"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Runtime from "effect/Runtime"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import * as Engine from "../../src/internal/Engine.ts"
import { Admission } from "../../src/internal/opening/Admission.ts"
import { Serving } from "../../src/internal/serving/Serving.ts"
import type { House } from "../../src/internal/serving/Visit.ts"
import { leavesNothing, makePair, settled } from "../support/leaks.ts"
import { Peer } from "../support/Peer.ts"

const make = (handle: House<never>["handle"]) =>
  Effect.map(Engine.make, (engine) => {
    const admission = new Admission(ServerOptions.make({}))
    const settings = { connection: ConnectionOptions.make("server"), accept: {}, maxAttempts: 10 }
    const trusted = TrustedProxies.make([])
    const plain = { handlers: undefined, isTraced: false, fallback: undefined, onError: () => Effect.void }
    const house = { engine, settings, trusted, admission, handle, ...plain }
    return { admission, serving: new Serving<never>(house, Runtime.defaultRuntime) }
  })

/** How many connections, requests and fibers it holds, each. */
const holds = (serving: Serving<never>) =>
  [...Object.values(serving), ...Object.values((serving as unknown as { readonly guests: object }).guests)].flatMap(
    (value: unknown) => (value instanceof Set ? [value.size] : Array.isArray(value) ? [value.length] : [])
  )

describe("Serving", () => {
  it.effect("server holds nothing of connections that are over, however they ended", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { admission, serving } = yield* make((exchange) => {
          if (exchange.request.fields.some(([name]) => name === "X-Reject")) return WebSocket.reject()
          if (exchange.request.fields.some(([name]) => name === "X-Wait")) return Effect.never
          return Effect.scoped(Effect.flatMap(WebSocket.accept(exchange), (socket) => socket.receive))
        })
        const visits: ReadonlyArray<(peer: Peer) => void> = [
          (peer) => (peer.sendRequest(), peer.sendClose(1000)),
          (peer) => (peer.sendRequest(), peer.sendText("a")),
          (peer) => (peer.sendRequest(), peer.send(peer.frame(3))),
          (peer) => peer.sendRequest("X-Reject: 1", "Connection: close"),
          (peer) => (peer.sendRequest("X-Reject: 1"), peer.end()),
          (peer) => (peer.sendRequest("X-Reject: 1"), peer.sendHead("nonsense")),
          (peer) => (peer.sendRequest("X-Wait: 1"), peer.end()),
          (peer) => peer.sendHead("nonsense"),
          (peer) => peer.end(),
          (peer) => peer.destroy()
        ]
        for (const visit of visits) {
          const pair = yield* makePair()
          const peer = new Peer(pair.client, "client")
          serving.admit({ transport: pair.server, request: undefined, leftover: undefined })
          visit(peer)
          yield* peer.awaitClosed
        }
        yield* settled
        assert.deepStrictEqual(holds(serving), [0, 0, 0])
        assert.deepInclude(admission.counts, { handshakes: 0, connections: 0, accepted: 3 })
        yield* serving.shutdown
      })
    )
  )

  it.effect("server counts a connection until it has ended, though its handler is done before", () =>
    leavesNothing(
      Effect.gen(function* () {
        const closed: Array<string> = []
        const note = Effect.checkInterruptible((is) => Effect.sync(() => closed.push(is ? "interruptible" : "first")))
        const { admission, serving } = yield* make((exchange) =>
          Effect.zipRight(
            Effect.flatMap(Effect.scope, (scope) => Scope.addFinalizer(scope, note)),
            Effect.zipRight(
              WebSocket.accept(exchange),
              Effect.addFinalizer(() => Effect.sync(() => closed.push("last")))
            )
          )
        )
        const pair = yield* makePair()
        const peer = new Peer(pair.client, "client", { polite: false })
        serving.admit({ transport: pair.server, request: undefined, leftover: undefined })
        peer.sendRequest()
        yield* peer.awaitFrames(1)
        yield* settled
        assert.deepStrictEqual([peer.said, closed], [["close 1000"], ["last", "first"]])
        assert.strictEqual(admission.connections, 1)
        peer.sendClose(1000)
        peer.end()
        yield* peer.awaitClosed
        yield* settled
        assert.strictEqual(admission.connections, 0)
        yield* serving.shutdown
      })
    )
  )

  it.effect("server loses no connection that was accepted in a scope which was closed before", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { admission, serving } = yield* make((exchange) =>
          Effect.gen(function* () {
            const scope = yield* Scope.make()
            yield* Scope.close(scope, Exit.void)
            yield* Scope.extend(WebSocket.accept(exchange), scope)
          })
        )
        const pair = yield* makePair()
        const peer = new Peer(pair.client, "client")
        serving.admit({ transport: pair.server, request: undefined, leftover: undefined })
        peer.sendRequest()
        yield* peer.awaitClosed
        yield* settled
        assert.deepStrictEqual([peer.said, admission.connections], [["close 1000"], 0])
        yield* serving.shutdown
      })
    )
  )

  it.effect("server that goes down interrupts a handler whose connection has ended, and waits for it", () =>
    leavesNothing(
      Effect.gen(function* () {
        const done: Array<string> = []
        const { admission, serving } = yield* make((exchange) =>
          Effect.zipRight(
            WebSocket.accept(exchange),
            Effect.onInterrupt(Effect.never, () => Effect.sync(() => done.push("interrupted")))
          )
        )
        const pair = yield* makePair()
        const peer = new Peer(pair.client, "client")
        serving.admit({ transport: pair.server, request: undefined, leftover: undefined })
        peer.sendRequest()
        yield* peer.awaitHead
        peer.destroy()
        yield* settled
        assert.strictEqual(admission.connections, 1)
        const down = yield* Effect.fork(serving.shutdown)
        yield* settled
        assert.deepStrictEqual(done, [])
        yield* TestClock.adjust("5 seconds")
        yield* Fiber.join(down)
        assert.deepStrictEqual([done, admission.connections], [["interrupted"], 0])
      })
    )
  )

  it.effect("server that goes down waits for a handler whose peer is gone, and that has still something to do", () =>
    leavesNothing(
      Effect.gen(function* () {
        const latch = yield* Deferred.make<void>()
        const { admission, serving } = yield* make(() => Effect.onInterrupt(Effect.never, () => Deferred.await(latch)))
        const pair = yield* makePair()
        const peer = new Peer(pair.client, "client")
        serving.admit({ transport: pair.server, request: undefined, leftover: undefined })
        peer.sendRequest()
        yield* settled
        peer.destroy()
        yield* settled
        assert.strictEqual(admission.connections, 0)
        const down = yield* Effect.fork(serving.shutdown)
        yield* settled
        assert.isTrue(Option.isNone(yield* Fiber.poll(down)))
        yield* Deferred.succeed(latch, undefined)
        yield* Fiber.join(down)
      })
    )
  )

  it.effect("server leaves a connection that was accepted when its handler was done already", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { admission, serving } = yield* make((exchange) =>
          Effect.addFinalizer(() =>
            Effect.scoped(Effect.flatMap(WebSocket.accept(exchange), (socket) => Effect.exit(socket.receive))).pipe(
              Effect.orDie
            )
          )
        )
        const pair = yield* makePair()
        const peer = new Peer(pair.client, "client")
        serving.admit({ transport: pair.server, request: undefined, leftover: undefined })
        peer.sendRequest()
        peer.sendText("a")
        yield* peer.awaitClosed
        yield* settled
        assert.deepStrictEqual(peer.said, ["close 1000"])
        assert.deepInclude(admission.counts, { connections: 0, accepted: 1, refused: {} })
        yield* serving.shutdown
      })
    )
  )
})
