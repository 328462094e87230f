import * as Core from "@effect-ws/core/ByteOps"
import * as ByteOps from "@effect-ws/api/ByteOps"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { open, roles } from "./support/connections.ts"

// So long that no step is done without them.
const long = "é".repeat(1000)

describe("ByteOps", () => {
  it.effect("reference is the portable functions by default", () =>
    Effect.map(ByteOps.ByteOps, (byteOps) => assert.strictEqual(byteOps, Core.portable))
  )

  for (const role of roles) {
    it.scoped(`${role} works with the functions that are in force when the connection is opened`, () =>
      Effect.gen(function* () {
        const calls = new Set<string>()
        const noting = Object.fromEntries(
          Object.entries(Core.portable).map(([name, method]) => [
            name,
            (...args: Array<never>) => {
              calls.add(name)
              return (method as (...args: Array<never>) => unknown).apply(Core.portable, args)
            }
          ])
        ) as unknown as Core.ByteOps
        const { peer, socket } = yield* Effect.provideService(open(role), ByteOps.ByteOps, noting)
        yield* socket.send(long)
        peer.sendText(long)
        const message = yield* socket.receive
        assert.strictEqual(message._tag === "Text" && message.text, long)
        assert.includeMembers([...calls], ["mask", "isUtf8", "decodeText", "writeText"])
      })
    )
  }
})
