import type { RequestHead } from "@effect-ws/core/HttpHead"
import { HandshakeError } from "@effect-ws/api/HandshakeError"
import type { UpgradeExchange } from "@effect-ws/api/UpgradeExchange"
import * as WebSocket from "@effect-ws/api/WebSocket"
import * as WebSocketServer from "@effect-ws/api/WebSocketServer"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberRef from "effect/FiberRef"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import { makeListener } from "./support/endpoints.ts"
import * as Frames from "./support/frames.ts"
import type { Peer } from "./support/Peer.ts"
import { leavesNothing, settled } from "./support/leaks.ts"
import { requestBytes, sampleKey } from "./support/Peer.ts"

const isDone = (fiber: Fiber.RuntimeFiber<unknown, unknown>) => Effect.map(fiber.poll, Option.isSome)

type Handler<R> = (exchange: UpgradeExchange) => Effect.Effect<unknown, unknown, R>

const echo: Handler<Scope.Scope> = (exchange) =>
  Effect.flatMap(WebSocket.accept(exchange), (socket) => WebSocket.run(socket, (message) => socket.send(message)))

/** Serves in memory. What `onError` is told is collected. */
const serve = <R = Scope.Scope>(handler: Handler<R>, options?: Parameters<typeof WebSocketServer.make>[1]) =>
  Effect.gen(function* () {
    const listener = makeListener()
    const causes: Array<Cause.Cause<unknown>> = []
    const server = yield* WebSocketServer.make(listener, options)
    const onError = (cause: Cause.Cause<unknown>) => Effect.sync(() => void causes.push(cause))
    const running = yield* Effect.fork(server.run(handler, { onError }))
    yield* settled
    return { listener, server, causes, running, stop: Fiber.interrupt(running) }
  })

const status = (code: number, text: string) => `HTTP/1.1 ${code} ${text}`

describe("WebSocketServer: the service", () => {
  it.effect("server says where it listens, and stops the listener with its scope", () =>
    Effect.gen(function* () {
      const listener = makeListener()
      const scope = yield* Scope.make()
      const server = yield* Scope.extend(WebSocketServer.make(listener), scope)
      assert.isFalse(listener.isListening())
      const address = yield* Effect.provideService(WebSocketServer.address, WebSocketServer.WebSocketServer, server)
      assert.deepStrictEqual(address, { _tag: "TcpAddress", hostname: "127.0.0.1", port: 8080 })
      const running = yield* Effect.fork(server.run(echo))
      yield* settled
      assert.isTrue(listener.isListening())
      yield* Scope.close(scope, Exit.void)
      assert.isFalse(listener.isListening())
      yield* Fiber.interrupt(running)
    })
  )

  it.effect("server dies of options that can't be meant, and says which", () =>
    Effect.gen(function* () {
      const exit = yield* Effect.exit(Effect.scoped(WebSocketServer.make(makeListener(), { closeTimeout: 0 })))
      assert.include(String(Exit.isFailure(exit) && Cause.squash(exit.cause)), "closeTimeout")
    })
  )

  it.effect(
    "server runs the handler with the services and references of run, for each connection in its own fiber",
    () =>
      leavesNothing(
        Effect.gen(function* () {
          class Name extends Context.Tag("Name")<Name, string>() {}
          const level = FiberRef.unsafeMake(0)
          const seen: Array<unknown> = []
          const handler = (exchange: UpgradeExchange) =>
            Effect.gen(function* () {
              seen.push([yield* Name, yield* FiberRef.get(level), exchange.request.path])
              return yield* echo(exchange)
            })
          const listener = makeListener()
          const server = yield* WebSocketServer.make(listener)
          const run = WebSocketServer.run(handler).pipe(
            Effect.provideService(WebSocketServer.WebSocketServer, server),
            Effect.provideService(Name, "n"),
            Effect.locally(level, 7)
          )
          const running = yield* Effect.fork(run)
          yield* settled
          const all = yield* Effect.replicateEffect(listener.connect(), 3)
          for (const { peer } of all) {
            peer.sendRequest()
            peer.sendText("a")
          }
          for (const { peer } of all) assert.deepStrictEqual(yield* peer.awaitFrames(1), ["text a"])
          assert.deepStrictEqual(seen, [
            ["n", 7, "/chat"],
            ["n", 7, "/chat"],
            ["n", 7, "/chat"]
          ])
          yield* Fiber.interrupt(running)
        })
      )
  )

  it.effect("server takes a request that was read already, with the bytes behind it", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { listener, stop } = yield* serve(echo)
        const request: RequestHead = {
          _tag: "RequestHead",
          method: "GET",
          target: "/parsed",
          version: "1.1",
          fields: [
            ["Host", "a"],
            ["Upgrade", "websocket"],
            ["Connection", "Upgrade"],
            ["Sec-WebSocket-Key", sampleKey],
            ["Sec-WebSocket-Version", "13"]
          ]
        }
        const leftover = Frames.hex("81 81 00 00 00 00 61")
        const { peer } = yield* listener.connect({ request, leftover })
        assert.deepStrictEqual(yield* peer.awaitFrames(1), ["text a"])
        yield* stop
      })
    )
  )
})

