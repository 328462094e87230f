/** Every operation is interrupted, or held up while others go on, at each of its points (RFC 6455 knows no half message). */
import type { HandshakeError } from "@effect-ws/api/HandshakeError"
import * as WebSocket from "@effect-ws/api/WebSocket"
import * as WebSocketClient from "@effect-ws/api/WebSocketClient"
import * as WebSocketServer from "@effect-ws/api/WebSocketServer"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { open, roles } from "./support/connections.ts"
import { makeConnector, makeListener } from "./support/endpoints.ts"
import * as Frames from "./support/frames.ts"
import { leavesNothing, makePair, settled } from "./support/leaks.ts"
import { Peer } from "./support/Peer.ts"
import {
  atEveryPoint,
  CountingScheduler,
  describePoints,
  type Disturbed,
  interruptions,
  pauses
} from "./support/schedulers.ts"

const { opcodes } = Frames
const all = [...interruptions, ...pauses]

/** Fails unless the exit is a success or an interruption. */
const assertUnharmed = (exit: Exit.Exit<unknown, unknown>): void =>
  assert.isTrue(Exit.isSuccess(exit) || Exit.isInterrupted(exit), Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "")

const note = (got: Array<string>) => (message: import("@effect-ws/core/Message").Message) => {
  got.push(message._tag === "Text" ? message.text : "")
  return Effect.void
}

/** Takes what is left until the connection has ended. */
const rest = (socket: WebSocket.WebSocket, got: Array<string>) =>
  Effect.ignore(
    Effect.gen(function* () {
      for (;;) note(got)(yield* socket.receive)
    })
  )

