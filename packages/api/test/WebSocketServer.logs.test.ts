import * as WebSocket from "@effect-ws/api/WebSocket"
import * as WebSocketServer from "@effect-ws/api/WebSocketServer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as HashMap from "effect/HashMap"
import * as Logger from "effect/Logger"
import { open, roles } from "./support/connections.ts"
import { makeListener } from "./support/endpoints.ts"
import { leavesNothing, settled } from "./support/leaks.ts"

/** What is logged, each line with the number of the connection. */
const logging = () => {
  const lines: Array<readonly [message: string, id: unknown]> = []
  const logger = Logger.make<unknown, void>(({ annotations, message }) => {
    const id = HashMap.unsafeGet(annotations, "websocket.id")
    lines.push([String(Array.isArray(message) ? message[0] : message), id])
  })
  return { lines, layer: Logger.replace(Logger.defaultLogger, logger) }
}

/** Asks in as many connections, one after the other, and sends the texts in each. */
const ask = <E>(
  running: Effect.Effect<never, E, WebSocketServer.WebSocketServer>,
  count: number,
  texts: ReadonlyArray<string>
) =>
  leavesNothing(
    Effect.gen(function* () {
      const listener = makeListener()
      const server = yield* WebSocketServer.make(listener)
      const fiber = yield* Effect.fork(Effect.provideService(running, WebSocketServer.WebSocketServer, server))
      yield* settled
      for (let i = 0; i < count; i++) {
        const { peer } = yield* listener.connect()
        peer.sendRequest()
        yield* peer.awaitHead
        peer.sendText(...texts)
        yield* settled
        peer.sendClose(1000)
        yield* peer.awaitClosed
        yield* settled
      }
      yield* Fiber.interrupt(fiber)
    })
  )

describe("WebSocketServer: what is logged about a connection", () => {
  it.effect("handler logs with the number of its connection, before and after it is accepted", () =>
    Effect.gen(function* () {
      const { layer, lines } = logging()
      const ids: Array<number> = []
      const running = WebSocketServer.run((exchange) =>
        Effect.gen(function* () {
          yield* Effect.log("asked")
          const socket = yield* WebSocket.accept(exchange)
          ids.push(socket.id)
          yield* WebSocket.run(socket, ({ byteLength }) => Effect.log(`message of ${byteLength}`))
          yield* Fiber.join(yield* Effect.fork(Effect.log("forked")))
        })
      )
      yield* Effect.provide(ask(running, 2, ["a", "bc"]), layer)
      assert.strictEqual(new Set(ids).size, 2)
      assert.deepStrictEqual(
        lines,
        ids.flatMap((id) => ["asked", "message of 1", "message of 2", "forked"].map((text) => [text, id] as const))
      )
    })
  )

  // A fiber for each burst of messages would pay for it, and has the socket at hand.
  it.effect("callbacks log with the number of their connection until it is open, and tell of failures with it", () =>
    Effect.gen(function* () {
      const { layer, lines } = logging()
      const ids: Array<number> = []
      const running = WebSocketServer.serve({
        onUpgrade: () => Effect.log("asked"),
        onOpen: (socket) => {
          ids.push(socket.id)
          return Effect.log("open")
        },
        onMessage: () => Effect.die("no")
      })
      yield* Effect.provide(ask(running, 2, ["a", "b"]), layer)
      assert.strictEqual(new Set(ids).size, 2)
      assert.deepStrictEqual(
        lines,
        ids.flatMap((id) => ["asked", "open", "The handler of a WebSocket failed"].map((text) => [text, id] as const))
      )
    })
  )

  it.effect("server logs that a handler has failed with the number of the connection", () =>
    Effect.gen(function* () {
      const { layer, lines } = logging()
      let id = 0
      const running = WebSocketServer.run((exchange) =>
        Effect.flatMap(WebSocket.accept(exchange), (socket) => {
          id = socket.id
          return Effect.die("no")
        })
      )
      yield* Effect.provide(ask(running, 1, []), layer)
      assert.deepStrictEqual(lines, [["The handler of a WebSocket failed", id]])
    })
  )
})

describe.each(roles)("WebSocket of a %s: its number", (role) => {
  it.effect(`${role} has a number that no other connection has, and shows it`, () =>
    leavesNothing(
      Effect.gen(function* () {
        const { socket: first } = yield* open(role)
        const { socket: second } = yield* open(role)
        assert.strictEqual(new Set([first.id, second.id, first.id]).size, 2)
        assert.isAbove(first.id, 0)
        assert.include(String(second), `"id": ${second.id}`)
      })
    )
  )
})
