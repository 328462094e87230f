import * as MemoryTransport from "@effect-ws/api/testing/MemoryTransport"
import type { Transport, TransportSink } from "@effect-ws/api/Transport"
import type { TransportError } from "@effect-ws/api/TransportError"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Scheduler from "effect/Scheduler"
import * as TestClock from "effect/TestClock"

const bytes = (...values: Array<number>) => Uint8Array.from(values)
const settled = Effect.repeatN(Effect.yieldNow(), 20)

/** A sink that keeps what it is told, in order. */
const record = (): TransportSink & { readonly events: Array<string> } => {
  const events: Array<string> = []
  return {
    events,
    chunk: (chunk) => void events.push(`chunk ${[...chunk].join(" ")}`),
    end: () => void events.push("end"),
    drained: () => void events.push("drained"),
    closed: (error) => void events.push(error === undefined ? "closed" : `closed by ${error.operation}`)
  }
}

const recordOn = (transport: Transport) => {
  const sink = record()
  transport.start(sink)
  return sink.events
}

const codeOf = (error: TransportError | undefined) => (error?.cause as { readonly code?: string } | undefined)?.code

describe("MemoryTransport: delivery", () => {
  it.effect("transport delivers the chunks of a write as one, in a later turn", () =>
    Effect.gen(function* () {
      const { client, server } = yield* MemoryTransport.make()
      const events = recordOn(server)
      assert.isTrue(client.write([bytes(1, 2), bytes(3)]))
      client.write([bytes(4)])
      assert.deepStrictEqual(events, [])
      assert.strictEqual(client.writable, 4)
      yield* settled
      assert.deepStrictEqual(events, ["chunk 1 2 3", "chunk 4"])
      assert.strictEqual(client.writable, 0)
    })
  )

  it.effect("transport splits what it delivers to the read size", () =>
    Effect.gen(function* () {
      const { client, server } = yield* MemoryTransport.make({ readSize: 2 })
      const events = recordOn(server)
      client.write([bytes(1, 2, 3, 4, 5)])
      yield* settled
      assert.deepStrictEqual(events, ["chunk 1 2", "chunk 3 4", "chunk 5"])
      assert.strictEqual(server.ledger.chunksDelivered, 3)
      assert.strictEqual(client.ledger.writes, 1)
    })
  )

  it.effect("transport copies what is written, so a sink may alter its chunk", () =>
    Effect.gen(function* () {
      const { client, server } = yield* MemoryTransport.make()
      server.start({ ...record(), chunk: (chunk) => void chunk.fill(9) })
      const written = bytes(1, 2, 3)
      client.write([written])
      yield* settled
      assert.deepStrictEqual(written, bytes(1, 2, 3))
    })
  )

  it.effect("transport keeps what came before it was started", () =>
    Effect.gen(function* () {
      const { client, server } = yield* MemoryTransport.make()
      client.write([bytes(1)])
      client.end()
      yield* settled
      const events = recordOn(server)
      assert.deepStrictEqual(events, [])
      yield* settled
      assert.deepStrictEqual(events, ["chunk 1", "end"])
    })
  )

  it.effect("transport hands delivery over to the next sink and tells it what happened before", () =>
    Effect.gen(function* () {
      const { client, server } = yield* MemoryTransport.make()
      const second = record()
      const first: Array<string> = []
      server.start({
        ...record(),
        chunk: (chunk) => {
          first.push(`chunk ${[...chunk].join(" ")}`)
          server.start(second)
          assert.deepStrictEqual(second.events, [])
        }
      })
      client.write([bytes(1)])
      client.write([bytes(2)])
      client.end()
      yield* settled
      assert.deepStrictEqual(first, ["chunk 1"])
      assert.deepStrictEqual(second.events, ["chunk 2", "end"])
      const third = recordOn(server)
      yield* settled
      assert.deepStrictEqual(third, ["end"])
      server.end()
      yield* settled
      const fourth = recordOn(server)
      yield* settled
      assert.deepStrictEqual(fourth, ["end", "closed"])
    })
  )

  it.effect("transport delivers in the order of the writes under any scheduler", () =>
    Effect.gen(function* () {
      const { client, server } = yield* MemoryTransport.make()
      const peer = MemoryTransport.wire(server)
      for (let i = 0; i < 100; i++) client.write([bytes(i)])
      const received = yield* peer.awaitBytes(100)
      assert.deepStrictEqual([...received], [...Array(100).keys()])
    }).pipe(Effect.withMaxOpsBeforeYield(16), Effect.withScheduler(new Scheduler.MixedScheduler(1)))
  )
})

