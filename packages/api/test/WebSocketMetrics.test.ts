import * as WebSocket from "@effect-ws/api/WebSocket"
import * as WebSocketClient from "@effect-ws/api/WebSocketClient"
import * as WebSocketMetrics from "@effect-ws/api/WebSocketMetrics"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Metric from "effect/Metric"
import * as TestClock from "effect/TestClock"
import { open, roles } from "./support/connections.ts"
import { makeConnector } from "./support/endpoints.ts"
import { leavesNothing, makePair, settled } from "./support/leaks.ts"
import { bytesOf } from "./support/outgoingStreams.ts"
import { Peer } from "./support/Peer.ts"
import { echo, type Handler, request, serve, type ServeOptions } from "./support/serving.ts"

/** All metrics of ours, by their names and tags, as whoever exports them sees them. */
const read = Effect.map(Metric.snapshot, (pairs) => {
  const ours = pairs.filter(({ metricKey }) => metricKey.name.startsWith("websocket_"))
  return new Map(
    ours.map(({ metricKey, metricState }) => {
      const tags = metricKey.tags.map(({ key, value }) => `${key}=${value}`)
      const { count, value } = metricState as { readonly count?: number; readonly value?: number }
      return [[metricKey.name.slice("websocket_".length), ...tags].join(" "), count ?? value ?? 0] as const
    })
  )
})

/** By how much they change, those that do. */
const changes = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const before = yield* read
    yield* effect
    const differences = Array.from(yield* read, ([name, value]) => [name, value - (before.get(name) ?? 0)] as const)
    return Object.fromEntries(differences.filter(([, difference]) => difference !== 0))
  })

const only = <A>(counts: Readonly<Record<string, A>>, ...names: ReadonlyArray<string>) =>
  Object.fromEntries(Object.entries(counts).filter(([name]) => names.some((start) => name.startsWith(start))))

