/** What `serve` accepts without a fiber, and what it makes of the same mistakes. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Supervisor from "effect/Supervisor"
import * as TestClock from "effect/TestClock"
import { failures, nobody, places, serve, textOf } from "./support/callbacks.ts"
import { leavesNothing, settled } from "./support/leaks.ts"

/** Counts the fibers that are made below it. */
class Counting extends Supervisor.AbstractSupervisor<number> {
  count = 0
  get value() {
    return Effect.succeed(this.count)
  }
  override onStart(): void {
    this.count++
  }
}

describe("WebSocketServer.serve: at once", () => {
  it.effect("server takes no fiber for a connection whose messages are answered on the spot", () =>
    leavesNothing(
      Effect.gen(function* () {
        const fibers = new Counting()
        const serving = serve({ onMessage: (message, socket) => socket.send(message) })
        const server = yield* Effect.supervised(serving, fibers)
        const before = fibers.count
        const { peer } = yield* server.listener.connect()
        peer.sendRequest()
        peer.sendText("a")
        peer.sendClose(1000)
        yield* peer.awaitClosed
        yield* settled
        assert.deepStrictEqual(peer.said, ["text a", "close 1000"])
        assert.deepStrictEqual([before > 0, fibers.count - before], [true, 0])
        assert.deepStrictEqual(yield* places(server), nobody)
        yield* server.stop
      })
    )
  )

  it.effect("server answers what came right behind the request", () =>
    leavesNothing(
      Effect.gen(function* () {
        const server = yield* serve({ onMessage: (message, socket) => socket.send(`${textOf(message)}!`) })
        const { peer } = yield* server.listener.connect()
        peer.sendRequest()
        peer.sendText("a", "b")
        yield* peer.awaitHead
        assert.deepStrictEqual(yield* peer.awaitFrames(2), ["text a!", "text b!"])
        yield* server.stop
      })
    )
  )

  it.effect("server answers with a 500 and reports when its policy for origins throws", () =>
    leavesNothing(
      Effect.gen(function* () {
        const origin = () => {
          throw new Error("thrown")
        }
        const server = yield* serve({ accept: { origin }, onMessage: () => {} })
        const { peer } = yield* server.listener.connect()
        peer.sendRequest("Origin: http://a", "Connection: close")
        yield* peer.awaitClosed
        assert.strictEqual(peer.statusLine, "HTTP/1.1 500 Internal Server Error")
        yield* settled
        assert.deepStrictEqual(
          failures(server.causes).map((error) => (error as Error).message),
          ["thrown"]
        )
        assert.deepStrictEqual(yield* places(server), nobody)
        yield* server.stop
      })
    )
  )

  it.effect("server refuses a foreign origin, and takes the next request on the same connection", () =>
    leavesNothing(
      Effect.gen(function* () {
        const opened: Array<number> = []
        const server = yield* serve({ onOpen: (socket) => void opened.push(socket.id), onMessage: () => {} })
        const { peer } = yield* server.listener.connect()
        peer.sendRequest("Origin: http://elsewhere")
        yield* peer.awaitHead
        assert.strictEqual(peer.statusLine, "HTTP/1.1 403 Forbidden")
        assert.deepStrictEqual(yield* places(server), { connections: 1, handshakes: 1 })
        peer.sendRequest()
        yield* settled
        assert.deepStrictEqual([opened.length, server.causes], [1, []])
        assert.deepInclude(yield* server.counts, { accepted: 1, refused: { ForbiddenOrigin: 1 } })
        peer.destroy()
        yield* server.stop
      })
    )
  )

  it.effect("server interrupts what onClose waits for, where only the deadline of the shutdown begins it", () =>
    leavesNothing(
      Effect.gen(function* () {
        const seen: Array<string> = []
        const onClose = () => Effect.onInterrupt(Effect.never, () => Effect.sync(() => seen.push("interrupted")))
        const server = yield* serve(
          { accept: { closeTimeout: "5 seconds" }, onMessage: () => {}, onClose },
          { closeTimeout: "500 millis" }
        )
        const { peer } = yield* server.open({ polite: false })
        const stopping = yield* Effect.fork(server.stop)
        yield* settled
        assert.deepStrictEqual([peer.said, seen], [["close 1001"], []])
        yield* TestClock.adjust("500 millis")
        yield* Fiber.join(stopping)
        assert.deepStrictEqual([seen, yield* places(server)], [["interrupted"], nobody])
        peer.destroy()
      })
    )
  )

  it.effect("server loses no place when what is told of failures throws", () =>
    leavesNothing(
      Effect.gen(function* () {
        const handlers = { onMessage: () => Effect.fail("failed"), onClose: () => Effect.fail("failed again") }
        const server = yield* serve(handlers, {}, (causes) => (cause) => {
          causes.push(cause)
          throw new Error("thrown")
        })
        const { peer } = yield* server.open()
        peer.sendText("a")
        yield* peer.awaitClosed
        yield* settled
        assert.deepStrictEqual(failures(server.causes), ["failed", "failed again"])
        assert.deepStrictEqual([peer.said, yield* places(server)], [["close 1011"], nobody])
        yield* server.stop
      })
    )
  )
})
