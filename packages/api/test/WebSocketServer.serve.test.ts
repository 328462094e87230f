/** What `serve` gives to a connection, and how many fibers it has. */
import * as WebSocket from "@effect-ws/api/WebSocket"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import { leavesNothing, settled } from "./support/leaks.ts"
import { textOf, serve, failures, places, nobody, makeLatch, endOf } from "./support/callbacks.ts"

describe("WebSocketServer.serve: what a connection is given", () => {
  it.effect("server sends every message back", () =>
    leavesNothing(
      Effect.gen(function* () {
        const server = yield* serve({ onMessage: (message, socket) => socket.send(message) })
        const { peer } = yield* server.open()
        peer.sendText("a", "b")
        peer.send(peer.binary(Uint8Array.of(1, 2)))
        assert.deepStrictEqual(yield* peer.awaitFrames(3), ["text a", "text b", "binary 01 02"])
        peer.sendClose(1000)
        yield* peer.awaitClosed
        yield* settled
        assert.deepStrictEqual(yield* places(server), nobody)
        yield* server.stop
        assert.deepStrictEqual(server.causes, [])
      })
    )
  )

  it.effect("server gives what onUpgrade succeeded with to all other handlers, to each its own", () =>
    leavesNothing(
      Effect.gen(function* () {
        const seen: Array<unknown> = []
        let users = 0
        const server = yield* serve<{ readonly user: number }>({
          onUpgrade: (exchange) => Effect.sync(() => (seen.push(exchange.request.path), { user: users++ })),
          onOpen: (socket, data) => void seen.push(["open", data.user, socket.role]),
          onMessage: (message, _, data) => void seen.push([textOf(message), data.user]),
          onClose: (end, socket, data) => void seen.push(["close", data.user, endOf(end), socket.request.path])
        })
        const first = yield* server.open()
        const second = yield* server.open()
        second.peer.sendText("b")
        yield* settled
        first.peer.sendText("a")
        first.peer.sendClose(1000)
        yield* settled
        assert.deepStrictEqual(seen, [
          "/chat",
          ["open", 0, "server"],
          "/chat",
          ["open", 1, "server"],
          ["b", 1],
          ["a", 0],
          ["close", 0, "ConnectionClosed 1000 true", "/chat"]
        ])
        yield* server.stop
      })
    )
  )

  it.effect("server refuses with what onUpgrade rejects with, and neither opens nor closes", () =>
    leavesNothing(
      Effect.gen(function* () {
        const seen: Array<string> = []
        const server = yield* serve({
          onUpgrade: () => WebSocket.reject({ status: 401 }),
          onOpen: () => void seen.push("open"),
          onMessage: () => {},
          onClose: () => void seen.push("close")
        })
        const { peer } = yield* server.listener.connect()
        peer.sendRequest("Connection: close")
        yield* peer.awaitClosed
        assert.strictEqual(peer.statusLine, "HTTP/1.1 401 Unauthorized")
        yield* settled
        assert.deepStrictEqual([seen, server.causes, yield* places(server)], [[], [], nobody])
        yield* server.stop
      })
    )
  )

  it.effect("server answers with a 500 and reports when onUpgrade fails or throws", () =>
    leavesNothing(
      Effect.gen(function* () {
        const outcomes: Array<() => Effect.Effect<void, Error>> = [
          () => Effect.fail(new Error("failed")),
          () => {
            throw new Error("thrown")
          }
        ]
        const server = yield* serve({ onUpgrade: () => outcomes.shift()!(), onMessage: () => {} })
        for (const message of ["failed", "thrown"]) {
          const { peer } = yield* server.listener.connect()
          peer.sendRequest("Connection: close")
          yield* peer.awaitClosed
          assert.strictEqual(peer.statusLine, "HTTP/1.1 500 Internal Server Error")
          yield* settled
          assert.strictEqual((failures(server.causes.splice(0))[0] as Error).message, message)
        }
        assert.deepStrictEqual(yield* places(server), nobody)
        yield* server.stop
      })
    )
  )

  it.effect("server accepts with the options given: fields, limits, and a subprotocol that an effect chooses", () =>
    leavesNothing(
      Effect.gen(function* () {
        class Chosen extends Context.Tag("Chosen")<Chosen, string>() {}
        const server = yield* serve({
          accept: {
            subprotocols: (offers) => Effect.map(Chosen, (chosen) => offers.find((offer) => offer === chosen)),
            headers: { "X-A": "b" },
            maxMessageSize: 4
          },
          onMessage: (message, socket) => socket.send(`${socket.subprotocol} ${textOf(message)}`)
        }).pipe(Effect.provideService(Chosen, "v2"))
        const { peer } = yield* server.listener.connect()
        peer.sendRequest("Sec-WebSocket-Protocol: v1, v2")
        yield* peer.awaitHead
        assert.deepStrictEqual([peer.field("Sec-WebSocket-Protocol"), peer.field("X-A")], ["v2", "b"])
        peer.sendText("abcd", "abcde")
        assert.deepStrictEqual(
          (yield* peer.awaitFrames(2)).map((frame) => frame.slice(0, 12)),
          ["text v2 abcd", "close 1009 A"]
        )
        yield* peer.awaitClosed
        yield* server.stop
      })
    )
  )

  it.effect("server reports what accepting fails with, and gives the place back", () =>
    leavesNothing(
      Effect.gen(function* () {
        const seen: Array<string> = []
        const server = yield* serve({
          accept: { subprotocols: () => WebSocket.reject({ status: 400 }) },
          onOpen: () => void seen.push("open"),
          onMessage: () => {},
          onClose: () => void seen.push("close")
        })
        const { peer } = yield* server.listener.connect()
        peer.sendRequest("Connection: close")
        yield* peer.awaitClosed
        assert.strictEqual(peer.statusLine, "HTTP/1.1 400 Bad Request")
        yield* settled
        assert.deepStrictEqual([seen, yield* places(server)], [[], nobody])
        yield* server.stop
      })
    )
  )

  it.effect("server runs every handler with the services of serve, and with its scope where it has one", () =>
    leavesNothing(
      Effect.gen(function* () {
        class Name extends Context.Tag("Name")<Name, string>() {}
        const seen: Array<string> = []
        const named = (what: string) =>
          Effect.zipRight(
            Effect.addFinalizer(() => Effect.sync(() => seen.push(`${what} released`))),
            Effect.map(Name, (name) => void seen.push(`${what} ${name}`))
          )
        yield* Effect.scoped(
          Effect.gen(function* () {
            const server = yield* serve<void, Name | Scope.Scope>({
              onUpgrade: () => named("upgrade"),
              onOpen: () => named("open"),
              onMessage: () => named("message"),
              onClose: () => named("close")
            })
            const { peer } = yield* server.open()
            peer.sendText("a")
            peer.sendClose(1000)
            yield* peer.awaitClosed
            yield* settled
            assert.deepStrictEqual(seen, ["upgrade n", "open n", "message n", "close n"])
            yield* server.stop
          })
        ).pipe(Effect.provideService(Name, "n"))
        assert.deepStrictEqual(seen.slice(4).sort(), [
          "close released",
          "message released",
          "open released",
          "upgrade released"
        ])
      })
    )
  )
})

describe("WebSocketServer.serve: fibers", () => {
  it.effect("server has no fiber for idle connections, and one for each that is busy", () =>
    leavesNothing(
      Effect.gen(function* () {
        const latch = yield* makeLatch
        const server = yield* serve({
          onMessage: (message, socket) =>
            textOf(message) === "wait" ? latch.wait : Effect.zipRight(Effect.yieldNow(), socket.send(message))
        })
        const warm = yield* server.open()
        warm.peer.sendText("a")
        yield* settled
        const before = (yield* Fiber.roots).length
        const lines = yield* Effect.replicateEffect(server.open(), 50)
        for (const { peer } of lines) peer.sendText("a")
        yield* settled
        for (const { peer } of lines) assert.deepStrictEqual(peer.said, ["text a"])
        assert.strictEqual((yield* Fiber.roots).length, before)
        for (const { peer } of lines.slice(0, 7)) peer.sendText("wait")
        yield* settled
        assert.strictEqual((yield* Fiber.roots).length, before + 7)
        yield* latch.open
        assert.strictEqual((yield* Fiber.roots).length, before)
        assert.strictEqual((yield* places(server)).connections, 51)
        yield* server.stop
        assert.deepStrictEqual(yield* places(server), nobody)
      })
    )
  )
})
