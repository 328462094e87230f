/** A server in memory that is given callbacks, its places, and what tests of it share. */
import type { Message, TextMessage } from "@effect-ws/core/Message"
import type * as MemoryTransport from "@effect-ws/api/testing/MemoryTransport"
import * as WebSocketServer from "@effect-ws/api/WebSocketServer"
import type { WebSocketError } from "@effect-ws/api/WebSocketError"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { makeListener } from "./endpoints.ts"
import { settled } from "./leaks.ts"
import type { PeerOptions } from "./Peer.ts"

export const textOf = (message: Message): string => (message as TextMessage).text

/** Serves in memory. What `onError` is told is collected. */
export const serve = <A = void, R = never>(
  handlers: WebSocketServer.Handlers<A, R>,
  options: WebSocketServer.Options = {},
  makeOnError: (causes: Array<Cause.Cause<unknown>>) => (cause: Cause.Cause<unknown>) => Effect.Effect<void> = (
    causes
  ) =>
    (cause) =>
      Effect.sync(() => void causes.push(cause))
) =>
  Effect.gen(function* () {
    const listener = makeListener()
    const causes: Array<Cause.Cause<unknown>> = []
    const server = yield* WebSocketServer.make(listener, options)
    const running = yield* WebSocketServer.serve(handlers, { onError: makeOnError(causes) }).pipe(
      Effect.provideService(WebSocketServer.WebSocketServer, server),
      Effect.fork
    )
    yield* settled
    const open = (peerOptions?: PeerOptions & { readonly pair?: MemoryTransport.Options }) =>
      Effect.gen(function* () {
        const { pair, peer } = yield* listener.connect(peerOptions)
        peer.sendRequest()
        yield* peer.awaitHead
        yield* settled
        return { pair, peer }
      })
    return { causes, counts: server.counts, listener, open, running, stop: Fiber.interrupt(running) }
  })

export const failures = (causes: ReadonlyArray<Cause.Cause<unknown>>): Array<unknown> => causes.map(Cause.squash)

/** The numbers that tell whether every place was given back. */
export const places = ({ counts }: { readonly counts: Effect.Effect<WebSocketServer.Counts> }) =>
  Effect.map(counts, ({ connections, handshakes }) => ({ connections, handshakes }))

export const nobody = { connections: 0, handshakes: 0 }

/** What happened, in order, and a handler that suspends until it is let go on. */
export const makeLatch = Effect.map(Deferred.make<void>(), (deferred) => ({
  wait: Deferred.await(deferred),
  open: Effect.zipRight(Deferred.succeed(deferred, undefined), settled)
}))

export const endOf = (error: WebSocketError): string =>
  error._tag === "ConnectionClosed" ? `${error._tag} ${error.received?.code} ${error.clean}` : error._tag
