/** A client that is kept alive, on transports that fail at any operation, with fibers that are interrupted at any point. */
import type { ReconnectingWebSocket } from "@effect-ws/api/ReconnectingWebSocket"
import type * as MemoryTransport from "@effect-ws/api/testing/MemoryTransport"
import type { Message } from "@effect-ws/core/Message"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { leavesNothing, settled } from "./support/leaks.ts"
import type { Peer } from "./support/Peer.ts"
import { textOf } from "./support/receiving.ts"
import { keep, makeServers, open, pause, type Servers } from "./support/reconnecting.ts"
import { atEveryPoint, describePoints, interruptions, pauses } from "./support/schedulers.ts"

// One way to count tasks is left out: each repeats a whole life of two connections some hundred times.
const all = [...interruptions.filter(({ opsPerTurn }) => opsPerTurn !== 13), ...pauses]

const assertUnharmed = (exit: Exit.Exit<unknown, unknown>): void =>
  assert.isTrue(Exit.isSuccess(exit) || Exit.isInterrupted(exit), Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "")

/** What all servers were sent but for Close frames, in order. */
const saidInOrder = (servers: Servers): Array<string> =>
  servers.peers.flatMap((peer) => peer.said.filter((said) => said.startsWith("text ")).map((said) => said.slice(5)))

/** All of these come in this order, each at most once, and none besides. */
const assertInOrder = (got: ReadonlyArray<string>, of: ReadonlyArray<string>): void =>
  assert.deepStrictEqual(
    got,
    of.filter((text) => got.includes(text))
  )

const note = (got: Array<string>) => (message: Message) => {
  got.push(textOf(message))
  return Effect.void
}

/** Lets time pass, again and again, until the fiber is done. */
const passUntilDone = (fiber: Fiber.RuntimeFiber<unknown, unknown>): Effect.Effect<void> =>
  Effect.gen(function* () {
    for (let n = 0; n < 20; n++) {
      yield* settled
      if (Exit.isExit((yield* Fiber.poll(fiber)).pipe((polled) => polled._tag === "Some" && polled.value))) return
      yield* TestClock.adjust(pause)
    }
    return yield* Effect.dieMessage("It is still not done")
  })

describe("ReconnectingWebSocket: a transport that fails", () => {
  const sent = ["a", "b", "c"]

  /** Sends three messages, one after the other, and takes what the servers say: a number from each. */
  const converse = (servers: Servers, feed: ReconnectingWebSocket, got: Array<string>) =>
    Effect.gen(function* () {
      yield* Effect.fork(Effect.ignore(Stream.runForEach(feed.messages, note(got))))
      for (const text of sent) {
        yield* feed.send(text)
        yield* settled
        servers.peers.at(-1)?.sendText(`${servers.peers.length}:${text}`)
        yield* settled
      }
    })

  const pairs: ReadonlyArray<readonly [string, MemoryTransport.Options]> = [
    ["whole chunks", {}],
    ["chunks of 9 bytes", { readSize: 9 }]
  ]
  for (const [how, options] of pairs) {
    it.effect(`client goes on whichever operation fails, with ${how}, and sends and receives nothing twice`, () =>
      Effect.gen(function* () {
        let reconnects = 0
        for (let failAt = 1, hasFailed = true; hasFailed; failAt++) {
          hasFailed = yield* leavesNothing(
            Effect.gen(function* () {
              const servers = makeServers({ ...options, failAt })
              const got: Array<string> = []
              const feed = yield* keep(servers)
              const talking = yield* Effect.fork(converse(servers, feed, got))
              yield* passUntilDone(talking)
              yield* Fiber.join(talking)
              yield* settled
              yield* TestClock.adjust(pause)
              yield* settled
              yield* feed.close()
              yield* settled
              assertInOrder(saidInOrder(servers), sent)
              assertInOrder(
                got,
                ["1", "2"].flatMap((n) => sent.map((text) => `${n}:${text}`))
              )
              if (servers.attempts === 1) assert.deepStrictEqual(saidInOrder(servers), sent)
              else reconnects++
              return servers.pairs[0]!.hasFailed()
            })
          )
        }
        assert.isAbove(reconnects, 5)
      })
    )
  }
})

