/** What is sent and received over one connection after the other. */
import * as ReconnectingWebSocket from "@effect-ws/api/ReconnectingWebSocket"
import type { WebSocket } from "@effect-ws/api/WebSocket"
import * as Messages from "@effect-ws/core/Message"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { ReconnectLinks } from "../src/internal/reconnecting/links.ts"
import { leavesNothing, settled } from "./support/leaks.ts"
import { isDone, isSuspended, messageCost, textOf } from "./support/receiving.ts"
import { describeEnd, describeState, keep, makeServers, open, pause, type Servers } from "./support/reconnecting.ts"

const pass = Effect.zipRight(TestClock.adjust(pause), settled)

/** The last server goes without a word, and the next one is there after the pause. */
const lose = (servers: Servers) =>
  Effect.gen(function* () {
    servers.peers.at(-1)!.destroy()
    yield* settled
    yield* pass
    return servers.peers.at(-1)!
  })

const saidTo = (servers: Servers) => servers.peers.map((peer) => peer.said)

describe("ReconnectingWebSocket: receiving", () => {
  it.effect("client receives all of one connection before the first message of the next", () =>
    leavesNothing(
      Effect.gen(function* () {
        const servers = makeServers()
        const { feed, peer } = yield* open(servers)
        peer.sendText("a", "b")
        yield* settled
        const second = yield* lose(servers)
        second.sendText("c")
        yield* settled
        const third = yield* lose(servers)
        third.sendText("d")
        yield* settled
        const got = yield* Effect.replicateEffect(Effect.map(feed.receive, textOf), 3)
        assert.deepStrictEqual(got, ["a", "b", "c"])
        assert.deepStrictEqual((yield* feed.receiveAll).map(textOf), ["d"])
      })
    )
  )

  it.effect("client that waits for a message waits for the next connection too", () =>
    leavesNothing(
      Effect.gen(function* () {
        const servers = makeServers("nobody")
        const feed = yield* keep(servers)
        const got: Array<string> = []
        const note = (message: Messages.Message) => Effect.sync(() => got.push(textOf(message)))
        const reading = yield* Effect.fork(Stream.runForEach(feed.messages, note))
        yield* settled
        yield* pass
        servers.peers[0]!.sendText("a", "b")
        yield* settled
        const peer = yield* lose(servers)
        peer.sendText("c")
        yield* settled
        assert.deepStrictEqual(got, ["a", "b", "c"])
        yield* feed.close()
        yield* Fiber.join(reading)
      })
    )
  )

  it.effect("client gives each message to one of those who wait, and the oldest of them is first", () =>
    leavesNothing(
      Effect.gen(function* () {
        const servers = makeServers("nobody")
        const feed = yield* keep(servers)
        const got: Array<string> = []
        const receive = (who: number) =>
          Effect.flatMap(feed.receive, (message) => Effect.sync(() => got.push(`${who} ${textOf(message)}`)))
        const fibers = yield* Effect.forEach([1, 2, 3], (who) => Effect.fork(receive(who)))
        yield* settled
        yield* pass
        servers.peers[0]!.sendText("a", "b")
        yield* settled
        const peer = yield* lose(servers)
        peer.sendText("c")
        yield* Effect.forEach(fibers, Fiber.join)
        assert.deepStrictEqual(got, ["1 a", "2 b", "3 c"])
      })
    )
  )

  it.effect(
    "client keeps what nobody has read of those that have ended, a megabyte of it, and drops the oldest",
    () => {
      const logged: Array<string> = []
      const logger = Logger.make(({ message }) => void logged.push(String(message)))
      const size = 200_000
      const speak = (servers: Servers, n: number) =>
        Effect.suspend(() => {
          const peer = servers.peers.at(-1)!
          peer.send(peer.binary(new Uint8Array(size).fill(n)))
          return settled
        })
      return leavesNothing(
        Effect.gen(function* () {
          const servers = makeServers()
          const { feed } = yield* open(servers)
          yield* speak(servers, 0)
          for (let n = 1; n <= 6; n++) yield* Effect.zipRight(lose(servers), speak(servers, n))
          const first = Effect.map(feed.receive, ({ bytes }) => bytes[0])
          assert.deepStrictEqual(yield* Effect.replicateEffect(first, 6), [1, 2, 3, 4, 5, 6])
          assert.deepStrictEqual(logged, [`Dropped unread: ${size + messageCost} bytes of a connection that has ended`])
        })
      ).pipe(Effect.provide(Logger.replace(Logger.defaultLogger, logger)))
    }
  )

  it.effect("client keeps what the last connection has brought, however much that is", () =>
    leavesNothing(
      Effect.gen(function* () {
        const servers = makeServers()
        const { feed, peer } = yield* open(servers)
        peer.send(peer.binary(new Uint8Array(2_000_000)))
        yield* settled
        // One that isn't read doesn't see its peer go.
        yield* Effect.flatMap(feed.current, ({ destroy }) => destroy)
        yield* settled
        assert.strictEqual(describeState(yield* feed.state), `away ${pause}`)
        assert.strictEqual((yield* feed.receive).byteLength, 2_000_000)
      })
    )
  )
})

