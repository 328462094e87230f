import * as WebSocket from "@effect-ws/api/WebSocket"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { withoutLeaks } from "./support/leaks.ts"
import { openWs, serveWs } from "./support/peers.ts"
import { connect, listeners, serveEcho, serveSockets } from "./support/serving.ts"
import { turn, until } from "./support/sockets.ts"

/** Goes round the event loop until a number has not changed for many turns, as when nothing moves any more. */
const settled = (measure: () => number): Effect.Effect<number> =>
  Effect.gen(function* () {
    let last = measure()
    for (let unchanged = 0; unchanged < 300; unchanged++) {
      yield* turn
      if (measure() === last) continue
      last = measure()
      unchanged = 0
    }
    return last
  })

interface Counters {
  readonly connection: { readonly inbox: { readonly held: number }; readonly outbox: { readonly held: number } }
}

/** What a connection holds that nobody has taken, in bytes. */
const heldBy = (socket: WebSocket.WebSocket): number => (socket as unknown as Counters).connection.inbox.held

/** What a connection holds that the system has not taken, in bytes. */
const unsentBy = (socket: WebSocket.WebSocket): number => (socket as unknown as Counters).connection.outbox.held

const piece = Buffer.alloc(64 * 1024, "0123456789")

// 64 MiB, far more than the buffers of a system hold between two sockets.
const pieces = 1024

// The longest header of a frame: a message is counted without it when it is let in.
const headerSize = 14

// Buffers of the system for both directions of a loopback connection, as large as they come.
const systemBuffers = 32 * 1024 * 1024

for (const [listener, layer] of Object.entries(listeners)) {
  describe(`server ${listener} under load`, () => {
    it.scopedLive("server echoes for another connection before the last message of a flood", () =>
      Effect.gen(function* () {
        const server = yield* serveEcho(layer())
        const flood = yield* openWs(server.url)
        const other = yield* openWs(server.url)
        const order: Array<string> = []
        const count = 20_000
        let echoes = 0
        flood.socket.on("message", () => {
          echoes++
          if (echoes === 1) other.send("and me?")
          if (echoes === count) order.push("flood")
        })
        other.socket.on("message", () => order.push("other"))
        const message = Buffer.alloc(512, "x")
        for (let i = 0; i < count; i++) flood.send(message)
        yield* until(() => order.length === 2)
        assert.deepStrictEqual(order, ["other", "flood"])
      }).pipe(Effect.scoped, withoutLeaks)
    )

    it.scopedLive("server suspends a sender when the client doesn't read, and goes on when it does", () =>
      Effect.gen(function* () {
        const server = yield* serveSockets(layer())
        const peer = yield* openWs(server.url)
        const socket = yield* server.nextSocket
        let received = 0
        peer.socket.on("message", (data: Buffer) => (received += data.length))
        peer.socket.pause()
        let sent = 0
        const sending = yield* Effect.fork(
          Effect.repeatN(
            Effect.tap(socket.send(piece), () => (sent += piece.length)),
            pieces - 1
          )
        )
        yield* until(() => sent > 0)
        const stuckAt = yield* settled(() => sent)
        assert.isBelow(stuckAt, systemBuffers)
        assert.isAtMost(unsentBy(socket), 256 * 1024 + headerSize)
        assert.isNull(sending.unsafePoll())
        assert.strictEqual((yield* Fiber.status(sending))._tag, "Suspended")
        peer.socket.resume()
        yield* Fiber.join(sending)
        yield* until(() => received === pieces * piece.length)
      }).pipe(Effect.scoped, withoutLeaks)
    )

    it.scopedLive("server that is slow to take pauses the client, and holds little of what it sends", () =>
      Effect.gen(function* () {
        const server = yield* serveSockets(layer({ inboxHighWaterMark: 100_000 }))
        const peer = yield* openWs(server.url)
        const socket = yield* server.nextSocket
        for (let i = 0; i < pieces; i++) peer.send(piece)
        const waiting = yield* settled(() => peer.socket.bufferedAmount)
        assert.isAbove(waiting, pieces * piece.length - systemBuffers)
        // One message is admitted above the mark, and one chunk may hold the rest of it and the next.
        assert.isBelow(heldBy(socket), 100_000 + 2 * (piece.length + 128))
        let taken = 0
        while (taken < pieces * piece.length) {
          const { bytes } = yield* socket.receive
          taken += bytes.length
        }
        assert.strictEqual(taken, pieces * piece.length)
        assert.strictEqual(peer.socket.bufferedAmount, 0)
      }).pipe(Effect.scoped, withoutLeaks)
    )

    it.scopedLive("server holds little of a flood of empty messages", () =>
      Effect.gen(function* () {
        const server = yield* serveSockets(layer({ inboxHighWaterMark: 10_000 }))
        const peer = yield* openWs(server.url)
        const socket = yield* server.nextSocket
        const count = 200_000
        for (let i = 0; i < count; i++) peer.send("")
        const held = yield* settled(() => heldBy(socket))
        // A message costs 128 bytes and is 6 bytes on the wire, of which one chunk of 64 KiB may come on top.
        assert.isBelow(held, 10_000 + (64 * 1024 * 128) / 6 + 128)
        assert.isAbove(held, 10_000)
        for (let i = 0; i < count; i++) yield* socket.receive
        assert.strictEqual(heldBy(socket), 0)
      }).pipe(Effect.scoped, withoutLeaks)
    )
  })
}

