import { TransportError } from "@effect-ws/api/TransportError"
import * as WebSocket from "@effect-ws/api/WebSocket"
import * as WebSocketClient from "@effect-ws/api/WebSocketClient"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"
import { makeConnector } from "./support/endpoints.ts"
import { leavesNothing, settled } from "./support/leaks.ts"

const isDone = (fiber: Fiber.RuntimeFiber<unknown, unknown>) => Effect.map(fiber.poll, Option.isSome)

const url = "ws://example.com/chat"

describe("WebSocketClient: connect", () => {
  it.effect("client connects through the service, and closes with its scope before the transport goes", () =>
    leavesNothing(
      Effect.gen(function* () {
        const memory = makeConnector()
        const client = WebSocketClient.make(memory.connector)
        const outcome = yield* WebSocket.connect(url).pipe(
          Effect.flatMap((socket) => Effect.as(socket.send("a"), socket)),
          Effect.scoped,
          Effect.provideService(WebSocketClient.WebSocketClient, client),
          Effect.flatMap((socket) => socket.closed)
        )
        const [peer] = memory.peers
        assert.deepStrictEqual(peer!.said, ["text a", "close 1000"])
        assert.deepInclude(outcome, { _tag: "ConnectionClosed", clean: true })
        assert.strictEqual(memory.released, 1)
      })
    )
  )

  const urls: ReadonlyArray<readonly [string, object, string, string]> = [
    ["ws://example.com", { secure: false, hostname: "example.com", port: 80 }, "example.com", "/"],
    ["wss://example.com/a?b=c", { secure: true, hostname: "example.com", port: 443 }, "example.com", "/a?b=c"],
    ["ws://example.com:8080/", { port: 8080 }, "example.com:8080", "/"],
    ["wss://example.com:443/", { port: 443 }, "example.com", "/"],
    ["WS://EXAMPLE.com/%41", { hostname: "example.com" }, "example.com", "/%41"],
    ["ws://[::1]:9/", { hostname: "::1", port: 9 }, "[::1]:9", "/"],
    ["ws://127.0.0.1?x", { hostname: "127.0.0.1", port: 80 }, "127.0.0.1", "/?x"]
  ]
  for (const [text, endpoint, host, target] of urls) {
    it.effect(`client connects to ${text}`, () =>
      leavesNothing(
        Effect.gen(function* () {
          const memory = makeConnector()
          const socket = yield* WebSocketClient.make(memory.connector).connect(text)
          assert.deepInclude(memory.endpoints[0], { ...endpoint, unixPath: undefined })
          assert.strictEqual(memory.peers[0]!.head!.split("\r\n")[0], `GET ${target} HTTP/1.1`)
          assert.strictEqual(socket.request.host, host)
        })
      )
    )
  }

  const wrong: ReadonlyArray<readonly [string, string]> = [
    ["example.com/chat", "not an absolute URL"],
    ["http://example.com/", "begins with ws: or wss:"],
    ["ws://example.com/#a", "no fragment"],
    ["ws://example.com/#", "no fragment"]
  ]
  for (const [text, detail] of wrong) {
    it.effect(`client refuses to connect to ${text}, before anything is opened`, () =>
      leavesNothing(
        Effect.gen(function* () {
          const memory = makeConnector()
          const error = yield* Effect.flip(WebSocketClient.make(memory.connector).connect(text))
          assert.strictEqual(error.reason._tag, "InvalidUrl")
          assert.include(error.message, detail)
          assert.strictEqual(memory.endpoints.length, 0)
        })
      )
    )
  }

  it.effect("client lets the options of a call win over those of the service, and sends the fields of both", () =>
    leavesNothing(
      Effect.gen(function* () {
        const memory = makeConnector()
        const client = WebSocketClient.make(memory.connector, {
          headers: { "X-Both": "layer" },
          origin: "https://layer.example",
          subprotocols: ["layer"],
          unixPath: "/run/layer.sock"
        })
        yield* client.connect(url, { headers: [["X-Both", "call"]], origin: "https://call.example" })
        yield* client.connect(url, { subprotocols: ["call"], unixPath: "/run/call.sock" })
        const [first, second] = memory.peers
        assert.include(first!.head, "X-Both: layer\r\nX-Both: call")
        assert.strictEqual(first!.field("Origin"), "https://call.example")
        assert.strictEqual(first!.field("Sec-WebSocket-Protocol"), "layer")
        assert.strictEqual(second!.field("Origin"), "https://layer.example")
        assert.strictEqual(second!.field("Sec-WebSocket-Protocol"), "call")
        assert.deepStrictEqual(
          memory.endpoints.map(({ unixPath }) => unixPath),
          ["/run/layer.sock", "/run/call.sock"]
        )
      })
    )
  )

  it.effect("client tells how the connection attempt failed", () =>
    leavesNothing(
      Effect.gen(function* () {
        const failure = new TransportError({ operation: "connect", address: "a:80", cause: new Error("refused") })
        const error = yield* Effect.flip(WebSocketClient.make(() => Effect.fail(failure)).connect(url))
        assert.deepStrictEqual(error.reason, { _tag: "Transport", error: failure })
        assert.include(error.message, "failed to connect to a:80: refused")
      })
    )
  )

  it.effect("client releases the transport when the handshake fails", () =>
    leavesNothing(
      Effect.gen(function* () {
        const memory = makeConnector({ accepts: false })
        const connecting = yield* Effect.fork(Effect.flip(WebSocketClient.make(memory.connector).connect(url)))
        yield* settled
        memory.peers[0]!.sendHead("HTTP/1.1 503 Service Unavailable", "Retry-After: 5", "Content-Length: 0")
        const { reason, reusable } = yield* Fiber.join(connecting)
        assert.deepInclude(reason, { _tag: "Declined", status: 503, isComplete: true })
        // The connection could carry another attempt, but nobody but us has it.
        assert.isFalse(reusable)
        assert.strictEqual(memory.released, 1)
        yield* memory.peers[0]!.awaitClosed
      })
    )
  )

  it.effect("client dies of options that can't be meant, and says which", () =>
    Effect.gen(function* () {
      const memory = makeConnector()
      const connecting = WebSocketClient.make(memory.connector).connect(url, { handshakeTimeout: "0 millis" })
      const exit = yield* Effect.exit(Effect.scoped(connecting))
      assert.include(String(Exit.isFailure(exit) && Cause.squash(exit.cause)), "handshakeTimeout")
      assert.strictEqual(memory.endpoints.length, 0)
    })
  )
})