describe("WebSocketServer: answers", () => {
  it.effect("server answers a bad request without asking the handler, and tells nobody", () =>
    leavesNothing(
      Effect.gen(function* () {
        let asked = 0
        const { causes, listener, stop } = yield* serve(() => Effect.sync(() => asked++))
        const { peer } = yield* listener.connect()
        peer.sendHead("GET / HTTP/1.1", "Host: a", "Connection: close")
        yield* peer.awaitClosed
        assert.strictEqual(peer.statusLine, status(426, "Upgrade Required"))
        assert.deepStrictEqual([asked, causes.length], [0, 0])
        yield* stop
      })
    )
  )

  it.effect("server answers with the refusal of the handler as it is", () =>
    leavesNothing(
      Effect.gen(function* () {
        const reject = WebSocket.reject({ status: 401, headers: { "WWW-Authenticate": "Bearer" }, body: "who?" })
        const { causes, listener, stop } = yield* serve(() => reject)
        const { peer } = yield* listener.connect()
        peer.sendRequest("Connection: close")
        yield* peer.awaitClosed
        assert.strictEqual(
          peer.head,
          [
            status(401, "Unauthorized"),
            "WWW-Authenticate: Bearer",
            "Server: effect-ws",
            "Content-Type: text/plain; charset=utf-8",
            "Content-Length: 4",
            "Connection: close"
          ].join("\r\n")
        )
        assert.strictEqual(Frames.toText(peer.rest), "who?")
        assert.strictEqual(causes.length, 0)
        yield* stop
      })
    )
  )

  const unwritable = {
    "a status that is none": { status: 99 },
    "a status that accepts": { status: 101 },
    "a field that can't be written": { headers: { "X-A": "a\r\nb" } },
    "a field about the length": { headers: { "Content-Length": "1" } }
  }
  for (const [name, refusal] of Object.entries(unwritable)) {
    it.effect(`server answers with a 500 instead of ${name}`, () =>
      leavesNothing(
        Effect.gen(function* () {
          const { listener, stop } = yield* serve(() => WebSocket.reject(refusal))
          const { peer } = yield* listener.connect()
          peer.sendRequest("Connection: close")
          yield* peer.awaitClosed
          assert.strictEqual(peer.statusLine, status(500, "Internal Server Error"))
          yield* stop
        })
      )
    )
  }

  const mistakes: Record<string, readonly [Handler<Scope.Scope>, string]> = {
    "ends without an answer": [() => Effect.void, "ended without an answer"],
    fails: [() => Effect.fail(new Error("no database")), "no database"],
    dies: [() => Effect.die(new Error("a bug")), "a bug"],
    throws: [
      () => {
        throw new Error("at once")
      },
      "at once"
    ],
    "can't accept with its options": [
      (exchange) => WebSocket.accept(exchange, { headers: { Upgrade: "x" } }),
      "Upgrade"
    ]
  }
  for (const [name, [handler, told]] of Object.entries(mistakes)) {
    it.effect(`server answers with a 500 when the handler ${name}, and tells onError once`, () =>
      leavesNothing(
        Effect.gen(function* () {
          const { causes, listener, stop } = yield* serve(handler)
          const { peer } = yield* listener.connect()
          peer.sendRequest("Connection: close")
          yield* peer.awaitClosed
          assert.strictEqual(peer.statusLine, status(500, "Internal Server Error"))
          assert.strictEqual(Frames.toText(peer.rest), "the request could not be answered\n")
          assert.strictEqual(causes.length, 1)
          assert.include(Cause.pretty(causes[0]!), told)
          yield* stop
        })
      )
    )
  }

  it.effect("server logs the failure of a handler once when there is no onError", () =>
    leavesNothing(
      Effect.gen(function* () {
        const lines: Array<string> = []
        const logger = Logger.make(
          ({ cause, message }) => void lines.push(`${String(message)}: ${Cause.pretty(cause)}`)
        )
        const listener = makeListener()
        const server = yield* WebSocketServer.make(listener)
        const running = yield* Effect.fork(
          Effect.provide(
            server.run(() => Effect.fail(new Error("no database"))),
            Logger.replace(Logger.defaultLogger, logger)
          )
        )
        yield* settled
        const { peer } = yield* listener.connect()
        peer.sendRequest("Connection: close")
        yield* peer.awaitClosed
        yield* settled
        assert.strictEqual(lines.length, 1)
        assert.include(lines[0], "no database")
        yield* Fiber.interrupt(running)
      })
    )
  )

  it.effect("server refuses a foreign page with a 403, says why in a warning, and tells onError nothing", () =>
    leavesNothing(
      Effect.gen(function* () {
        const lines: Array<string> = []
        const logger = Logger.make(({ logLevel, message }) => void lines.push(`${logLevel.label} ${String(message)}`))
        const { causes, listener, stop } = yield* serve(echo).pipe(
          Effect.provide(Logger.replace(Logger.defaultLogger, logger))
        )
        const { peer } = yield* listener.connect()
        peer.sendRequest("Origin: https://evil.example", "Connection: close")
        yield* peer.awaitClosed
        assert.strictEqual(peer.statusLine, status(403, "Forbidden"))
        yield* settled
        assert.strictEqual(causes.length, 0)
        assert.strictEqual(lines.length, 1)
        assert.match(lines[0]!, /^WARN .*"https:\/\/evil\.example" .*"server\.example\.com" .*origin/)
        yield* stop
      })
    )
  )

  it.effect("server dies when a handler accepts twice, says so, and closes with 1011", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { causes, listener, stop } = yield* serve((exchange) =>
          Effect.zipRight(WebSocket.accept(exchange), WebSocket.accept(exchange))
        )
        const { peer } = yield* listener.connect()
        peer.sendRequest()
        assert.deepStrictEqual(yield* peer.awaitFrames(1), ["close 1011"])
        yield* peer.awaitClosed
        yield* settled
        assert.strictEqual(causes.length, 1)
        assert.include(Cause.pretty(causes[0]!), "accepted already: accept it once")
        yield* stop
      })
    )
  )

  it.effect("server lets a handler catch a handshake that failed and refuse with another answer", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { causes, listener, stop } = yield* serve((exchange) =>
          Effect.catchTag(WebSocket.accept(exchange, { headers: { Upgrade: "x" } }), "HandshakeError", () =>
            WebSocket.reject({ status: 418 })
          )
        )
        const { peer } = yield* listener.connect()
        peer.sendRequest("Connection: close")
        yield* peer.awaitClosed
        assert.strictEqual(peer.statusLine, status(418, ""))
        assert.strictEqual(causes.length, 0)
        yield* stop
      })
    )
  )
})

