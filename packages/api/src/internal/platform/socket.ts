/**
 * A connection, or how to open one, as the `Socket.Socket` of `@effect/platform`.
 */
import * as Socket from "@effect/platform/Socket"
import * as CloseCode from "@effect-ws/core/CloseCode"
import type { Message } from "@effect-ws/core/Message"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Scope from "effect/Scope"
import type { HandshakeError } from "../../HandshakeError.ts"
import type { Options } from "../../PlatformSocket.ts"
import type { WebSocket } from "../../WebSocket.ts"
import * as Handle from "../connection/handle.ts"
import { toSocketError } from "./socketErrors.ts"
import { type Handler, handlingRun, type Outgoing, PlatformSocketRun, type Settings } from "./socketRun.ts"

type OpenError = HandshakeError | Socket.SocketError

type Open<R> = Effect.Effect<WebSocket, OpenError, R>

type RunOptions = { readonly onOpen?: Effect.Effect<void> | undefined } | undefined

export const make = <R>(
  open: Open<R>,
  options: Options
): Effect.Effect<Socket.Socket, never, Exclude<R, Scope.Scope>> =>
  Effect.contextWith((context: Context.Context<Exclude<R, Scope.Scope>>) => {
    const settings = settingsOf(options)
    const opening = options.openTimeout === undefined ? open : within(open, Duration.decode(options.openTimeout))
    return new Reopening(opening as Open<Scope.Scope>, settings, context as Context.Context<never>).socket
  })

export const fromWebSocket = (socket: WebSocket, options: Options): Socket.Socket => {
  const run = new PlatformSocketRun(Handle.connectionOf(socket), settingsOf(options))
  return toSocket(
    (handler, options) => run.run(handler, options?.onOpen),
    (chunk) => Effect.suspend(() => run.write(chunk))
  )
}

/** A connection for each run. Who wants to write while there is none waits for the next. */
class Reopening {
  private readonly open: Open<Scope.Scope>
  private readonly settings: Settings
  private readonly context: Context.Context<never>
  private current: PlatformSocketRun | undefined = undefined
  private last: PlatformSocketRun | undefined = undefined
  // Is open, for ever, when there is a connection behind the one that is there now.
  private next = Effect.unsafeMakeLatch(false)

  constructor(open: Open<Scope.Scope>, settings: Settings, context: Context.Context<never>) {
    this.open = open
    this.settings = settings
    this.context = context
  }

  get socket(): Socket.Socket {
    return toSocket(
      (handler, options) => this.run(handler, options),
      (chunk) => this.write(chunk)
    )
  }

  private run<E, R>(handler: Handler, options: RunOptions): Effect.Effect<void, Socket.SocketError | E, R> {
    return Effect.suspend(() => {
      let entered: PlatformSocketRun | undefined
      const enter = (socket: WebSocket): Effect.Effect<void, Socket.SocketError | E, R> => {
        const run = (entered = this.enter(socket))
        // Who writes while it closes had better wait for the next one.
        return Effect.ensuring(
          run.run<E, R>(handler, options?.onOpen),
          Effect.sync(() => this.leave(run))
        )
      }
      const running = Effect.scopedWith((scope) => Effect.flatMap(this.openIn(scope), enter))
      // Whoever runs it inside a region that can't be interrupted, as an HTTP server does, must get rid of it all the same.
      return Effect.interruptible(running).pipe(
        Effect.mapInputContext((input: Context.Context<R>) => Context.merge(this.context, input)),
        Effect.ensuring(Effect.sync(() => this.leave(entered)))
      )
    })
  }

  private openIn(scope: Scope.Scope): Effect.Effect<WebSocket, Socket.SocketError> {
    return Effect.mapError(Scope.extend(this.open, scope), (error) =>
      Socket.isSocketError(error) ? error : toSocketError(error, "Open")
    )
  }

  private enter(socket: WebSocket): PlatformSocketRun {
    const { next } = this
    this.next = Effect.unsafeMakeLatch(false)
    const run = new PlatformSocketRun(Handle.connectionOf(socket), this.settings)
    this.current = this.last = run
    next.unsafeOpen()
    return run
  }

  private leave(entered: PlatformSocketRun | undefined): void {
    if (this.current === entered) this.current = undefined
  }

