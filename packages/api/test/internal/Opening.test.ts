import * as HttpHead from "@effect-ws/core/HttpHead"
import * as ConnectionOptions from "@effect-ws/api/ConnectionOptions"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as TestClock from "effect/TestClock"
import * as Deadlines from "../../src/internal/Deadlines.ts"
import { type Loss, Opening } from "../../src/internal/opening/Opening.ts"
import { leavesNothing, makePair, settled } from "../support/leaks.ts"
import { Peer, requestBytes } from "../support/Peer.ts"

const make = Effect.gen(function* () {
  const pair = yield* makePair()
  const peer = new Peer(pair.client, "client")
  const deadlines = yield* Deadlines.current
  const opening = new Opening(pair.server, HttpHead.requestDecoder(), deadlines, ConnectionOptions.make("server"))
  opening.start()
  return { opening, pair, peer }
})

const lossOf = (opening: Opening<HttpHead.RequestHead>): Array<Loss["_tag"]> => {
  const losses: Array<Loss["_tag"]> = []
  opening.whenLost((loss) => void losses.push(loss._tag))
  return losses
}

describe("Opening", () => {
  it.effect("opening tells who asks late that the peer was lost, as it tells who waits", () =>
    leavesNothing(
      Effect.gen(function* () {
        for (const asksEarly of [true, false]) {
          const { opening, peer } = yield* make
          peer.sendRequest()
          yield* opening.awaitRead
          const early = asksEarly ? lossOf(opening) : []
          peer.end()
          yield* settled
          const losses = asksEarly ? early : lossOf(opening)
          assert.deepStrictEqual(losses, ["PeerGone"])
          opening.destroy()
        }
      })
    )
  )

  it.effect("opening tells of the first loss only, and of none after the decision", () =>
    leavesNothing(
      Effect.gen(function* () {
        const first = yield* make
        first.peer.sendRequest()
        yield* first.opening.awaitRead
        const losses = lossOf(first.opening)
        first.opening.lose({ _tag: "ShuttingDown" })
        first.peer.end()
        yield* settled
        assert.deepStrictEqual(losses, ["ShuttingDown"])
        first.opening.destroy()

        const second = yield* make
        second.peer.sendRequest()
        yield* second.opening.awaitRead
        const none = lossOf(second.opening)
        second.opening.refuse(new Uint8Array(1))
        yield* second.peer.awaitClosed
        assert.deepStrictEqual(none, [])
      })
    )
  )

  it.effect("opening loses a handler that doesn't decide in time", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { opening, peer } = yield* make
        peer.sendRequest()
        yield* opening.awaitRead
        const losses = lossOf(opening)
        yield* TestClock.adjust(9999)
        assert.deepStrictEqual(losses, [])
        yield* TestClock.adjust(501)
        assert.deepStrictEqual(losses, ["Timeout"])
        opening.destroy()
      })
    )
  )

  it.effect("opening hands over what came behind the head, once, and says when it is done", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { opening, pair, peer } = yield* make
        let done = 0
        opening.whenDone(() => done++)
        peer.send(requestBytes(), Uint8Array.of(1))
        peer.send(Uint8Array.of(2))
        yield* settled
        assert.strictEqual((yield* opening.awaitRead).target, "/chat?room=1")
        assert.strictEqual(done, 0)
        assert.deepStrictEqual(opening.takeOver(), Uint8Array.of(1, 2))
        assert.strictEqual(opening.takeOver().length, 0)
        assert.strictEqual(done, 1)
        pair.server.destroy()
        peer.destroy()
      })
    )
  )

  it.effect("opening fails with the fault in the head, and drops what follows", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { opening, peer } = yield* make
        peer.send("00 01 0d 0a 0d 0a")
        const exit = yield* Effect.exit(opening.awaitRead)
        assert.isTrue(Exit.isFailure(exit))
        opening.refuse(new Uint8Array(0))
        yield* peer.awaitClosed
      })
    )
  )
})
