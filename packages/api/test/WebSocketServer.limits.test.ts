/** How many connections a server takes, what it counts, and that every place comes back. */
import type { Incoming } from "@effect-ws/api/Listener"
import type * as MemoryTransport from "@effect-ws/api/testing/MemoryTransport"
import * as WebSocket from "@effect-ws/api/WebSocket"
import * as WebSocketServer from "@effect-ws/api/WebSocketServer"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import { makeListener } from "./support/endpoints.ts"
import * as Frames from "./support/frames.ts"
import { leavesNothing, makePair, settled } from "./support/leaks.ts"
import { accepted, closing, type Handler, head, Line, request, serve, unavailable } from "./support/serving.ts"

const server = "Server: effect-ws"
const close = "Connection: close"
const turnedAway = unavailable(close)

const wrongKey = request({ "Sec-WebSocket-Key": "AAAA" })

/** Accepts, and waits for the end; or what the path says. */
const hold: Handler = (exchange) => {
  if (exchange.request.path === "/wait") return Effect.never
  if (exchange.request.path === "/reject") return WebSocket.reject()
  if (exchange.request.path === "/fail") return Effect.fail("no")
  return Effect.flatMap(WebSocket.accept(exchange), (socket) => socket.closed)
}

const get = (path: string) => request({}, `GET ${path} HTTP/1.1`)

const from = (hostname: string): MemoryTransport.Options => ({
  clientInfo: { localAddress: { _tag: "TcpAddress", hostname, port: 1 } }
})

const goodbye = Frames.encode(Frames.opcodes.close, Frames.closePayload(1000, ""), { key: Uint8Array.of(1, 2, 3, 4) })

/** Connects and asks; asserts that there is a place, or that there is none. */
const asking =
  (serving: Effect.Effect.Success<ReturnType<typeof serve>>) =>
  (expected: "taken" | "turned away", pair: MemoryTransport.Options = {}, asked = request()) =>
    Effect.gen(function* () {
      const line = yield* serving.connect(pair)
      yield* line.ask(asked)
      assert.strictEqual(line.text, expected === "taken" ? accepted(server) : turnedAway)
      return line
    })

describe("WebSocketServer: limits", () => {
  it.effect("server turns away who comes while there are as many opening handshakes as it takes", () =>
    leavesNothing(
      Effect.gen(function* () {
        const serving = yield* serve(hold, { server: { maxHandshakes: 2 } })
        const ask = asking(serving)
        const silent = yield* serving.connect()
        const undecided = yield* serving.connect()
        yield* undecided.ask(get("/wait"))
        const third = yield* ask("turned away")
        assert.deepStrictEqual(yield* serving.counts, {
          handshakes: 2,
          connections: 2,
          accepted: 0,
          refused: { maxHandshakes: 1 }
        })
        yield* silent.ask(request())
        assert.strictEqual(silent.text, accepted(server))
        // Those that are accepted don't count.
        const others = [yield* ask("taken"), yield* ask("taken"), yield* ask("taken")]
        assert.deepInclude(yield* serving.counts, { handshakes: 1, connections: 5, accepted: 4 })
        for (const line of [silent, undecided, third, ...others]) yield* line.hangUp
        assert.deepInclude(yield* serving.counts, { handshakes: 0, connections: 0, accepted: 4 })
        yield* serving.stop
      })
    )
  )

  it.effect("server turns away who comes while there are as many connections as it takes, accepted or not", () =>
    leavesNothing(
      Effect.gen(function* () {
        const serving = yield* serve(hold, { server: { maxConnections: 2 } })
        const ask = asking(serving)
        const first = yield* ask("taken")
        const silent = yield* serving.connect()
        const third = yield* ask("turned away")
        assert.deepStrictEqual(yield* serving.counts, {
          handshakes: 1,
          connections: 2,
          accepted: 1,
          refused: { maxConnections: 1 }
        })
        yield* first.hangUp
        const fourth = yield* ask("taken")
        const fifth = yield* ask("turned away")
        for (const line of [silent, third, fourth, fifth]) yield* line.hangUp
        assert.deepStrictEqual(yield* serving.counts, {
          handshakes: 0,
          connections: 0,
          accepted: 2,
          refused: { PeerGone: 1, maxConnections: 2 }
        })
        yield* serving.stop
      })
    )
  )

  for (const option of ["maxHandshakes", "maxConnections", "maxConnectionsPerAddress", "maxAttempts"] as const) {
    it.effect(`server dies of a ${option} that can't be meant, and says which`, () =>
      Effect.gen(function* () {
        for (const value of [0, -1, 1.5, Number.NaN, ...(option === "maxConnectionsPerAddress" ? [] : [Infinity])]) {
          const exit = yield* Effect.exit(Effect.scoped(WebSocketServer.make(makeListener(), { [option]: value })))
          assert.isTrue(Exit.isFailure(exit) && Cause.isDie(exit.cause), `${value}`)
          assert.include(String(Exit.isFailure(exit) && Cause.squash(exit.cause)), option)
        }
      })
    )
  }
})