describe("ReconnectingWebSocket, disturbed", () => {
  // No pause: a clock that has to be moved would make thousands of repetitions slow.
  const atOnce = { schedule: Schedule.forever }

  const until = (isSo: Effect.Effect<boolean>): Effect.Effect<void> =>
    Effect.flatMap(isSo, (is) => (is ? Effect.void : Effect.zipRight(Effect.yieldNow(), until(isSo))))

  /** The server says two words and goes; the next one says a third. */
  const serve = (servers: Servers, feed: ReconnectingWebSocket) =>
    Effect.gen(function* () {
      const [first] = servers.peers
      first!.sendText("a", "b")
      yield* until(Effect.sync(() => first!.transport.writable === 0))
      first!.destroy()
      yield* until(Effect.map(feed.state, ({ _tag }) => _tag === "Open" && servers.peers.length === 2))
      servers.peers[1]!.sendText("c")
      yield* settled
    })

  const rest = (feed: ReconnectingWebSocket, got: Array<string>) =>
    Effect.gen(function* () {
      yield* feed.close()
      yield* Effect.ignore(Effect.forever(Effect.flatMap(feed.receive, note(got))))
    })

  for (const points of all) {
    const how = describePoints(points)

    it.effect(`client loses no message when receive is ${how}`, () =>
      atEveryPoint(points, (disturbed) =>
        Effect.gen(function* () {
          const servers = makeServers()
          const { feed } = yield* open(servers, atOnce)
          const got: Array<string> = []
          const receive = Effect.flatMap(feed.receive, note(got))
          assertUnharmed(
            yield* disturbed(Effect.zipRight(receive, Effect.zipRight(receive, receive)), serve(servers, feed))
          )
          yield* rest(feed, got)
          assert.deepStrictEqual(got, ["a", "b", "c"])
        })
      )
    )

    it.effect(`client sends a message once or, when send is interrupted, not at all: ${how}`, () =>
      atEveryPoint(points, (disturbed) =>
        Effect.gen(function* () {
          const servers = makeServers("nobody", 503)
          const feed = yield* keep(servers, atOnce)
          const done: Array<string> = []
          const send = (text: string) => Effect.tap(feed.send(text), () => void done.push(text))
          assertUnharmed(yield* disturbed(Effect.zipRight(send("a"), send("b"))))
          yield* feed.close()
          const said = saidInOrder(servers)
          assertInOrder(said, ["a", "b"])
          assert.includeMembers(said, done)
        })
      )
    )

    it.effect(`client leaves nothing, and tells its end, when it is made and closed and that is ${how}`, () =>
      atEveryPoint(points, (disturbed) =>
        Effect.gen(function* () {
          const servers = makeServers("nobody")
          const states: Array<Effect.Effect<{ readonly _tag: string }>> = []
          const life = Effect.scoped(
            Effect.gen(function* () {
              const feed = yield* keep(servers, { ...atOnce, onOpen: (socket) => socket.send("hello") })
              states.push(feed.state)
              yield* feed.send("a")
              yield* feed.close({ code: 4000 })
            })
          )
          assertUnharmed(yield* disturbed(life))
          for (const state of states) assert.strictEqual((yield* state)._tag, "Closed")
          assertInOrder(saidInOrder(servers), ["hello", "a"])
          for (const peer of servers.peers) assertClosed(peer)
        })
      )
    )
  }

  const assertClosed = (peer: Peer): void => {
    assert.isTrue(peer.isClosed)
    const closes = peer.said.filter((said) => said.startsWith("close "))
    assert.isTrue(
      closes.length <= 1 && closes.every((said) => ["close 4000", "close 1001"].includes(said)),
      closes.join()
    )
  }
})
