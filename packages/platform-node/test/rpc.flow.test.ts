/** What `@effect/rpc` asks of the socket below it: calls beside a stream that nobody reads, and an end at any time. */
import { HandshakeError } from "@effect-ws/api/HandshakeError"
import * as NodeSocket from "@effect-ws/platform-node/NodeSocket"
import * as NodeSocketServer from "@effect-ws/platform-node/NodeSocketServer"
import * as Socket from "@effect/platform/Socket"
import * as SocketServer from "@effect/platform/SocketServer"
import type * as RpcClient from "@effect/rpc/RpcClient"
import type * as RpcGroup from "@effect/rpc/RpcGroup"
import * as RpcServer from "@effect/rpc/RpcServer"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { withoutLeaks } from "./support/leaks.ts"
import { masked, rawOpen } from "./support/rawPeer.ts"
import { carriers, clients, connect, type Group, serializations, serve, Where } from "./support/rpc.ts"
import { turn } from "./support/sockets.ts"

const ours = carriers["our socket server"]!
const ourSocket = clients["our socket"]!
const json = serializations["json"]!
const msgPack = serializations["msgPack"]!

type Client = RpcClient.RpcClient<RpcGroup.Rpcs<typeof Group>, unknown>

/** Calls until the answer comes: how long a reconnection takes is for the schedule to say. */
const untilAnswered = (client: Client, number: number): Effect.Effect<number> =>
  Effect.catchAllCause(client.Double({ number }), () => Effect.zipRight(turn, untilAnswered(client, number)))

for (const [name, socket] of Object.entries(clients)) {
  describe(`a stream beside calls, from ${name}`, () => {
    it.scopedLive("client gets the answer to a call that it makes for each element of a stream", () =>
      Effect.gen(function* () {
        const server = yield* serve(ours, msgPack)
        const client = yield* connect(socket(server.url), msgPack)
        // All elements come in one piece, for which the client has no room until some of them are taken.
        const doubled = client.Count({ to: 200 }).pipe(
          Stream.mapEffect((number) => client.Double({ number })),
          Stream.runFold(0, (sum, number) => sum + number)
        )
        assert.strictEqual(yield* doubled, 200 * 201)
      }).pipe(Effect.scoped, withoutLeaks)
    )

    it.scopedLive("client goes on with calls when it leaves a stream in the middle", () =>
      Effect.gen(function* () {
        const server = yield* serve(ours, msgPack)
        const client = yield* connect(socket(server.url), msgPack)
        const first = client.Count({ to: 200 }).pipe(Stream.take(1), Stream.runCount)
        assert.strictEqual(yield* first, 1)
        assert.strictEqual(yield* client.Double({ number: 3 }), 6)
      }).pipe(Effect.scoped, withoutLeaks)
    )
  })
}

for (const [carrierName, carrier] of Object.entries(carriers)) {
  for (const [clientName, socket] of Object.entries(clients)) {
    describe(`a server that comes and goes: ${carrierName}, ${clientName}`, () => {
      it.scopedLive("client connects again by its schedule when the server is back on the same port", () =>
        Effect.gen(function* () {
          const scope = yield* Scope.make()
          const first = yield* Scope.extend(serve(carrier, msgPack), scope)
          const client = yield* connect(socket(first.url), msgPack, { retrySchedule: Schedule.spaced("10 millis") })
          assert.strictEqual(yield* client.Double({ number: 1 }), 2)
          const cut = yield* Effect.fork(client.Forever({ id: 1 }))
          assert.strictEqual(yield* first.next, "began 1")
          yield* Scope.close(scope, Exit.void)
          assert.strictEqual(yield* first.next, "interrupted 1")
          assert.isTrue(Exit.isFailure(yield* Fiber.await(cut)))
          const second = yield* serve(carrier, msgPack, { port: first.port })
          assert.strictEqual(yield* untilAnswered(client, 2), 4)
          assert.include(second.doubled, 2)
        }).pipe(Effect.scoped, withoutLeaks)
      )

      it.scopedLive("client connects when the server comes after it", () =>
        Effect.gen(function* () {
          const { port, url } = yield* Effect.scoped(serve(carrier, msgPack))
          const client = yield* connect(socket(url), msgPack, {
            retrySchedule: Schedule.spaced("10 millis"),
            retryTransientErrors: true
          })
          yield* serve(carrier, msgPack, { port })
          assert.strictEqual(yield* untilAnswered(client, 2), 4)
        }).pipe(Effect.scoped, withoutLeaks)
      )
    })
  }
}

