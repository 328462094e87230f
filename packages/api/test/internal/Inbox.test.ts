import * as Message from "@effect-ws/core/Message"
import { ConnectionClosed } from "@effect-ws/api/ConnectionClosed"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import { Inbox, type InboxEvents, messageCost } from "../../src/internal/connection/Inbox.ts"
import { settled } from "../support/leaks.ts"
import { atEveryPoint, CountingScheduler, describePoints, interruptions, pauses } from "../support/schedulers.ts"

const make = (events: Partial<InboxEvents> = {}, maxMessageSize = 1024) =>
  new Inbox(maxMessageSize, { onTaken: () => {}, onIdle: () => {}, onOversized: () => {}, ...events })

const push = (inbox: Inbox, ...texts: ReadonlyArray<string>): void => {
  for (const text of texts) inbox.push(Message.text(text))
  inbox.wake()
}

const textOf = (message: Message.Message): string => (message._tag === "Text" ? message.text : message._tag)

/** Notes the message in the step in which it is received: what comes after may be interrupted. */
const receiveInto = (inbox: Inbox, got: Array<string>) =>
  Effect.flatMap(inbox.receive, (message) => {
    got.push(textOf(message))
    return Effect.void
  })

const receive = (inbox: Inbox) => Effect.map(inbox.receive, textOf)

const ended = new ConnectionClosed({ received: undefined, sent: undefined, initiator: "peer", discarded: 0 })

const drain = (inbox: Inbox): Array<string> => inbox.pollAll().map(textOf)

