/** A client that is kept alive, with real servers that go and come back on the same port. */
import type { HandshakeError } from "@effect-ws/api/HandshakeError"
import * as ReconnectingWebSocket from "@effect-ws/api/ReconnectingWebSocket"
import * as WebSocket from "@effect-ws/api/WebSocket"
import * as WebSocketServer from "@effect-ws/api/WebSocketServer"
import type { Message } from "@effect-ws/core/Message"
import * as NodeWebSocketClient from "@effect-ws/platform-node/NodeWebSocketClient"
import * as NodeWebSocketServer from "@effect-ws/platform-node/NodeWebSocketServer"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Ws from "ws"
import { withoutLeaks } from "./support/leaks.ts"
import { event, turn, until } from "./support/sockets.ts"

const textOf = (message: Message): string => (message._tag === "Text" ? message.text : "")

const connect = (port: number) =>
  ReconnectingWebSocket.connect(`ws://127.0.0.1:${port}/`, { schedule: Schedule.spaced("5 millis") }).pipe(
    Effect.provide(NodeWebSocketClient.layer)
  )

/** What servers and the client have received over all. */
interface Heard {
  readonly byServers: Array<string>
  readonly byClient: Array<string>
}

/** A server that is up; `down` takes it down, and frees the port. */
interface Up {
  readonly port: number
  readonly down: Effect.Effect<void>
}

/** Starts the n-th server, which notes all and answers with its own number in front, on a port or any one that is free. */
type Start = (n: number, port: number, heard: Heard) => Effect.Effect<Up>

/** Ours: those that are connected are told that it goes away. */
const startOurs: Start = (n, port, heard) =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const layer = Layer.orDie(NodeWebSocketServer.layer({ host: "127.0.0.1", port }))
    const server = Context.get(yield* Layer.buildWithScope(layer, scope), WebSocketServer.WebSocketServer)
    const running = yield* Effect.forkDaemon(
      server.run((exchange) =>
        Effect.flatMap(WebSocket.accept(exchange), (socket) =>
          WebSocket.run(socket, (message) => {
            heard.byServers.push(textOf(message))
            return Effect.ignore(socket.send(`${n}:${textOf(message)}`))
          })
        )
      )
    )
    const { address } = server
    return {
      port: address._tag === "TcpAddress" ? address.port : 0,
      down: Effect.zipRight(Fiber.interrupt(running), Scope.close(scope, Exit.void))
    }
  })

/** `ws`: those that are connected lose their connection without a word. */
const startWs: Start = (n, port, heard) =>
  Effect.gen(function* () {
    const server = new Ws.WebSocketServer({ host: "127.0.0.1", port })
    server.on("connection", (socket) =>
      socket.on("message", (data: Buffer) => {
        heard.byServers.push(data.toString())
        socket.send(`${n}:${data.toString()}`)
      })
    )
    yield* event(server, "listening")
    return {
      port: (server.address() as { readonly port: number }).port,
      down: Effect.async<void>((resume) => {
        for (const socket of server.clients) socket.terminate()
        server.close(() => resume(Effect.void))
      })
    }
  })

const servers: ReadonlyArray<readonly [string, Start]> = [
  ["ours, which says that it goes", startOurs],
  ["ws, which says nothing", startWs]
]

/** Fails unless the numbers go up, each to a larger one: none twice, none out of order. */
const assertRising = (texts: ReadonlyArray<string>): void => {
  const numbers = texts.map(Number)
  for (const [index, number] of numbers.entries()) {
    assert.isTrue(index === 0 || number > numbers[index - 1]!, `${number} comes behind ${numbers[index - 1]}`)
  }
}

/** Sends one number after the other, in each turn of the event loop a few, until it is interrupted. */
const count = (feed: ReconnectingWebSocket.ReconnectingWebSocket<HandshakeError>, sent: { number: number }) =>
  Effect.forever(
    Effect.gen(function* () {
      for (let i = 0; i < 5; i++) yield* feed.send(`${++sent.number}`)
      yield* turn
    })
  )

describe("ReconnectingWebSocket over TCP", () => {
  for (const [name, start] of servers) {
    it.live(`client comes back to a server that was down, in order and with nothing twice: ${name}`, () =>
      Effect.gen(function* () {
        const heard: Heard = { byServers: [], byClient: [] }
        const sent = { number: 0 }
        let up = yield* start(1, 0, heard)
        const { port } = up
        const feed = yield* connect(port)
        const reading = yield* Effect.fork(
          Stream.runForEach(feed.messages, (message) => Effect.sync(() => heard.byClient.push(textOf(message))))
        )
        const sending = yield* Effect.fork(count(feed, sent))
        for (let n = 2; n <= 5; n++) {
          yield* until(() => heard.byClient.some((text) => text.startsWith(`${n - 1}:`)))
          yield* up.down
          yield* Effect.iterate(yield* feed.state, {
            while: (state) => state._tag === "Open",
            body: () => Effect.zipRight(turn, feed.state)
          })
          up = yield* start(n, port, heard)
        }
        yield* until(() => heard.byClient.some((text) => text.startsWith("5:")))
        yield* Fiber.interrupt(sending)
        // What the last server has heard comes back whole: it doesn't go.
        yield* feed.send(`${++sent.number}`)
        yield* until(() => heard.byClient.at(-1) === `5:${sent.number}`)
        yield* feed.close()
        yield* Fiber.join(reading)
        yield* up.down
        assertRising(heard.byServers)
        assertRising(heard.byClient.map((text) => text.slice(2)))
        assert.includeMembers(
          heard.byServers,
          heard.byClient.map((text) => text.slice(2))
        )
        assert.deepStrictEqual([...new Set(heard.byClient.map((text) => text[0]))], ["1", "2", "3", "4", "5"])
        const last = heard.byClient.filter((text) => text.startsWith("5:")).map((text) => Number(text.slice(2)))
        assert.deepStrictEqual(
          last,
          Array.from(last, (_, index) => last[0]! + index)
        )
      }).pipe(Effect.scoped, withoutLeaks)
    )
  }

  it.live("client whose server isn't there yet sends when it comes", () =>
    Effect.gen(function* () {
      const heard: Heard = { byServers: [], byClient: [] }
      const first = yield* startOurs(1, 0, heard)
      yield* first.down
      const feed = yield* connect(first.port)
      const sending = yield* Effect.fork(Effect.forEach(["1", "2", "3"], (text) => feed.send(text)))
      const refused = yield* Stream.runHead(Stream.filter(feed.states, (state) => state._tag === "Away"))
      assert(refused._tag === "Some" && refused.value._tag === "Away")
      assert.include(refused.value.error.message, "ECONNREFUSED")
      const second = yield* startOurs(2, first.port, heard)
      yield* Fiber.join(sending)
      const got = yield* Effect.replicateEffect(Effect.map(feed.receive, textOf), 3)
      assert.deepStrictEqual(got, ["2:1", "2:2", "2:3"])
      yield* feed.close()
      yield* second.down
    }).pipe(Effect.scoped, withoutLeaks)
  )
})