describe("WebSocketServer: before the 101", () => {
  it.effect("server interrupts the handler when the peer goes away, and tells nobody", () =>
    leavesNothing(
      Effect.gen(function* () {
        for (const leave of ["end", "destroy"] as const) {
          const interrupted = yield* Deferred.make<void>()
          const { causes, listener, stop } = yield* serve(() =>
            Effect.onInterrupt(Effect.never, () => Deferred.succeed(interrupted, undefined))
          )
          const { peer } = yield* listener.connect()
          peer.sendRequest()
          yield* settled
          peer[leave]()
          yield* Deferred.await(interrupted)
          yield* settled
          assert.isUndefined(peer.head)
          assert.strictEqual(causes.length, 0)
          yield* stop
        }
      })
    )
  )

  it.effect("server fails to accept for a handler that can't be interrupted when the peer has gone", () =>
    leavesNothing(
      Effect.gen(function* () {
        const outcome = yield* Deferred.make<Exit.Exit<unknown, HandshakeError>>()
        const { causes, listener, stop } = yield* serve((exchange) =>
          Effect.sleep("1 second").pipe(
            Effect.zipRight(Effect.exit(WebSocket.accept(exchange))),
            Effect.flatMap((exit) => Deferred.succeed(outcome, exit)),
            Effect.uninterruptible
          )
        )
        const { peer } = yield* listener.connect()
        peer.sendRequest()
        yield* settled
        peer.end()
        yield* TestClock.adjust("1 second")
        const exit = yield* Deferred.await(outcome)
        assert.isTrue(Exit.isFailure(exit))
        const error = Exit.isFailure(exit) ? Option.getOrUndefined(Cause.failureOption(exit.cause)) : undefined
        assert.strictEqual(error?.reason._tag, "PeerGone")
        yield* settled
        assert.strictEqual(causes.length, 0)
        yield* stop
      })
    )
  )

  it.effect("server interrupts a handler that takes too long to decide, and answers with a 503", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { causes, listener, stop } = yield* serve(() => Effect.never, { handshakeTimeout: "2 seconds" })
        const { peer } = yield* listener.connect()
        yield* TestClock.adjust(500)
        peer.sendRequest()
        yield* settled
        yield* TestClock.adjust(1499)
        assert.isUndefined(peer.head)
        yield* TestClock.adjust(101)
        yield* peer.awaitClosed
        assert.strictEqual(peer.statusLine, status(503, "Service Unavailable"))
        assert.strictEqual(causes.length, 0)
        yield* stop
      })
    )
  )

  it.effect("server answers a request that doesn't come in time with a 408, and tells nobody", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { causes, listener, stop } = yield* serve(echo)
        const { peer } = yield* listener.connect()
        yield* TestClock.adjust(9999)
        assert.isFalse(peer.isClosed)
        yield* TestClock.adjust(501)
        yield* peer.awaitClosed
        assert.strictEqual(peer.statusLine, status(408, "Request Timeout"))
        assert.strictEqual(causes.length, 0)
        yield* stop
      })
    )
  )

  it.effect("server holds what comes behind the request while the handler decides, and not without a bound", () =>
    leavesNothing(
      Effect.gen(function* () {
        const go = yield* Deferred.make<void>()
        const { listener, stop } = yield* serve((exchange) => Effect.zipRight(Deferred.await(go), echo(exchange)))
        const { pair, peer } = yield* listener.connect()
        peer.sendRequest()
        const texts = Array.from({ length: 40 }, (_, i) => `${i}`.padEnd(1000))
        for (const text of texts) {
          peer.sendText(text)
          yield* settled
        }
        assert.isTrue(pair.server.ledger.isPaused)
        assert.isBelow(pair.server.ledger.bytesDelivered, 20_000)
        yield* Deferred.succeed(go, undefined)
        yield* peer.awaitFrames(40)
        assert.deepStrictEqual(
          peer.frames.map(({ payload }) => Frames.toText(payload)),
          texts
        )
        yield* stop
      })
    )
  )
})

