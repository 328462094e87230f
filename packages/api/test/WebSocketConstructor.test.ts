import type { ConnectOptions } from "@effect-ws/api/ConnectOptions"
import * as WebSocketClient from "@effect-ws/api/WebSocketClient"
import * as WebSocketConstructor from "@effect-ws/api/WebSocketConstructor"
import { assert, describe, it } from "@effect/vitest"
import * as Socket from "@effect/platform/Socket"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import { makeConnector } from "./support/endpoints.ts"
import { leavesNothing, settled } from "./support/leaks.ts"

type Events = WebSocketConstructor.WebSocketEvents

/** Waits for one event that is still to come. */
const next = <Type extends keyof Events>(socket: WebSocketConstructor.WebSocketObject, type: Type) =>
  Effect.async<Events[Type]>((resume) => {
    socket.addEventListener(type, (event) => resume(Effect.succeed(event)), { once: true })
  })

/** Keeps what a socket tells from here on. */
const watch = (socket: WebSocketConstructor.WebSocketObject): Array<string> => {
  const log: Array<string> = []
  socket.onopen = () => log.push("open")
  socket.onmessage = ({ data }) => log.push(`message ${data}`)
  socket.onerror = (event) => log.push(`error ${(event as { readonly error?: Error }).error?.message}`)
  socket.onclose = ({ code, reason, wasClean }) => log.push(`close ${code} ${reason} ${wasClean}`)
  return log
}

/** Makes the class over peers in memory. */
const makeClass = (
  options: WebSocketConstructor.Options = {},
  peers: Parameters<typeof makeConnector>[0] = {},
  client: ConnectOptions = {}
) =>
  Effect.gen(function* () {
    const memory = makeConnector(peers)
    const service = WebSocketClient.make(memory.connector, client)
    const WebSocket = yield* Effect.provideService(
      WebSocketConstructor.make(options),
      WebSocketClient.WebSocketClient,
      service
    )
    return { WebSocket, peers: memory.peers, endpoints: memory.endpoints }
  })

/** Makes the class and a socket that is open. */
const open = (options: WebSocketConstructor.Options = {}, peers: Parameters<typeof makeConnector>[0] = {}) =>
  Effect.gen(function* () {
    const made = yield* makeClass(options, peers)
    const socket = new made.WebSocket("ws://test/")
    yield* next(socket, "open")
    return { ...made, socket, peer: made.peers[0]! }
  })

const errorOf = (event: WebSocketConstructor.WebSocketEvent): unknown => (event as { readonly error?: unknown }).error

describe("WebSocketConstructor: what it connects with", () => {
  it.effect("client asks with the options of the class, over those of the client, and with the URL's credentials", () =>
    leavesNothing(
      Effect.gen(function* () {
        const options = { headers: { "X-Class": "a" }, origin: "http://page" }
        const { WebSocket, endpoints, peers } = yield* makeClass(options, {}, { headers: { "X-Client": "b" } })
        const socket = new WebSocket("https://user:secret@test:8443/chat?room=1")
        yield* next(socket, "open")
        assert.deepInclude(endpoints[0], { hostname: "test", port: 8443, secure: true })
        const [peer] = peers
        assert.strictEqual(peer!.head!.split("\r\n")[0], "GET /chat?room=1 HTTP/1.1")
        assert.deepStrictEqual(
          ["X-Client", "X-Class", "Origin", "Authorization"].map((name) => peer!.field(name)),
          ["b", "a", "http://page", "Basic dXNlcjpzZWNyZXQ="]
        )
        assert.strictEqual(socket.url, "wss://user:secret@test:8443/chat?room=1")
      })
    )
  )

  it.effect("client offers the subprotocols of the constructor, and none of the client's", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { WebSocket, peers } = yield* makeClass({}, { accepts: false }, { subprotocols: ["client"] })
        const sockets = [new WebSocket("ws://test/"), new WebSocket("ws://test/", ["a", "b"])]
        yield* settled
        yield* Effect.forEach(peers, (peer) => peer.awaitHead)
        const offers = peers.map((peer) => peer.field("Sec-WebSocket-Protocol"))
        assert.deepStrictEqual(offers, [undefined, "a, b"])
        for (const socket of sockets) socket.close()
      })
    )
  )

  it.effect("class refuses options that can't be, when it is made", () =>
    Effect.gen(function* () {
      for (const options of [{ maxBufferedAmount: 0 }, { maxBufferedAmount: Infinity }, { maxMessageSize: -1 }]) {
        const exit = yield* Effect.exit(Effect.scoped(makeClass(options)))
        assert.isTrue(Exit.isFailure(exit) && Cause.squash(exit.cause) instanceof RangeError, JSON.stringify(options))
      }
    })
  )

  it.effect("layer provides the constructor of @effect/platform", () =>
    leavesNothing(
      Effect.gen(function* () {
        const memory = makeConnector()
        const client = Layer.succeed(WebSocketClient.WebSocketClient, WebSocketClient.make(memory.connector))
        const layer = Layer.provide(WebSocketConstructor.layerWith({ headers: { "X-Layer": "a" } }), client)
        const construct = yield* Effect.provide(Socket.WebSocketConstructor, yield* Layer.build(layer))
        const socket = construct("ws://test/") as unknown as WebSocketConstructor.WebSocketObject
        yield* next(socket, "open")
        assert.strictEqual(memory.peers[0]!.field("X-Layer"), "a")
      })
    )
  )
})

