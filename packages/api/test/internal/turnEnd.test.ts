import { assert, describe, it } from "@effect/vitest"
import { atTurnEnd } from "../../src/internal/connection/turnEnd.ts"

describe("turnEnd", () => {
  const task = () => new Promise((resolve) => setImmediate(resolve))

  it("all that wait are flushed once when the turn is over, in order", async () => {
    const order: Array<string> = []
    for (const name of ["a", "b", "c"]) atTurnEnd({ flush: () => void order.push(name) })
    assert.deepStrictEqual(order, [])
    await task()
    assert.deepStrictEqual(order, ["a", "b", "c"])
  })

  it("who comes during the flush is flushed too", async () => {
    const order: Array<string> = []
    const later = { flush: () => void order.push("later") }
    atTurnEnd({
      flush: () => {
        order.push("first")
        atTurnEnd(later)
      }
    })
    await task()
    assert.deepStrictEqual(order, ["first", "later"])
  })

  it("one that throws keeps nobody else from being flushed, and is heard of", async () => {
    const thrown: Array<unknown> = []
    const listeners = process.rawListeners("uncaughtException")
    process.removeAllListeners("uncaughtException")
    const listener = (error: unknown) => void thrown.push(error)
    process.on("uncaughtException", listener)
    const order: Array<string> = []
    const faulty = new Error("faulty")
    atTurnEnd({ flush: () => void order.push("a") })
    atTurnEnd({
      flush: () => {
        throw faulty
      }
    })
    for (const name of ["b", "c"]) atTurnEnd({ flush: () => void order.push(name) })
    await task()
    process.off("uncaughtException", listener)
    for (const each of listeners) process.on("uncaughtException", each as NodeJS.UncaughtExceptionListener)
    assert.deepStrictEqual(order, ["a", "b", "c"])
    assert.deepStrictEqual(thrown, [faulty])
  })
})
