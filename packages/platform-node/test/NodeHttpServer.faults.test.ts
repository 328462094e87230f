/**
 * What goes wrong with WebSockets under the stock HTTP server, and doesn't under ours: each scenario runs on both.
 */
import { HandshakeError } from "@effect-ws/api/HandshakeError"
import * as WebSocket from "@effect-ws/api/WebSocket"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import type * as Socket from "@effect/platform/Socket"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { fileURLToPath } from "node:url"
import {
  type App,
  closing,
  type HttpFixture,
  ours,
  type Served,
  serveHanging,
  serveHttp,
  stock
} from "./support/httpServers.ts"
import { makeInbox } from "./support/inbox.ts"
import { withoutLeaks } from "./support/leaks.ts"
import { openWs } from "./support/peers.ts"
import * as Programs from "./support/programs.ts"
import { rawClient, type RawPeer, rawOpen, rawUpgrade, upgradeRequest } from "./support/rawPeer.ts"
import { event, turn } from "./support/sockets.ts"

const withBadKey = Buffer.from(upgradeRequest.replace("dGhlIHNhbXBsZSBub25jZQ==", "no"))

const upgrade = Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => request.upgrade)

const runSocket = (socket: Socket.Socket) =>
  Effect.as(
    socket.runRaw(() => {}),
    HttpServerResponse.empty()
  )

/** Runs the socket of every request. */
const running: App = Effect.flatMap(upgrade, runSocket)

/** An application that doesn't decide, and tells when it is asked and when it is interrupted. */
const undecided = () => {
  const told = makeInbox<string>()
  const isInterrupted = { value: false }
  const app: App = Effect.zipRight(
    Effect.sync(() => told.push("asked")),
    Effect.onInterrupt(Effect.interruptible(Effect.never), () =>
      Effect.sync(() => {
        isInterrupted.value = true
        told.push("interrupted")
      })
    )
  )
  return { app, next: told.next, isInterrupted }
}

/** A whole life of a server, which comes later than what should have happened. */
const later = Effect.gen(function* () {
  const server = yield* serveHttp(ours(), Effect.succeed(HttpServerResponse.text("later")))
  const response = yield* Effect.promise(() =>
    fetch(`http://127.0.0.1:${server.port}/`, { headers: { connection: "close" } })
  )
  assert.strictEqual(yield* Effect.promise(() => response.text()), "later")
  yield* server.close
  yield* turn
}).pipe(Effect.scoped)

const answerTo = (peer: RawPeer): Effect.Effect<string> =>
  Effect.map(peer.next, (event) => (event._tag === "Head" ? event.head.split("\r\n", 1)[0]! : event._tag))

describe("a request with a malformed key", () => {
  const ask = (server: Served) =>
    Effect.gen(function* () {
      const peer = yield* rawClient(server.to)
      peer.send(withBadKey)
      assert.strictEqual(yield* answerTo(peer), "HTTP/1.1 400 Bad Request")
      peer.socket.destroy()
    })

  it.scopedLive("server goes down behind it, the stock one does not", () =>
    Effect.gen(function* () {
      const [good, bad] = [yield* serveHttp(ours(), running), yield* serveHanging(stock(), running)]
      for (const server of [good, bad]) yield* ask(server)
      const isDone = yield* closing(bad)
      yield* good.close
      yield* later
      assert.isFalse(isDone())
    })
  )

  it.scopedLive(
    "route is told why when it yields the upgrade, that of the stock server only when it runs the socket",
    () =>
      Effect.gen(function* () {
        const told = makeInbox<Exit.Exit<unknown, unknown>>()
        const yielded = Effect.onExit(upgrade, (exit) => Effect.sync(() => told.push(exit)))
        const app = Effect.flatMap(yielded, runSocket)
        yield* ask(yield* serveHttp(ours(), app))
        const error = yield* Effect.flip(yield* told.next)
        assert.deepInclude(error, { _tag: "RequestError", reason: "Decode" })
        const { cause } = error as { readonly cause: HandshakeError }
        assert.instanceOf(cause, HandshakeError)
        assert.strictEqual(cause.reason._tag, "InvalidKey")
        yield* ask(yield* serveHanging(stock(), app))
        assert.isTrue(Exit.isSuccess(yield* told.next))
      })
  )
})