describe("ReconnectingWebSocket: sending", () => {
  it.effect(
    "client lets those who send while it is away wait, and have their turn in the order in which they came",
    () =>
      leavesNothing(
        Effect.gen(function* () {
          const servers = makeServers("nobody", 503)
          const feed = yield* keep(servers)
          yield* settled
          const fibers = yield* Effect.forEach(["a", "b", "c", "d"], (text) => Effect.fork(feed.send(text)))
          yield* settled
          yield* pass
          for (const fiber of fibers) assert.isTrue(yield* isSuspended(fiber))
          yield* pass
          yield* Effect.forEach(fibers, Fiber.join)
          assert.deepStrictEqual(yield* servers.peers[0]!.awaitFrames(4), ["text a", "text b", "text c", "text d"])
        })
      )
  )

  it.effect("client doesn't send again what it has given to a connection that was then lost", () =>
    leavesNothing(
      Effect.gen(function* () {
        const servers = makeServers()
        const { feed, peer } = yield* open(servers)
        peer.transport.pause()
        yield* feed.send("lost")
        peer.destroy()
        yield* settled
        yield* Effect.zipLeft(Effect.fork(feed.send("next")), settled)
        yield* pass
        assert.deepStrictEqual(yield* servers.peers[1]!.awaitFrames(1), ["text next"])
        yield* feed.close()
        assert.deepStrictEqual(saidTo(servers), [[], ["text next", "close 1000"]])
      })
    )
  )

  it.effect("client sends what no connection had room for over the next one, once", () =>
    leavesNothing(
      Effect.gen(function* () {
        const servers = makeServers({ highWaterMark: 64 })
        const large = "x".repeat(300_000)
        const { feed, peer } = yield* open(servers)
        peer.transport.pause()
        yield* feed.send(large)
        yield* settled
        const fibers = yield* Effect.forEach(["a", "b"], (text) => Effect.fork(feed.send(text)))
        yield* settled
        for (const fiber of fibers) assert.isTrue(yield* isSuspended(fiber))
        const second = yield* lose(servers)
        yield* Effect.forEach(fibers, Fiber.join)
        yield* feed.close()
        assert.deepStrictEqual(second.said, ["text a", "text b", "close 1000"])
        assert.deepStrictEqual(peer.said, [])
      })
    )
  )

  it.effect("client waits with what it is to send from the peer's Close frame on", () =>
    leavesNothing(
      Effect.gen(function* () {
        const servers = makeServers()
        const { feed, peer } = yield* open(servers)
        peer.sendClose(1012)
        yield* settled
        const sending = yield* Effect.fork(feed.send("a"))
        yield* settled
        assert.isTrue(yield* isSuspended(sending))
        yield* pass
        yield* Fiber.join(sending)
        yield* feed.close()
        assert.deepStrictEqual(saidTo(servers), [["close 1012"], ["text a", "close 1000"]])
      })
    )
  )

  it.effect("client goes on to the next connection when somebody has closed this one", () =>
    leavesNothing(
      Effect.gen(function* () {
        const servers = makeServers()
        const { feed } = yield* open(servers)
        const socket = yield* feed.current
        const closing = yield* Effect.fork(socket.close({ code: 4000 }))
        yield* Effect.yieldNow()
        const sending = yield* Effect.fork(feed.send("a"))
        yield* Fiber.join(closing)
        yield* pass
        yield* Fiber.join(sending)
        assert.notStrictEqual(yield* feed.current, socket)
        yield* feed.close()
        assert.deepStrictEqual(saidTo(servers), [["close 4000"], ["text a", "close 1000"]])
      })
    )
  )

  it.effect("client doesn't ask a connection that is closing again and again whether it takes a message", () =>
    leavesNothing(
      Effect.gen(function* () {
        const servers = makeServers()
        let asked = 0
        const connecting = Effect.map(servers.client.connect("ws://example.com/"), (socket) => {
          const send: WebSocket["send"] = (data) => Effect.suspend(() => (asked++, socket.send(data)))
          return Object.create(socket, { send: { value: send } }) as WebSocket
        })
        const feed = yield* ReconnectingWebSocket.make(connecting, { schedule: Schedule.spaced(pause) })
        const socket = yield* feed.current
        servers.peers[0]!.polite = false
        yield* Effect.fork(Effect.ignore(socket.close()))
        yield* settled
        const sending = yield* Effect.fork(feed.send("a"))
        yield* settled
        assert.isTrue(yield* isSuspended(sending))
        assert.strictEqual(asked, 1)
        servers.peers[0]!.destroy()
        yield* settled
        yield* pass
        yield* Fiber.join(sending)
        assert.strictEqual(asked, 2)
      })
    )
  )

  it.effect("client that is interrupted while it waits to send has sent nothing", () =>
    leavesNothing(
      Effect.gen(function* () {
        const servers = makeServers("nobody")
        const feed = yield* keep(servers)
        const [first, second] = yield* Effect.forEach(["a", "b"], (text) => Effect.fork(feed.send(text)))
        yield* settled
        yield* Fiber.interrupt(first!)
        yield* pass
        yield* Fiber.join(second!)
        yield* feed.close()
        assert.deepStrictEqual(saidTo(servers), [["text b", "close 1000"]])
      })
    )
  )

  it.effect("client whose connection refuses what it has no room for says so", () =>
    leavesNothing(
      Effect.gen(function* () {
        const servers = makeServers({ highWaterMark: 64 })
        const feed = yield* keep(servers, {}, { whenFull: "fail" })
        yield* settled
        servers.peers[0]!.transport.pause()
        yield* feed.send("x".repeat(300_000))
        yield* settled
        const error = yield* Effect.flip(feed.send("a"))
        assert(error._tag === "SendRejected" && error.reason._tag === "QueueFull")
        servers.peers[0]!.transport.resume()
      })
    )
  )
})