describe.each(roles)("WebSocketMetrics of a %s", (role) => {
  // 5.2, 5.3: two bytes of header, and four of a masking key from the client.
  const [ours, theirs] = role === "client" ? [6, 2] : [2, 6]

  it.effect(`${role} counts the messages, bytes and close codes of a conversation`, () =>
    Effect.gen(function* () {
      let sent = 0
      const conversation = leavesNothing(
        Effect.gen(function* () {
          const { peer, socket } = yield* open(role)
          peer.sendText("one", "three")
          peer.send(peer.frame(0x9, "ping"))
          yield* Effect.repeatN(socket.receive, 1)
          yield* socket.send("seven")
          yield* socket.send(Uint8Array.of(1, 2))
          yield* socket.sendStream(bytesOf("a", "b"))
          yield* socket.close({ code: 4001, reason: "" })
          for (const { payload } of peer.frames) sent += payload.length + ours
        })
      )
      assert.deepStrictEqual(yield* changes(conversation), {
        [`handshakes role=${role} outcome=accepted`]: 1,
        [`messages role=${role} direction=received`]: 2,
        [`messages role=${role} direction=sent`]: 3,
        [`bytes role=${role} direction=received`]: 3 + 5 + 4 + 2 + 4 * theirs,
        [`bytes role=${role} direction=sent`]: sent,
        [`closes role=${role} direction=received code=4xxx`]: 1,
        [`closes role=${role} direction=sent code=4001`]: 1
      })
      assert.isAbove(sent, 5 + 2 + 2 + 4 + 2)
    })
  )

  it.effect(`${role} counts what was written as soon as it was, while the connection goes on`, () =>
    leavesNothing(
      Effect.gen(function* () {
        const { peer, socket } = yield* open(role)
        const talk = Effect.gen(function* () {
          yield* socket.send("abc")
          yield* settled
          assert.deepStrictEqual(peer.said, ["text abc"])
        })
        assert.deepStrictEqual(yield* changes(talk), {
          [`messages role=${role} direction=sent`]: 1,
          [`bytes role=${role} direction=sent`]: 3 + ours
        })
      })
    )
  )

  it.effect(`${role} counts a message that waited for room when it is queued, and one that never was not at all`, () =>
    leavesNothing(
      Effect.gen(function* () {
        const { peer, socket } = yield* open(role, { socket: { sendHighWaterMark: 10 }, pair: { highWaterMark: 1 } })
        const sent = () => Effect.map(changes(settled), (all) => only(all, "messages"))
        peer.transport.pause()
        yield* socket.send("0123456789")
        yield* settled
        const waiting = yield* Effect.fork(socket.send("abc"))
        const interrupted = yield* Effect.fork(socket.send("def"))
        assert.deepStrictEqual(yield* sent(), {})
        const flow = Effect.gen(function* () {
          yield* Fiber.interrupt(interrupted)
          peer.transport.resume()
          yield* Fiber.join(waiting)
          yield* settled
        })
        assert.deepStrictEqual(only(yield* changes(flow), "messages"), {
          [`messages role=${role} direction=sent`]: 1
        })
        assert.deepStrictEqual(peer.said, ["text 0123456789", "text abc"])
      })
    )
  )

  it.effect(`${role} counts a message that is received piece by piece once`, () =>
    leavesNothing(
      Effect.gen(function* () {
        const { peer, socket } = yield* open(role)
        const streaming = Effect.gen(function* () {
          peer.send(peer.frame(0x2, "abc", { fin: false }))
          const incoming = yield* socket.receiveStream
          peer.send(peer.frame(0x0, "def", { fin: false }))
          peer.send(peer.frame(0x0, "g"))
          yield* settled
          return incoming
        })
        assert.deepStrictEqual(only(yield* changes(Effect.scoped(streaming)), "messages"), {
          [`messages role=${role} direction=received`]: 1
        })
      })
    )
  )

  it.effect(`${role} counts as open what is open`, () =>
    leavesNothing(
      Effect.gen(function* () {
        const count = Effect.map(Metric.value(WebSocketMetrics.connections(role)), ({ value }) => value)
        const before = yield* count
        const first = yield* open(role)
        const second = yield* open(role)
        assert.strictEqual(yield* count, before + 2)
        yield* first.socket.destroy
        yield* first.socket.closed
        assert.strictEqual(yield* count, before + 1)
        yield* second.socket.close()
        assert.strictEqual(yield* count, before)
      })
    )
  )

  it.effect(`${role} counts 1006 where no Close frame came, and what it said of a fault`, () =>
    Effect.gen(function* () {
      const destroyed = leavesNothing(
        Effect.gen(function* () {
          const { peer, socket } = yield* open(role)
          peer.destroy()
          yield* socket.closed
        })
      )
      assert.deepStrictEqual(only(yield* changes(destroyed), "closes"), {
        [`closes role=${role} direction=received code=1006`]: 1,
        [`closes role=${role} direction=sent code=1006`]: 1
      })
      const faulty = leavesNothing(
        Effect.gen(function* () {
          const { peer, socket } = yield* open(role)
          peer.send(peer.frame(0x3))
          yield* Effect.flip(socket.receive)
          yield* socket.closed
        })
      )
      assert.deepInclude(only(yield* changes(faulty), "closes"), {
        [`closes role=${role} direction=sent code=1002`]: 1
      })
    })
  )

  it.effect(`${role} counts a pause of reading`, () =>
    leavesNothing(
      Effect.gen(function* () {
        const { peer, socket } = yield* open(role, { socket: { inboxHighWaterMark: 10 } })
        const flood = Effect.sync(() => peer.sendText("a")).pipe(Effect.zipRight(settled))
        assert.strictEqual((yield* changes(flood))[`pauses role=${role}`], 1)
        yield* socket.receive
        assert.strictEqual((yield* changes(flood))[`pauses role=${role}`], 1)
      })
    )
  )

  it("program asks for each metric by what it counts", () => {
    const { bytes, closes, connections, handshakes, messages, pauses } = WebSocketMetrics
    const all = [
      bytes(role, "sent"),
      closes(role, "received", 1000),
      connections(role),
      handshakes(role, "accepted"),
      messages(role, "received"),
      pauses(role)
    ]
    assert.strictEqual(new Set(all).size, 6)
    assert.strictEqual(closes(role, "received", "4xxx"), closes(role, "received", "4xxx"))
    assert.notStrictEqual(closes(role, "received", 1000), closes(role, "sent", 1000))
  })
})

