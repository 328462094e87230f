/** Open connections for tests, in either role, with a peer played by hand at the other end. */
import type { HandshakeError } from "@effect-ws/api/HandshakeError"
import type * as MemoryTransport from "@effect-ws/api/testing/MemoryTransport"
import type { AcceptOptions } from "@effect-ws/api/AcceptOptions"
import type { HandshakeOptions } from "@effect-ws/api/ConnectOptions"
import * as WebSocket from "@effect-ws/api/WebSocket"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import { makePair } from "./leaks.ts"
import { Peer, type PeerOptions } from "./Peer.ts"

export type Role = "client" | "server"

export const roles: ReadonlyArray<Role> = ["client", "server"]

export interface OpenOptions {
  readonly socket?: AcceptOptions & HandshakeOptions
  readonly pair?: MemoryTransport.Options
  readonly peer?: PeerOptions
}

export interface Opened {
  readonly socket: WebSocket.WebSocket
  readonly peer: Peer
  readonly pair: MemoryTransport.Pair
  /** The transport of the connection. */
  readonly transport: MemoryTransport.MemoryTransport
}

/** Opens a connection in which the code under test has the given role. */
export const open = (role: Role, options: OpenOptions = {}): Effect.Effect<Opened, HandshakeError, Scope.Scope> =>
  Effect.flatMap(makePair(options.pair), (pair) => openOn(role, pair, options))

/** The same on a pair of transports that is there already. */
export const openOn = (
  role: Role,
  pair: MemoryTransport.Pair,
  options: OpenOptions = {}
): Effect.Effect<Opened, HandshakeError, Scope.Scope> =>
  role === "server" ? openServer(pair, options) : openClient(pair, options)

/** A peer without manners leaves its end open; it goes when ours has gone, and not before. */
const dismissed = (peer: Peer, ours: MemoryTransport.MemoryTransport) =>
  Effect.addFinalizer(() => Effect.sync(() => peer.polite || ours.ledger.isOpen || peer.destroy()))

const openServer = (pair: MemoryTransport.Pair, options: OpenOptions) =>
  Effect.gen(function* () {
    const peer = new Peer(pair.client, "client", options.peer)
    yield* dismissed(peer, pair.server)
    peer.sendRequest()
    const socket = yield* WebSocket.acceptTransport(pair.server, options.socket)
    yield* peer.awaitHead
    return { socket, peer, pair, transport: pair.server }
  })

const openClient = (pair: MemoryTransport.Pair, options: OpenOptions) =>
  Effect.gen(function* () {
    const peer = new Peer(pair.server, "server", options.peer)
    yield* dismissed(peer, pair.client)
    const opening = yield* Effect.fork(peer.acceptRequest())
    const socket = yield* WebSocket.handshake(pair.client, { host: "server.example.com", ...options.socket })
    yield* Fiber.join(opening)
    return { socket, peer, pair, transport: pair.client }
  })