describe("WebSocketConstructor: how it ends", () => {
  it.effect("scope closes all of its sockets with 1001, side by side, and they tell", () =>
    leavesNothing(
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        const { WebSocket, peers } = yield* Scope.extend(makeClass(), scope)
        const sockets = [new WebSocket("ws://test/"), new WebSocket("ws://test/")]
        const logs = sockets.map(watch)
        yield* Effect.forEach(sockets, (socket) => next(socket, "open"), { concurrency: 2 })
        for (const peer of peers) peer.polite = false
        const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
        yield* Effect.forEach(peers, (peer) => peer.awaitFrames(1))
        // Both have asked before one has answered.
        assert.deepStrictEqual(
          peers.map(({ said }) => said),
          [["close 1001"], ["close 1001"]]
        )
        assert.deepStrictEqual(
          sockets.map(({ readyState }) => readyState),
          [2, 2]
        )
        for (const peer of peers) {
          peer.sendClose(1001)
          peer.end()
        }
        yield* Fiber.join(closing)
        for (const log of logs) assert.deepStrictEqual(log, ["open", "close 1001  true"])
      })
    )
  )

  it.effect("scope gives up those that still connect, and what is made behind it fails", () =>
    leavesNothing(
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        const { WebSocket, peers } = yield* Scope.extend(makeClass({}, { accepts: false }), scope)
        const early = new WebSocket("ws://test/")
        const earlyLog = watch(early)
        yield* settled
        assert.strictEqual(peers.length, 1)
        yield* Scope.close(scope, Exit.void)
        assert.strictEqual(earlyLog.length, 2)
        assert.strictEqual(earlyLog[1], "close 1006  false")
        const late = new WebSocket("ws://test/")
        assert.strictEqual(late.readyState, 0)
        assert.deepInclude(yield* next(late, "close"), { code: 1006, wasClean: false })
        assert.strictEqual(peers.length, 1)
      })
    )
  )

  it.effect("client that connects in vain says why in its error event", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { WebSocket, peers } = yield* makeClass({}, { accepts: false })
        const socket = new WebSocket("ws://test/")
        yield* settled
        yield* peers[0]!.awaitHead
        peers[0]!.sendHead("HTTP/1.1 403 Forbidden", "Content-Length: 0")
        const error = errorOf(yield* next(socket, "error"))
        assert.deepInclude(error, { _tag: "HandshakeError" })
        assert.deepInclude((error as any).reason, { _tag: "Declined", status: 403 })
      })
    )
  )

  const faults: ReadonlyArray<readonly [string, string, string]> = [
    ["sends a frame with a reserved opcode", "83 00", "ProtocolError"],
    ["sends text that is not UTF-8", "81 01 ff", "ProtocolError"],
    ["sends a message that is too large", "82 7f 00 00 00 01 00 00 00 00", "MessageTooBig"]
  ]
  for (const [does, bytes, tag] of faults) {
    it.effect(`client fails when the server ${does}, behind the messages in front of it`, () =>
      leavesNothing(
        Effect.gen(function* () {
          const { peer, socket } = yield* open()
          const log = watch(socket)
          const failed = yield* Effect.fork(next(socket, "error"))
          const closed = yield* Effect.fork(next(socket, "close"))
          yield* settled
          peer.send(peer.text("last"), bytes)
          assert.deepInclude(errorOf(yield* Fiber.join(failed)), { _tag: tag })
          assert.deepInclude(yield* Fiber.join(closed), { code: 1006, reason: "", wasClean: false })
          assert.strictEqual(log[0], "message last")
        })
      )
    )
  }

  it.effect("client that is lost says so, and keeps counting what was not taken", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { peer, socket } = yield* open()
        socket.send("taken")
        yield* peer.awaitFrames(1)
        peer.transport.pause()
        socket.send(new Uint8Array(100_000))
        const failed = yield* Effect.fork(next(socket, "error"))
        yield* settled
        assert.strictEqual(socket.bufferedAmount, 100_000)
        peer.destroy()
        const error = errorOf(yield* Fiber.join(failed))
        assert.include(["ConnectionClosed", "TransportError"], (error as any)._tag)
        assert.deepStrictEqual([socket.readyState, socket.bufferedAmount], [3, 100_000])
      })
    )
  )

  it.effect("client whose Close frame nobody answers ends by its deadline", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { peer, socket } = yield* open({ closeTimeout: "3 seconds" }, { polite: false })
        const log = watch(socket)
        socket.close(3000)
        yield* peer.awaitFrames(1)
        yield* TestClock.adjust("2999 millis")
        yield* settled
        assert.deepStrictEqual([socket.readyState, log], [2, []])
        yield* TestClock.adjust("51 millis")
        yield* settled
        assert.strictEqual(socket.readyState, 3)
        assert.deepStrictEqual([log.length, log[1]], [2, "close 1006  false"])
        peer.destroy()
      })
    )
  )
})