describe.each(roles)("WebSocket of a %s, disturbed", (role) => {
  for (const points of all) {
    const how = describePoints(points)

    it.effect(`${role} loses no message when receive is ${how}`, () =>
      atEveryPoint(points, (disturbed) =>
        Effect.gen(function* () {
          const { peer, socket } = yield* open(role)
          const got: Array<string> = []
          const feed = Effect.gen(function* () {
            yield* settled
            peer.sendText("a", "b")
            yield* settled
            peer.sendText("c")
            peer.sendClose(1000)
          })
          const receive = Effect.flatMap(socket.receive, note(got))
          const exit = yield* disturbed(Effect.zipRight(receive, receive), feed)
          assertUnharmed(exit)
          yield* rest(socket, got)
          assert.deepStrictEqual(got, ["a", "b", "c"])
        })
      )
    )

    it.effect(`${role} loses no message when run is ${how}`, () =>
      atEveryPoint(points, (disturbed) =>
        Effect.gen(function* () {
          const { peer, socket } = yield* open(role)
          const got: Array<string> = []
          const feed = Effect.gen(function* () {
            yield* settled
            peer.sendText("a", "b")
            yield* settled
            peer.sendText("c")
            peer.sendClose(1000)
          })
          assertUnharmed(yield* disturbed(WebSocket.run(socket, note(got)), feed))
          yield* rest(socket, got)
          assert.deepStrictEqual(got, ["a", "b", "c"])
        })
      )
    )

    it.effect(`${role} loses at most a batch when a stream of messages is ${how}`, () =>
      atEveryPoint(points, (disturbed) =>
        Effect.gen(function* () {
          const { peer, socket } = yield* open(role)
          const got: Array<string> = []
          const feed = Effect.gen(function* () {
            yield* settled
            peer.sendText("a")
            yield* settled
            peer.sendText("b")
            peer.sendClose(1000)
          })
          const stream = Stream.runForEach(socket.messages, note(got))
          const exit = yield* disturbed(stream, feed)
          assertUnharmed(exit)
          yield* rest(socket, got)
          if (Exit.isSuccess(exit)) assert.deepStrictEqual(got, ["a", "b"])
          else assert.include([["a", "b"], ["a"], ["b"]].map(String), String(got))
        })
      )
    )

    it.effect(`${role} sends all of a message or nothing when send is ${how}`, () =>
      atEveryPoint(points, (disturbed) =>
        Effect.gen(function* () {
          const { peer, socket } = yield* open(role, {
            socket: { sendHighWaterMark: 100 },
            pair: { highWaterMark: 50 }
          })
          peer.transport.pause()
          yield* socket.send("x".repeat(200))
          const before = yield* Effect.fork(socket.send("before"))
          yield* settled
          const drain = Effect.gen(function* () {
            yield* settled
            peer.transport.resume()
          })
          const exit = yield* disturbed(socket.send("y".repeat(200)), drain)
          assertUnharmed(exit)
          yield* Fiber.join(before)
          yield* socket.send("after")
          yield* peer.until("the last message", () => peer.said.at(-1) === "text after")
          const sent = peer.said.slice(1).map((text) => text.slice(5, 11))
          if (Exit.isSuccess(exit)) assert.deepStrictEqual(sent, ["before", "yyyyyy", "after"])
          else
            assert.include(
              [
                ["before", "after"],
                ["before", "yyyyyy", "after"]
              ].map(String),
              String(sent)
            )
        })
      )
    )

    it.effect(`${role} fails a sender that waits when the connection ends although send is ${how}`, () =>
      atEveryPoint(points, (disturbed) =>
        Effect.gen(function* () {
          const { peer, socket } = yield* open(role, {
            socket: { sendHighWaterMark: 100 },
            pair: { highWaterMark: 50 }
          })
          peer.transport.pause()
          yield* socket.send("x".repeat(200))
          yield* settled
          const end = Effect.gen(function* () {
            yield* Effect.yieldNow()
            peer.send(peer.frame(3))
            yield* settled
          })
          const exit = yield* disturbed(Effect.flip(socket.send("y")), end)
          peer.transport.resume()
          assert.isTrue(Exit.isInterrupted(exit) || (Exit.isSuccess(exit) && exit.value._tag === "ProtocolError"))
        })
      )
    )

    it.effect(`${role} goes on when ping is ${how}`, () =>
      atEveryPoint(points, (disturbed) =>
        Effect.gen(function* () {
          const { peer, socket } = yield* open(role)
          const answer = Effect.gen(function* () {
            // The Pong comes as soon as it can.
            while (peer.frames.length === 0 && !points.interrupt) yield* Effect.yieldNow()
            yield* points.interrupt ? settled : Effect.void
            for (const { payload } of peer.frames) peer.send(peer.frame(opcodes.pong, payload))
          })
          assertUnharmed(yield* disturbed(socket.ping(), answer))
          yield* socket.send("alive")
          yield* peer.until("the message", () => peer.said.at(-1) === "text alive")
        })
      )
    )

    it.effect(`${role} closes once it has begun when close is ${how}`, () =>
      atEveryPoint(points, (disturbed) =>
        Effect.gen(function* () {
          const { peer, socket } = yield* open(role)
          const exit = yield* disturbed(socket.close({ code: 4000, reason: "" }))
          assertUnharmed(exit)
          yield* settled
          if (peer.frames.length > 0) {
            assert.deepStrictEqual(peer.said, ["close 4000"])
            assert.deepInclude(yield* socket.closed, { _tag: "ConnectionClosed", clean: true })
          } else assert.isTrue(Exit.isInterrupted(exit))
        })
      )
    )

    it.effect(`${role} tells the end when closed is ${how}`, () =>
      atEveryPoint(points, (disturbed) =>
        Effect.gen(function* () {
          const { peer, socket } = yield* open(role)
          const end = Effect.zipRight(
            Effect.yieldNow(),
            Effect.sync(() => peer.sendClose(1000))
          )
          const exit = yield* disturbed(socket.closed, end)
          assertUnharmed(exit)
          const error = yield* socket.closed
          if (Exit.isSuccess(exit)) assert.strictEqual(exit.value, error)
        })
      )
    )
  }

  it.effect(`${role} loses nothing and keeps no waiter when receive times out again and again`, () =>
    leavesNothing(
      Effect.gen(function* () {
        const { peer, socket } = yield* open(role)
        const got: Array<string> = []
        const worker = Effect.gen(function* () {
          while (got.length < 40) {
            yield* Effect.timeoutOption(Effect.flatMap(socket.receive, note(got)), "10 millis")
          }
        })
        const working = yield* Effect.replicateEffect(Effect.fork(worker), 3)
        const sent = Array.from({ length: 40 }, (_, i) => `${i}`)
        for (const [i, text] of sent.entries()) {
          peer.sendText(text)
          if (i % 2 === 0) yield* settled
          if (i % 3 === 0) yield* TestClock.adjust(10)
        }
        yield* settled
        yield* TestClock.adjust(10)
        yield* Fiber.joinAll(working)
        assert.deepStrictEqual(got, sent)
      })
    )
  )

  it.effect(`${role} gives each message to one of many who receive, in order of their arrival`, () =>
    leavesNothing(
      Effect.gen(function* () {
        const { peer, socket } = yield* open(role)
        const got: Array<string> = []
        const name = (i: number) =>
          Effect.flatMap(socket.receive, (message) => {
            got.push(`${i} ${message._tag === "Text" ? message.text : ""}`)
            return Effect.void
          })
        const fibers: Array<Fiber.RuntimeFiber<void, unknown>> = []
        for (let i = 0; i < 6; i++) {
          fibers.push(yield* Effect.fork(name(i)))
          yield* settled
        }
        yield* Fiber.interrupt(fibers[0]!)
        yield* Fiber.interrupt(fibers[3]!)
        peer.sendText("a")
        yield* settled
        peer.sendText("b", "c")
        yield* settled
        peer.sendText("d")
        yield* settled
        assert.deepStrictEqual(got, ["1 a", "2 b", "4 c", "5 d"])
      })
    )
  )
})

