import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { leavesNothing, makePair } from "./leaks.ts"
import { Peer } from "./Peer.ts"

const failureOf = (exit: Exit.Exit<unknown>): string =>
  Exit.match(exit, { onSuccess: () => "none", onFailure: (cause) => Cause.pretty(cause) })

describe("leavesNothing", () => {
  it.effect("helper lets a scenario pass that cleans up", () =>
    leavesNothing(
      Effect.gen(function* () {
        const pair = yield* makePair()
        const [client] = [new Peer(pair.client, "client"), new Peer(pair.server, "server")]
        client.end()
        yield* Effect.forkDaemon(Effect.yieldNow())
      })
    )
  )

  it.effect("helper finds a fiber that runs on", () =>
    Effect.gen(function* () {
      const fiber = yield* Effect.forkDaemon(Effect.never)
      assert.strictEqual(failureOf(yield* Effect.exit(leavesNothing(Effect.void))), "none")
      let leaked = fiber
      const leak = Effect.map(Effect.forkDaemon(Effect.never), (next) => (leaked = next))
      const exit = yield* Effect.exit(leavesNothing(leak))
      assert.include(failureOf(exit), `fiber ${leaked.id().id} runs`)
      leaked.unsafeInterruptAsFork(leaked.id())
      fiber.unsafeInterruptAsFork(fiber.id())
    })
  )

  it.effect("helper finds a transport that is open", () =>
    Effect.gen(function* () {
      const exit = yield* Effect.exit(leavesNothing(makePair()))
      assert.include(failureOf(exit), "is open")
    })
  )
})