describe("MemoryTransport: latency", () => {
  it.effect("transport delivers when the latency has passed, not a millisecond before", () =>
    Effect.gen(function* () {
      const { client, server } = yield* MemoryTransport.make({ latency: "50 millis" })
      const events = recordOn(server)
      client.write([bytes(1)])
      yield* TestClock.adjust("20 millis")
      client.write([bytes(2)])
      client.end()
      yield* TestClock.adjust("29 millis")
      assert.deepStrictEqual(events, [])
      yield* TestClock.adjust("1 millis")
      yield* settled
      assert.deepStrictEqual(events, ["chunk 1"])
      assert.strictEqual(client.writable, 1)
      yield* TestClock.adjust("20 millis")
      yield* settled
      assert.deepStrictEqual(events, ["chunk 1", "chunk 2", "end"])
    })
  )

  it.effect("transport leaves no fiber behind when it is destroyed with bytes under way", () =>
    Effect.gen(function* () {
      const pair = yield* MemoryTransport.make({ latency: 1000 })
      const events = [recordOn(pair.client), recordOn(pair.server)]
      const before = Fiber.unsafeRoots().length
      pair.client.write([bytes(1)])
      pair.server.write([bytes(1)])
      assert.strictEqual(Fiber.unsafeRoots().length, before + 2)
      pair.client.destroy()
      yield* settled
      assert.strictEqual(Fiber.unsafeRoots().length, before + 1)
      yield* TestClock.adjust("1 seconds")
      yield* settled
      assert.deepStrictEqual(events, [["closed"], ["closed by read"]])
      assert.strictEqual(Fiber.unsafeRoots().length, before)
      assert.deepStrictEqual(pair.leftovers(), [])
    })
  )
})

describe("MemoryTransport: backpressure", () => {
  it.effect("transport refuses above its high-water mark and tells when the peer has taken all", () =>
    Effect.gen(function* () {
      const { client, server } = yield* MemoryTransport.make({ highWaterMark: 4, readSize: 2 })
      const events = recordOn(client)
      server.start(record())
      server.pause()
      assert.isTrue(client.write([bytes(1, 2, 3)]))
      assert.isFalse(client.write([bytes(4)]))
      assert.isFalse(client.write([bytes(5)]))
      yield* settled
      assert.strictEqual(client.writable, 5)
      assert.deepStrictEqual(events, [])
      server.resume()
      yield* settled
      assert.strictEqual(client.writable, 0)
      assert.deepStrictEqual(events, ["drained"])
      assert.strictEqual(server.ledger.pauses, 1)
    })
  )

  it.effect("transport stops inside a turn when its sink pauses it", () =>
    Effect.gen(function* () {
      const { client, server } = yield* MemoryTransport.make()
      const sink = record()
      server.start({
        ...sink,
        chunk: (chunk) => {
          sink.chunk(chunk)
          server.pause()
        }
      })
      client.write([bytes(1)])
      client.write([bytes(2)])
      client.end()
      yield* settled
      assert.deepStrictEqual(sink.events, ["chunk 1"])
      server.resume()
      assert.deepStrictEqual(sink.events, ["chunk 1"])
      yield* settled
      assert.deepStrictEqual(sink.events, ["chunk 1", "chunk 2"])
      server.resume()
      yield* settled
      assert.deepStrictEqual(sink.events, ["chunk 1", "chunk 2", "end"])
    })
  )

  it.effect("transport that was paused before the start begins paused", () =>
    Effect.gen(function* () {
      const { client, server } = yield* MemoryTransport.make()
      server.pause()
      const events = recordOn(server)
      client.write([bytes(1)])
      yield* settled
      assert.deepStrictEqual(events, [])
      assert.isTrue(server.ledger.isPaused)
    })
  )
})