/** What the disturbed handshake may end with, and that nothing is open then. */
const assertOpenedOrGone = (exit: Exit.Exit<WebSocket.WebSocket, HandshakeError>, peer: Peer) =>
  Effect.gen(function* () {
    assertUnharmed(exit)
    if (Exit.isFailure(exit)) return
    const socket = exit.value
    yield* socket.send("a")
    yield* peer.awaitFrames(1)
    assert.deepStrictEqual(peer.said, ["text a"])
  })

describe("WebSocket: opening, disturbed", () => {
  for (const points of all) {
    const how = describePoints(points)
    const each = (title: string, scenario: (disturbed: Disturbed) => Effect.Effect<void, unknown, Scope.Scope>) =>
      it.effect(`${title} ${how}`, () =>
        Effect.map(atEveryPoint(points, scenario), (count) => assert.isAbove(count, 5))
      )

    each("server loses no transport when acceptTransport is", (disturbed) =>
      Effect.gen(function* () {
        const pair = yield* makePair()
        const peer = new Peer(pair.client, "client")
        peer.sendRequest()
        const exit = yield* disturbed(WebSocket.acceptTransport(pair.server))
        // Interrupted before its first step it has not touched the transport.
        if (pair.server.ledger.sinks === 0) pair.server.destroy()
        yield* assertOpenedOrGone(exit, peer)
      })
    )

    each("server loses no transport when acceptTransport waits and is", (disturbed) =>
      Effect.gen(function* () {
        const pair = yield* makePair()
        const peer = new Peer(pair.client, "client")
        const ask = Effect.zipRight(
          settled,
          Effect.sync(() => peer.sendRequest())
        )
        const exit = yield* disturbed(WebSocket.acceptTransport(pair.server), ask)
        if (pair.server.ledger.sinks === 0) pair.server.destroy()
        yield* assertOpenedOrGone(exit, peer)
      })
    )

    each("server lets no transport go without its answer when acceptTransport refuses and is", (disturbed) =>
      Effect.gen(function* () {
        const pair = yield* makePair()
        const peer = new Peer(pair.client, "client")
        peer.sendHead("GET / HTTP/1.1", "Host: a", "Connection: close")
        const exit = yield* disturbed(Effect.flip(WebSocket.acceptTransport(pair.server)))
        if (pair.server.ledger.sinks === 0) pair.server.destroy()
        yield* peer.awaitClosed
        if (Exit.isSuccess(exit)) assert.strictEqual(peer.statusLine, "HTTP/1.1 426 Upgrade Required")
      })
    )

    each(
      "server lets no transport go without its answer when acceptTransport keeps it, its scope closes, and is",
      (disturbed) =>
        Effect.gen(function* () {
          const pair = yield* makePair()
          const peer = new Peer(pair.client, "client")
          peer.sendHead("GET / HTTP/1.1", "Host: a")
          const exit = yield* disturbed(Effect.flip(Effect.scoped(WebSocket.acceptTransport(pair.server))))
          if (pair.server.ledger.sinks === 0) pair.server.destroy()
          yield* peer.awaitClosed
          if (Exit.isSuccess(exit)) assert.isTrue(exit.value.reusable)
          if (Exit.isSuccess(exit)) assert.strictEqual(peer.statusLine, "HTTP/1.1 426 Upgrade Required")
        })
    )

    each("client loses no transport when handshake is", (disturbed) =>
      Effect.gen(function* () {
        const pair = yield* makePair()
        const peer = new Peer(pair.server, "server")
        peer.acceptsRequests = true
        const exit = yield* disturbed(WebSocket.handshake(pair.client, { host: "a" }))
        if (pair.client.ledger.sinks === 0) pair.client.destroy()
        yield* assertOpenedOrGone(exit, peer)
      })
    )

    each("client loses no transport when connect is", (disturbed) =>
      Effect.gen(function* () {
        const memory = makeConnector()
        const exit = yield* disturbed(WebSocketClient.make(memory.connector).connect("ws://a"))
        if (memory.peers.length > 0) yield* assertOpenedOrGone(exit, memory.peers[0]!)
      })
    )

    each("server interrupts and answers everything when run is", (disturbed) =>
      Effect.gen(function* () {
        const listener = makeListener()
        const server = yield* WebSocketServer.make(listener)
        const handler = (exchange: import("@effect-ws/api/UpgradeExchange").UpgradeExchange) =>
          Effect.flatMap(WebSocket.accept(exchange), (socket) =>
            WebSocket.run(socket, (message) => socket.send(message))
          )
        const peers: Array<Peer> = []
        const visit = Effect.gen(function* () {
          for (let i = 0; i < 3; i++) {
            yield* Effect.repeatN(Effect.yieldNow(), 5)
            const { peer } = yield* listener.connect()
            if (!listener.isListening()) continue
            peers.push(peer)
            if (i > 0) peer.sendRequest()
            if (i > 1) peer.sendText("a")
          }
        })
        const exit = yield* disturbed(server.run(handler), (fiber) =>
          Effect.all([visit, settled, settled, Fiber.interrupt(fiber)])
        )
        assert.isTrue(Exit.isInterrupted(exit))
        for (const peer of peers) {
          yield* peer.awaitClosed
          assert.isUndefined(peer.error)
          const status = peer.statusLine?.slice(9, 12)
          assert.include(["101", "503"], status)
          if (status === "101") assert.strictEqual(peer.said.at(-1), "close 1001")
        }
      })
    )
  }
})

