/** Many times a chunk may come out of it: what is held of that is bounded all the same, and nothing of it is lost. */
import * as WebSocket from "@effect-ws/api/WebSocket"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import { agreements, compressed, openCompressing } from "./support/compressing.ts"
import { roles } from "./support/connections.ts"
import { settled } from "./support/leaks.ts"

const size = 64 * 1024
const count = 160
const mark = 100_000
// In bytes: what comes out of a slice at most, where each message takes some 80.
const mostAtOnce = (4096 / 80 + 2) * (size + 128)

const messages = Array.from({ length: count }, (_, i) => new Uint8Array(size).fill(i))

describe.each(roles)("permessage-deflate of a %s: backpressure", (role) => {
  for (const [agreement, setting] of agreements) {
    const opened = openCompressing(role, {
      setting,
      socket: { inboxHighWaterMark: mark },
      // All of it in one chunk.
      pair: { readSize: 1024 * 1024, highWaterMark: 1024 * 1024 }
    })

    it.scoped(`${role} ${agreement} stops within a chunk of which too much comes out, and loses nothing`, () =>
      Effect.gen(function* () {
        const { peer, socket, transport } = yield* opened
        peer.send(...messages.map((message) => compressed(peer, message)), peer.close(1000))
        if (role === "client") peer.end()
        yield* settled
        const first = (yield* socket.status).incoming
        assert.isAbove(first, mark)
        assert.isBelow(first, mark + mostAtOnce)
        assert.isTrue(transport.ledger.isPaused)
        const numbers: Array<number> = []
        let most = 0
        const running = yield* Effect.fork(
          WebSocket.run(socket, (message) =>
            Effect.gen(function* () {
              if (message._tag === "Binary" && message.byteLength === size) numbers.push(message.bytes[0]!)
              yield* Effect.yieldNow()
              most = Math.max(most, (yield* socket.status).incoming)
            })
          )
        )
        yield* TestClock.adjust("1 second")
        yield* Fiber.join(running)
        assert.deepStrictEqual(
          numbers,
          messages.map(([number]) => number)
        )
        assert.isBelow(most, mark + mostAtOnce)
        assert.deepStrictEqual(peer.said, ["close 1000"])
      })
    )

    it.scoped(`${role} ${agreement} takes what comes behind a chunk of which something is left, in its order`, () =>
      Effect.gen(function* () {
        const { peer, socket } = yield* opened
        const half = count / 2
        peer.send(...messages.slice(0, half).map((message) => compressed(peer, message)))
        peer.send(...messages.slice(half).map((message) => compressed(peer, message)))
        yield* settled
        assert.isBelow((yield* socket.status).incoming, mark + mostAtOnce)
        for (const [number] of messages) {
          const message = yield* socket.receive
          assert.strictEqual(message._tag === "Binary" && message.bytes[0], number)
        }
        yield* socket.destroy
      })
    )

    it.scoped(`${role} ${agreement} drops what is left of a chunk when it closes, or is destroyed`, () =>
      Effect.gen(function* () {
        for (const end of [
          (socket: WebSocket.WebSocket) => Effect.exit(socket.close()),
          (socket: WebSocket.WebSocket) => socket.destroy
        ]) {
          const { peer, socket, transport } = yield* opened
          peer.send(...messages.map((message) => compressed(peer, message)))
          yield* settled
          yield* Effect.fork(end(socket))
          yield* settled
          assert.isFalse(transport.ledger.isOpen)
          assert.isBelow((yield* socket.status).incoming, mark + mostAtOnce)
          const exit = yield* Effect.exit(WebSocket.run(socket, () => {}))
          assert.isTrue(Exit.isFailure(exit))
        }
      })
    )
  }
})
