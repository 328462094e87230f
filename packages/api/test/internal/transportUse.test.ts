import type * as MemoryTransport from "@effect-ws/api/testing/MemoryTransport"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as TransportUse from "../../src/internal/opening/transportUse.ts"
import { leavesNothing, makePair } from "../support/leaks.ts"

class Asking implements TransportUse.User {
  isResting = false
}

class Answering implements TransportUse.User {
  isResting = true
}

/** Both ends of a pair, destroyed behind the test. */
const withPair = (use: (pair: MemoryTransport.Pair) => void) =>
  leavesNothing(
    Effect.map(makePair(), (pair) => {
      use(pair)
      pair.client.destroy()
      pair.server.destroy()
    })
  )

const notReusable = Either.left({ _tag: "NotReusable" } as const)

describe("transportUse", () => {
  it.effect("transport that nobody has used is free for everybody, and is still so after a look", () =>
    withPair(({ client }) => {
      for (const kind of [Asking, Answering, Asking]) {
        assert.deepStrictEqual(TransportUse.find<TransportUse.User>(client, kind), Either.right(undefined))
      }
    })
  )

  it.effect("transport in use is for nobody else, and for those of its kind while it rests", () =>
    withPair(({ client }) => {
      const user = new Asking()
      TransportUse.occupy(client, user)
      assert.deepStrictEqual(TransportUse.find(client, Asking), notReusable)
      user.isResting = true
      assert.strictEqual(Either.getOrThrow(TransportUse.find(client, Asking)), user)
      user.isResting = false
      assert.deepStrictEqual(TransportUse.find(client, Asking), notReusable)
    })
  )

  it.effect("transport that rests is for nobody of another kind", () =>
    withPair(({ client }) => {
      TransportUse.occupy(client, new Answering())
      assert.deepStrictEqual(TransportUse.find(client, Asking), notReusable)
    })
  )

  it.effect("transport belongs to who came last", () =>
    withPair(({ client }) => {
      const [first, second] = [new Asking(), new Asking()]
      first.isResting = true
      TransportUse.occupy(client, first)
      TransportUse.occupy(client, second)
      assert.deepStrictEqual(TransportUse.find(client, Asking), notReusable)
      second.isResting = true
      assert.strictEqual(Either.getOrThrow(TransportUse.find(client, Asking)), second)
    })
  )

  it.effect("transport in use says nothing of another one, nor of the other end", () =>
    withPair(({ client, server }) => {
      TransportUse.occupy(client, new Asking())
      assert.deepStrictEqual(TransportUse.find(server, Asking), Either.right(undefined))
    })
  )
})
