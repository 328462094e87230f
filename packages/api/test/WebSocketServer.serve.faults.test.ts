/** Faults of the transport, and ends at any time, below `serve`. */
import type * as MemoryTransport from "@effect-ws/api/testing/MemoryTransport"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import { leavesNothing, settled } from "./support/leaks.ts"
import { CountingScheduler } from "./support/schedulers.ts"
import { textOf, serve, places, nobody } from "./support/callbacks.ts"

describe("WebSocketServer.serve: faults", () => {
  it.effect("server leaves nothing when any operation of the transport fails, and closes what it has opened", () =>
    Effect.gen(function* () {
      let failAt = 1
      for (let hasFailed = true; hasFailed; failAt++) {
        hasFailed = yield* leavesNothing(
          Effect.gen(function* () {
            let opened = 0
            let closed = 0
            const server = yield* serve({
              onUpgrade: () => Effect.yieldNow(),
              onOpen: (socket) => {
                opened++
                return Effect.zipRight(Effect.yieldNow(), socket.send("hello"))
              },
              onMessage: (message, socket) => Effect.zipRight(Effect.yieldNow(), socket.send(message)),
              onClose: () => Effect.sync(() => closed++)
            })
            const { pair, peer } = yield* server.listener.connect({ pair: { failAt } })
            peer.sendRequest()
            yield* settled
            peer.sendText("a")
            peer.sendText("b")
            yield* settled
            peer.sendClose(1000)
            yield* settled
            yield* TestClock.adjust("20 seconds")
            yield* settled
            assert.strictEqual(closed, opened, `operation ${failAt}`)
            assert.deepStrictEqual(yield* places(server), nobody, `operation ${failAt}`)
            yield* server.stop
            const hasFailed = pair.client.ledger.operations + pair.server.ledger.operations >= failAt
            if (!hasFailed) assert.deepStrictEqual(peer.said, ["text hello", "text a", "text b", "close 1000"])
            return hasFailed
          })
        )
      }
      assert.isAbove(failAt, 15)
    })
  )
})

/** What happens to a server at the n-th task of the scheduler, in the middle of anything. */
const disturbances: Record<
  string,
  (server: { readonly stop: Effect.Effect<unknown> }, line: { readonly pair: MemoryTransport.Pair }) => void
> = {
  "the peer goes away": (_, { pair }) => pair.client.destroy(),
  "serve is interrupted": ({ stop }) => void Effect.runFork(stop)
}

/** As long as one thing takes to be handled, and not much longer: each task of it is another case. */
const moment = Effect.repeatN(Effect.yieldNow(), 6)

describe("WebSocketServer.serve: at any time", () => {
  for (const [name, disturb] of Object.entries(disturbances)) {
    it.effect(
      `server opens once and closes once, or neither, and leaves nothing when ${name} at any task`,
      () =>
        Effect.gen(function* () {
          let undisturbed = 0
          for (let point = 0; undisturbed < 1; point++) {
            const scheduler = new CountingScheduler(40)
            let isDone = false
            yield* leavesNothing(
              Effect.gen(function* () {
                const seen: Array<string> = []
                const note = (what: string) =>
                  Effect.zipRight(
                    Effect.sync(() => void seen.push(what)),
                    Effect.yieldNow()
                  )
                const server = yield* serve({
                  onUpgrade: () => Effect.yieldNow(),
                  onOpen: () => note("open"),
                  onMessage: (message, socket) =>
                    Effect.zipRight(note(textOf(message)), Effect.ignore(socket.send(message))),
                  onClose: () => note("close")
                })
                const { pair, peer } = yield* server.listener.connect()
                let tasks = 0
                scheduler.onTask = () => {
                  if (tasks++ !== point) return
                  isDone = true
                  disturb(server, { pair })
                }
                peer.sendRequest()
                peer.sendText("a")
                yield* moment
                peer.sendText("b")
                yield* moment
                peer.sendClose(1000)
                yield* moment
                scheduler.onTask = () => {}
                // What follows isn't disturbed, and needs no more turns than it takes by itself.
                scheduler.shouldYield = () => false
                yield* TestClock.adjust("20 seconds")
                yield* settled
                const handled = seen.filter((what) => what.length === 1)
                assert.deepStrictEqual(handled, ["a", "b"].slice(0, handled.length))
                const expected = seen.length === 0 ? [] : ["open", ...handled, "close"]
                assert.deepStrictEqual(seen, expected, `task ${point}`)
                assert.deepStrictEqual(yield* places(server), nobody, `task ${point}`)
                assert.deepStrictEqual(server.causes, [])
                if (!isDone) assert.deepStrictEqual(handled, ["a", "b"])
                yield* server.stop
              }).pipe(Effect.withScheduler(scheduler))
            )
            if (!isDone) undisturbed++
          }
        }),
      // More than a hundred servers, one behind the other.
      20_000
    )
  }
})
