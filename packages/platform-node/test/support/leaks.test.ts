import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { EventEmitter } from "node:events"
import * as Net from "node:net"
import { withoutLeaks } from "./leaks.ts"
import { event } from "./sockets.ts"

const complaint = (leak: Effect.Effect<unknown>, emitters?: Readonly<Record<string, EventEmitter>>) =>
  Effect.map(Effect.exit(withoutLeaks(leak, emitters, 50)), (exit) =>
    Exit.isFailure(exit) ? Cause.pretty(exit.cause).split("\n")[0] : "none"
  )

describe("withoutLeaks", () => {
  it.live("helper passes on the result of an effect that leaves nothing", () =>
    Effect.gen(function* () {
      const server = Net.createServer()
      const tidy = Effect.gen(function* () {
        server.listen(0, "127.0.0.1")
        yield* event(server, "listening")
        yield* Effect.sync(() => server.close())
        return "done"
      })
      assert.strictEqual(yield* withoutLeaks(tidy, { server }), "done")
    })
  )

  it.live("helper names a server that still listens", () =>
    Effect.gen(function* () {
      const server = Net.createServer()
      const leak = Effect.suspend(() => event(server.listen(0, "127.0.0.1"), "listening"))
      assert.strictEqual(yield* complaint(leak), "Error: Left behind: 1 TCPServerWrap")
      server.close()
    })
  )

  it.live("helper names a timer that still runs", () =>
    Effect.gen(function* () {
      let timer: NodeJS.Timeout | undefined
      const leak = Effect.sync(() => (timer = setTimeout(() => {}, 60_000)))
      assert.strictEqual(yield* complaint(leak), "Error: Left behind: 1 timer")
      clearTimeout(timer)
    })
  )

  it.live("helper names a fiber that still runs", () =>
    Effect.gen(function* () {
      const leaked = yield* Effect.sync(() => [] as Array<Fiber.RuntimeFiber<never>>)
      const leak = Effect.map(Effect.forkDaemon(Effect.async<never>(() => {})), (fiber) => leaked.push(fiber))
      assert.strictEqual(yield* complaint(leak), "Error: Left behind: 1 fiber")
      yield* Fiber.interruptAll(leaked)
    })
  )

  it.live("helper names a listener that was not removed", () =>
    Effect.gen(function* () {
      const emitter = new EventEmitter()
      const leak = Effect.sync(() => emitter.on("upgrade", () => {}))
      assert.strictEqual(
        yield* complaint(leak, { server: emitter }),
        "Error: Left behind: 1 listener of server for upgrade"
      )
    })
  )
})
