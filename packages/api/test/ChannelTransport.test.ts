/** Transports over what somebody else carries bytes with: a channel, and a socket of @effect/platform. */
import * as ChannelTransport from "@effect-ws/api/ChannelTransport"
import * as PlatformSocket from "@effect-ws/api/PlatformSocket"
import * as SocketTransport from "@effect-ws/api/SocketTransport"
import type { Transport, TransportSink } from "@effect-ws/api/Transport"
import * as WebSocket from "@effect-ws/api/WebSocket"
import * as Socket from "@effect/platform/Socket"
import { assert, describe, it } from "@effect/vitest"
import * as Channel from "effect/Channel"
import type * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Mailbox from "effect/Mailbox"
import * as Scope from "effect/Scope"
import { leavesNothing, makePair, settled } from "./support/leaks.ts"
import { isDone, receive } from "./support/receiving.ts"

interface Pair {
  readonly client: Transport
  readonly server: Transport
}

type Bytes = Chunk.Chunk<Uint8Array>

/** What goes in comes out of the other one: one chunk at a time. */
const joined = Effect.gen(function* () {
  const there = yield* Mailbox.make<Uint8Array, "lost">(1)
  const back = yield* Mailbox.make<Uint8Array, "lost">(1)
  const channel = (from: typeof there, to: typeof there) =>
    Channel.embedInput(Channel.ensuring(Mailbox.toChannel(from), to.end), {
      awaitRead: () => Effect.void,
      emit: (chunk: Bytes) => to.offerAll(chunk),
      error: () => Effect.void,
      done: () => to.end
    })
  return { there, back, near: channel(back, there), far: channel(there, back) }
})

const channels: Effect.Effect<Pair, never, Scope.Scope> = Effect.gen(function* () {
  const { far, near } = yield* joined
  return { client: yield* ChannelTransport.make(near), server: yield* ChannelTransport.make(far) }
})

/** Over the messages of a connection, which has a transport of its own. */
const sockets: Effect.Effect<Pair, never, Scope.Scope> = Effect.gen(function* () {
  const pair = yield* makePair()
  const accepting = yield* Effect.fork(Effect.orDie(WebSocket.acceptTransport(pair.server)))
  const near = yield* Effect.orDie(WebSocket.handshake(pair.client, { host: "below" }))
  const far = yield* Fiber.join(accepting)
  return {
    client: yield* SocketTransport.make(PlatformSocket.fromWebSocket(near), { endWith: new Socket.CloseEvent() }),
    server: yield* SocketTransport.make(PlatformSocket.fromWebSocket(far), { endWith: new Socket.CloseEvent() })
  }
})

const pairs = { ChannelTransport: channels, SocketTransport: sockets }

const open = ({ client, server }: Pair, options: { readonly inboxHighWaterMark?: number } = {}) =>
  Effect.gen(function* () {
    const accepting = yield* Effect.fork(WebSocket.acceptTransport(server, options))
    const near = yield* WebSocket.handshake(client, { host: "above", sendHighWaterMark: 1000 })
    return { near, far: yield* Fiber.join(accepting) }
  })

/** A sink that keeps what it is told, in order. */
const record = (): TransportSink & { readonly events: Array<string> } => {
  const events: Array<string> = []
  return {
    events,
    chunk: (bytes) => void events.push(`chunk ${bytes.join()}`),
    end: () => void events.push("end"),
    drained: () => void events.push("drained"),
    closed: (error) => void events.push(error === undefined ? "closed" : `closed by ${error.operation}`)
  }
}

const scoped = (title: string, scenario: () => Effect.Effect<void, unknown, Scope.Scope>) =>
  it.effect(title, () => leavesNothing(scenario()))

