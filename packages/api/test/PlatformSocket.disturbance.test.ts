/** A connection as the `Socket` of @effect/platform, whose run is interrupted or held up at every point. */
import * as PlatformSocket from "@effect-ws/api/PlatformSocket"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { open, roles } from "./support/connections.ts"
import { settled } from "./support/leaks.ts"
import { receive } from "./support/receiving.ts"
import { atEveryPoint, describePoints, interruptions, pauses } from "./support/schedulers.ts"

describe.each(roles)("PlatformSocket of a %s: disturbances", (role) => {
  for (const points of [...interruptions, ...pauses]) {
    for (const concurrency of [1, 2] as const) {
      it.effect(`${role} loses no message when a run of concurrency ${concurrency} is ${describePoints(points)}`, () =>
        atEveryPoint(points, (disturbed) =>
          Effect.gen(function* () {
            const { peer, socket } = yield* open(role)
            const adapted = PlatformSocket.fromWebSocket(socket, { concurrency })
            const got: Array<string> = []
            const handler = (data: string | Uint8Array) => {
              got.push(String(data))
              return Effect.yieldNow()
            }
            const feed = Effect.gen(function* () {
              yield* Effect.repeatN(Effect.yieldNow(), 3)
              peer.sendText("a", "b", "c")
              yield* settled
              peer.sendText("d")
              peer.sendClose(1000)
            })
            const exit = yield* disturbed(adapted.runRaw(handler, { onOpen: Effect.yieldNow() }), feed)
            assert.isTrue(Exit.isSuccess(exit) || Exit.isInterrupted(exit), String(exit))
            yield* Effect.ignore(Effect.forever(Effect.map(receive(socket), (text) => got.push(text))))
            assert.deepStrictEqual(got, ["a", "b", "c", "d"])
          })
        )
      )
    }
  }
})
