import * as Protocol from "@effect-ws/core/Protocol"
import { SendRejected } from "@effect-ws/api/SendRejected"
import { emptyInfo, type Transport } from "@effect-ws/api/Transport"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import { Outbox } from "../../src/internal/connection/Outbox.ts"
import { type Fragment, OutgoingStream } from "../../src/internal/connection/OutgoingStream.ts"

/** A transport that takes what it is told to take. */
const makeTransport = (highWaterMark: number) => {
  const transport = {
    info: emptyInfo,
    writable: 0,
    writes: 0,
    start: () => {},
    write: (chunks: ReadonlyArray<Uint8Array>) => {
      transport.writes++
      for (const chunk of chunks) transport.writable += chunk.length
      return transport.writable < highWaterMark
    },
    pause: () => {},
    resume: () => {},
    end: () => {},
    destroy: () => {}
  }
  return transport satisfies Transport
}

/** Messages of 100 bytes take 102 on the wire. */
const message = new Uint8Array(100)

const make = (highWaterMark: number, transportMark = 1) => {
  const transport = makeTransport(transportMark)
  const log: Array<string> = []
  const told: Array<string> = []
  const events = { onFull: () => void told.push("full"), onRoom: () => void told.push("room"), onWritten: () => {} }
  const outbox = new Outbox(Protocol.make({ role: "server" }), transport, highWaterMark, events)
  const resume = (name: string) => (exit: Exit.Exit<void, unknown>) => void log.push(`${name} ${exit._tag}`)
  return { log, outbox, resume, told, transport }
}

const closing = new SendRejected({ reason: { _tag: "Closing" } })

describe("Outbox", () => {
  it("outbox admits what fits under the mark, and one message when it is empty", () => {
    const { outbox } = make(204)
    assert.isTrue(outbox.offer(new Uint8Array(1000)))
    assert.isFalse(outbox.offer("a"))
    const other = make(210)
    assert.isTrue(other.outbox.offer(message))
    assert.isTrue(other.outbox.offer(message))
    assert.strictEqual(other.outbox.held, 204)
    assert.isFalse(other.outbox.offer(message))
    assert.isTrue(other.outbox.offer("a"))
  })

  it("outbox writes what waits for the end of the turn when there is no room, and asks again", () => {
    const { outbox, transport } = make(150, 1000)
    for (let i = 0; i < 9; i++) assert.isTrue(outbox.offer(message))
    assert.strictEqual(transport.writes, 8)
    assert.isTrue(outbox.offer(message))
    assert.isFalse(outbox.offer(message))
  })

  it("outbox resumes those who wait in order as far as there is room, when the transport has drained", () => {
    const { log, outbox, resume, transport } = make(210)
    outbox.offer(new Uint8Array(500))
    for (const name of ["a", "b", "c"]) {
      assert.isFalse(outbox.offer(message))
      outbox.park(message, resume(name))
    }
    assert.deepStrictEqual(log, [])
    transport.writable = 0
    outbox.drained()
    assert.deepStrictEqual(log, ["a Success", "b Success"])
    assert.isFalse(outbox.offer(""))
    transport.writable = 0
    outbox.drained()
    assert.deepStrictEqual(log, ["a Success", "b Success", "c Success"])
    assert.strictEqual(outbox.held, 102)
  })

  it.effect("outbox forgets who gave up, and goes on with the next", () =>
    Effect.gen(function* () {
      const { log, outbox, resume, transport } = make(210)
      outbox.offer(new Uint8Array(500))
      assert.isFalse(outbox.offer(message))
      const giveUp = outbox.park(new Uint8Array(1000), resume("a"))
      outbox.park(message, resume("b"))
      yield* giveUp
      transport.writable = 0
      outbox.drained()
      assert.deepStrictEqual(log, ["b Success"])
    })
  )

  it("outbox fails all who wait, once", () => {
    const { log, outbox, resume } = make(210)
    outbox.offer(new Uint8Array(500))
    outbox.park(message, resume("a"))
    outbox.park(message, resume("b"))
    outbox.fail(closing)
    outbox.fail(closing)
    outbox.drained()
    assert.deepStrictEqual(log, ["a Failure", "b Failure"])
  })

  it.effect("outbox writes once for all of a turn", () =>
    Effect.gen(function* () {
      const { outbox, transport } = make(10_000, 10_000)
      for (let i = 0; i < 20; i++) outbox.offer(message)
      assert.strictEqual(transport.writes, 0)
      yield* Effect.promise(() => Promise.resolve())
      assert.strictEqual(transport.writes, 1)
      outbox.flush()
      assert.strictEqual(transport.writes, 1)
    })
  )

  it("outbox lets only the fragments of a message pass until the last one, and then who waits in order", async () => {
    const { log, outbox, resume, transport } = make(400)
    const of = new OutgoingStream("Binary")
    const fragment = (isFinal: boolean): Fragment => {
      return { _tag: "Fragment", of, bytes: message, byteLength: message.length, isFinal }
    }
    assert.isTrue(outbox.offer(fragment(false)))
    assert.deepStrictEqual([of.hasBegun, of.hasEnded], [true, false])
    assert.isFalse(outbox.offer("a"))
    assert.isTrue(outbox.awaitsTurn("a"))
    outbox.park("a", resume("a"))
    assert.isTrue(outbox.offer(fragment(false)))
    outbox.flush()
    assert.isTrue(outbox.offer(fragment(false)))
    assert.isFalse(outbox.offer(fragment(true)))
    assert.isFalse(outbox.awaitsTurn(message))
    outbox.park(fragment(true), resume("last"))
    outbox.park("b", resume("b"))
    transport.writable = 0
    outbox.drained()
    assert.deepStrictEqual(log, ["last Success"])
    assert.isTrue(of.hasEnded)
    assert.isFalse(outbox.offer("c"))
    outbox.park("c", resume("c"))
    await Promise.resolve()
    assert.deepStrictEqual(log, ["last Success", "a Success", "b Success", "c Success"])
    assert.isTrue(outbox.offer("d"))
    assert.isFalse(outbox.awaitsTurn("e"))
  })

  it("outbox lets the next message in pieces begin only when its turn has come", async () => {
    const { log, outbox, resume } = make(1000)
    const of = [new OutgoingStream("Text"), new OutgoingStream("Text")] as const
    const fragment = (of: OutgoingStream, isFinal: boolean): Fragment => {
      return { _tag: "Fragment", of, bytes: message, byteLength: message.length, isFinal }
    }
    assert.isTrue(outbox.offer(fragment(of[0], false)))
    assert.isFalse(outbox.offer(fragment(of[1], false)))
    outbox.park(fragment(of[1], false), resume("second"))
    outbox.park("a", resume("a"))
    assert.isTrue(outbox.offer(fragment(of[0], true)))
    await Promise.resolve()
    assert.deepStrictEqual(log, ["second Success"])
    assert.deepStrictEqual([of[1].hasBegun, of[1].hasEnded], [true, false])
    assert.isTrue(outbox.offer(fragment(of[1], true)))
    await Promise.resolve()
    assert.deepStrictEqual(log, ["second Success", "a Success"])
  })
})
