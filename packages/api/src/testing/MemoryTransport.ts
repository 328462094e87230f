/**
 * Two transports joined in memory, for tests: a TCP connection as far as a WebSocket can tell, without a network.
 *
 * Reads can be short, bytes can take their time on the Clock in force (so on the TestClock), the n-th operation can be
 * made to fail, and a ledger tells what happened and what is left over. `wire` makes one end scriptable: it collects
 * what it is sent and sends what it is told.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { concat, type MemoryEnd, makeEnds, type Shared } from "../internal/memoryEnd.ts"
import type { Transport, TransportInfo } from "../Transport.ts"
import type { TransportError } from "../TransportError.ts"

/**
 * Sets how the bytes travel.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** The most bytes of one chunk: a longer write comes as several. By default a write comes as one chunk. */
  readonly readSize?: number | undefined
  /** The bytes on their way at which `write` returns `false`. 16 KiB by default, what a socket of Node 20 has. */
  readonly highWaterMark?: number | undefined
  /** How long bytes, an end and a reset take to the other side, each way. By default they come in the next turn. */
  readonly latency?: Duration.DurationInput | undefined
  /**
   * Makes the n-th operation of the pair fail, counted from 1, with a `TransportError` that closes both ends. An
   * operation is a `start`, a `write`, an `end` or the delivery of a chunk. By default none fails.
   */
  readonly failAt?: number | undefined
  /** What the client's end says about itself. By default its addresses are 127.0.0.1:49152 and 127.0.0.1:80. */
  readonly clientInfo?: Partial<TransportInfo> | undefined
  /** What the server's end says about itself. By default its addresses are those of the client's end, swapped. */
  readonly serverInfo?: Partial<TransportInfo> | undefined
}

/**
 * Counts what went through one end.
 *
 * @since 0.1.0
 * @category models
 */
export interface Ledger {
  /** The operations of this end: every `start`, `write` and `end`, and every chunk delivered to it. */
  readonly operations: number
  /** The sinks that were started. */
  readonly sinks: number
  /** The calls of `write`: what the system calls of a socket would be. */
  readonly writes: number
  /** The bytes that `write` took. */
  readonly bytesWritten: number
  /** The chunks that the sink was given. */
  readonly chunksDelivered: number
  /** The bytes that the sink was given. */
  readonly bytesDelivered: number
  /** The bytes that came to nothing: written after the end, or on their way to this end when it was over. */
  readonly bytesDropped: number
  /** How often reading was paused. */
  readonly pauses: number
  /** Whether reading is paused. */
  readonly isPaused: boolean
  /** Whether not both halves of this end are over. */
  readonly isOpen: boolean
}

/**
 * One end of the pair.
 *
 * @since 0.1.0
 * @category models
 */
export interface MemoryTransport extends Transport {
  /** What went through this end; always up to date. */
  readonly ledger: Ledger
}

/**
 * A connection: what one end writes, the other end's sink is given.
 *
 * @since 0.1.0
 * @category models
 */
export interface Pair {
  /** The end of the client. */
  readonly client: MemoryTransport
  /** The end of the server. */
  readonly server: MemoryTransport
  /** The operations of both ends so far. A loop over `failAt` is done when this stays below it. */
  readonly operations: () => number
  /** Whether the operation at `failAt` was reached, and failed. */
  readonly hasFailed: () => boolean
  /** Names what is not over, a sentence each: open ends, bytes nobody was given, sinks not told of the end. */
  readonly leftovers: () => Array<string>
}

/**
 * Makes a connected pair of transports.
 *
 * **Details**
 *
 * Bytes are copied when they are written, and the chunks of one `write` come as one. `writable` counts what the other
 * end's sink was not given yet, and `drained` follows when that is nothing, so an end that pauses holds back the other.
 * As with TCP, `destroy` looks like an end to the peer when nothing was on its way, and like a reset otherwise; an end
 * that reads sees a reset at once, a paused one at its next `write` or `resume`.
 *
 * @example
 * import * as MemoryTransport from "@effect-ws/api/testing/MemoryTransport"
 * import * as Effect from "effect/Effect"
 *
 * const program = Effect.gen(function*() {
 *   const { client, server } = yield* MemoryTransport.make({ readSize: 1 })
 *   const peer = MemoryTransport.wire(server)
 *   client.write([new Uint8Array([0x89, 0x00])])
 *   return yield* peer.awaitBytes(2)
 * })
 *
 * assert.deepStrictEqual(await Effect.runPromise(program), new Uint8Array([0x89, 0x00]))
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<Pair> =>
  Effect.map(makeShared(options), (shared) => {
    const clientInfo = { ...defaultInfo, ...options.clientInfo }
    const [client, server] = makeEnds(shared, clientInfo, { ...swap(clientInfo), ...options.serverInfo })
    return pairOf(shared, client, server)
  })

/**
 * Drives one end of a connection by hand: the peer in a test.
 *
 * @since 0.1.0
 * @category models
 */