describe("WebSocket: under a scheduler that yields all the time", () => {
  for (const opsPerTurn of [10, 11, 12, 13, 14, 17]) {
    it.effect(`server and client talk and close with ${opsPerTurn} operations a turn`, () =>
      leavesNothing(
        Effect.withScheduler(
          Effect.gen(function* () {
            const pair = yield* makePair({ readSize: 100 })
            const accepting = yield* Effect.fork(WebSocket.acceptTransport(pair.server))
            const client = yield* WebSocket.handshake(pair.client, { host: "a" })
            const server = yield* Fiber.join(accepting)
            yield* Effect.fork(WebSocket.run(server, (message) => server.send(message)))
            const sent = Array.from({ length: 20 }, (_, i) => `${i}`.repeat(i))
            const received = yield* Effect.fork(Stream.runCollect(Stream.take(client.messages, 20)))
            yield* Effect.forEach(sent, (text) => client.send(text), { concurrency: 5 })
            const got = Chunk.toArray(yield* Fiber.join(received)).map(
              (message) => message._tag === "Text" && message.text
            )
            assert.deepStrictEqual(got, sent)
            assert.isTrue(Option.isSome(yield* Effect.option(client.ping())))
            assert.deepInclude(yield* client.close(), { clean: true })
          }),
          new CountingScheduler(opsPerTurn)
        )
      )
    )
  }
})
