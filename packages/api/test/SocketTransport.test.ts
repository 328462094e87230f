import * as PlatformSocket from "@effect-ws/api/PlatformSocket"
import * as SocketTransport from "@effect-ws/api/SocketTransport"
import * as WebSocket from "@effect-ws/api/WebSocket"
import * as Socket from "@effect/platform/Socket"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import { joinedWebSockets, record } from "./support/fiberTransports.ts"
import { leavesNothing, makePair, settled } from "./support/leaks.ts"

const scoped = (title: string, scenario: () => Effect.Effect<void, unknown, Scope.Scope>) =>
  it.effect(title, () => leavesNothing(scenario()))

// What it has in common with ChannelTransport is tested there.
describe("SocketTransport", () => {
  scoped("transport is closed by an error when the socket can't be opened", () =>
    Effect.gen(function* () {
      const pair = yield* makePair()
      const handshake = WebSocket.handshake(pair.client, { host: "nowhere" })
      const transport = yield* SocketTransport.make(yield* PlatformSocket.make(handshake))
      const sink = record()
      transport.start(sink)
      transport.write([Uint8Array.of(1)])
      pair.server.destroy()
      yield* settled
      assert.deepStrictEqual(sink.events, ["closed by connect"])
      assert.strictEqual(transport.writable, 0)
    })
  )

  scoped("transport that is destroyed while the socket is being opened is over at once", () =>
    Effect.gen(function* () {
      const pair = yield* makePair()
      const handshake = WebSocket.handshake(pair.client, { host: "nowhere" })
      const transport = yield* SocketTransport.make(yield* PlatformSocket.make(handshake))
      const sink = record()
      transport.start(sink)
      transport.write([Uint8Array.of(1)])
      yield* settled
      transport.destroy()
      yield* settled
      assert.deepStrictEqual(sink.events, ["closed"])
      assert.isFalse(pair.client.ledger.isOpen)
      pair.server.destroy()
    })
  )

  scoped("transport ends when the socket does with 1000, and is closed by an error otherwise", () =>
    Effect.gen(function* () {
      for (const code of [1000, 4000]) {
        const { far, near } = yield* joinedWebSockets
        const transport = yield* SocketTransport.make(PlatformSocket.fromWebSocket(near))
        const sink = record()
        transport.start(sink)
        yield* far.close({ code })
        yield* settled
        assert.deepStrictEqual(sink.events, code === 1000 ? ["end", "closed"] : ["closed by read"])
      }
    })
  )

  scoped("transport tells what came before the end, though nothing can be written any more", () =>
    Effect.gen(function* () {
      const { far, near } = yield* joinedWebSockets
      const transport = yield* SocketTransport.make(PlatformSocket.fromWebSocket(near))
      const sink = record()
      transport.start(sink)
      transport.pause()
      for (const text of ["1", "22", "333"]) yield* far.send(text)
      const closing = yield* Effect.fork(far.close())
      yield* settled
      transport.write([Uint8Array.of(1)])
      yield* settled
      assert.deepStrictEqual(sink.events, [])
      transport.resume()
      yield* Fiber.join(closing)
      yield* settled
      assert.deepStrictEqual(sink.events, ["chunk 49", "chunk 50,50", "chunk 51,51,51", "end", "closed"])
    })
  )

  /** Of a socket that has ended, and doesn't wait for its handlers. */
  const holdTwo = Effect.gen(function* () {
    const { far, near } = yield* joinedWebSockets
    const transport = yield* SocketTransport.make(PlatformSocket.fromWebSocket(near, { concurrency: "unbounded" }))
    const sink = record()
    transport.pause()
    transport.start({ ...sink, chunk: (bytes) => (sink.chunk(bytes), transport.start(second)) })
    const second = record()
    for (const text of ["1", "22"]) yield* far.send(text)
    yield* settled
    yield* far.destroy
    yield* settled
    assert.deepStrictEqual(sink.events, [])
    return { transport, first: sink.events, second: second.events }
  })

  scoped(
    "transport holds what came before the end, and tells the rest of it, and the end, to who was handed over to",
    () =>
      Effect.gen(function* () {
        const { first, second, transport } = yield* holdTwo
        transport.resume()
        yield* settled
        assert.deepStrictEqual(first, ["chunk 49"])
        assert.deepStrictEqual(second, ["chunk 50,50", "closed by read"])
      })
  )

  scoped("transport drops what it holds when it is destroyed", () =>
    Effect.gen(function* () {
      const { first, second, transport } = yield* holdTwo
      transport.destroy()
      assert.deepStrictEqual(first, [])
      yield* settled
      assert.deepStrictEqual([first, second], [["closed by read"], []])
    })
  )

  scoped("transport isn't made with a limit that is none", () =>
    Effect.gen(function* () {
      const { near } = yield* joinedWebSockets
      const make = SocketTransport.make(PlatformSocket.fromWebSocket(near), { maxHeldSize: 0.5 })
      const cause = yield* Effect.flip(Effect.sandbox(make))
      assert.include(String(Cause.squash(cause)), "maxHeldSize must be a positive integer, and is 0.5")
    })
  )

  scoped("transport fails when a write does, whatever may still come", () =>
    Effect.gen(function* () {
      const { near } = yield* joinedWebSockets
      const socket = PlatformSocket.fromWebSocket(near)
      const failing = Effect.fail(new Socket.SocketGenericError({ reason: "Write", cause: new Error("broken") }))
      const transport = yield* SocketTransport.make({ ...socket, writer: Effect.succeed(() => failing) })
      const sink = record()
      transport.start(sink)
      transport.write([Uint8Array.of(1)])
      yield* settled
      assert.deepStrictEqual(sink.events, ["closed by write"])
    })
  )

  scoped("transport takes text as the bytes it is, and an empty message as nothing", () =>
    Effect.gen(function* () {
      const { far, near } = yield* joinedWebSockets
      const transport = yield* SocketTransport.make(PlatformSocket.fromWebSocket(near))
      const sink = record()
      transport.start(sink)
      for (const data of ["é", "", new Uint8Array(0), Uint8Array.of(7)]) yield* far.send(data)
      yield* settled
      assert.deepStrictEqual(sink.events, ["chunk 195,169", "chunk 7"])
      transport.destroy()
    })
  )
})
