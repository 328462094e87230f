/** A listener and a connector in memory. */
import type { Connector, Endpoint } from "@effect-ws/api/Connector"
import type { Incoming, Listener } from "@effect-ws/api/Listener"
import type * as MemoryTransport from "@effect-ws/api/testing/MemoryTransport"
import * as Effect from "effect/Effect"
import { makePair } from "./leaks.ts"
import { Peer, type PeerOptions } from "./Peer.ts"

export interface MemoryListener extends Listener {
  readonly isListening: () => boolean
  /** Brings a connection, and returns its peer. Where nobody listens it is gone at once. */
  readonly connect: (
    options?: PeerOptions & { readonly pair?: MemoryTransport.Options } & Partial<Omit<Incoming, "transport">>
  ) => Effect.Effect<{ readonly peer: Peer; readonly pair: MemoryTransport.Pair }>
}

export const makeListener = (): MemoryListener => {
  let onIncoming: ((incoming: Incoming) => void) | undefined
  let isStopped = false
  return {
    address: { _tag: "TcpAddress", hostname: "127.0.0.1", port: 8080 },
    start: (callback) => {
      onIncoming = callback
    },
    stop: Effect.sync(() => {
      isStopped = true
    }),
    isListening: () => onIncoming !== undefined && !isStopped,
    connect: ({ leftover, pair: options, request, ...peerOptions } = {}) =>
      Effect.map(makePair(options), (pair) => {
        const peer = new Peer(pair.client, "client", peerOptions)
        if (onIncoming === undefined || isStopped) pair.server.destroy()
        else onIncoming({ transport: pair.server, request, leftover })
        return { peer, pair }
      })
  }
}

export interface MemoryConnector {
  readonly connector: Connector
  /** What was asked for, and the peers that were made, in order. */
  readonly endpoints: Array<Endpoint>
  readonly peers: Array<Peer>
  /** How many of the scopes of transports were closed. */
  released: number
}

/** Connects each time to a new peer that answers as a server, and says yes to the request unless it is told not to. */
export const makeConnector = (
  options: PeerOptions & { readonly accepts?: boolean; readonly pair?: MemoryTransport.Options } = {}
): MemoryConnector => {
  const made: MemoryConnector = {
    endpoints: [],
    peers: [],
    released: 0,
    connector: (endpoint) =>
      Effect.acquireRelease(
        Effect.gen(function* () {
          made.endpoints.push(endpoint)
          const pair = yield* makePair(options.pair)
          const peer = new Peer(pair.server, "server", options)
          made.peers.push(peer)
          if (options.accepts !== false) peer.acceptsRequests = true
          return pair.client
        }),
        (transport) =>
          Effect.sync(() => {
            made.released++
            transport.destroy()
          })
      )
  }
  return made
}