describe("WebSocketServer: after the 101", () => {
  const failures: Record<string, Effect.Effect<never, unknown>> = {
    "a failure": Effect.fail(new Error("oops")),
    "a defect": Effect.die(new Error("oops"))
  }
  for (const [name, failure] of Object.entries(failures)) {
    it.effect(`server closes with 1011 after ${name} of the handler, and tells onError once`, () =>
      leavesNothing(
        Effect.gen(function* () {
          const { causes, listener, stop } = yield* serve((exchange) =>
            Effect.flatMap(WebSocket.accept(exchange), (socket) => WebSocket.run(socket, () => failure))
          )
          const { peer } = yield* listener.connect()
          peer.sendRequest()
          peer.sendText("a")
          assert.deepStrictEqual(yield* peer.awaitFrames(1), ["close 1011"])
          yield* peer.awaitClosed
          yield* settled
          assert.strictEqual(causes.length, 1)
          assert.include(Cause.pretty(causes[0]!), "oops")
          yield* stop
        })
      )
    )
  }

  it.effect("server closes with 1000 when the handler is done", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { causes, listener, stop } = yield* serve((exchange) => WebSocket.accept(exchange))
        const { peer } = yield* listener.connect()
        peer.sendRequest()
        assert.deepStrictEqual(yield* peer.awaitFrames(1), ["close 1000"])
        yield* peer.awaitClosed
        assert.strictEqual(causes.length, 0)
        yield* stop
      })
    )
  )

  it.effect("server tells nobody of a clean end that a handler lets through, but of any other", () =>
    leavesNothing(
      Effect.gen(function* () {
        const receive: Handler<Scope.Scope> = (exchange) =>
          Effect.flatMap(WebSocket.accept(exchange), (socket) => Effect.zipRight(socket.receive, socket.receive))
        const { causes, listener, stop } = yield* serve(receive)
        for (const [code, count] of [
          [1000, 0],
          [1001, 0],
          [undefined, 0],
          [1011, 1],
          [4000, 2]
        ] as const) {
          const { peer } = yield* listener.connect()
          peer.sendRequest()
          peer.sendClose(code)
          yield* peer.awaitClosed
          yield* settled
          assert.strictEqual(causes.length, count, `${code}`)
        }
        const { peer } = yield* listener.connect()
        peer.sendRequest()
        yield* peer.awaitHead
        peer.end()
        yield* peer.awaitClosed
        yield* settled
        assert.strictEqual(causes.length, 3)
        yield* stop
      })
    )
  )

  it.effect("server goes on with the others when a handler fails, and when onError does", () =>
    leavesNothing(
      Effect.gen(function* () {
        const listener = makeListener()
        const server = yield* WebSocketServer.make(listener)
        const handler: Handler<Scope.Scope> = (exchange) =>
          exchange.request.fields.some(([name]) => name === "X-Fail") ? Effect.die("handler") : echo(exchange)
        const running = yield* Effect.fork(server.run(handler, { onError: () => Effect.die("onError") }))
        yield* settled
        const bad = yield* listener.connect()
        bad.peer.sendRequest("X-Fail: 1", "Connection: close")
        yield* bad.peer.awaitClosed
        const good = yield* listener.connect()
        good.peer.send(requestBytes(), good.peer.text("a"))
        assert.deepStrictEqual(yield* good.peer.awaitFrames(1), ["text a"])
        yield* Fiber.interrupt(running)
      })
    )
  )
})