export interface Wire {
  /** Returns a copy of all bytes received so far. */
  readonly received: () => Uint8Array
  /** Returns whether the other end has ended its writing half. */
  readonly hasEnded: () => boolean
  /** Returns whether both halves are over. */
  readonly isClosed: () => boolean
  /** Writes bytes, or what a hex dump such as `"81 05 48 65 6c 6c 6f"` stands for, in one go. */
  readonly send: (bytes: Uint8Array | string) => void
  /** Ends the writing half. */
  readonly end: () => void
  /** Ends both halves at once. */
  readonly destroy: () => void
  /** Waits until `size` bytes were received in all, and returns all. Dies when the connection is over before that. */
  readonly awaitBytes: (size: number) => Effect.Effect<Uint8Array>
  /** Waits until the other end has ended its writing half. Dies when the connection is over without that. */
  readonly awaitEnd: Effect.Effect<void>
  /** Waits until both halves are over, and returns the error if one was the cause. */
  readonly awaitClosed: Effect.Effect<TransportError | undefined>
}

/**
 * Starts a transport, of any kind, and hands it over to a test.
 *
 * @since 0.1.0
 * @category constructors
 */
export const wire = (transport: Transport): Wire => {
  const recorder = new Recorder()
  transport.start(recorder)
  return {
    received: () => concat(recorder.chunks),
    hasEnded: () => recorder.hasEnded,
    isClosed: () => recorder.isClosed,
    send: (bytes) => void transport.write([typeof bytes === "string" ? parseHex(bytes) : bytes]),
    end: () => transport.end(),
    destroy: () => transport.destroy(),
    awaitBytes: (size) =>
      Effect.map(
        recorder.until(`${size} bytes`, () => recorder.size >= size),
        () => concat(recorder.chunks)
      ),
    awaitEnd: recorder.until("the end", () => recorder.hasEnded),
    awaitClosed: Effect.map(
      recorder.until("the close", () => recorder.isClosed),
      () => recorder.error
    )
  }
}

class Recorder {
  readonly chunks: Array<Uint8Array> = []
  size = 0
  hasEnded = false
  isClosed = false
  error: TransportError | undefined
  private readonly waiting = new Set<() => void>()

  chunk(bytes: Uint8Array): void {
    this.chunks.push(bytes)
    this.size += bytes.length
    this.wake()
  }

  end(): void {
    this.hasEnded = true
    this.wake()
  }

  drained(): void {}

  closed(error: TransportError | undefined): void {
    this.isClosed = true
    this.error = error
    this.wake()
  }

  until(what: string, isReached: () => boolean): Effect.Effect<void> {
    return Effect.async<void>((resume) => {
      const check = () => {
        if (!isReached() && !this.isClosed) return
        this.waiting.delete(check)
        resume(isReached() ? Effect.void : Effect.dieMessage(this.describeLack(what)))
      }
      this.waiting.add(check)
      check()
      return Effect.sync(() => this.waiting.delete(check))
    })
  }

  private wake(): void {
    for (const check of this.waiting) check()
  }

  private describeLack(what: string): string {
    const why = this.error === undefined ? "" : `: ${this.error.message}`
    return `The wire was closed before ${what} came, after ${this.size} bytes${why}`
  }
}

const makeShared = (options: Options): Effect.Effect<Shared> =>
  Effect.gen(function* () {
    const clock = yield* Effect.clock
    const runtime = yield* Effect.runtime<never>()
    const scheduler = yield* Effect.withFiberRuntime<Shared["scheduler"]>((fiber) =>
      Effect.succeed(fiber.currentScheduler)
    )
    return {
      readSize: options.readSize ?? Infinity,
      highWaterMark: options.highWaterMark ?? 16384,
      latency: Duration.toMillis(options.latency ?? 0),
      failAt: options.failAt,
      clock,
      runtime,
      scheduler,
      operations: 0,
      failed: false
    }
  })

const pairOf = (shared: Shared, client: MemoryEnd, server: MemoryEnd): Pair => ({
  client,
  server,
  operations: () => shared.operations,
  hasFailed: () => shared.failed,
  leftovers: () => [...client.leftovers("client"), ...server.leftovers("server")]
})

const parseHex = (hex: string): Uint8Array => {
  const digits = hex.replace(/\s+/g, "")
  if (!/^([0-9a-f]{2})*$/i.test(digits)) throw new Error(`Not a hex dump: ${JSON.stringify(hex)}`)
  return Uint8Array.from(digits.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16))
}

const swap = (info: TransportInfo): TransportInfo => ({
  localAddress: info.remoteAddress,
  remoteAddress: info.localAddress,
  tls: info.tls
})

const defaultInfo: TransportInfo = {
  localAddress: { _tag: "TcpAddress", hostname: "127.0.0.1", port: 49152 },
  remoteAddress: { _tag: "TcpAddress", hostname: "127.0.0.1", port: 80 },
  tls: undefined
}