describe("MemoryTransport: the end", () => {
  it.effect("transport ends one half and goes on reading", () =>
    Effect.gen(function* () {
      const pair = yield* MemoryTransport.make()
      const { client, server } = pair
      const events = [recordOn(client), recordOn(server)]
      client.write([bytes(1)])
      client.end()
      client.end()
      assert.isTrue(client.write([bytes(9)]))
      yield* settled
      server.write([bytes(2)])
      yield* settled
      assert.deepStrictEqual(events, [["chunk 2"], ["chunk 1", "end"]])
      server.end()
      yield* settled
      assert.deepStrictEqual(events, [
        ["chunk 2", "end", "closed"],
        ["chunk 1", "end", "closed"]
      ])
      assert.deepStrictEqual(pair.leftovers(), [])
    })
  )

  it.effect("transport that is destroyed with nothing under way looks ended to the peer", () =>
    Effect.gen(function* () {
      const pair = yield* MemoryTransport.make()
      const events = [recordOn(pair.client), recordOn(pair.server)]
      pair.client.destroy()
      pair.client.destroy()
      assert.deepStrictEqual(events, [[], []])
      yield* settled
      assert.deepStrictEqual(events, [["closed"], ["end"]])
      pair.server.end()
      yield* settled
      assert.deepStrictEqual(events, [["closed"], ["end", "closed"]])
      assert.deepStrictEqual(pair.leftovers(), [])
    })
  )

  it.effect("transport that is destroyed with bytes under way resets the peer", () =>
    Effect.gen(function* () {
      const pair = yield* MemoryTransport.make()
      const peer = MemoryTransport.wire(pair.server)
      pair.client.write([bytes(1)])
      pair.client.destroy()
      const error = yield* peer.awaitClosed
      assert.strictEqual(codeOf(error), "ECONNRESET")
      assert.strictEqual(error?.address, "127.0.0.1:49152")
      assert.strictEqual(peer.received().length, 0)
      assert.strictEqual(pair.server.ledger.bytesDropped, 1)
    })
  )

  it.effect("transport shows the loss of the peer at the next write, even when it is paused", () =>
    Effect.gen(function* () {
      const pair = yield* MemoryTransport.make()
      const events = recordOn(pair.server)
      pair.server.pause()
      pair.client.destroy()
      yield* settled
      assert.deepStrictEqual(events, [])
      pair.server.write([bytes(1)])
      pair.server.write([bytes(2)])
      yield* settled
      assert.deepStrictEqual(events, ["end", "closed by read"])
    })
  )

  it.effect("transport tells a sink that is started late why it is over", () =>
    Effect.gen(function* () {
      const pair = yield* MemoryTransport.make()
      pair.client.write([bytes(1)])
      pair.client.destroy()
      yield* settled
      const events = recordOn(pair.server)
      yield* settled
      assert.deepStrictEqual(events, ["closed by read"])
    })
  )

  it.effect("transport says nothing more after it was destroyed by its own sink", () =>
    Effect.gen(function* () {
      const pair = yield* MemoryTransport.make({ readSize: 1 })
      const sink = record()
      pair.server.start({
        ...sink,
        chunk: (chunk) => {
          sink.chunk(chunk)
          pair.server.destroy()
        }
      })
      pair.client.write([bytes(1, 2, 3)])
      yield* settled
      assert.deepStrictEqual(sink.events, ["chunk 1", "closed"])
    })
  )
})