describe("WebSocketClient: deadlines", () => {
  it.effect("client gives up when the transport doesn't come in time, and interrupts the attempt", () =>
    leavesNothing(
      Effect.gen(function* () {
        let interrupted = 0
        const client = WebSocketClient.make(() =>
          Effect.onInterrupt(Effect.never, () => Effect.sync(() => interrupted++))
        )
        const connecting = yield* Effect.fork(Effect.flip(client.connect(url)))
        yield* settled
        yield* TestClock.adjust(9999)
        assert.isFalse(yield* isDone(connecting))
        yield* TestClock.adjust(501)
        const { reason } = yield* Fiber.join(connecting)
        assert.deepInclude(reason, { _tag: "Timeout", phase: "connect" })
        assert.strictEqual(reason._tag === "Timeout" && Duration.toMillis(reason.duration), 10_000)
        assert.strictEqual(interrupted, 1)
      })
    )
  )

  it.effect("client has one deadline for the transport and the handshake", () =>
    leavesNothing(
      Effect.gen(function* () {
        const memory = makeConnector({ accepts: false })
        const client = WebSocketClient.make((endpoint) => Effect.delay(memory.connector(endpoint), "6 seconds"))
        const connecting = yield* Effect.fork(Effect.flip(client.connect(url)))
        yield* settled
        yield* TestClock.adjust(6000)
        assert.strictEqual(memory.peers.length, 1)
        yield* TestClock.adjust(3999)
        assert.isFalse(yield* isDone(connecting))
        yield* TestClock.adjust(501)
        const { reason } = yield* Fiber.join(connecting)
        assert.deepInclude(reason, { _tag: "Timeout", phase: "head" })
        assert.strictEqual(memory.released, 1)
        yield* memory.peers[0]!.awaitClosed
      })
    )
  )

  it.effect("client closes with 1001 when its program is interrupted, and releases the transport then", () =>
    leavesNothing(
      Effect.gen(function* () {
        const memory = makeConnector()
        const program = Effect.scoped(
          Effect.flatMap(WebSocketClient.make(memory.connector).connect(url), (socket) => socket.receive)
        )
        const running = yield* Effect.fork(program)
        yield* settled
        yield* Fiber.interrupt(running)
        assert.deepStrictEqual(memory.peers[0]!.said, ["close 1001"])
        assert.strictEqual(memory.released, 1)
      })
    )
  )

  it.effect("client does the closing handshakes of a scope with parallel finalizers side by side", () =>
    leavesNothing(
      Effect.gen(function* () {
        const memory = makeConnector()
        const client = WebSocketClient.make(memory.connector)
        const sockets = yield* Effect.replicateEffect(client.connect(url), 3).pipe(
          Effect.parallelFinalizers,
          Effect.scoped
        )
        for (const peer of memory.peers) assert.deepStrictEqual(peer.said, ["close 1000"])
        for (const socket of sockets)
          assert.deepInclude(yield* socket.closed, { _tag: "ConnectionClosed", clean: true })
      })
    )
  )
})