describe("ReconnectingWebSocket: onOpen", () => {
  it.effect("client runs it with each connection, before those who wait send or receive", () =>
    leavesNothing(
      Effect.gen(function* () {
        const servers = makeServers("nobody")
        const answers: Array<string> = []
        const onOpen = (socket: WebSocket) =>
          Effect.gen(function* () {
            yield* socket.send("who am I?")
            answers.push(textOf(yield* socket.receive))
          })
        const feed = yield* keep(servers, { onOpen })
        const sending = yield* Effect.fork(feed.send("a"))
        const receiving = yield* Effect.fork(feed.receive)
        yield* settled
        yield* pass
        const first = servers.peers[0]!
        assert.deepStrictEqual(first.said, ["text who am I?"])
        assert.strictEqual(describeState(yield* feed.state), "connecting 2")
        first.sendText("a client", "news")
        yield* Fiber.join(sending)
        assert.strictEqual(textOf(yield* Fiber.join(receiving)), "news")
        yield* first.awaitFrames(2)
        const second = yield* lose(servers)
        second.sendText("the same client")
        yield* settled
        assert.strictEqual(describeState(yield* feed.state), "open")
        assert.deepStrictEqual(answers, ["a client", "the same client"])
        assert.deepStrictEqual(saidTo(servers), [["text who am I?", "text a"], ["text who am I?"]])
      })
    )
  )

  it.effect("client takes its failure for that of the attempt, and closes the connection with 1011", () =>
    leavesNothing(
      Effect.gen(function* () {
        const servers = makeServers()
        let runs = 0
        const feed = yield* keep(servers, {
          onOpen: () => (++runs === 3 ? Effect.fail("a third time" as const) : Effect.fail("not yet" as const)),
          while: (error) => error === "not yet"
        })
        yield* settled
        yield* pass
        yield* pass
        assert.strictEqual(yield* Effect.flip(feed.receive), "a third time")
        assert.deepStrictEqual(saidTo(servers), [["close 1011"], ["close 1011"], ["close 1011"]])
      })
    )
  )

  it.effect("client interrupts it when the connection ends, and goes on to the next one", () =>
    leavesNothing(
      Effect.gen(function* () {
        const servers = makeServers()
        const ended: Array<string> = []
        const feed = yield* keep(servers, {
          onOpen: () =>
            servers.peers.length > 1
              ? Effect.void
              : Effect.onInterrupt(Effect.never, () => Effect.sync(() => ended.push("interrupted")))
        })
        yield* settled
        assert.strictEqual(describeState(yield* feed.state), "connecting 1")
        yield* lose(servers)
        assert.deepStrictEqual(ended, ["interrupted"])
        assert.strictEqual(describeState(yield* feed.state), "open")
      })
    )
  )

  it.effect("client closes with the reason that is given while it runs", () =>
    leavesNothing(
      Effect.gen(function* () {
        const servers = makeServers()
        const feed = yield* keep(servers, { onOpen: () => Effect.never })
        yield* settled
        yield* feed.close({ code: 4000 })
        assert.deepStrictEqual(saidTo(servers), [["close 4000"]])
        assert.strictEqual(describeEnd(yield* Effect.flip(Effect.asVoid(feed.receive))), "4000")
      })
    )
  )

  it.effect("client gives it a scope that lives as long as the connection", () =>
    leavesNothing(
      Effect.gen(function* () {
        const servers = makeServers()
        const told: Array<string> = []
        const feed = yield* keep(servers, {
          onOpen: (socket) =>
            Effect.gen(function* () {
              yield* Effect.addFinalizer(() => Effect.sync(() => told.push("released")))
              yield* Effect.forkScoped(
                Effect.forever(Effect.zipRight(Effect.sleep(100), Effect.ignore(socket.send("tick"))))
              )
            })
        })
        yield* settled
        yield* TestClock.adjust(100)
        yield* settled
        assert.deepStrictEqual(saidTo(servers), [["text tick"]])
        assert.deepStrictEqual(told, [])
        yield* lose(servers)
        assert.deepStrictEqual(told, ["released"])
        yield* feed.close()
        assert.deepStrictEqual(told, ["released", "released"])
      })
    )
  )

  it.effect("client dies of a defect in it, and tells all who wait", () =>
    leavesNothing(
      Effect.gen(function* () {
        const feed = yield* keep(makeServers(), { onOpen: () => Effect.die("a mistake") })
        const exit = yield* Effect.exit(feed.receive)
        assert.include(String(exit), "a mistake")
        assert.strictEqual(describeState(yield* feed.state), "closed")
      })
    )
  )

  it.effect("client whose onOpen interrupts itself has ended", () =>
    leavesNothing(
      Effect.gen(function* () {
        const servers = makeServers()
        const feed = yield* keep(servers, { onOpen: () => Effect.interrupt })
        yield* settled
        assert.strictEqual(describeState(yield* feed.state), "closed")
        assert.deepStrictEqual(saidTo(servers), [["close 1001"]])
      })
    )
  )
})

