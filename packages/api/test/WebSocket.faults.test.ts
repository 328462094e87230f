/** The same scenario again and again, each time with a later operation of the transport failing, until none fails. */
import { HandshakeError } from "@effect-ws/api/HandshakeError"
import type * as MemoryTransport from "@effect-ws/api/testing/MemoryTransport"
import * as WebSocket from "@effect-ws/api/WebSocket"
import { isWebSocketError } from "@effect-ws/api/WebSocketError"
import * as WebSocketServer from "@effect-ws/api/WebSocketServer"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import { makeListener } from "./support/endpoints.ts"
import { leavesNothing, makePair, settled } from "./support/leaks.ts"
import { Peer } from "./support/Peer.ts"

/** Fails unless the exit is a success or one of our errors. */
const assertTyped = (exit: Exit.Exit<unknown, unknown>): void => {
  if (Exit.isSuccess(exit)) return
  const { cause } = exit
  assert.isTrue(Cause.isFailType(cause), Cause.pretty(cause))
  if (!Cause.isFailType(cause)) return
  assert.isTrue(cause.error instanceof HandshakeError || isWebSocketError(cause.error), Cause.pretty(cause))
  if (cause.error instanceof HandshakeError) assert.include(["Transport", "PeerGone"], cause.error.reason._tag)
}

/** From its end on, a connection fails with one error only. */
const assertOneError = (socket: WebSocket.WebSocket) =>
  Effect.gen(function* () {
    const error = yield* socket.closed
    assert.strictEqual(yield* Effect.flip(socket.receive), error)
    assert.strictEqual(yield* Effect.flip(socket.send("a")), error)
    assert.strictEqual(yield* Effect.flip(socket.ping()), error)
  })

const drained = (socket: WebSocket.WebSocket) => Effect.forever(socket.receive).pipe(Effect.ignore)

const client = (transport: MemoryTransport.MemoryTransport) =>
  Effect.gen(function* () {
    const socket = yield* WebSocket.handshake(transport, { host: "a", subprotocols: ["echo"] })
    const talk = Effect.gen(function* () {
      yield* socket.send("a".repeat(1000))
      yield* socket.send(new Uint8Array(100))
      yield* socket.receive
      yield* socket.receive
      yield* socket.ping()
      yield* socket.close()
    })
    const exit = yield* Effect.exit(talk)
    assertTyped(exit)
    if (Exit.isFailure(exit)) yield* drained(socket)
    yield* assertOneError(socket)
    return yield* exit
  })

const server = (transport: MemoryTransport.MemoryTransport) =>
  Effect.gen(function* () {
    const socket = yield* WebSocket.acceptTransport(transport, { subprotocols: ["echo"] })
    const exit = yield* Effect.exit(WebSocket.run(socket, (message) => socket.send(message)))
    yield* drained(socket)
    yield* assertOneError(socket)
    return yield* exit
  })

/** Runs the scenario for every operation that can fail, and returns how many there are. */
const atEveryFault = (
  options: MemoryTransport.Options,
  scenario: (pair: MemoryTransport.Pair) => Effect.Effect<void, never, Scope.Scope>
) =>
  Effect.gen(function* () {
    for (let failAt = 1; ; failAt++) {
      const hasFailed = yield* leavesNothing(
        Effect.gen(function* () {
          const pair = yield* makePair({ ...options, failAt })
          yield* scenario(pair)
          yield* settled
          return pair.hasFailed()
        })
      ).pipe(Effect.tapErrorCause(() => Effect.sync(() => console.error(`failing at ${failAt}`))))
      if (!hasFailed) return failAt - 1
    }
  })

const pairs: ReadonlyArray<readonly [string, MemoryTransport.Options]> = [
  ["whole chunks", {}],
  ["chunks of 50 bytes", { readSize: 50 }],
  ["a low high-water mark", { highWaterMark: 10 }]
]

describe("WebSocket: a transport that fails", () => {
  for (const [name, options] of pairs) {
    it.effect(`client and server fail with one typed error whichever operation fails, with ${name}`, () =>
      Effect.gen(function* () {
        const count = yield* atEveryFault(options, (pair) =>
          Effect.gen(function* () {
            const serving = yield* Effect.fork(Effect.scoped(server(pair.server)))
            const exits = [
              yield* Effect.exit(Effect.scoped(client(pair.client))),
              yield* Fiber.await(serving) as Effect.Effect<Exit.Exit<unknown, unknown>>
            ]
            for (const exit of exits) {
              assertTyped(exit)
              assert.strictEqual(Exit.isSuccess(exit) || pair.hasFailed(), true)
            }
            if (!pair.hasFailed()) assert.isTrue(exits.every(Exit.isSuccess))
          })
        )
        assert.isAbove(count, 15)
      })
    )

    it.effect(`server goes on serving whichever operation fails, with ${name}`, () =>
      leavesNothing(
        Effect.gen(function* () {
          const listener = makeListener()
          const { run } = yield* WebSocketServer.make(listener)
          const causes: Array<Cause.Cause<unknown>> = []
          const serving = yield* Effect.fork(
            run(
              (exchange) =>
                Effect.flatMap(WebSocket.accept(exchange), (socket) =>
                  WebSocket.run(socket, (message) => socket.send(message))
                ),
              { onError: (cause) => Effect.sync(() => void causes.push(cause)) }
            )
          )
          yield* settled
          for (let failAt = 1, hasFailed = true; hasFailed; failAt++) {
            const { pair, peer } = yield* listener.connect({ pair: { ...options, failAt } })
            peer.sendRequest()
            peer.sendText("a", "b")
            yield* settled
            peer.sendClose(1000)
            yield* peer.awaitClosed
            hasFailed = pair.hasFailed()
            if (!hasFailed) assert.deepStrictEqual(peer.said, ["text a", "text b", "close 1000"])
          }
          yield* Fiber.interrupt(serving)
          assert.isAbove(causes.length, 1)
          for (const cause of causes) assertTyped(Exit.failCause(cause))
        })
      )
    )

    it.effect(`client tells how the handshake failed whichever operation fails, with ${name}`, () =>
      Effect.gen(function* () {
        yield* atEveryFault(options, (pair) =>
          Effect.gen(function* () {
            const peer = new Peer(pair.server, "server")
            peer.acceptsRequests = true
            const exit = yield* Effect.exit(Effect.scoped(WebSocket.handshake(pair.client, { host: "a" })))
            assertTyped(exit)
            yield* peer.awaitClosed
          })
        )
      })
    )
  }
})