describe("MemoryTransport: failures", () => {
  /** Uses every operation once; the order is start, start, write, chunk, end, end. */
  const scenario = (failAt: number | undefined) =>
    Effect.gen(function* () {
      const pair = yield* MemoryTransport.make({ failAt })
      const events = [recordOn(pair.client), recordOn(pair.server)]
      pair.client.write([bytes(1)])
      yield* settled
      pair.client.end()
      pair.server.end()
      yield* settled
      return { pair, events }
    })

  it.effect("transport fails the n-th operation and closes both ends, for every n", () =>
    Effect.gen(function* () {
      const causes: Array<string> = []
      let failAt = 1
      for (; ; failAt++) {
        const { events, pair } = yield* scenario(failAt)
        assert.deepStrictEqual(pair.leftovers(), [])
        if (!pair.hasFailed()) break
        for (const told of events) {
          assert.strictEqual(told.filter((event) => event.startsWith("closed")).length, 1)
          assert.include(told.at(-1), "closed by")
        }
        causes.push(events.map((told) => told.at(-1)).join(", "))
      }
      assert.strictEqual(failAt, 7)
      assert.strictEqual(causes.filter((cause) => cause.includes("closed by write")).length, 3)
    })
  )

  it.effect("transport names the operation that was made to fail", () =>
    Effect.gen(function* () {
      const { client, server } = yield* MemoryTransport.make({ failAt: 2 })
      const peer = MemoryTransport.wire(client)
      client.write([bytes(1)])
      const error = yield* peer.awaitClosed
      assert.strictEqual(
        error?.message,
        "The transport failed to write to 127.0.0.1:80: operation 2, write, was made to fail"
      )
      assert.isFalse(server.ledger.isOpen)
    })
  )

  it.effect("ledger names what is left over", () =>
    Effect.gen(function* () {
      const pair = yield* MemoryTransport.make()
      pair.client.write([bytes(1, 2)])
      assert.deepStrictEqual(pair.leftovers(), [
        "the client is open",
        "the server is open",
        "the server was not given 2 bytes"
      ])
      pair.server.start(record())
      pair.server.destroy()
      assert.include(pair.leftovers(), "the server was not told that it is closed")
    })
  )

  it.effect("ledger counts bytes, chunks and operations", () =>
    Effect.gen(function* () {
      const pair = yield* MemoryTransport.make({ readSize: 2 })
      const peer = MemoryTransport.wire(pair.server)
      pair.client.write([bytes(1, 2, 3)])
      yield* peer.awaitBytes(3)
      pair.client.end()
      pair.client.write([bytes(4)])
      assert.deepInclude(pair.client.ledger, {
        operations: 2,
        writes: 2,
        bytesWritten: 3,
        bytesDropped: 1,
        isOpen: true
      })
      assert.deepInclude(pair.server.ledger, { operations: 3, sinks: 1, chunksDelivered: 2, bytesDelivered: 3 })
      assert.strictEqual(pair.operations(), 5)
    })
  )
})

describe("MemoryTransport: wire", () => {
  it.effect("wire sends hex and collects bytes", () =>
    Effect.gen(function* () {
      const pair = yield* MemoryTransport.make({ readSize: 1 })
      const client = MemoryTransport.wire(pair.client)
      const server = MemoryTransport.wire(pair.server)
      client.send("81 05 48 65 6c 6c 6f")
      client.send(bytes(1))
      assert.deepStrictEqual(yield* server.awaitBytes(8), bytes(0x81, 5, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 1))
      assert.throws(() => client.send("8"), /hex dump/)
      assert.isFalse(server.hasEnded())
      client.end()
      yield* server.awaitEnd
      assert.isFalse(server.isClosed())
      server.destroy()
      assert.isUndefined(yield* client.awaitClosed)
    })
  )

  it.effect("wire dies when the connection is over before what it waits for", () =>
    Effect.gen(function* () {
      const pair = yield* MemoryTransport.make()
      const client = MemoryTransport.wire(pair.client)
      const server = MemoryTransport.wire(pair.server)
      client.send("01 02")
      yield* server.awaitBytes(2)
      const waiting = yield* Effect.fork(Effect.sandbox(server.awaitBytes(3)))
      yield* settled
      client.destroy()
      server.destroy()
      const exit = yield* Fiber.await(waiting)
      assert.include(String(exit), "The wire was closed before 3 bytes came, after 2 bytes")
    })
  )

  it.effect("wire forgets a waiter that was interrupted", () =>
    Effect.gen(function* () {
      const pair = yield* MemoryTransport.make()
      const server = MemoryTransport.wire(pair.server)
      const waiting = yield* Effect.fork(server.awaitBytes(1))
      yield* settled
      yield* Fiber.interrupt(waiting)
      pair.client.write([bytes(1)])
      assert.deepStrictEqual(yield* server.awaitBytes(1), bytes(1))
    })
  )
})