describe("WebSocketServer: places that come back", () => {
  const limits = { maxHandshakes: 1, maxConnections: 1, maxConnectionsPerAddress: 1 }

  /** What a connection does from its first byte to its end, and how it is counted. */
  const ways: Record<string, readonly [(line: Line) => Effect.Effect<unknown>, Record<string, number>]> = {
    "says nothing and ends": [(line) => line.hangUp, { PeerGone: 1 }],
    "says nothing and is destroyed": [(line) => Effect.sync(() => line.wire.destroy()), { PeerGone: 1 }],
    "says nothing until the time is up": [
      (line) => Effect.zipRight(TestClock.adjust(10_050), line.hangUp),
      { Timeout: 1 }
    ],
    "ends within its request": [(line) => Effect.zipRight(line.ask("GET"), line.hangUp), { PeerGone: 1 }],
    "is refused, and ends": [(line) => Effect.zipRight(line.ask(closing(wrongKey)), line.hangUp), { InvalidKey: 1 }],
    "is refused, and doesn't end": [
      (line) => Effect.zipRight(line.ask(closing(wrongKey)), TestClock.adjust(5250)),
      { InvalidKey: 1 }
    ],
    "is refused, and floods": [
      (line) => Effect.zipRight(line.ask(closing(wrongKey)), Effect.repeatN(line.ask(new Uint8Array(64 * 1024)), 5)),
      { InvalidKey: 1 }
    ],
    "is refused, kept, and ends": [(line) => Effect.zipRight(line.ask(wrongKey), line.hangUp), { InvalidKey: 1 }],
    "is refused, kept, and destroyed": [
      (line) =>
        Effect.zipRight(
          line.ask(wrongKey),
          Effect.sync(() => line.wire.destroy())
        ),
      { InvalidKey: 1 }
    ],
    "is refused, kept, and silent": [
      (line) => Effect.all([line.ask(wrongKey), TestClock.adjust(10_050), line.hangUp]),
      { InvalidKey: 1 }
    ],
    "is rejected by the handler": [
      (line) => Effect.zipRight(line.ask(closing(get("/reject"))), line.hangUp),
      { Reject: 1 }
    ],
    "is rejected by the handler, kept, and ends": [
      (line) => Effect.zipRight(line.ask(get("/reject")), line.hangUp),
      { Reject: 1 }
    ],
    "has a handler that fails": [
      (line) => Effect.zipRight(line.ask(closing(get("/fail"))), line.hangUp),
      { HandlerFailed: 1 }
    ],
    "ends while the handler decides": [(line) => Effect.zipRight(line.ask(get("/wait")), line.hangUp), { PeerGone: 1 }],
    "is destroyed while the handler decides": [
      (line) =>
        Effect.zipRight(
          line.ask(get("/wait")),
          Effect.sync(() => line.wire.destroy())
        ),
      { PeerGone: 1 }
    ],
    "waits for the handler until the time is up": [
      (line) => Effect.all([line.ask(get("/wait")), TestClock.adjust(10_050), line.hangUp]),
      { Timeout: 1 }
    ],
    "is accepted, and closes": [(line) => Effect.zipRight(line.ask(request(), goodbye), line.hangUp), {}],
    "is accepted, and ends": [(line) => Effect.zipRight(line.ask(request()), line.hangUp), {}],
    "is accepted, and destroyed": [
      (line) =>
        Effect.zipRight(
          line.ask(request()),
          Effect.sync(() => line.wire.destroy())
        ),
      {}
    ],
    "is accepted, and breaks the protocol": [
      (line) => Effect.zipRight(line.ask(request(), Frames.hex("83 00")), line.hangUp),
      {}
    ],
    "is refused, then accepted, and closes": [
      (line) => Effect.zipRight(line.ask(wrongKey, request(), goodbye), line.hangUp),
      { InvalidKey: 1 }
    ],
    "asks for a page": [
      (line) => Effect.zipRight(line.ask(closing(head("GET / HTTP/1.1", "Host: a"))), line.hangUp),
      {}
    ],
    "asks for a page, is kept, and ends": [
      (line) => Effect.zipRight(line.ask(head("GET / HTTP/1.1", "Host: a")), line.hangUp),
      {}
    ]
  }
  for (const [name, [visit, refused]] of Object.entries(ways)) {
    it.effect(`server has its only place again when a connection ${name}`, () =>
      leavesNothing(
        Effect.gen(function* () {
          const serving = yield* serve(hold, { server: limits, fallback: () => Effect.succeed({ status: 200 }) })
          const line = yield* serving.connect()
          assert.deepInclude(yield* serving.counts, { handshakes: 1, connections: 1 })
          yield* visit(line)
          yield* settled
          const counts = yield* serving.counts
          assert.deepInclude(counts, { handshakes: 0, connections: 0, refused })
          assert.strictEqual(counts.accepted, line.text.includes("HTTP/1.1 101 ") ? 1 : 0)
          const next = yield* asking(serving)("taken")
          for (const each of [line, next]) each.wire.destroy()
          yield* settled
          yield* serving.stop
        })
      )
    )
  }

  it.effect("server has a place again when the handler of a connection that is over is done, and not before", () =>
    leavesNothing(
      Effect.gen(function* () {
        const go = yield* Deferred.make<void>()
        const outliving: Handler = (exchange) =>
          Effect.flatMap(WebSocket.accept(exchange), (socket) => Effect.zipRight(socket.closed, Deferred.await(go)))
        const serving = yield* serve(outliving, { server: limits })
        const ask = asking(serving)
        const first = yield* ask("taken")
        assert.deepInclude(yield* serving.counts, { handshakes: 0, connections: 1 })
        yield* first.hangUp
        const second = yield* ask("turned away")
        yield* second.hangUp
        yield* Deferred.succeed(go, undefined)
        yield* settled
        assert.deepInclude(yield* serving.counts, { handshakes: 0, connections: 0, accepted: 1 })
        const third = yield* ask("taken")
        yield* third.hangUp
        yield* serving.stop
      })
    )
  )

  it.effect("server has all places again when it has gone down", () =>
    leavesNothing(
      Effect.gen(function* () {
        const serving = yield* serve(hold)
        const lines = yield* Effect.replicateEffect(serving.connect(), 5)
        const asked = ["", "GET", get("/wait"), wrongKey, request()]
        for (const [i, line] of lines.entries()) yield* line.ask(asked[i]!)
        assert.deepInclude(yield* serving.counts, { handshakes: 4, connections: 5, accepted: 1 })
        const stopping = yield* Effect.fork(serving.stop)
        yield* settled
        for (const line of lines) yield* line.hangUp
        yield* Fiber.join(stopping)
        assert.deepStrictEqual(yield* serving.counts, {
          handshakes: 0,
          connections: 0,
          accepted: 1,
          refused: { InvalidKey: 1, ShuttingDown: 3 }
        })
      })
    )
  )
})

