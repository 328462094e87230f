import type { Message, TextMessage } from "@effect-ws/core/Message"
import type { Handlers } from "@effect-ws/api/WebSocketServer"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import { Attendant } from "../../src/internal/serving/Attendant.ts"
import * as Handle from "../../src/internal/connection/handle.ts"
import { open } from "../support/connections.ts"
import { leavesNothing, settled } from "../support/leaks.ts"

const textOf = (message: Message): string => (message as TextMessage).text

/** An attendant that has begun on an open connection, and what it did, in order. */
const attend = (handlers: (seen: Array<string>) => Partial<Handlers> = () => ({})) =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const { peer, socket } = yield* Scope.extend(open("server"), scope)
    const connection = Handle.connectionOf(socket)
    const seen: Array<string> = []
    const fibers: Array<Fiber.RuntimeFiber<unknown, unknown>> = []
    const onMessage = (message: Message): void => void seen.push(textOf(message))
    const onClose = (): void => void seen.push("close")
    const attendant = new Attendant<void, never>(connection, socket, undefined, {
      onMessage,
      onClose,
      ...handlers(seen)
    })
    const fork = <A, E>(effect: Effect.Effect<A, E>): Fiber.RuntimeFiber<A, E> => {
      const fiber = Effect.runFork(effect)
      fibers.push(fiber)
      return fiber
    }
    const house = {
      fork,
      forkOpening: fork,
      reportFailure: () => Effect.sync(() => void seen.push("report")),
      leave: () => void seen.push("leave")
    }
    const begin = Effect.sync(() => attendant.begin(house))
    return { attendant, begin, connection, fibers, peer, seen, socket, end: Scope.close(scope, Exit.void) }
  })

describe("Attendant", () => {
  it.effect("attendant takes no fiber for what is handled on the spot, and none while there is nothing", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { attendant, begin, end, fibers, peer, seen } = yield* attend()
        assert.isFalse(attendant.isWaiting)
        yield* begin
        assert.deepStrictEqual([attendant.isWaiting, fibers.length], [true, 0])
        attendant.wake()
        assert.strictEqual(fibers.length, 0)
        peer.sendText("a", "b", "c")
        yield* settled
        assert.deepStrictEqual([seen, fibers.length, attendant.isWaiting], [["a", "b", "c"], 0, true])
        yield* end
        yield* settled
        assert.deepStrictEqual(seen.slice(3), ["close", "leave"])
      })
    )
  )

  it.effect("attendant takes one fiber for a chunk, from the first message on that needs one", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { begin, end, fibers, peer, seen } = yield* attend((seen) => ({
          onMessage: (message) => {
            seen.push(textOf(message))
            return textOf(message) === "a" ? undefined : Effect.yieldNow()
          }
        }))
        yield* begin
        peer.sendText("a", "b", "c")
        yield* settled
        assert.deepStrictEqual([seen, fibers.length], [["a", "b", "c"], 1])
        peer.sendText("d")
        yield* settled
        assert.deepStrictEqual([seen.length, fibers.length], [4, 2])
        yield* end
      })
    )
  )

  it.effect("attendant takes no fiber for the end when nobody wants to know of it", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { begin, end, fibers, seen } = yield* attend(() => ({ onClose: undefined }))
        yield* begin
        yield* end
        yield* settled
        assert.deepStrictEqual([seen, fibers.length], [["leave"], 0])
      })
    )
  )

  it.effect("attendant of a connection that has ended hands out what came before, and then the end", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { begin, end, peer, seen } = yield* attend()
        peer.sendText("a", "b")
        yield* settled
        peer.destroy()
        yield* settled
        yield* end
        yield* begin
        yield* settled
        assert.deepStrictEqual(seen, ["a", "b", "close", "leave"])
      })
    )
  )

  it.effect("attendant leaves to others what they hold, and comes back for the rest before the end", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { begin, connection, end, peer, seen } = yield* attend()
        yield* begin
        const reader = connection.holdReading()
        peer.sendText("a", "b")
        yield* settled
        assert.deepStrictEqual(seen, [])
        peer.destroy()
        yield* settled
        assert.deepStrictEqual(seen, [])
        connection.releaseReading(reader)
        yield* settled
        assert.deepStrictEqual(seen, ["a", "b", "close", "leave"])
        yield* end
      })
    )
  )

  it.effect(
    "attendant that gives up waits for no messages that somebody holds, and interrupts what goes on at the end",
    () =>
      leavesNothing(
        Effect.gen(function* () {
          const { attendant, begin, connection, end, fibers, peer, seen } = yield* attend((seen) => ({
            onClose: () => Effect.onExit(Effect.never, (exit) => Effect.sync(() => seen.push(exit._tag)))
          }))
          yield* begin
          connection.holdReading()
          peer.sendText("a")
          yield* settled
          connection.destroy()
          attendant.giveUp()
          assert.deepStrictEqual([seen, fibers.length], [[], 1])
          // As the server does with all fibers that are left.
          yield* Fiber.interruptAll(fibers)
          assert.deepStrictEqual(seen, ["Failure", "report", "leave"])
          yield* end
          yield* settled
          assert.deepStrictEqual(seen, ["Failure", "report", "leave"])
        })
      )
  )

  it.effect(
    "attendant that gives up while it is busy ends with the handler, and what it does then is interrupted",
    () =>
      leavesNothing(
        Effect.gen(function* () {
          const { attendant, begin, connection, end, fibers, peer, seen } = yield* attend((seen) => ({
            onMessage: () => Effect.never,
            onClose: () => Effect.onExit(Effect.never, (exit) => Effect.sync(() => seen.push(exit._tag)))
          }))
          yield* begin
          peer.sendText("a", "b")
          yield* settled
          connection.destroy()
          attendant.giveUp()
          yield* settled
          assert.deepStrictEqual([seen, fibers.length], [[], 1])
          yield* Fiber.interruptAll(fibers.slice())
          yield* settled
          // For the message, for the end, and for telling what each has failed with.
          assert.deepStrictEqual([seen, fibers.length], [["report", "Failure", "report", "leave"], 4])
          yield* end
        })
      )
  )

  it.effect("attendant tells the connection that it is idle again, so that a Close frame is answered", () =>
    leavesNothing(
      Effect.gen(function* () {
        const latch = yield* Deferred.make<void>()
        const { begin, end, peer } = yield* attend(() => ({ onMessage: () => Deferred.await(latch) }))
        yield* begin
        peer.send(peer.text("a"), peer.close(1000))
        yield* settled
        assert.deepStrictEqual(peer.said, [])
        yield* Deferred.succeed(latch, undefined)
        yield* settled
        assert.deepStrictEqual(peer.said, ["close 1000"])
        yield* end
      })
    )
  )
})
