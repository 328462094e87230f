import { ConnectionClosed } from "@effect-ws/api/ConnectionClosed"
import { HandshakeError } from "@effect-ws/api/HandshakeError"
import * as ReconnectingWebSocket from "@effect-ws/api/ReconnectingWebSocket"
import * as WebSocketClient from "@effect-ws/api/WebSocketClient"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { inspect } from "node:util"
import { leavesNothing, settled } from "./support/leaks.ts"
import { isDone, isSuspended, textOf } from "./support/receiving.ts"
import { describeEnd, describeState, keep, makeServers, open, pause } from "./support/reconnecting.ts"

/** Lets the pause between two attempts pass. */
const pass = (millis = pause) => Effect.zipRight(TestClock.adjust(millis), settled)

/** Collects the states from here on, in short. */
const watch = (feed: ReconnectingWebSocket.ReconnectingWebSocket) =>
  Effect.gen(function* () {
    const states: Array<string> = []
    const note = (state: ReconnectingWebSocket.State) => Effect.sync(() => states.push(describeState(state)))
    const fiber = yield* Effect.fork(Stream.runForEach(feed.states, note))
    yield* settled
    return { states, fiber }
  })

describe("ReconnectingWebSocket: attempts", () => {
  it.effect("client tries again when the schedule says so, and not a millisecond earlier", () =>
    leavesNothing(
      Effect.gen(function* () {
        const servers = makeServers("nobody", {}, 503)
        const feed = yield* keep(servers)
        const { fiber, states } = yield* watch(feed)
        assert.deepStrictEqual(states, ["connecting 1", "away 1000"])
        yield* pass(pause - 1)
        assert.strictEqual(servers.attempts, 1)
        yield* pass(1)
        assert.strictEqual(servers.attempts, 2)
        servers.peers[0]!.destroy()
        yield* settled
        yield* pass()
        yield* pass()
        yield* feed.close()
        yield* Fiber.join(fiber)
        assert.deepStrictEqual(states, [
          ...[
            "connecting 1",
            "away 1000",
            "connecting 2",
            "open",
            "away 1000",
            "connecting 3",
            "away 1000",
            "connecting 4",
            "open"
          ],
          "closed"
        ])
      })
    )
  )

  it.effect("client begins the schedule anew after a connection that has held for long enough, and not before", () =>
    leavesNothing(
      Effect.gen(function* () {
        const servers = makeServers("nobody", "nobody")
        const feed = yield* keep(servers, { schedule: Schedule.exponential(100), resetAfter: 5000 })
        const { states } = yield* watch(feed)
        yield* pass(100)
        yield* pass(200)
        yield* pass(4999)
        servers.peers[0]!.destroy()
        yield* settled
        yield* pass(400)
        yield* pass(5000)
        servers.peers[1]!.destroy()
        yield* settled
        yield* pass(100)
        assert.deepStrictEqual(states, [
          ...[
            "connecting 1",
            "away 100",
            "connecting 2",
            "away 200",
            "connecting 3",
            "open",
            "away 400",
            "connecting 4",
            "open"
          ],
          ...["away 100", "connecting 1", "open"]
        ])
      })
    )
  )

  it.effect("client counts no attempt that failed as a connection that has held, however short that may be", () =>
    leavesNothing(
      Effect.gen(function* () {
        const servers = makeServers("nobody", "nobody", {})
        const feed = yield* keep(servers, { schedule: Schedule.exponential(100), resetAfter: 0 })
        const { states } = yield* watch(feed)
        yield* pass(100)
        yield* pass(200)
        servers.peers[0]!.destroy()
        yield* settled
        assert.deepStrictEqual(states, [
          "connecting 1",
          "away 100",
          "connecting 2",
          "away 200",
          "connecting 3",
          "open",
          "away 100"
        ])
      })
    )
  )

  it.effect("client gives up with the last error when the schedule is done, and every operation fails with it", () =>
    leavesNothing(
      Effect.gen(function* () {
        const feed = yield* keep(makeServers("nobody", 503), { schedule: Schedule.recurs(1) })
        const waiting = [feed.receive, feed.receiveAll, feed.send("a"), feed.current, Stream.runDrain(feed.messages)]
        const fibers = yield* Effect.forEach(waiting, (effect) => Effect.fork(Effect.flip(effect)))
        const errors = yield* Effect.forEach(fibers, Fiber.join)
        const later = yield* Effect.forEach(waiting, Effect.flip)
        for (const error of [...errors, ...later]) {
          assert(error._tag === "HandshakeError" && error.reason._tag === "Declined")
          assert.strictEqual(error.reason.status, 503)
        }
        assert.deepStrictEqual(yield* Effect.map(Stream.runCollect(feed.states), (all) => all.length), 1)
        yield* feed.close()
        assert.strictEqual((yield* feed.state)._tag, "Closed")
      })
    )
  )

  it.effect("client doesn't try again what can't get better", () =>
    leavesNothing(
      Effect.gen(function* () {
        const servers = makeServers(401)
        const feed = yield* keep(servers)
        const error = yield* Effect.flip(feed.receive)
        assert(error._tag === "HandshakeError" && error.reason._tag === "Declined")
        yield* pass()
        assert.strictEqual(servers.attempts, 1)
      })
    )
  )

  it.effect(
    "client asks the predicate that it is given instead, with the error of an attempt and of a connection",
    () =>
      leavesNothing(
        Effect.gen(function* () {
          const servers = makeServers(401)
          const asked: Array<string> = []
          const feed = yield* keep(servers, {
            while: (error) => {
              asked.push(describeEnd(error))
              return asked.length < 2
            }
          })
          yield* settled
          yield* pass()
          servers.peers[0]!.sendClose(4001, "enough")
          assert.strictEqual(describeEnd(yield* Effect.flip(feed.receive)), "4001")
          assert.deepStrictEqual(asked, ["Declined", "4001"])
        })
      )
  )

  it.effect("client gives the schedule what ended the last connection", () =>
    leavesNothing(
      Effect.gen(function* () {
        const inputs: Array<string> = []
        const servers = makeServers("nobody")
        yield* keep(servers, {
          schedule: Schedule.spaced(pause).pipe(
            Schedule.tapInput((error: HandshakeError | ReconnectingWebSocket.Away["error"]) =>
              Effect.sync(() => inputs.push(describeEnd(error)))
            )
          )
        })
        yield* settled
        yield* pass()
        servers.peers[0]!.sendClose(1012)
        yield* settled
        assert.deepStrictEqual(inputs, ["Transport", "1012"])
      })
    )
  )

  it.effect("client tells of a defect of what opens the connection, in every operation", () =>
    leavesNothing(
      Effect.gen(function* () {
        const feed = yield* ReconnectingWebSocket.make(Effect.die("a mistake"))
        for (const effect of [feed.receive, feed.send("a"), feed.current, Stream.runDrain(feed.messages)]) {
          const exit = yield* Effect.exit(effect)
          assert.isTrue(Exit.isFailure(exit) && Cause.isDie(exit.cause))
        }
        const state = yield* feed.state
        assert(state._tag === "Closed")
        assert.strictEqual(Cause.squash(state.cause), "a mistake")
      })
    )
  )

  it.effect("client fails with the errors of its own that open has, and takes them for transient", () =>
    leavesNothing(
      Effect.gen(function* () {
        let tokens = 0
        const token = Effect.suspend(() => (tokens++ < 2 ? Effect.fail("no token" as const) : Effect.succeed("token")))
        const feed = yield* ReconnectingWebSocket.make(token.pipe(Effect.zipRight(Effect.fail("no luck" as const))), {
          schedule: Schedule.recurs(2)
        })
        assert.strictEqual(yield* Effect.flip(feed.current), "no luck")
        assert.strictEqual(tokens, 3)
      })
    )
  )

  it.effect("client that connects by a URL takes the options of a connection and of keeping it alive", () =>
    leavesNothing(
      Effect.gen(function* () {
        const servers = makeServers("nobody")
        const feed = yield* ReconnectingWebSocket.connect("ws://example.com/feed", {
          headers: { "X-From": "test" },
          schedule: Schedule.spaced(pause),
          onOpen: (socket) => socket.send("hello")
        }).pipe(Effect.provideService(WebSocketClient.WebSocketClient, servers.client))
        yield* settled
        yield* pass()
        yield* feed.current
        yield* settled
        const [peer] = servers.peers
        assert.strictEqual(peer!.field("X-From"), "test")
        assert.deepStrictEqual(peer!.said, ["text hello"])
      })
    )
  )

  it.effect("client shows nothing but its state in a log", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { feed } = yield* open(makeServers())
        assert.strictEqual(inspect(feed), "{ _id: 'ReconnectingWebSocket', state: 'Open' }")
        assert.include(String(feed), `"state": "Open"`)
      })
    )
  )
})

