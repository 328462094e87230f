import * as ConnectionOptions from "@effect-ws/api/ConnectionOptions"
import * as ServerOptions from "@effect-ws/api/ServerOptions"
import * as TrustedProxies from "@effect-ws/api/TrustedProxies"
import * as WebSocket from "@effect-ws/api/WebSocket"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Runtime from "effect/Runtime"
import * as Engine from "../../src/internal/Engine.ts"
import { Admission } from "../../src/internal/opening/Admission.ts"
import { Serving } from "../../src/internal/serving/Serving.ts"
import type { House } from "../../src/internal/serving/Visit.ts"
import { leavesNothing, makePair, settled } from "../support/leaks.ts"
import { Peer } from "../support/Peer.ts"

const make = (handle: House<never>["handle"]) =>
  Effect.map(Engine.make, (engine) => {
    const admission = new Admission(ServerOptions.make({}))
    const settings = { connection: ConnectionOptions.make("server"), accept: {}, maxAttempts: 10 }
    const trusted = TrustedProxies.make([])
    const plain = { handlers: undefined, isTraced: false, fallback: undefined, onError: () => Effect.void }
    const house = { engine, settings, trusted, admission, handle, ...plain }
    return { admission, serving: new Serving<never>(house, Runtime.defaultRuntime) }
  })

/** How many connections, requests and fibers it holds, each. */
const holds = (serving: Serving<never>) =>
  [...Object.values(serving), ...Object.values((serving as unknown as { readonly guests: object }).guests)].flatMap(
    (value: unknown) => (value instanceof Set ? [value.size] : Array.isArray(value) ? [value.length] : [])
  )

describe("Serving", () => {
  it.effect("server holds nothing of connections that are over, however they ended", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { admission, serving } = yield* make((exchange) => {
          if (exchange.request.fields.some(([name]) => name === "X-Reject")) return WebSocket.reject()
          if (exchange.request.fields.some(([name]) => name === "X-Wait")) return Effect.never
          return Effect.scoped(Effect.flatMap(WebSocket.accept(exchange), (socket) => socket.receive))
        })
        const visits: ReadonlyArray<(peer: Peer) => void> = [
          (peer) => (peer.sendRequest(), peer.sendClose(1000)),
          (peer) => (peer.sendRequest(), peer.sendText("a")),
          (peer) => (peer.sendRequest(), peer.send(peer.frame(3))),
          (peer) => peer.sendRequest("X-Reject: 1", "Connection: close"),
          (peer) => (peer.sendRequest("X-Reject: 1"), peer.end()),
          (peer) => (peer.sendRequest("X-Reject: 1"), peer.sendHead("nonsense")),
          (peer) => (peer.sendRequest("X-Wait: 1"), peer.end()),
          (peer) => peer.sendHead("nonsense"),
          (peer) => peer.end(),
          (peer) => peer.destroy()
        ]
        for (const visit of visits) {
          const pair = yield* makePair()
          const peer = new Peer(pair.client, "client")
          serving.admit({ transport: pair.server, request: undefined, leftover: undefined })
          visit(peer)
          yield* peer.awaitClosed
        }
        yield* settled
        assert.deepStrictEqual(holds(serving), [0, 0, 0])
        assert.deepInclude(admission.counts, { handshakes: 0, connections: 0, accepted: 3 })
        yield* serving.shutdown
      })
    )
  )
})