describe("WebSocketConstructor: what it is to send", () => {
  it.effect("client counts bytes until the transport has taken them, and closes behind them", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { peer, socket } = yield* open({ sendHighWaterMark: 1000 }, { pair: { highWaterMark: 500 } })
        peer.transport.pause()
        for (let i = 0; i < 4; i++) socket.send(new Uint8Array(600).fill(i))
        socket.send("é")
        assert.strictEqual(socket.bufferedAmount, 2402)
        yield* settled
        assert.strictEqual(socket.bufferedAmount, 2402)
        socket.close(3000, "done")
        socket.send("late")
        assert.deepStrictEqual([socket.readyState, socket.bufferedAmount], [2, 2406])
        yield* settled
        assert.deepStrictEqual(peer.said, [])
        const closed = yield* Effect.fork(next(socket, "close"))
        yield* settled
        peer.transport.resume()
        assert.deepInclude(yield* Fiber.join(closed), { code: 3000, wasClean: true })
        assert.deepStrictEqual(peer.said.slice(4), ["text é", "close 3000 done"])
        assert.deepStrictEqual(
          peer.frames.slice(0, 4).map(({ payload }) => [payload.length, payload[0]]),
          [0, 1, 2, 3].map((i) => [600, i])
        )
        assert.strictEqual(socket.bufferedAmount, 4)
      })
    )
  )

  it.effect("client that is to send more than may be buffered ends the connection", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { peer, socket } = yield* open({ maxBufferedAmount: 1000, sendHighWaterMark: 500 })
        peer.transport.pause()
        // One message of any size may be, when nothing else is buffered.
        socket.send(new Uint8Array(5000))
        yield* settled
        assert.deepStrictEqual([socket.readyState, socket.bufferedAmount], [1, 5000])
        const failed = yield* Effect.fork(next(socket, "error"))
        yield* settled
        socket.send("a")
        assert.strictEqual(socket.readyState, 2)
        const error = errorOf(yield* Fiber.join(failed))
        assert.deepInclude(error, { _tag: "SendRejected", reason: { _tag: "QueueFull", bytes: 5001, limit: 1000 } })
        assert.deepStrictEqual([socket.readyState, socket.bufferedAmount], [3, 5001])
        peer.destroy()
      })
    )
  )

  it.effect("client ends the connection when a blob can't be read", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { peer, socket } = yield* open()
        const blob = new Blob(["abc"])
        const broken = new Error("the file has changed")
        blob.arrayBuffer = () => Promise.reject(broken)
        const failed = yield* Effect.fork(next(socket, "error"))
        yield* settled
        socket.send(blob)
        socket.send("behind it")
        assert.strictEqual(errorOf(yield* Fiber.join(failed)), broken)
        assert.deepStrictEqual([socket.readyState, peer.said], [3, []])
      })
    )
  )
})

describe("WebSocketConstructor: how it tells", () => {
  it.effect("client that has awaited a message is back before the next one of the same chunk", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { peer, socket } = yield* open()
        const received = yield* Deferred.make<Array<unknown>>()
        const collect = async (): Promise<void> => {
          const messages: Array<unknown> = []
          for (let i = 0; i < 3; i++) {
            const event = await new Promise<WebSocketConstructor.WebSocketMessageEvent>((resolve) =>
              socket.addEventListener("message", resolve, { once: true })
            )
            messages.push(event.data)
            // Some more steps, as those of a program that hands the message on.
            for (let step = 0; step < 10; step++) await Promise.resolve()
          }
          Deferred.unsafeDone(received, Exit.succeed(messages))
        }
        void collect()
        peer.sendText("one", "two", "three")
        assert.deepStrictEqual(yield* Deferred.await(received), ["one", "two", "three"])
      })
    )
  )

  it.effect("client answers the last message in front of a Close frame of the same chunk", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { peer, socket } = yield* open()
        socket.onmessage = ({ data }) => void Promise.resolve().then(() => socket.send(`answer to ${data}`))
        const closed = yield* Effect.fork(next(socket, "close"))
        yield* settled
        peer.send(peer.text("last"), peer.close(1000))
        assert.deepInclude(yield* Fiber.join(closed), { code: 1000, wasClean: true })
        assert.deepStrictEqual(peer.said, ["text answer to last", "close 1000"])
      })
    )
  )
})
