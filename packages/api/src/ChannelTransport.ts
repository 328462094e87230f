/**
 * A transport over a `Channel` of bytes, on which `handshake` or `acceptTransport` then speak WebSocket.
 *
 * It costs two fibers for each connection, and a copy and some dozen steps of a fiber for each chunk. Where the platform has a
 * transport over its own streams, as `NodeTransport`, take that.
 *
 * @since 0.1.0
 */
import * as Channel from "effect/Channel"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Fibers from "./internal/platform/FiberTransport.ts"
import type { Transport, TransportInfo } from "./Transport.ts"

/**
 * Says what the channel doesn't know about itself.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Who is at the two ends. Nothing is known by default. */
  readonly info?: Partial<TransportInfo> | undefined
}

/**
 * Makes a transport that runs the channel when it is started, and interrupts it when the scope closes.
 *
 * **Details**
 *
 * What comes out of the channel is received, and what is sent goes in, in pieces of up to 64 KiB. `end` ends the input. The
 * end of the output is that of both halves, and a failure one of the transport. The channel is pulled no faster than the
 * connection reads; what it was given counts as sent when it asks for more. All bytes are copied.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <OutErr, OutDone, R>(
  channel: Channel.Channel<Chunk.Chunk<Uint8Array>, Chunk.Chunk<Uint8Array>, OutErr, never, OutDone, unknown, R>,
  options: Options = {}
): Effect.Effect<Transport, never, R | Scope.Scope> =>
  Fibers.make((transport) => {
    const output = Channel.mapOutEffect(Channel.pipeTo(inputOf(transport), channel), (chunks) =>
      Effect.forEach(chunks, (chunk) => transport.deliver(chunk) ?? Effect.void, { discard: true })
    )
    const running = Effect.asVoid(Channel.run(Channel.drain(output)))
    return { read: Effect.mapError(running, (cause) => transport.failure("read", cause)) }
  }, options)

type Input = Channel.Channel<Chunk.Chunk<Uint8Array>, unknown, never, unknown, void, unknown>

const inputOf = (transport: Fibers.FiberTransport): Input => {
  const next: Input = Channel.flatMap(Channel.fromEffect(transport.take), (piece) => {
    if (piece === undefined) return Channel.void
    // Whoever asks for more has taken it.
    const taken = Channel.sync(() => transport.taken(piece.length))
    return Channel.zipRight(Channel.zipRight(Channel.write(Chunk.of(piece)), taken), next)
  })
  return next
}