describe("WebSocketServer: the limit for each address", () => {
  const limits = { maxConnectionsPerAddress: 1 }
  const behind = { ...limits, trustedProxies: ["10.0.0.0/8"] }
  const forwarded = (address: string, of = request()) => `${of.slice(0, -2)}X-Forwarded-For: ${address}\r\n\r\n`

  it.effect("server turns away who comes from an address that has as many as it may, unread, and no other", () =>
    leavesNothing(
      Effect.gen(function* () {
        const serving = yield* serve(hold, { server: limits })
        const ask = asking(serving)
        const first = yield* ask("taken", from("192.0.2.1"))
        const second = yield* ask("turned away", from("192.0.2.1"))
        assert.strictEqual(second.pair.server.ledger.sinks, 1)
        // The same address, spelled as one of IPv6; and what a stranger says about itself doesn't count.
        const third = yield* ask("turned away", from("::ffff:192.0.2.1"))
        const fourth = yield* ask("turned away", from("192.0.2.1"), forwarded("192.0.2.9"))
        const other = yield* ask("taken", from("192.0.2.2"))
        assert.deepStrictEqual(yield* serving.counts, {
          handshakes: 0,
          connections: 2,
          accepted: 2,
          refused: { maxConnectionsPerAddress: 3 }
        })
        yield* first.hangUp
        const again = yield* ask("taken", from("192.0.2.1"))
        for (const line of [second, third, fourth, other, again]) yield* line.hangUp
        yield* serving.stop
      })
    )
  )

  it.effect("server counts a connection from its first byte on, before there is a request", () =>
    leavesNothing(
      Effect.gen(function* () {
        const serving = yield* serve(hold, { server: limits })
        const silent = yield* serving.connect(from("192.0.2.1"))
        const second = yield* asking(serving)("turned away", from("192.0.2.1"))
        for (const line of [silent, second]) yield* line.hangUp
        yield* serving.stop
      })
    )
  )

  it.effect("server has no such limit by default", () =>
    leavesNothing(
      Effect.gen(function* () {
        const serving = yield* serve(hold)
        const lines = yield* Effect.replicateEffect(asking(serving)("taken", from("192.0.2.1")), 100)
        for (const line of lines) yield* line.hangUp
        yield* serving.stop
      })
    )
  )

  it.effect("server counts whom a trusted proxy names, and the proxy not at all", () =>
    leavesNothing(
      Effect.gen(function* () {
        const serving = yield* serve(hold, { server: behind })
        const ask = asking(serving)
        const silent = yield* Effect.replicateEffect(serving.connect(from("10.0.0.1")), 3)
        const first = yield* ask("taken", from("10.0.0.1"), forwarded("192.0.2.1"))
        const second = yield* ask("turned away", from("10.0.0.2"), forwarded("192.0.2.1"))
        assert.isTrue(second.wire.hasEnded())
        const third = yield* ask("turned away", from("192.0.2.1"))
        const other = yield* ask("taken", from("10.0.0.1"), forwarded("192.0.2.2"))
        const counts = yield* serving.counts
        assert.deepInclude(counts, { accepted: 2, refused: { maxConnectionsPerAddress: 2 } })
        yield* first.hangUp
        const again = yield* ask("taken", from("10.0.0.1"), forwarded("192.0.2.1"))
        for (const line of [...silent, second, third, other, again]) yield* line.hangUp
        assert.deepInclude(yield* serving.counts, { handshakes: 0, connections: 0 })
        yield* serving.stop
      })
    )
  )

  it.effect("server counts a connection of a proxy for the client that it asks for at the moment", () =>
    leavesNothing(
      Effect.gen(function* () {
        const serving = yield* serve(hold, { server: behind })
        const ask = asking(serving)
        const shared = yield* serving.connect(from("10.0.0.1"))
        yield* shared.ask(forwarded("192.0.2.1", get("/reject")))
        const blocked = yield* ask("turned away", from("10.0.0.1"), forwarded("192.0.2.1"))
        yield* shared.ask(forwarded("192.0.2.2", get("/reject")))
        const first = yield* ask("taken", from("10.0.0.1"), forwarded("192.0.2.1"))
        // The same one again is no second one.
        yield* shared.ask(forwarded("192.0.2.2"))
        assert.deepStrictEqual(shared.statusLines.at(-1), "HTTP/1.1 101 Switching Protocols")
        for (const line of [shared, blocked, first]) yield* line.hangUp
        assert.deepInclude(yield* serving.counts, { handshakes: 0, connections: 0 })
        yield* serving.stop
      })
    )
  )

  it.effect("server counts requests for the fallback too", () =>
    leavesNothing(
      Effect.gen(function* () {
        let asked = 0
        const serving = yield* serve(hold, {
          server: behind,
          fallback: () => Effect.sync(() => (asked++, { status: 204 }))
        })
        const first = yield* asking(serving)("taken", from("10.0.0.1"), forwarded("192.0.2.1"))
        const second = yield* serving.connect(from("10.0.0.1"))
        yield* second.ask(forwarded("192.0.2.1", head("GET / HTTP/1.1", "Host: a")))
        assert.strictEqual(second.text, turnedAway)
        assert.strictEqual(asked, 0)
        for (const line of [first, second]) yield* line.hangUp
        yield* serving.stop
      })
    )
  )

  it.effect("server counts those whom nobody names as one", () =>
    leavesNothing(
      Effect.gen(function* () {
        const serving = yield* serve(hold, { server: behind })
        const ask = asking(serving)
        const first = yield* ask("taken", from("10.0.0.1"), forwarded("unknown"))
        const second = yield* ask("turned away", from("10.0.0.2"), forwarded("_hidden"))
        yield* first.hangUp
        const third = yield* ask("taken", from("10.0.0.1"), forwarded("unknown"))
        for (const line of [second, third]) yield* line.hangUp
        yield* serving.stop
      })
    )
  )
})