  private write(chunk: Outgoing): Effect.Effect<void, Socket.SocketError> {
    return Effect.suspend(() => {
      const { current } = this
      if (current === undefined) return Effect.flatMap(handlingRun, (run) => this.writeAway(chunk, run))
      const written = current.write(chunk)
      return written === Exit.void
        ? Exit.void
        : Effect.catchAll(written, (error) => this.writeElsewhere(chunk, current, error))
    })
  }

  // What a handler has begun is told that its connection has ended: it would outlive it for ever where no other follows.
  private writeAway(chunk: Outgoing, run: PlatformSocketRun | undefined): Effect.Effect<void, Socket.SocketError> {
    if (this.current !== undefined) return this.write(chunk)
    return run !== undefined && run === this.last ? run.write(chunk) : this.writeLater(chunk)
  }

  private writeElsewhere(
    chunk: Outgoing,
    run: PlatformSocketRun,
    error: Socket.SocketError
  ): Effect.Effect<void, Socket.SocketError> {
    return Effect.flatMap(run.mayGoElsewhere(error), (may) => {
      if (!may) return Exit.fail(error)
      // In one step: there may be another one by now.
      return this.current === run ? this.writeLater(chunk) : this.write(chunk)
    })
  }

  private writeLater(chunk: Outgoing): Effect.Effect<void, Socket.SocketError> {
    return Effect.flatMap(this.next.await, () => this.write(chunk))
  }
}

const toSocket = (
  run: <E, R>(handler: Handler, options: RunOptions) => Effect.Effect<void, Socket.SocketError | E, R>,
  write: (chunk: Outgoing) => Effect.Effect<void, Socket.SocketError>
): Socket.Socket =>
  Socket.Socket.of({
    [Socket.TypeId]: Socket.TypeId,
    run: (handler, options) => run((message) => handler(message.bytes), options),
    runRaw: (handler, options) => run((message) => handler(dataOf(message)), options),
    writer: Effect.succeed(write)
  })

const dataOf = (message: Message): string | Uint8Array => (message._tag === "Text" ? message.text : message.bytes)

const settingsOf = (options: Options): Settings => {
  const { closeCodeIsError = isError, concurrency = 1 } = options
  if (concurrency !== "unbounded") checkCount("concurrency", concurrency, ' or "unbounded"')
  const handlingHighWaterMark = options.handlingHighWaterMark ?? defaultHandlingHighWaterMark
  checkCount("handlingHighWaterMark", handlingHighWaterMark)
  const endTimeout = Duration.decode(options.endTimeout ?? defaultEndTimeout)
  return { closeCodeIsError, concurrency, handlingHighWaterMark, endTimeout }
}

const checkCount = (name: string, value: number, otherwise = ""): void => {
  if (Number.isSafeInteger(value) && value > 0) return
  throw new RangeError(`The option ${name} must be a positive integer${otherwise}, and is ${value}`)
}

const isError = (code: number): boolean => code !== CloseCode.NormalClosure

// No race: its fibers may be left behind when the one that races is interrupted while it has to yield.
const within = <R>(open: Open<R>, duration: Duration.Duration): Open<R> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      const fiber = yield* Effect.fork(restore(open))
      let isLate = false
      const expire = (): void => {
        isLate = true
        fiber.unsafeInterruptAsFork(FiberId.none)
      }
      const timer = yield* Effect.fork(Effect.interruptible(Effect.map(Effect.sleep(duration), expire)))
      const exit = yield* restore(Fiber.await(fiber)).pipe(
        Effect.onInterrupt(() => Fiber.interrupt(fiber)),
        Effect.ensuring(Fiber.interrupt(timer))
      )
      return yield* isLate && Exit.isInterrupted(exit) ? Exit.fail(openTimeout(duration)) : exit
    })
  )

const openTimeout = (duration: Duration.Duration): Socket.SocketGenericError => {
  const cause = new Cause.TimeoutException(`The connection was not open within ${Duration.format(duration)}`)
  return new Socket.SocketGenericError({ reason: "OpenTimeout", cause })
}

const defaultHandlingHighWaterMark = 16 * 1024 * 1024
const defaultEndTimeout = "30 seconds"
