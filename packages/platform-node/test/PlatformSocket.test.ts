/** What programs against the `Socket` of @effect/platform suffer from over the stock one, and don't over ours, over real sockets. */
import * as PlatformSocket from "@effect-ws/api/PlatformSocket"
import * as WebSocket from "@effect-ws/api/WebSocket"
import * as NodeWebSocketClient from "@effect-ws/platform-node/NodeWebSocketClient"
import * as Socket from "@effect/platform/Socket"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as FiberStatus from "effect/FiberStatus"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Ws from "ws"
import { withoutLeaks } from "./support/leaks.ts"
import { serveWs } from "./support/peers.ts"
import { turn, until } from "./support/sockets.ts"

interface Program {
  readonly socket: Socket.Socket
  /** In bytes: what waits in this process to be sent. */
  readonly outgoing: () => number
  /** Whether it doesn't read any more. */
  readonly isPaused: () => boolean
}

/** The client of the stock, over `ws`. */
const stock = (url: string): Effect.Effect<Program> => {
  let made: Ws.WebSocket | undefined
  const constructor = Layer.succeed(Socket.WebSocketConstructor, (url, subprotocols) => {
    made = new Ws.WebSocket(url, subprotocols)
    return made as unknown as globalThis.WebSocket
  })
  return Effect.map(Effect.provide(Socket.makeWebSocket(url), constructor), (socket) => ({
    socket,
    outgoing: () => made?.bufferedAmount ?? 0,
    isPaused: () => made?.isPaused === true
  }))
}

/** Ours. */
const ours = (url: string): Effect.Effect<Program> => {
  let made: WebSocket.WebSocket | undefined
  const connect = Effect.tap(WebSocket.connect(url), (socket) => Effect.sync(() => (made = socket)))
  const socket = Effect.provide(PlatformSocket.make(connect), NodeWebSocketClient.layer)
  const status = () => (made === undefined ? undefined : Effect.runSync(made.status))
  return Effect.map(socket, (socket) => ({
    socket,
    outgoing: () => status()?.outgoing ?? 0,
    isPaused: () => status()?.isPaused === true
  }))
}

const both = { stock, ours } as const

type Name = keyof typeof both

/** The same program over both; what comes of it differs. */
const compare = (
  title: Readonly<Record<Name, string>>,
  program: (name: Name, make: (url: string) => Effect.Effect<Program>) => Effect.Effect<void, unknown, Scope.Scope>
) => {
  for (const name of ["stock", "ours"] as const) {
    it.live(`${name}: ${title[name]}`, () => program(name, both[name]).pipe(Effect.scoped, withoutLeaks))
  }
}

const untilSuspended = <A, E>(fiber: Fiber.RuntimeFiber<A, E>): Effect.Effect<void> =>
  Effect.flatMap(Fiber.status(fiber), (status) =>
    FiberStatus.isSuspended(status) ? Effect.void : Effect.zipRight(turn, untilSuspended(fiber))
  )

const mebibyte = 1024 * 1024