describe("client under load", () => {
  it.scopedLive("client suspends a sender when the server doesn't read, and goes on when it does", () =>
    Effect.gen(function* () {
      const server = yield* serveWs()
      const socket = yield* connect(server.url)
      const [peer] = yield* server.next
      let received = 0
      peer.socket.on("message", (data: Buffer) => (received += data.length))
      peer.socket.pause()
      let sent = 0
      const sending = yield* Effect.fork(
        Effect.repeatN(
          Effect.tap(socket.send(piece), () => (sent += piece.length)),
          pieces - 1
        )
      )
      yield* until(() => sent > 0)
      assert.isBelow(yield* settled(() => sent), systemBuffers)
      assert.isAtMost(unsentBy(socket), 256 * 1024 + headerSize)
      assert.isNull(sending.unsafePoll())
      peer.socket.resume()
      yield* Fiber.join(sending)
      yield* until(() => received === pieces * piece.length)
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("client that is slow to take pauses the server, and holds little of what it sends", () =>
    Effect.gen(function* () {
      const server = yield* serveWs()
      const socket = yield* connect(server.url, { inboxHighWaterMark: 100_000 })
      const [peer] = yield* server.next
      for (let i = 0; i < pieces; i++) peer.send(piece)
      const waiting = yield* settled(() => peer.socket.bufferedAmount)
      assert.isAbove(waiting, pieces * piece.length - systemBuffers)
      assert.isBelow(heldBy(socket), 100_000 + 2 * (piece.length + 128))
      let taken = 0
      while (taken < pieces * piece.length) taken += (yield* socket.receive).byteLength
      assert.strictEqual(peer.socket.bufferedAmount, 0)
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("client that is slow to take still closes: what it can't hold is counted as discarded", () =>
    Effect.gen(function* () {
      const server = yield* serveWs()
      const socket = yield* connect(server.url, { inboxHighWaterMark: 1000 })
      const [peer] = yield* server.next
      for (let i = 0; i < 100; i++) peer.send(piece.subarray(0, 1024))
      yield* until(() => heldBy(socket) > 1000)
      const end = yield* socket.close()
      assert.deepInclude(end, { clean: true, initiator: "local", code: 1000 })
      let received = 0
      while ((yield* Effect.either(socket.receive))._tag === "Right") received++
      assert.strictEqual(received + end.discarded, 100)
    }).pipe(Effect.scoped, withoutLeaks)
  )
})
