/** A client that is kept alive, and the servers that it meets one after the other. */
import type { ConnectOptions } from "@effect-ws/api/ConnectOptions"
import type { HandshakeError } from "@effect-ws/api/HandshakeError"
import * as ReconnectingWebSocket from "@effect-ws/api/ReconnectingWebSocket"
import type * as MemoryTransport from "@effect-ws/api/testing/MemoryTransport"
import { TransportError } from "@effect-ws/api/TransportError"
import * as WebSocketClient from "@effect-ws/api/WebSocketClient"
import type { WebSocketError } from "@effect-ws/api/WebSocketError"
import { assert } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { lines, Script } from "./answering.ts"
import { makePair, settled } from "./leaks.ts"
import { Peer } from "./Peer.ts"

/** What an attempt meets: a server that accepts, nobody, one that says nothing, one that declines with a status. */
export type Meets = MemoryTransport.Options | "nobody" | "silence" | number

export interface Servers {
  /** Each one that accepts, or says nothing, in order. */
  readonly peers: Array<Peer>
  /** The transports of all attempts that met somebody. */
  readonly pairs: Array<MemoryTransport.Pair>
  /** How many attempts there were. */
  attempts: number
  readonly client: WebSocketClient.Service
}

/** Each attempt meets what is next, and when there is nothing next a server that accepts. */
export const makeServers = (...plan: ReadonlyArray<Meets>): Servers => {
  const servers: Servers = {
    peers: [],
    pairs: [],
    attempts: 0,
    client: WebSocketClient.make(() => {
      const meets = plan[servers.attempts++] ?? {}
      if (meets === "nobody") return Effect.fail(nobody)
      return Effect.acquireRelease(
        Effect.map(makePair(typeof meets === "object" ? meets : {}), (pair) => {
          if (typeof meets === "number") decline(pair.server, meets)
          else servers.peers.push(listen(pair.server, meets !== "silence"))
          servers.pairs.push(pair)
          return pair.client
        }),
        (transport) => Effect.sync(() => transport.destroy())
      )
    })
  }
  return servers
}

export const nobody = new TransportError({ operation: "connect", address: "a:80", cause: new Error("nobody is there") })

const decline = (transport: MemoryTransport.MemoryTransport, status: number): Script =>
  new Script(transport, [lines(`HTTP/1.1 ${status} x`, "Content-Length: 0", "")])

const listen = (transport: MemoryTransport.MemoryTransport, accepts: boolean): Peer => {
  const peer = new Peer(transport, "server")
  peer.acceptsRequests = accepts
  return peer
}

/** In milliseconds: what is waited between two attempts unless a test says otherwise. */
export const pause = 1000

/** Keeps a connection to the servers alive. */
export const keep = <E2 = never, R2 = never>(
  servers: Servers,
  options: ReconnectingWebSocket.Options<HandshakeError, E2, R2> = {},
  connectOptions: ConnectOptions = {}
): Effect.Effect<
  ReconnectingWebSocket.ReconnectingWebSocket<HandshakeError | E2>,
  never,
  Exclude<R2, Scope.Scope> | Scope.Scope
> =>
  ReconnectingWebSocket.make<HandshakeError, Scope.Scope, E2, R2>(
    Effect.suspend(() => servers.client.connect("ws://example.com/feed", connectOptions)),
    { schedule: Schedule.spaced(pause), ...options }
  )

/** Keeps one alive, and waits until it is open. */
export const open = <E2 = never, R2 = never>(
  servers: Servers,
  options?: ReconnectingWebSocket.Options<HandshakeError, E2, R2>
) =>
  Effect.gen(function* () {
    const feed = yield* keep(servers, options)
    yield* settled
    const { _tag } = yield* feed.state
    assert.strictEqual(_tag, "Open")
    return { feed, peer: servers.peers.at(-1)! }
  })

/** A state in short. */
export const describeState = (state: ReconnectingWebSocket.State<{ readonly message: string }>): string => {
  switch (state._tag) {
    case "Connecting":
      return `connecting ${state.attempt}`
    case "Away":
      return `away ${Duration.toMillis(state.delay)}`
    default:
      return state._tag.toLowerCase()
  }
}

/** What ended it: the error, in short. */
export const describeEnd = (error: HandshakeError | WebSocketError): string =>
  error._tag === "HandshakeError" ? error.reason._tag : error._tag === "ConnectionClosed" ? `${error.code}` : error._tag