for (const [kind, make] of Object.entries(pairs)) {
  describe(`a connection over a ${kind}`, () => {
    scoped("both sides lose and reorder nothing of 10000 messages, and close cleanly", () =>
      Effect.gen(function* () {
        const { far, near } = yield* open(yield* make)
        const count = 10_000
        const echoing = yield* Effect.fork(WebSocket.run(far, (message) => far.send(message)))
        const sending = yield* Effect.fork(
          Effect.forEach(
            Array.from({ length: count }, (_, i) => `${i}`),
            (text) => near.send(text),
            { discard: true }
          )
        )
        for (let i = 0; i < count; i++) assert.strictEqual(yield* receive(near), `${i}`)
        yield* Fiber.join(sending)
        // The end of either transport is the end of both; which side is told first is open.
        const closing = yield* Effect.fork(near.close())
        yield* Fiber.join(echoing)
        assert.deepInclude(yield* far.closed, { _tag: "ConnectionClosed", clean: true })
        assert.deepInclude(yield* Fiber.join(closing), { _tag: "ConnectionClosed", clean: true })
      })
    )

    scoped("sender waits while the receiver takes nothing", () =>
      Effect.gen(function* () {
        const { far, near } = yield* open(yield* make, { inboxHighWaterMark: 1000 })
        const texts = Array.from({ length: 3000 }, (_, i) => `${i}`.padStart(500, "."))
        let sent = 0
        const sending = yield* Effect.fork(
          Effect.forEach(texts, (text) => Effect.map(near.send(text), () => sent++), { discard: true })
        )
        yield* Effect.repeatN(settled, 20)
        console.log("A", sent, yield* far.status, yield* near.status)
        assert.isFalse(yield* isDone(sending))
        assert.isTrue((yield* far.status).isPaused)
        const before = sent
        yield* Effect.repeatN(settled, 20)
        assert.strictEqual(sent, before)
        console.log("B", sent)
        for (const text of texts) assert.strictEqual(yield* receive(far), text)
        console.log("C", sent)
        yield* Fiber.join(sending)
      })
    )

    scoped("destroying one end is an end without a Close frame for the other", () =>
      Effect.gen(function* () {
        const { far, near } = yield* open(yield* make)
        const waiting = yield* Effect.fork(Effect.flip(near.receive))
        yield* settled
        yield* near.destroy
        assert.deepInclude(yield* Fiber.join(waiting), { _tag: "ConnectionClosed", code: 1006 })
        // Nobody below tells the other side of an interruption: the scopes do.
        yield* far.destroy
        yield* far.closed
      })
    )
  })

  describe(`${kind}`, () => {
    scoped("transport tells nothing inside the call that causes it, and closed once and last", () =>
      Effect.gen(function* () {
        const { client, server } = yield* make
        const near = record()
        const far = record()
        server.start(far)
        client.start(near)
        assert.isTrue(client.write([Uint8Array.of(1), Uint8Array.of(2)]))
        assert.strictEqual(client.writable, 2)
        assert.deepStrictEqual(far.events, [])
        yield* settled
        assert.strictEqual(client.writable, 0)
        assert.deepStrictEqual(far.events, ["chunk 1,2"])
        client.destroy()
        client.destroy()
        assert.deepStrictEqual(near.events, [])
        yield* settled
        assert.deepStrictEqual(near.events, ["closed"])
        assert.isTrue(client.write([Uint8Array.of(3)]))
        yield* settled
        assert.deepStrictEqual(near.events, ["closed"])
      })
    )

    scoped("transport holds what comes while it is paused, and hands it to the sink that is there then", () =>
      Effect.gen(function* () {
        const { client, server } = yield* make
        const [near, first, second] = [record(), record(), record()]
        client.start(near)
        server.start(first)
        server.pause()
        client.write([Uint8Array.of(1)])
        yield* settled
        client.write([Uint8Array.of(2)])
        yield* settled
        assert.deepStrictEqual(first.events, [])
        server.start(second)
        server.resume()
        assert.deepStrictEqual(second.events, [])
        yield* settled
        assert.deepStrictEqual(first.events, [])
        assert.deepStrictEqual(second.events, ["chunk 1", "chunk 2"])
      })
    )

    scoped("transport says when there is room again", () =>
      Effect.gen(function* () {
        const { client, server } = yield* make
        const near = record()
        client.start(near)
        server.start(record())
        assert.isTrue(client.write([new Uint8Array(16 * 1024 - 1)]))
        assert.isFalse(client.write([new Uint8Array(1)]))
        assert.deepStrictEqual(near.events, [])
        yield* settled
        assert.deepStrictEqual(near.events, ["drained"])
      })
    )

    scoped("transport tells a sink that comes late of the end, and is over with its scope though never started", () =>
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        const { client } = yield* Scope.extend(make, scope)
        yield* Scope.close(scope, Exit.void)
        const late = record()
        client.start(late)
        assert.deepStrictEqual(late.events, [])
        yield* settled
        assert.deepStrictEqual(late.events, ["closed"])
      })
    )
  })
}

describe("ChannelTransport: the end", () => {
  scoped("transport ends the input, and is over when the output ends", () =>
    Effect.gen(function* () {
      const { back, near, there } = yield* joined
      const transport = yield* ChannelTransport.make(near)
      const sink = record()
      transport.start(sink)
      transport.write([Uint8Array.of(1)])
      transport.end()
      assert.deepStrictEqual([...(yield* there.takeAll)[0]].map(String), ["1"])
      yield* there.await
      yield* back.offer(Uint8Array.of(2))
      yield* back.end
      yield* settled
      assert.deepStrictEqual(sink.events, ["chunk 2", "end", "closed"])
    })
  )

  scoped("transport is closed by an error when the channel fails, behind what came before", () =>
    Effect.gen(function* () {
      const { back, near } = yield* joined
      const transport = yield* ChannelTransport.make(near)
      const sink = record()
      transport.start(sink)
      transport.pause()
      yield* back.offer(Uint8Array.of(2))
      yield* settled
      yield* back.fail("lost")
      yield* settled
      assert.deepStrictEqual(sink.events, [])
      transport.resume()
      yield* settled
      assert.deepStrictEqual(sink.events, ["chunk 2", "closed by read"])
    })
  )
})

describe("SocketTransport: the end", () => {
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
    })
  )

  scoped("transport ends when the socket does with 1000, and is closed by an error otherwise", () =>
    Effect.gen(function* () {
      for (const code of [1000, 4000]) {
        const pair = yield* makePair()
        const accepting = yield* Effect.fork(WebSocket.acceptTransport(pair.server))
        const near = yield* WebSocket.handshake(pair.client, { host: "below" })
        const far = yield* Fiber.join(accepting)
        const transport = yield* SocketTransport.make(PlatformSocket.fromWebSocket(near))
        const sink = record()
        transport.start(sink)
        yield* far.close({ code })
        yield* settled
        assert.deepStrictEqual(sink.events, code === 1000 ? ["end", "closed"] : ["closed by read"])
      }
    })
  )
})