describe("a client that goes away", () => {
  for (const [name, carrier] of Object.entries(carriers)) {
    it.scopedLive(`server goes on for others when a client leaves while it is written to: ${name}`, () =>
      Effect.gen(function* () {
        const server = yield* serve(carrier, msgPack)
        const other = yield* connect(ourSocket(server.url), msgPack)
        for (let round = 0; round < 20; round++) {
          yield* Effect.scoped(
            Effect.gen(function* () {
              const client = yield* connect(ourSocket(server.url), msgPack)
              const begun = yield* Deferred.make<void>()
              yield* client.Count({ to: 1_000_000 }).pipe(
                Stream.runForEach(() => Deferred.succeed(begun, undefined)),
                Effect.forkScoped
              )
              yield* Deferred.await(begun)
            })
          )
        }
        assert.strictEqual(yield* other.Double({ number: 5 }), 10)
      }).pipe(Effect.scoped, withoutLeaks)
    )
  }
})

describe("a client that says the same twice", () => {
  it.scopedLive(
    "server interrupts the calls of a client that has gone while one of its requests waits for another",
    () =>
      Effect.gen(function* () {
        const carrier: typeof ours = (port) =>
          Layer.merge(
            RpcServer.layerProtocolSocketServer,
            Layer.effect(
              Where,
              Effect.map(SocketServer.SocketServer, ({ address }) => address)
            )
          ).pipe(Layer.provide(NodeSocketServer.layerWebSocket({ port, endTimeout: "10 millis" })))
        const server = yield* serve(carrier, json)
        const peer = yield* rawOpen({ port: server.port, host: "127.0.0.1" })
        // The handler of the second waits until the first is done, which is never.
        const request = JSON.stringify({ _tag: "Request", id: "1", tag: "Forever", payload: { id: 7 }, headers: [] })
        peer.send(masked(0x81, request), masked(0x81, request))
        assert.strictEqual(yield* server.next, "began 7")
        peer.socket.resetAndDestroy()
        assert.strictEqual(yield* server.next, "interrupted 7")
      }).pipe(Effect.scoped, withoutLeaks)
  )
})

describe("calls while the server goes down", () => {
  for (const [name, carrier] of Object.entries(carriers)) {
    it.scopedLive(`client's calls fail, and never die, while its connection ends: ${name}`, () =>
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        const server = yield* Scope.extend(serve(carrier, msgPack), scope)
        const client = yield* connect(ourSocket(server.url), msgPack, { retrySchedule: Schedule.spaced("10 millis") })
        assert.strictEqual(yield* client.Double({ number: 1 }), 2)
        let failures = 0
        // Calls at every moment of the end.
        const calling = Effect.gen(function* () {
          while (failures < 20) {
            const exit = yield* Effect.exit(client.Double({ number: 1 }))
            if (Exit.isSuccess(exit)) continue
            const error = Cause.failureOption(exit.cause)
            assert.strictEqual(Option.isSome(error) && error.value._tag, "RpcClientError", Cause.pretty(exit.cause))
            failures++
            yield* turn
          }
        })
        const fibers = yield* Effect.forEach(Array.from({ length: 10 }), () => Effect.fork(calling))
        yield* Effect.repeatN(turn, 10)
        yield* Scope.close(scope, Exit.void)
        yield* Effect.forEach(fibers, Fiber.join)
      }).pipe(Effect.scoped, withoutLeaks)
    )
  }
})

describe("a client that can't connect", () => {
  it.scopedLive("client fails with the typed reason inside the error of the call", () =>
    Effect.gen(function* () {
      const { url } = yield* Effect.scoped(serve(ours, msgPack))
      const client = yield* connect(NodeSocket.layerWebSocket(url), msgPack)
      const error = yield* Effect.flip(client.Double({ number: 1 }))
      if (error._tag !== "RpcClientError" || !Socket.isSocketError(error.cause)) return assert.fail(String(error))
      assert.strictEqual(error.cause.reason, "Open")
      assert.instanceOf(error.cause.reason === "Open" ? error.cause.cause : undefined, HandshakeError)
    }).pipe(Effect.scoped, withoutLeaks)
  )
})