describe("WebSocketServer: shutdown", () => {
  it.effect("server answers pending requests with a 503, says 1001 to the open ones, and lets handlers finish", () =>
    leavesNothing(
      Effect.gen(function* () {
        const log: Array<string> = []
        const handler: Handler<Scope.Scope> = (exchange) =>
          exchange.request.fields.some(([name]) => name === "X-Wait")
            ? Effect.never
            : Effect.ensuring(
                Effect.zipRight(echo(exchange), Effect.sleep("1 second")),
                Effect.sync(() => log.push("finished"))
              )
        const { causes, listener, running } = yield* serve(handler)
        const silent = yield* listener.connect()
        const undecided = yield* listener.connect()
        undecided.peer.sendRequest("X-Wait: 1")
        const opened = yield* listener.connect()
        opened.peer.sendRequest()
        yield* opened.peer.awaitHead
        yield* settled
        const stopping = yield* Effect.fork(Fiber.interrupt(running))
        for (const { peer } of [silent, undecided]) {
          yield* peer.awaitClosed
          assert.strictEqual(peer.statusLine, status(503, "Service Unavailable"))
          assert.isUndefined(peer.error)
        }
        assert.deepStrictEqual(yield* opened.peer.awaitFrames(1), ["close 1001"])
        assert.isFalse(listener.isListening())
        yield* TestClock.adjust(999)
        assert.isFalse(yield* isDone(stopping))
        yield* TestClock.adjust(51)
        yield* Fiber.join(stopping)
        assert.deepStrictEqual(log, ["finished"])
        assert.strictEqual(causes.length, 0)
      })
    )
  )

  it.effect("server lets its answers arrive before it goes, however long they travel", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { listener, running } = yield* serve(() => Effect.never)
        const { peer } = yield* listener.connect({ pair: { latency: "200 millis" } })
        peer.sendRequest()
        yield* TestClock.adjust(200)
        const stopping = yield* Effect.fork(Fiber.interrupt(running))
        yield* TestClock.adjust(200)
        assert.strictEqual(peer.statusLine, status(503, "Service Unavailable"))
        assert.isUndefined(peer.error)
        yield* TestClock.adjust(200)
        yield* Fiber.join(stopping)
      })
    )
  )

  it.effect("server interrupts handlers that don't finish by the deadline, side by side", () =>
    leavesNothing(
      Effect.gen(function* () {
        let interrupted = 0
        const stubborn: Handler<Scope.Scope> = (exchange) =>
          Effect.zipRight(
            WebSocket.accept(exchange),
            Effect.onInterrupt(Effect.never, () => Effect.sync(() => interrupted++))
          )
        const { causes, listener, running } = yield* serve(stubborn)
        const all = yield* Effect.replicateEffect(listener.connect(), 3)
        for (const { peer } of all) {
          peer.sendRequest()
          yield* peer.awaitHead
        }
        const stopping = yield* Effect.fork(Fiber.interrupt(running))
        for (const { peer } of all) assert.deepStrictEqual(yield* peer.awaitFrames(1), ["close 1001"])
        yield* TestClock.adjust(4999)
        assert.isFalse(yield* isDone(stopping))
        assert.strictEqual(interrupted, 0)
        yield* TestClock.adjust(251)
        yield* Fiber.join(stopping)
        assert.strictEqual(interrupted, 3)
        assert.strictEqual(causes.length, 0)
      })
    )
  )

  it.effect("server destroys the transports of silent peers after a second, side by side", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { listener, running } = yield* serve(echo)
        const all = yield* Effect.replicateEffect(listener.connect({ polite: false }), 3)
        for (const { peer } of all) {
          peer.sendRequest()
          yield* peer.awaitHead
        }
        yield* settled
        const stopping = yield* Effect.fork(Fiber.interrupt(running))
        yield* TestClock.adjust(999)
        assert.isFalse(yield* isDone(stopping))
        yield* TestClock.adjust(51)
        yield* Fiber.join(stopping)
        for (const { peer } of all) peer.destroy()
      })
    )
  )

  const refusals = [
    ["a pending request", 503, (peer: Peer) => peer.sendRequest()],
    ["half a head", 503, (peer: Peer) => peer.send("47 45 54 20")],
    ["a request that was refused before", 426, (peer: Peer) => peer.sendHead("GET / HTTP/1.1", "Host: a")]
  ] as const
  for (const [name, code, begin] of refusals) {
    it.effect(`server waits a second for a peer with ${name} that doesn't end its transport`, () =>
      leavesNothing(
        Effect.gen(function* () {
          const { listener, running } = yield* serve(() => Effect.never)
          const { peer } = yield* listener.connect({ polite: false })
          begin(peer)
          yield* settled
          const stopping = yield* Effect.fork(Fiber.interrupt(running))
          yield* TestClock.adjust(999)
          assert.isFalse(yield* isDone(stopping))
          yield* TestClock.adjust(51)
          yield* Fiber.join(stopping)
          assert.include(peer.statusLine, ` ${code} `)
          peer.destroy()
        })
      )
    )
  }

  it.effect("server is done at once when nobody is connected", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { listener, stop } = yield* serve(echo)
        yield* stop
        assert.isFalse(listener.isListening())
      })
    )
  )

  it.effect("server takes messages that come while handlers finish, and refuses to send more", () =>
    leavesNothing(
      Effect.gen(function* () {
        const got: Array<string> = []
        const handler: Handler<Scope.Scope> = (exchange) =>
          Effect.flatMap(WebSocket.accept(exchange), (socket) =>
            WebSocket.run(socket, (message) => {
              got.push(message._tag === "Text" ? message.text : "")
              return Effect.flip(socket.send("no"))
            })
          )
        const { causes, listener, running } = yield* serve(handler)
        const { peer } = yield* listener.connect({ polite: false })
        peer.sendRequest()
        yield* peer.awaitHead
        yield* settled
        const stopping = yield* Effect.fork(Fiber.interrupt(running))
        yield* peer.awaitFrames(1)
        peer.polite = true
        peer.sendText("late")
        peer.sendClose(1000)
        yield* Fiber.join(stopping)
        assert.deepStrictEqual(got, ["late"])
        assert.strictEqual(causes.length, 0)
      })
    )
  )
})