describe("Inbox", () => {
  it.effect("inbox hands out messages in order, to who comes before and after them", () =>
    Effect.gen(function* () {
      const inbox = make()
      const early = yield* Effect.fork(receive(inbox))
      yield* settled
      push(inbox, "a", "b", "c")
      assert.strictEqual(yield* Fiber.join(early), "a")
      assert.strictEqual(yield* receive(inbox), "b")
      assert.strictEqual(yield* receive(inbox), "c")
      assert.isTrue(inbox.isEmpty)
    })
  )

  it.effect("inbox counts payloads and a cost for each message, and tells of each take", () =>
    Effect.gen(function* () {
      let takes = 0
      const inbox = make({ onTaken: () => takes++ })
      push(inbox, "", "abc")
      assert.strictEqual(inbox.held, 2 * messageCost + 3)
      yield* inbox.receive
      assert.strictEqual(inbox.held, messageCost + 3)
      assert.strictEqual(takes, 1)
      push(inbox, "d")
      assert.strictEqual(inbox.pollAll().length, 2)
      assert.strictEqual(inbox.held, 0)
      assert.strictEqual(takes, 2)
    })
  )

  it.effect("inbox serves waiters in the order of their arrival", () =>
    Effect.gen(function* () {
      const inbox = make()
      const got: Array<string> = []
      for (const name of ["1", "2", "3", "4"]) {
        yield* Effect.fork(Effect.map(receive(inbox), (text) => got.push(name + text)))
        yield* settled
      }
      for (const text of ["a", "b", "c", "d"]) {
        push(inbox, text)
        yield* settled
      }
      assert.deepStrictEqual(got, ["1a", "2b", "3c", "4d"])
    })
  )

  it.effect("inbox serves waiters in the order of their arrival when they come at the same time", () =>
    Effect.gen(function* () {
      const inbox = make()
      const got: Array<string> = []
      for (const name of ["1", "2", "3", "4"]) {
        yield* Effect.fork(Effect.map(receive(inbox), (text) => got.push(name + text)))
      }
      yield* settled
      push(inbox, "a")
      push(inbox, "b")
      yield* settled
      push(inbox, "c", "d")
      yield* settled
      assert.deepStrictEqual(got, ["1a", "2b", "3c", "4d"])
    })
  )

  it.effect("inbox keeps the place of a waiter whose message was taken by somebody who came later", () =>
    Effect.gen(function* () {
      const inbox = make()
      const got: Array<string> = []
      for (const name of ["1", "2", "3"]) {
        yield* Effect.fork(Effect.map(receive(inbox), (text) => got.push(name + text)))
        yield* settled
      }
      push(inbox, "a", "b")
      // Takes what the first two were woken for before they have run.
      assert.deepStrictEqual(drain(inbox), ["a", "b"])
      yield* settled
      for (const text of ["c", "d", "e"]) {
        push(inbox, text)
        yield* settled
      }
      assert.deepStrictEqual(got, ["1c", "2d", "3e"])
    })
  )

  it.effect("inbox passes the turn of an interrupted waiter on to the next", () =>
    Effect.gen(function* () {
      const inbox = make()
      const fibers = yield* Effect.forEach([1, 2, 3], () => Effect.zipLeft(Effect.fork(receive(inbox)), settled))
      push(inbox, "a")
      yield* Fiber.interrupt(fibers[0]!)
      assert.strictEqual(yield* Fiber.join(fibers[1]!), "a")
      yield* Fiber.interrupt(fibers[2]!)
      push(inbox, "b")
      assert.deepStrictEqual(drain(inbox), ["b"])
    })
  )

  it.effect("inbox is not misled by a waiter that was alone and was interrupted", () =>
    Effect.gen(function* () {
      const inbox = make()
      yield* Effect.flatMap(Effect.zipLeft(Effect.fork(receive(inbox)), settled), Fiber.interrupt)
      const next = yield* Effect.fork(receive(inbox))
      yield* settled
      push(inbox, "a")
      assert.strictEqual(yield* Fiber.join(next), "a")
    })
  )

  it.effect("inbox forgets waiters that time out, however many", () =>
    Effect.gen(function* () {
      const inbox = make()
      for (let i = 0; i < 100; i++) {
        const fibers = yield* Effect.forEach([1, 2, 3], () => Effect.fork(receive(inbox)))
        yield* settled
        yield* Fiber.interruptAll(fibers)
      }
      for (const value of Object.values(inbox)) if (Array.isArray(value)) assert.deepStrictEqual(value, [])
      push(inbox, "a")
      assert.strictEqual(yield* receive(inbox), "a")
    })
  )

  it.effect("inbox fails all who wait and all who come when it is finished, after the messages", () =>
    Effect.gen(function* () {
      const inbox = make()
      const fibers = yield* Effect.forEach([1, 2, 3], () =>
        Effect.zipLeft(Effect.fork(Effect.flip(inbox.receive)), settled)
      )
      inbox.finish(ended)
      for (const fiber of fibers) assert.strictEqual(yield* Fiber.join(fiber), ended)
      inbox.push(Message.text("a"))
      assert.strictEqual(yield* receive(inbox), "a")
      assert.strictEqual(yield* Effect.flip(inbox.receive), ended)
      assert.strictEqual(yield* Effect.flip(inbox.ready), ended)
    })
  )

  it.effect("inbox wakes a waiter once for all messages of a chunk", () =>
    Effect.gen(function* () {
      const inbox = make()
      const scheduler = new CountingScheduler()
      const all = Effect.forEach([1, 2, 3, 4, 5], () => receive(inbox))
      const fiber = yield* Effect.fork(Effect.withScheduler(all, scheduler))
      yield* settled
      const before = scheduler.tasks
      push(inbox, "a", "b", "c", "d", "e")
      assert.deepStrictEqual(yield* Fiber.join(fiber), ["a", "b", "c", "d", "e"])
      assert.strictEqual(scheduler.tasks - before, 1)
    })
  )

  it.effect("inbox is idle until somebody reads, and when everything is taken and somebody waits for more", () =>
    Effect.gen(function* () {
      let idle = 0
      const inbox = make({ onIdle: () => idle++ })
      assert.isTrue(inbox.isIdle)
      push(inbox, "a")
      assert.isFalse(inbox.isIdle)
      assert.strictEqual(yield* receive(inbox), "a")
      assert.isFalse(inbox.isIdle)
      assert.strictEqual(idle, 0)
      const waiting = yield* Effect.fork(receive(inbox))
      yield* settled
      assert.isTrue(inbox.isIdle)
      assert.strictEqual(idle, 1)
      push(inbox, "b")
      assert.isFalse(inbox.isIdle)
      yield* Fiber.join(waiting)
      assert.isFalse(inbox.isIdle)
    })
  )

  it("inbox lets go of a message as soon as it is taken", () => {
    const inbox = make()
    const first = Message.text("a")
    inbox.push(first)
    inbox.push(Message.text("b"))
    assert.strictEqual(inbox.poll(), first)
    const arrays = Object.values(inbox).filter((value) => Array.isArray(value))
    assert.isFalse(arrays.some((array) => array.includes(first)))
  })

  it("inbox keeps order across thousands of messages that are never all taken", () => {
    const inbox = make()
    const got: Array<string> = []
    inbox.push(Message.text("0"))
    for (let i = 1; i < 5000; i++) {
      inbox.push(Message.text(`${i}`))
      got.push(textOf(inbox.poll()!))
    }
    got.push(...drain(inbox))
    assert.deepStrictEqual(
      got,
      Array.from({ length: 5000 }, (_, i) => `${i}`)
    )
  })
})

