/** The port is a type: what is asked of a listener shows in how a server uses it. */
import type { Incoming, Listener } from "@effect-ws/api/Listener"
import * as WebSocketServer from "@effect-ws/api/WebSocketServer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { leavesNothing, makePair, settled } from "./support/leaks.ts"
import { Peer } from "./support/Peer.ts"

describe("Listener", () => {
  it.effect("listener is started when run is, and stopped once before what is open is closed", () =>
    leavesNothing(
      Effect.gen(function* () {
        const log: Array<string> = []
        let admit: (incoming: Incoming) => void = () => {}
        const listener: Listener = {
          address: { _tag: "UnixAddress", path: "/run/a" },
          start: (onIncoming) => {
            log.push("start")
            admit = onIncoming
          },
          stop: Effect.sync(() => void log.push("stop"))
        }
        const server = yield* WebSocketServer.make(listener)
        assert.strictEqual(server.address, listener.address)
        const running = yield* Effect.fork(
          server.run(() => Effect.onInterrupt(Effect.never, () => Effect.sync(() => void log.push("interrupted"))))
        )
        assert.deepStrictEqual(log, [])
        yield* settled
        const pair = yield* makePair()
        const peer = new Peer(pair.client, "client")
        admit({ transport: pair.server, request: undefined, leftover: undefined })
        peer.sendRequest()
        yield* settled
        yield* Fiber.interrupt(running)
        assert.deepStrictEqual(log, ["start", "stop", "interrupted"])

        const late = yield* makePair()
        admit({ transport: late.server, request: undefined, leftover: undefined })
        assert.isFalse(late.server.ledger.isOpen)
        late.client.destroy()
      })
    )
  )
})
