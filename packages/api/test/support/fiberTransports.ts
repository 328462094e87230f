/** Transports over what somebody else carries bytes with, in pairs: over channels, and over sockets of @effect/platform. */
import * as ChannelTransport from "@effect-ws/api/ChannelTransport"
import type { HandshakeError } from "@effect-ws/api/HandshakeError"
import * as PlatformSocket from "@effect-ws/api/PlatformSocket"
import * as SocketTransport from "@effect-ws/api/SocketTransport"
import type { Transport, TransportSink } from "@effect-ws/api/Transport"
import * as WebSocket from "@effect-ws/api/WebSocket"
import * as Socket from "@effect/platform/Socket"
import * as Channel from "effect/Channel"
import type * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Mailbox from "effect/Mailbox"
import type * as Scope from "effect/Scope"
import { makePair } from "./leaks.ts"

export interface TransportPair {
  readonly client: Transport
  readonly server: Transport
}

type Bytes = Chunk.Chunk<Uint8Array>

/** What goes into one channel comes out of the other: one chunk at a time. Either ends with the other. */
export const joinedChannels = Effect.gen(function* () {
  const there = yield* Mailbox.make<Uint8Array, "lost">(1)
  const back = yield* Mailbox.make<Uint8Array, "lost">(1)
  const channel = (from: typeof there, to: typeof there) =>
    Channel.embedInput(Channel.ensuring(Mailbox.toChannel(from), to.end), {
      awaitRead: () => Effect.void,
      emit: (chunk: Bytes) => to.offerAll(chunk),
      error: () => Effect.void,
      done: () => to.end
    })
  return { there, back, near: channel(back, there), far: channel(there, back) }
})

const overChannels: Effect.Effect<TransportPair, never, Scope.Scope> = Effect.gen(function* () {
  const { far, near } = yield* joinedChannels
  return { client: yield* ChannelTransport.make(near), server: yield* ChannelTransport.make(far) }
})

/** Two connections of ours, as the sockets that others are given. */
export const joinedWebSockets: Effect.Effect<
  { readonly near: WebSocket.WebSocket; readonly far: WebSocket.WebSocket },
  HandshakeError,
  Scope.Scope
> = Effect.gen(function* () {
  const pair = yield* makePair()
  return yield* open(pair)
})

const overSockets: Effect.Effect<TransportPair, never, Scope.Scope> = Effect.gen(function* () {
  const { far, near } = yield* Effect.orDie(joinedWebSockets)
  const options = { endWith: new Socket.CloseEvent() }
  return {
    client: yield* SocketTransport.make(PlatformSocket.fromWebSocket(near), options),
    server: yield* SocketTransport.make(PlatformSocket.fromWebSocket(far), options)
  }
})

/** How each kind is made, by its name. */
export const fiberTransports = { ChannelTransport: overChannels, SocketTransport: overSockets } as const

/** Does the opening handshake over a pair. */
export const open = (
  { client, server }: TransportPair,
  options: { readonly inboxHighWaterMark?: number; readonly sendHighWaterMark?: number } = {}
) =>
  Effect.gen(function* () {
    const accepting = yield* Effect.fork(WebSocket.acceptTransport(server, options))
    const near = yield* WebSocket.handshake(client, { host: "example.com", ...options })
    return { near, far: yield* Fiber.join(accepting) }
  })

/** A sink that keeps what it is told, in order. */
export const record = (): TransportSink & { readonly events: Array<string> } => {
  const events: Array<string> = []
  return {
    events,
    chunk: (bytes) => void events.push(`chunk ${bytes.length > 9 ? `of ${bytes.length}` : bytes.join()}`),
    end: () => void events.push("end"),
    drained: () => void events.push("drained"),
    closed: (error) => void events.push(error === undefined ? "closed" : `closed by ${error.operation}`)
  }
}