describe("a peer that goes away", () => {
  const leaveEarly = (server: Served, asked: Effect.Effect<string>) =>
    Effect.gen(function* () {
      const peer = yield* rawUpgrade(server.to)
      assert.strictEqual(yield* asked, "asked")
      peer.socket.end()
    })

  it.scopedLive("server interrupts a route for a FIN before the 101, the stock one does not notice", () =>
    Effect.gen(function* () {
      const [good, bad] = [undecided(), undecided()]
      yield* leaveEarly(yield* serveHanging(stock(), bad.app), bad.next)
      yield* leaveEarly(yield* serveHttp(ours(), good.app), good.next)
      assert.strictEqual(yield* good.next, "interrupted")
      yield* later
      assert.isFalse(bad.isInterrupted.value)
    })
  )

  it.live("server survives a reset before the 101 and interrupts the route", () =>
    Effect.gen(function* () {
      const { app, next } = undecided()
      const server = yield* serveHttp(ours(), app)
      for (let i = 0; i < 2; i++) {
        const peer = yield* rawUpgrade(server.to)
        assert.strictEqual(yield* next, "asked")
        peer.socket.resetAndDestroy()
        assert.strictEqual(yield* next, "interrupted")
      }
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("stock server ends its process for a reset before the 101", () =>
    Effect.gen(function* () {
      const file = fileURLToPath(new URL("support/http/stockPending.mjs", import.meta.url))
      const program = yield* Programs.start({ name: "node", command: process.execPath, problem: undefined }, [file])
      const peer = yield* rawUpgrade({ port: Number(yield* program.nextLine), host: "127.0.0.1" })
      assert.strictEqual(yield* program.nextLine, "asked")
      peer.socket.resetAndDestroy()
      const { errors, status } = yield* program.ended
      assert.strictEqual(status, 1)
      assert.match(errors, /Unhandled 'error' event[^]*ECONNRESET/)
    })
  )

  const endOfRun = (fixture: HttpFixture, leave: (peer: RawPeer) => void) =>
    Effect.gen(function* () {
      const ends = makeInbox<Exit.Exit<void, unknown>>()
      const app = Effect.flatMap(upgrade, (socket) =>
        Effect.onExit(
          socket.runRaw(() => {}),
          (exit) => Effect.sync(() => ends.push(exit))
        )
      )
      const server = yield* serveHttp(fixture, Effect.as(app, HttpServerResponse.empty()))
      const peer = yield* rawOpen(server.to)
      leave(peer)
      return yield* ends.next
    }).pipe(Effect.scoped)

  it.live("route fails with what a lost connection is, that of the stock server succeeds", () =>
    Effect.gen(function* () {
      const leave = ({ socket }: RawPeer) => void socket.end()
      const end = yield* Effect.flip(yield* endOfRun(ours(), leave))
      assert.deepInclude(end, { _tag: "SocketError", reason: "Close", code: 1006 })
      assert.isTrue(Exit.isSuccess(yield* endOfRun(stock(), leave)))
    }).pipe(withoutLeaks)
  )

  it.live("route fails with a reset, that of the stock server is told of no error", () =>
    Effect.gen(function* () {
      const leave = ({ socket }: RawPeer) => void socket.resetAndDestroy()
      const end = yield* Effect.flip(yield* endOfRun(ours(), leave))
      assert.deepInclude(end, { _tag: "SocketError", reason: "Read" })
      const { cause } = end as { readonly cause: unknown }
      assert.deepInclude(cause, { _tag: "TransportError", operation: "read" })
      const stockEnd = yield* endOfRun(stock(), leave)
      assert.isTrue(Exit.isSuccess(stockEnd) || Cause.isInterruptedOnly(stockEnd.cause))
    }).pipe(withoutLeaks)
  )
})

describe("a peer that says nothing any more", () => {
  it.scopedLive("server goes down within its deadline, the stock one waits for the peer", () =>
    Effect.gen(function* () {
      const good = yield* serveHttp(ours({ closeTimeout: "100 millis" }), running)
      const bad = yield* serveHanging(stock(), running)
      const [silent, other] = [yield* rawOpen(good.to), yield* rawOpen(bad.to)]
      const isDone = yield* closing(bad)
      yield* good.close
      assert.strictEqual(yield* silent.nextFrame, "8 03 e9")
      yield* later
      assert.isFalse(isDone())
      // It isn't told that the server goes away.
      assert.notStrictEqual(yield* other.nextFrame, "8 03 e9")
      other.socket.destroy()
      yield* event(other.socket, "close")
    })
  )
})

describe("what a route knows of its connection", () => {
  // Told by a connection of ours, whatever it is below.
  const facts = ["subprotocol", "response", "ping", "pong", "close", "controlFrames", "status"] as const

  it.live("server tells nothing of it through the stock socket, and all of it through acceptHttp", () =>
    Effect.gen(function* () {
      const told = makeInbox<unknown>()
      const stocks: App = Effect.flatMap(upgrade, (socket) => {
        told.push(facts.filter((fact) => fact in socket))
        return runSocket(socket)
      })
      const accepts: App = Effect.gen(function* () {
        const socket = yield* WebSocket.acceptHttp({ subprotocols: ["b"] })
        told.push(facts.filter((fact) => fact in socket))
        told.push(socket.subprotocol)
        told.push(Duration.isDuration(yield* socket.ping()))
        const { received, sent } = yield* socket.close({ code: 3000, reason: "bye" })
        told.push([sent?.code, received?.code])
        return HttpServerResponse.empty()
      }).pipe(Effect.scoped, Effect.orDie)
      yield* Effect.scoped(
        Effect.gen(function* () {
          const server = yield* serveHanging(stock(), stocks)
          yield* openWs(server.url, { subprotocols: ["a", "b"] })
          assert.deepStrictEqual(yield* told.next, [])
        })
      )
      yield* Effect.scoped(
        Effect.gen(function* () {
          const server = yield* serveHttp(ours(), accepts)
          yield* openWs(server.url, { subprotocols: ["a", "b"] })
          assert.deepStrictEqual(yield* told.next, [...facts])
          assert.deepStrictEqual([yield* told.next, yield* told.next, yield* told.next], ["b", true, [3000, 3000]])
        })
      )
    })
  )
})