describe("ReconnectingWebSocket: its end", () => {
  const ends: ReadonlyArray<readonly [code: number | undefined, outcome: string]> = [
    [1000, "ended"],
    [1001, "goes on"],
    [1011, "goes on"],
    [1012, "goes on"],
    [undefined, "goes on"],
    [4001, "goes on"],
    [3000, "fails with 3000"],
    [3003, "fails with 3003"]
  ]
  for (const [code, outcome] of ends) {
    it.effect(`client ${outcome} when the peer closes with ${code ?? "no code"}`, () =>
      leavesNothing(
        Effect.gen(function* () {
          const { feed, peer } = yield* open(makeServers())
          const got: Array<string> = []
          const reading = yield* Effect.fork(
            Stream.runForEach(feed.messages, (message) => Effect.sync(() => got.push(textOf(message)))).pipe(
              Effect.match({ onFailure: (error) => `fails with ${describeEnd(error)}`, onSuccess: () => "ended" })
            )
          )
          peer.sendText("a")
          peer.sendClose(code)
          yield* settled
          yield* pass()
          const result = (yield* isDone(reading)) ? yield* Fiber.join(reading) : "goes on"
          assert.strictEqual(result, outcome)
          assert.deepStrictEqual(got, ["a"])
          if (outcome !== "goes on") assert.strictEqual(describeEnd(yield* Effect.flip(feed.receive)), `${code}`)
          yield* feed.close()
          yield* Fiber.join(reading)
        })
      )
    )
  }

  const exits: ReadonlyArray<readonly [string, Exit.Exit<void, string>, number]> = [
    ["success", Exit.void, 1000],
    ["an interruption", Exit.interrupt(FiberId.none), 1001],
    ["a failure", Exit.fail("wrong"), 1011]
  ]
  for (const [how, exit, code] of exits) {
    it.effect(`client closes with ${code} when its scope ends with ${how}`, () =>
      leavesNothing(
        Effect.gen(function* () {
          const scope = yield* Scope.make()
          const { feed, peer } = yield* Scope.extend(open(makeServers()), scope)
          const sending = yield* Effect.fork(Effect.exit(Effect.forever(feed.receive)))
          yield* Scope.close(scope, exit)
          assert.deepStrictEqual(peer.said, [`close ${code}`])
          const received = yield* Fiber.join(sending)
          assert(Exit.isFailure(received) && Cause.isFailType(received.cause))
          assert.deepInclude(received.cause.error, { _tag: "ConnectionClosed", initiator: "local" })
          assert.strictEqual(describeState(yield* feed.state), "closed")
        })
      )
    )
  }

  it.effect("client closes with the reason that is given, and its messages end with those that came before", () =>
    leavesNothing(
      Effect.gen(function* () {
        const servers = makeServers()
        const { feed, peer } = yield* open(servers)
        peer.sendText("a", "b")
        yield* settled
        yield* feed.close({ code: 4000, reason: "done" })
        assert.deepStrictEqual(peer.said, ["close 4000 done"])
        const all = yield* Stream.runCollect(feed.messages)
        assert.deepStrictEqual(Array.from(all, textOf), ["a", "b"])
        yield* pass()
        assert.strictEqual(servers.attempts, 1)
        const error = yield* Effect.flip(feed.send("late"))
        assert.deepInclude(error, {
          _tag: "ConnectionClosed",
          initiator: "local",
          sent: { code: 4000, reason: "done" }
        })
      })
    )
  )

  it.effect("client that is closed again keeps to the first reason", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { feed, peer } = yield* open(makeServers())
        const first = yield* Effect.fork(feed.close({ code: 4000 }))
        const second = yield* Effect.fork(feed.close({ code: 4001 }))
        yield* Fiber.join(first)
        yield* Fiber.join(second)
        assert.deepStrictEqual(peer.said, ["close 4000"])
      })
    )
  )

  it.effect("client dies of a close reason that can't be sent, and lives on", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { feed, peer } = yield* open(makeServers())
        const exit = yield* Effect.exit(feed.close({ code: 1006 }))
        assert.isTrue(Exit.isFailure(exit) && Cause.isDie(exit.cause))
        yield* feed.send("a")
        assert.deepStrictEqual(yield* peer.awaitFrames(1), ["text a"])
      })
    )
  )

  for (const [when, meets] of [
    ["it is away", "nobody"],
    ["it waits for the answer of a server", "silence"]
  ] as const) {
    it.effect(`client ends at once when it is closed while ${when}`, () =>
      leavesNothing(
        Effect.gen(function* () {
          const servers = makeServers(meets)
          const feed = yield* keep(servers)
          const sending = yield* Effect.fork(Effect.flip(feed.send("never")))
          yield* settled
          yield* feed.close()
          assert.strictEqual(describeEnd(yield* Fiber.join(sending) as Effect.Effect<ConnectionClosed>), "1006")
          yield* Stream.runDrain(feed.messages)
          yield* pass()
          assert.strictEqual(servers.attempts, 1)
        })
      )
    )
  }

  it.effect("client whose close is interrupted closes all the same", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { feed, peer } = yield* open(makeServers())
        peer.polite = false
        const closing = yield* Effect.fork(feed.close())
        yield* settled
        assert.isTrue(yield* isSuspended(closing))
        yield* Fiber.interrupt(closing)
        assert.strictEqual((yield* feed.state)._tag, "Open")
        yield* pass(5000)
        assert.strictEqual((yield* feed.state)._tag, "Closed")
        assert.strictEqual(describeEnd(yield* Effect.flip(feed.receive)), "ConnectionTimeout")
        peer.destroy()
      })
    )
  )

  it.effect("client ends a connection that open had from elsewhere, so that its scope closes", () =>
    leavesNothing(
      Effect.gen(function* () {
        const servers = makeServers()
        const socket = yield* servers.client.connect("ws://example.com/")
        yield* Effect.scoped(
          Effect.flatMap(ReconnectingWebSocket.make(Effect.succeed(socket)), ({ current }) => current)
        )
        assert.strictEqual(describeEnd(yield* socket.closed), "1006")
      })
    )
  )

  it.effect("client that is gone before it has begun has told so", () =>
    leavesNothing(
      Effect.gen(function* () {
        const servers = makeServers()
        const feed = yield* Effect.scoped(keep(servers))
        assert.strictEqual((yield* feed.state)._tag, "Closed")
        assert.strictEqual(describeEnd(yield* Effect.flip(feed.receive)), "1006")
      })
    )
  )
})
