/** When what was timed is over, and nothing is counted any longer. */
import * as WebSockets from "@effect-ws/api/WebSocket"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import { type Opened, open, type OpenOptions, roles } from "./support/connections.ts"
import * as Frames from "./support/frames.ts"
import { settled } from "./support/leaks.ts"

const { opcodes } = Frames

const off = { idleTimeout: Infinity, pingInterval: Infinity, messageTimeout: Infinity, writeTimeout: Infinity }

const stateOf = ({ socket }: Opened) => Effect.map(socket.status, ({ state }) => state)

/** The connection stays open for the time. */
const lives = (opened: Opened, millis: number) =>
  Effect.gen(function* () {
    yield* TestClock.adjust(millis)
    assert.strictEqual(yield* stateOf(opened), "open", `open for ${millis} ms`)
  })

/** The peer goes without a word when the scope closes: the end is not what the test is about. */
const openWith = (role: "client" | "server", options: OpenOptions) =>
  Effect.tap(open(role, options), ({ peer, socket }) =>
    Effect.addFinalizer(() =>
      Effect.zipRight(
        socket.destroy,
        Effect.sync(() => peer.destroy())
      )
    )
  )

describe.each(roles)("WebSocket of a %s: times that are over", (role) => {
  it.scoped(`${role} counts anew for a message that begins in the chunk in which another one ends`, () =>
    Effect.gen(function* () {
      const opened = yield* openWith(role, { socket: { ...off, messageTimeout: 1000 } })
      const bytes = opened.peer.text("ab")
      opened.peer.send(bytes.slice(0, -1))
      for (let i = 0; i < 5; i++) {
        yield* lives(opened, 300)
        // Each message takes 300 ms, and no chunk ends between two of them.
        opened.peer.send(bytes.slice(-1), bytes.slice(0, -1))
      }
    })
  )

  it.scoped(`${role} gives a message that had begun, and is then received piece by piece, all the time it takes`, () =>
    Effect.gen(function* () {
      const opened = yield* openWith(role, { socket: { ...off, messageTimeout: 1000 }, peer: { polite: false } })
      const { peer, socket } = opened
      peer.send(peer.frame(opcodes.binary, "a", { fin: false }))
      yield* lives(opened, 900)
      yield* Effect.scoped(Effect.zipRight(socket.receiveStream, lives(opened, 5000)))
    })
  )

  for (const [name, times] of [
    ["idle", { idleTimeout: 500 }],
    ["lifetime", { maxLifetime: 500 }]
  ] as const) {
    it.scoped(`${role} stops to count ${name} when the peer has begun to close`, () =>
      Effect.gen(function* () {
        const { peer, socket } = yield* openWith(role, { socket: { ...off, ...times, pingInterval: Infinity } })
        yield* Effect.fork(WebSockets.run(socket, () => Effect.sleep(800)))
        peer.send(peer.text("a"), peer.close(1000))
        if (role === "client") peer.end()
        yield* TestClock.adjust(1050)
        assert.deepInclude(yield* socket.closed, { _tag: "ConnectionClosed", clean: true, initiator: "peer" })
        assert.deepStrictEqual(peer.said, ["close 1000"])
      })
    )
  }

  it.scoped(`${role} stops to count when the peer has ended its half`, () =>
    Effect.gen(function* () {
      const socket = { ...off, maxLifetime: 500, closeTimeout: 5000 }
      const opened = yield* openWith(role, { socket, peer: { polite: false } })
      opened.peer.transport.pause()
      yield* opened.socket.send(new Uint8Array(20_000))
      opened.peer.end()
      yield* settled
      yield* TestClock.adjust(4999)
      assert.isTrue(opened.transport.ledger.isOpen)
      yield* TestClock.adjust(300)
      assert.isFalse(opened.transport.ledger.isOpen)
    })
  )
})