describe("WebSocketServer: those that are turned away", () => {
  it.effect("server destroys after a second who is turned away and doesn't end, and not before", () =>
    leavesNothing(
      Effect.gen(function* () {
        const serving = yield* serve(hold, { server: { maxConnections: 1 } })
        const ask = asking(serving)
        const first = yield* ask("taken")
        const second = yield* ask("turned away")
        yield* TestClock.adjust(999)
        assert.isTrue(second.isOpen)
        assert.isTrue(second.wire.hasEnded())
        yield* TestClock.adjust(51)
        assert.isFalse(second.isOpen)
        second.wire.destroy()
        yield* first.hangUp
        yield* serving.stop
      })
    )
  )

  it.effect("server destroys who was turned away at once when it goes down", () =>
    leavesNothing(
      Effect.gen(function* () {
        const serving = yield* serve(hold, { server: { maxConnections: 1 } })
        const ask = asking(serving)
        const first = yield* ask("taken")
        const second = yield* ask("turned away")
        const stopping = yield* Effect.fork(serving.stop)
        yield* settled
        assert.isFalse(second.isOpen)
        assert.strictEqual(second.text, turnedAway)
        second.wire.destroy()
        yield* first.hangUp
        yield* Fiber.join(stopping)
      })
    )
  )

  it.effect("server destroys without an answer who is turned away beside a thousand others", () =>
    leavesNothing(
      Effect.gen(function* () {
        const serving = yield* serve(hold, { server: { maxConnections: 1 } })
        const ask = asking(serving)
        const first = yield* ask("taken")
        const crowd = yield* Effect.replicateEffect(serving.connect(), 1025)
        yield* settled
        const answered = crowd.filter(({ text }) => text === turnedAway)
        const last = crowd.at(-1)!
        assert.deepStrictEqual([answered.length, last.text, last.isOpen], [1024, "", false])
        yield* answered[0]!.hangUp
        const next = yield* ask("turned away")
        assert.deepInclude((yield* serving.counts).refused, { maxConnections: 1026 })
        for (const { wire } of [...crowd, next]) wire.destroy()
        yield* first.hangUp
        yield* serving.stop
      })
    )
  )

  // A listener may bring what it had taken before it was told to stop.
  it.effect("server lets nobody in any more while it goes down", () =>
    leavesNothing(
      Effect.gen(function* () {
        let onIncoming: (incoming: Incoming) => void = () => {}
        const start = (callback: (incoming: Incoming) => void) => void (onIncoming = callback)
        const service = yield* WebSocketServer.make({ ...makeListener(), start })
        const running = yield* Effect.fork(service.run(hold))
        yield* settled
        const bring = Effect.map(makePair(), (pair) => {
          onIncoming({ transport: pair.server, request: undefined, leftover: undefined })
          return new Line(pair)
        })
        const first = yield* bring
        yield* first.ask(request())
        assert.strictEqual(first.text, accepted(server))
        const stopping = yield* Effect.fork(Fiber.interrupt(running))
        yield* settled
        const late = yield* bring
        yield* late.ask(request())
        assert.isFalse(late.isOpen)
        assert.strictEqual(late.text, "")
        assert.deepInclude(yield* service.counts, { handshakes: 0, accepted: 1, refused: {} })
        late.wire.destroy()
        yield* first.hangUp
        yield* Fiber.join(stopping)
      })
    )
  )
})