describe("ReconnectingWebSocket.states", () => {
  it.effect("client tells each of those who look all states from there on, and who comes late the last one", () =>
    leavesNothing(
      Effect.gen(function* () {
        const servers = makeServers()
        const { feed } = yield* open(servers)
        const early = yield* Effect.fork(Stream.runCollect(Stream.map(feed.states, describeState)))
        const two = yield* Effect.fork(Stream.runCollect(Stream.take(Stream.map(feed.states, describeState), 2)))
        yield* settled
        yield* lose(servers)
        assert.isTrue(yield* isDone(two))
        yield* feed.close()
        assert.deepStrictEqual([...(yield* Fiber.join(early))], ["open", "away 1000", "connecting 2", "open", "closed"])
        assert.deepStrictEqual([...(yield* Fiber.join(two))], ["open", "away 1000"])
        assert.deepStrictEqual([...(yield* Stream.runCollect(feed.states))].map(describeState), ["closed"])
      })
    )
  )

  it.effect("client shows the connection that is open, the same that current gives", () =>
    leavesNothing(
      Effect.gen(function* () {
        const servers = makeServers("nobody")
        const feed = yield* keep(servers)
        const waiting = yield* Effect.fork(feed.current)
        yield* settled
        yield* pass
        const state = yield* feed.state
        assert(state._tag === "Open")
        assert.strictEqual(yield* Fiber.join(waiting), state.socket)
      })
    )
  )

  it("client has nobody to tell when those who looked have gone", () => {
    const links = new ReconnectLinks<never>()
    const told: Array<string> = []
    const stop = links.listen((state) => void told.push(describeState(state)))
    links.tell({ _tag: "Connecting", attempt: 2 })
    stop()
    links.tell({ _tag: "Connecting", attempt: 3 })
    assert.deepStrictEqual(told, ["connecting 1", "connecting 2"])
  })

  it.effect("client keeps the newest 64 states for one who looks and takes none", () =>
    leavesNothing(
      Effect.gen(function* () {
        const gate = yield* Deferred.make<void>()
        const servers = makeServers()
        const { feed } = yield* open(servers)
        const slow = yield* Effect.fork(Stream.runCollect(Stream.tap(feed.states, () => Deferred.await(gate))))
        yield* settled
        for (let n = 0; n < 40; n++) yield* lose(servers)
        yield* feed.close()
        yield* Deferred.succeed(gate, undefined)
        const states = [...(yield* Fiber.join(slow))].map(describeState)
        assert.isAtMost(states.length, 66)
        assert.isAtLeast(states.length, 63)
        assert.deepStrictEqual(states.slice(-2), ["open", "closed"])
      })
    )
  )
})