describe("WebSocketMetrics: opening handshakes", () => {
  const asked = <R, R2 = never>(handler: Handler<R>, text: string, options?: ServeOptions<R2>) =>
    leavesNothing(
      Effect.gen(function* () {
        const { connect, stop } = yield* serve(handler, options)
        const line = yield* connect()
        yield* line.ask(text)
        yield* line.hangUp
        yield* stop
      })
    )

  const outcomes: ReadonlyArray<readonly [outcome: WebSocketMetrics.Outcome, asking: Effect.Effect<unknown, unknown>]> =
    [
      ["accepted", asked(echo, request())],
      ["Reject", asked(() => WebSocket.reject(), request())],
      ["ForbiddenOrigin", asked(echo, request({ Origin: "http://elsewhere.example.com" }))],
      ["Unanswered", asked(() => Effect.void, request())],
      ["HandlerFailed", asked(() => Effect.fail("no"), request())],
      ["PeerGone", asked(() => Effect.never, request())],
      ["InvalidKey", asked(echo, request({ "Sec-WebSocket-Key": "AAAA" }))]
    ]
  for (const [outcome, asking] of outcomes) {
    it.effect(`server counts an opening handshake that came to ${outcome}`, () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(only(yield* changes(asking), "handshakes"), {
          [`handshakes role=server outcome=${outcome}`]: 1
        })
      })
    )
  }

  it.effect("server counts a connection that it turned away by the limit", () =>
    Effect.gen(function* () {
      const overloaded = leavesNothing(
        Effect.gen(function* () {
          const { connect, stop } = yield* serve(() => Effect.never, { server: { maxHandshakes: 1 } })
          const lines = [yield* connect(), yield* connect()]
          yield* settled
          for (const line of lines.reverse()) yield* line.hangUp
          yield* stop
        })
      )
      assert.deepInclude(yield* changes(overloaded), { "handshakes role=server outcome=maxHandshakes": 1 })
    })
  )

  it.effect("server counts what a transport asks that it was given", () =>
    Effect.gen(function* () {
      const accepting = (...fields: ReadonlyArray<string>) =>
        leavesNothing(
          Effect.gen(function* () {
            const pair = yield* makePair()
            const peer = new Peer(pair.client, "client")
            peer.sendRequest(...fields)
            yield* Effect.ignore(WebSocket.acceptTransport(pair.server, { keepAlive: false }))
            yield* settled
            peer.end()
          })
        )
      assert.deepStrictEqual(only(yield* changes(accepting()), "handshakes"), {
        "handshakes role=server outcome=accepted": 1
      })
      assert.deepStrictEqual(only(yield* changes(accepting("Origin: http://a")), "handshakes"), {
        "handshakes role=server outcome=ForbiddenOrigin": 1
      })
    })
  )

  it.effect("client counts an opening handshake once, whatever became of it", () =>
    Effect.gen(function* () {
      const connect = (url: string, accepts: boolean) =>
        leavesNothing(Effect.exit(WebSocketClient.make(makeConnector({ accepts }).connector).connect(url)))
      assert.deepStrictEqual(only(yield* changes(connect("ws://a", true)), "handshakes"), {
        "handshakes role=client outcome=accepted": 1
      })
      assert.deepStrictEqual(only(yield* changes(connect("http://a", true)), "handshakes"), {
        "handshakes role=client outcome=InvalidUrl": 1
      })
      const late = Effect.gen(function* () {
        const connecting = yield* Effect.fork(connect("ws://a", false))
        yield* settled
        yield* TestClock.adjust("11 seconds")
        yield* Fiber.join(connecting)
      })
      assert.deepStrictEqual(only(yield* changes(late), "handshakes"), {
        "handshakes role=client outcome=Timeout": 1
      })
      const interrupted = Effect.gen(function* () {
        const connecting = yield* Effect.fork(connect("ws://a", false))
        yield* settled
        yield* Fiber.interrupt(connecting)
      })
      assert.deepStrictEqual(only(yield* changes(interrupted), "handshakes"), {
        "handshakes role=client outcome=Interrupted": 1
      })
    })
  )
})
