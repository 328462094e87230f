import type { Incoming } from "@effect-ws/api/Listener"
import * as MemoryTransport from "@effect-ws/api/testing/MemoryTransport"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { IncomingQueue } from "../../src/internal/incomingQueue.ts"
import { turn } from "../support/sockets.ts"

const makeIncoming = Effect.map(
  MemoryTransport.make(),
  ({ server }): Incoming & { readonly transport: MemoryTransport.MemoryTransport } => ({
    transport: server,
    request: undefined,
    leftover: undefined
  })
)

describe("incomingQueue", () => {
  it.effect("listener holds connections until it is started, in order, and destroys those beyond the bound", () =>
    Effect.gen(function* () {
      const queue = new IncomingQueue(2)
      const incoming = yield* Effect.all(Array.from({ length: 5 }, () => makeIncoming))
      const handed: Array<Incoming> = []
      for (const one of incoming.slice(0, 3)) queue.offer(one)
      assert.isFalse(incoming[2]!.transport.ledger.isOpen)
      queue.start((one) => handed.push(one))
      assert.deepStrictEqual(handed, [])
      yield* turn
      queue.offer(incoming[3]!)
      assert.deepStrictEqual(handed, [incoming[0]!, incoming[1]!, incoming[3]!])
      queue.stop()
      queue.offer(incoming[4]!)
      assert.isFalse(incoming[4]!.transport.ledger.isOpen)
      assert.isTrue(incoming[3]!.transport.ledger.isOpen)
    })
  )

  it.effect("listener hands out nothing after a stop that comes right behind the start", () =>
    Effect.gen(function* () {
      const queue = new IncomingQueue(2)
      const incoming = yield* makeIncoming
      queue.offer(incoming)
      queue.start(() => assert.fail("handed out"))
      queue.stop()
      yield* turn
      assert.isFalse(incoming.transport.ledger.isOpen)
    })
  )
})
