/**
 * A connection as a `Duplex` of Node, for what reads from and writes to streams: `pipe`, `pipeline`, parsers, archives.
 *
 * It costs a fiber for reading, one that waits for the end, and one for each write that has to wait.
 *
 * @since 0.1.0
 */
import type { Message } from "@effect-ws/core/Message"
import type { ConnectionStatus } from "@effect-ws/api/ConnectionStatus"
import * as WebSocket from "@effect-ws/api/WebSocket"
import type { WebSocketError } from "@effect-ws/api/WebSocketError"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Runtime from "effect/Runtime"
import { Duplex } from "node:stream"
import { isAnyArrayBuffer } from "node:util/types"

/**
 * How the stream reads and writes.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /**
   * Whether what is read and written are messages: a string for text, bytes otherwise, and whatever `send` takes can be written.
   * False by default: then they are bytes, read without their boundaries, and each write is a binary message.
   */
  readonly objectMode?: boolean | undefined
  /**
   * How much is read ahead, in bytes or messages: what the connection holds besides is counted there. Node's default for bytes, 1 for
   * messages, since one alone may be large.
   */
  readonly readableHighWaterMark?: number | undefined
  /** How much may wait to be sent before `write` returns `false`, besides what the connection holds. As for reading. */
  readonly writableHighWaterMark?: number | undefined
}

/**
 * Makes a stream of a connection, which stays a resource of its scope.
 *
 * **Details**
 *
 * While nobody reads from the stream the peer is slowed, and a write is done when there is room. `end` does the closing handshake
 * with 1000, and `"finish"` comes when the connection has ended. When the peer closes cleanly the stream ends, both ways;
 * otherwise it is destroyed with the `WebSocketError`, behind what came before. As with a socket of Node, who reads nothing at all
 * isn't told of a clean end, other than by a write that fails. `destroy` destroys the connection: the peer sees 1006.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (socket: WebSocket.WebSocket, options: Options = {}): Effect.Effect<Duplex> =>
  Effect.map(Effect.runtime<never>(), (runtime) => new WebSocketDuplex(socket, runtime, options))

type Callback = (error?: Error | null) => void

class WebSocketDuplex extends Duplex {
  private readonly socket: WebSocket.WebSocket
  private readonly runtime: Runtime.Runtime<never>
  private readonly fibers = new Set<Fiber.RuntimeFiber<unknown, unknown>>()
  private isReading = false
  private hasEnded = false
  private isWanted = false
  private onWanted = ignore
  // What ended the connection, while there is something left to be read.
  private failure: Error | undefined = undefined

  constructor(socket: WebSocket.WebSocket, runtime: Runtime.Runtime<never>, options: Options) {
    const { objectMode = false } = options
    const mark = objectMode ? 1 : undefined
    super({
      objectMode,
      decodeStrings: !objectMode,
      // There is no half of a WebSocket: after the Close frame of the peer nobody listens.
      allowHalfOpen: false,
      readableHighWaterMark: options.readableHighWaterMark ?? mark,
      writableHighWaterMark: options.writableHighWaterMark ?? mark
    })
    this.socket = socket
    this.runtime = runtime
    this.fork(Effect.zip(socket.closed, socket.status), (exit) => Exit.isSuccess(exit) && this.noticeEnd(...exit.value))
  }

  override _read(): void {
    this.isWanted = true
    this.onWanted()
    if (this.isReading) return
    this.isReading = true
    this.fork(
      WebSocket.run(this.socket, (message) => this.takeMessage(message)),
      (exit) => this.endReading(exit)
    )
  }

  // What was pushed is buffered: to destroy the stream would drop it.
  override read(size?: number): unknown {
    const data: unknown = super.read(size)
    if (this.failure !== undefined) process.nextTick(() => this.failWhenEmpty())
    return data
  }

  override _write(data: WebSocket.Sendable, _encoding: BufferEncoding, done: Callback): void {
    this.fork(this.sendOne(data), (exit) => done(errorOf(exit)))
  }

  override _writev(writes: ReadonlyArray<{ readonly chunk: WebSocket.Sendable }>, done: Callback): void {
    const sending = Effect.forEach(writes, ({ chunk }) => this.sendOne(chunk), { discard: true })
    this.fork(sending, (exit) => done(errorOf(exit)))
  }

  override _final(done: Callback): void {
    this.fork(this.socket.close(), (exit) => done(errorOf(exit)))
  }

  override _destroy(error: Error | null, done: Callback): void {
    for (const fiber of this.fibers) fiber.unsafeInterruptAsFork(FiberId.none)
    // Whoever has read to the end often destroys then what ends by itself: the closing handshake is done but for the last bytes.
    const ending = this.hasEnded ? Effect.void : this.socket.destroy
    this.fork(Effect.zipRight(ending, this.socket.closed), () => done(error))
  }

  // The types of Node take anything here, and what is no buffer would be an empty one.
  private sendOne(data: WebSocket.Sendable): ReturnType<WebSocket.WebSocket["send"]> {
    return isSendable(data)
      ? this.socket.send(data)
      : Effect.die(new TypeError(`A message can't be made of this ${typeof data}`))
  }

  // Who only writes, and has nothing to write just then, learns of a loss too. What came before is still to be read.
  private noticeEnd(error: WebSocketError, { incoming }: ConnectionStatus): void {
    const isClean = error._tag === "ConnectionClosed" && error.clean
    if (!isClean && !this.isReading && incoming === 0) this.destroy(error)
  }

  private takeMessage(message: Message): Effect.Effect<void> | undefined {
    if (this.readableObjectMode) return this.give(message._tag === "Text" ? message.text : message.bytes)
    return message.byteLength === 0 ? undefined : this.give(message.bytes)
  }

  private give(data: string | Uint8Array): Effect.Effect<void> | undefined {
    this.isWanted = false
    return this.push(data) || this.isWanted ? undefined : this.wanted
  }

  private readonly wanted = Effect.async<void>((resume) => {
    if (this.isWanted) resume(Exit.void)
    else this.onWanted = () => resume(Exit.void)
  })

  private endReading(exit: Exit.Exit<void, WebSocketError>): void {
    if (this.destroyed) return
    this.hasEnded = Exit.isSuccess(exit)
    if (this.hasEnded) return void this.push(null)
    this.failure = errorOf(exit)
    this.failWhenEmpty()
  }

  private failWhenEmpty(): void {
    if (this.readableLength === 0) this.destroy(this.failure)
  }

  private fork<A, E>(effect: Effect.Effect<A, E>, onExit: (exit: Exit.Exit<A, E>) => void): void {
    // Up to where it first waits, which ordinarily is its end.
    const fiber = Runtime.runFork(this.runtime)(Effect.interruptible(effect), { immediate: true })
    this.fibers.add(fiber)
    fiber.addObserver((exit) => {
      this.fibers.delete(fiber)
      onExit(exit)
    })
  }
}

const isSendable = (data: unknown): boolean =>
  typeof data === "string" ||
  ArrayBuffer.isView(data) ||
  isAnyArrayBuffer(data) ||
  (typeof data === "object" && data !== null && "_tag" in data)

const errorOf = (exit: Exit.Exit<unknown, unknown>): Error | undefined => {
  if (Exit.isSuccess(exit)) return undefined
  const error = Cause.squash(exit.cause)
  return error instanceof Error ? error : new Error(String(error))
}

const ignore = (): void => {}