describe("Socket over a real connection: weakness 1", () => {
  compare(
    {
      stock: "client's writes complete while the peer reads nothing, and everything waits in memory",
      ours: "client's writes wait while the peer reads nothing, and no more than the mark waits in memory"
    },
    (name, make) =>
      Effect.gen(function* () {
        const server = yield* serveWs()
        const { outgoing, socket } = yield* make(server.url)
        const running = yield* Effect.forkScoped(socket.run(() => {}))
        const [peer] = yield* server.next
        peer.socket.pause()
        const write = yield* socket.writer
        // More than the buffers of two sockets take.
        const count = 64
        const piece = new Uint8Array(mebibyte)
        const writing = yield* Effect.forkScoped(Effect.replicateEffect(write(piece), count))
        if (name === "stock") yield* Fiber.join(writing)
        else yield* untilSuspended(writing)
        if (name === "stock") assert.isAbove(outgoing(), 32 * mebibyte)
        else assert.isBelow(outgoing(), 2 * mebibyte)
        let received = 0
        peer.socket.on("message", () => received++)
        peer.socket.resume()
        yield* Fiber.join(writing)
        yield* until(() => received === count)
        yield* write(new Socket.CloseEvent())
        yield* Fiber.join(running)
      })
  )

  compare(
    {
      stock: "client takes all that comes while its handler is busy with the first message, and begins them all",
      ours: "client holds back what comes while its handler is busy with the first message, and slows the peer"
    },
    (name, make) =>
      Effect.gen(function* () {
        const server = yield* serveWs({ maxPayload: 0 })
        const { isPaused, socket } = yield* make(server.url)
        const gate = yield* Effect.makeLatch()
        let begun = 0
        let done = 0
        const handler = () =>
          Effect.suspend(() => {
            begun++
            return Effect.map(gate.await, () => done++)
          })
        const running = yield* Effect.forkScoped(socket.run(handler))
        const [peer] = yield* server.next
        const count = 64
        for (let i = 0; i < count; i++) peer.socket.send(new Uint8Array(mebibyte))
        if (name === "stock") yield* until(() => begun === count && peer.socket.bufferedAmount === 0)
        else yield* until(() => begun === 1 && isPaused())
        // More is on its way than the buffers of two sockets take.
        if (name === "ours") assert.isAbove(peer.socket.bufferedAmount, 16 * mebibyte)
        assert.strictEqual(done, 0)
        yield* gate.open
        yield* until(() => done === count)
        peer.socket.close(1000)
        yield* Fiber.join(running)
      })
  )

  compare(
    {
      stock: "client's handlers overtake each other",
      ours: "client's handlers keep the order"
    },
    (name, make) =>
      Effect.gen(function* () {
        const server = yield* serveWs()
        const { socket } = yield* make(server.url)
        const seen = yield* Effect.makeLatch()
        const log: Array<string> = []
        const handler = (data: string | Uint8Array) => {
          if (data === "last") seen.unsafeOpen()
          const waiting = data === "slow" ? Effect.repeatN(Effect.yieldNow(), 10) : Effect.void
          return Effect.map(waiting, () => void log.push(String(data)))
        }
        const running = yield* Effect.forkScoped(socket.runRaw(handler))
        const [peer] = yield* server.next
        for (const text of ["slow", "fast", "last"]) peer.send(text)
        yield* seen.await
        yield* until(() => log.length === 3)
        assert.deepStrictEqual(log.indexOf("slow") === 0, name === "ours", log.join())
        peer.close(1000)
        yield* Fiber.join(running)
      })
  )

  compare(
    {
      stock: "client's write after its Close frame completes, and the message is gone",
      ours: "client's write after its Close frame fails"
    },
    (name, make) =>
      Effect.gen(function* () {
        const server = yield* serveWs()
        const { socket } = yield* make(server.url)
        const running = yield* Effect.forkScoped(socket.run(() => {}))
        const [peer] = yield* server.next
        const write = yield* socket.writer
        yield* write(new Socket.CloseEvent(1000))
        const late = yield* Effect.either(write("gone"))
        assert.strictEqual(Either.isRight(late), name === "stock")
        assert.deepInclude(yield* peer.next, { _tag: "Close", code: 1000 })
        yield* Fiber.join(running)
      })
  )
})

describe("Socket over a real connection: weakness 3", () => {
  compare(
    {
      stock: "client's run succeeds when the connection is lost",
      ours: "client's run fails when the connection is lost"
    },
    (name, make) =>
      Effect.gen(function* () {
        const server = yield* serveWs()
        const { socket } = yield* make(server.url)
        const running = yield* Effect.forkScoped(Effect.either(socket.run(() => {})))
        const [peer] = yield* server.next
        peer.socket.terminate()
        const outcome = yield* Fiber.join(running)
        if (name === "stock") assert.isTrue(Either.isRight(outcome))
        else assert.deepInclude(Either.isLeft(outcome) && outcome.left, { reason: "Close", code: 1006 })
      })
  )
})