describe("Inbox: disturbance", () => {
  for (const points of [...interruptions, ...pauses]) {
    it.effect(`inbox loses nothing when a waiter is ${describePoints(points)}`, () =>
      Effect.gen(function* () {
        const count = yield* atEveryPoint(points, (disturbed) =>
          Effect.gen(function* () {
            const inbox = make()
            const got: Array<string> = []
            const feed = Effect.zipRight(
              settled,
              Effect.sync(() => push(inbox, "a", "b"))
            )
            yield* disturbed(receiveInto(inbox, got), feed)
            assert.deepStrictEqual([...got, ...drain(inbox)], ["a", "b"])
          })
        )
        assert.isAbove(count, 3)
      })
    )

    it.effect(`inbox leaves nobody asleep when one of three is ${describePoints(points)}`, () =>
      Effect.gen(function* () {
        const count = yield* atEveryPoint(points, (disturbed) =>
          Effect.gen(function* () {
            const inbox = make()
            const got: Array<string> = []
            const others: Array<Fiber.RuntimeFiber<unknown, unknown>> = []
            const feed = Effect.gen(function* () {
              yield* settled
              for (let i = 0; i < 2; i++) others.push(yield* Effect.fork(receiveInto(inbox, got)))
              for (const text of ["a", "b", "c"]) {
                yield* settled
                push(inbox, text)
                yield* settled
                // Somebody is left who waits: nothing may lie about.
                assert.isTrue(inbox.isEmpty || text === "c")
              }
            })
            yield* disturbed(receiveInto(inbox, got), feed)
            yield* settled
            for (const fiber of others) assert.isTrue(Option.isSome(yield* fiber.poll))
            assert.isAtLeast(got.length, 2)
            assert.deepStrictEqual([...got, ...drain(inbox)].sort(), ["a", "b", "c"])
          })
        )
        assert.isAbove(count, 3)
      })
    )

    it.effect(`inbox fails every waiter when one is ${describePoints(points)}`, () =>
      Effect.gen(function* () {
        yield* atEveryPoint(points, (disturbed) =>
          Effect.gen(function* () {
            const inbox = make()
            const feed = Effect.gen(function* () {
              const other = yield* Effect.fork(Effect.flip(inbox.receive))
              yield* Effect.repeatN(Effect.yieldNow(), 5)
              inbox.finish(ended)
              assert.deepStrictEqual(yield* Fiber.await(other), Exit.succeed(ended))
            })
            const exit = yield* disturbed(Effect.flip(inbox.receive), feed)
            assert.isTrue(Exit.isInterrupted(exit) || (Exit.isSuccess(exit) && exit.value === ended))
          })
        )
      })
    )
  }

  it.effect("inbox gives each message to exactly one of many who are interrupted and come again", () =>
    Effect.gen(function* () {
      const inbox = make()
      const got: Array<string> = []
      const worker = Effect.forever(receiveInto(inbox, got))
      const sent = Array.from({ length: 300 }, (_, i) => `${i}`)
      const program = Effect.gen(function* () {
        let workers = yield* Effect.forEach([1, 2, 3, 4], () => Effect.fork(worker))
        for (const [i, text] of sent.entries()) {
          push(inbox, text)
          if (i % 3 !== 0) continue
          yield* Effect.repeatN(Effect.yieldNow(), i % 7)
          const [first, ...rest] = workers
          yield* Fiber.interrupt(first!)
          workers = [...rest, yield* Effect.fork(worker)]
        }
        yield* Effect.repeatN(settled, 20)
        yield* Fiber.interruptAll(workers)
      })
      yield* Effect.withScheduler(program, new CountingScheduler(11))
      assert.deepStrictEqual(got, sent)
    })
  )
})
