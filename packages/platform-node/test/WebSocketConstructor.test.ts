/** The class of ours and that of undici, each with the servers of `ws` and of ours: the same scenarios, equal results. */
import * as WebSocketConstructor from "@effect-ws/api/WebSocketConstructor"
import * as NodeWebSocketClient from "@effect-ws/platform-node/NodeWebSocketClient"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import type * as Scope from "effect/Scope"
import * as Undici from "undici"
import { withoutLeaks } from "./support/leaks.ts"
import { makeTools, type Scenario, scenarios } from "./support/webSocketClass.ts"
import { backends } from "./support/webSocketClassServers.ts"

const classes: Readonly<Record<"ours" | "undici", Effect.Effect<unknown, never, Scope.Scope>>> = {
  ours: Effect.provide(WebSocketConstructor.make(), NodeWebSocketClient.layer),
  undici: Effect.succeed(Undici.WebSocket)
}

const expectedOf = ({ expected, otherwise = {} }: Scenario, name: string): unknown =>
  name in otherwise ? otherwise[name as keyof typeof otherwise] : expected

// undici holds on to some of its sockets for a while.
const leavesNothing = (className: string) => (className === "ours" ? withoutLeaks : identity)

for (const [className, acquire] of Object.entries(classes)) {
  for (const [backendName, backend] of Object.entries(backends)) {
    describe(`the class of ${className}, with ${backendName}`, () => {
      for (const scenario of scenarios.filter(({ notFor }) => notFor !== className)) {
        it.scopedLive(`client ${scenario.title}`, () =>
          Effect.gen(function* () {
            const url = yield* backend
            const WebSocket = yield* acquire
            const result = yield* Effect.promise(() => scenario.run(WebSocket, url, makeTools()))
            assert.deepStrictEqual(result, expectedOf(scenario, className))
          }).pipe(Effect.scoped, leavesNothing(className))
        )
      }
    })
  }
}
