/**
 * One connection as what a `Socket.Socket` of `@effect/platform` reads from and writes to.
 */
import * as Socket from "@effect/platform/Socket"
import * as CloseReason from "@effect-ws/core/CloseReason"
import type { Message } from "@effect-ws/core/Message"
import * as Cause from "effect/Cause"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as FiberRef from "effect/FiberRef"
import * as Option from "effect/Option"
import * as Runtime from "effect/Runtime"
import type { SendRejected } from "../../SendRejected.ts"
import type { WebSocketError } from "../../WebSocketError.ts"
import type { Connection } from "../connection/Connection.ts"
import { toSocketError } from "./socketErrors.ts"
import { atOnce } from "./socketFibers.ts"
import * as Run from "../connection/run.ts"
import { toData } from "../connection/sendable.ts"

/** What was decided for all runs of a socket. */
export interface Settings {
  readonly closeCodeIsError: (code: number) => boolean
  readonly concurrency: number | "unbounded"
  /** In bytes of messages, and what a fiber costs for each. */
  readonly handlingHighWaterMark: number
  readonly endTimeout: Duration.Duration
}

/** What a writer takes. */
export type Outgoing = Uint8Array | string | Socket.CloseEvent

/** Returns nothing or an effect. What that fails with and requires is for the public signature to tell. */
export type Handler = (message: Message) => unknown

/** The run that the fiber handles a message for, or opens, or was begun by one that does. */
export const handlingRun = FiberRef.unsafeMake<PlatformSocketRun | undefined>(undefined)

export class PlatformSocketRun {
  private readonly connection: Connection
  private readonly settings: Settings
  // What writers were told, to know it again when a handler passes it on.
  private toldEnd: Socket.SocketError | undefined = undefined
  private toldClosing: Socket.SocketError | undefined = undefined
  private hasClosed = false
  // How many messages were handed to a handler.
  private begun = 0

  constructor(connection: Connection, settings: Settings) {
    this.connection = connection
    this.settings = settings
  }

  run<E, R>(
    handler: Handler,
    onOpen: Effect.Effect<void> = Effect.void
  ): Effect.Effect<void, Socket.SocketError | E, R> {
    const counted: Handler = (message) => {
      this.begun++
      return handler(message)
    }
    const running = Effect.matchEffect(this.handle<E, R>(counted), {
      onFailure: (error): Effect.Effect<void, Socket.SocketError | E> =>
        Cause.originalError(error) === this.connection.failure ? this.end : Exit.fail(error as E),
      onSuccess: () => this.end
    })
    return Effect.interruptible(Effect.locally(this.attend(running, onOpen), handlingRun, this))
  }

  /**
   * Whether a write that failed with this error may go to another connection: nothing of the message was sent, the program didn't
   * end the connection, and the run, which has to end before there is another, doesn't wait for who asks.
   */
  mayGoElsewhere(error: Socket.SocketError): Effect.Effect<boolean> {
    return Effect.map(handlingRun, (run) => run !== this && !this.hasClosed && this.isTold(error))
  }

  write(chunk: Outgoing): Effect.Effect<void, Socket.SocketError> {
    if (typeof chunk === "object" && Socket.isCloseEvent(chunk)) return this.close(chunk)
    const sent = this.connection.sending.send(toData(chunk))
    return sent === Exit.void ? Exit.void : Effect.catchAll(sent, (error) => Exit.fail(this.errorOf(error)))
  }

  private close({ code, reason }: Socket.CloseEvent): Effect.Effect<void> {
    const closeReason = { code, reason: cut(reason ?? "") }
    const fault = CloseReason.validate(closeReason)
    if (fault !== undefined) return Exit.die(new RangeError(fault.message))
    this.hasClosed = true
    this.connection.beginClose(closeReason)
    return Exit.void
  }

  // The handlers have a fiber of their own: so messages are handled while `onOpen` goes on, which may wait for one, and a handler
  // that waits for a peer that has gone doesn't do so for ever.
  private attend<E, R>(running: Effect.Effect<void, E | Socket.SocketError, R>, onOpen: Effect.Effect<void>) {
    return Effect.uninterruptibleMask((restore) =>
      Effect.gen(this, function* () {
        const fiber = yield* Effect.fork(restore(running))
        const guard = new Guard(this.connection, yield* Effect.runtime<never>(), this.awaitStandstill(), fiber)
        const exit = yield* restore(Effect.zipRight(onOpen, Fiber.await(fiber))).pipe(
          Effect.ensuring(Effect.zipRight(Fiber.interrupt(fiber), guard.stop))
        )
        yield* guard.hasStruck && Exit.isInterrupted(exit) ? this.end : exit
      })
    )
  }

  /** Waits until no message was begun for as long as one handler may take. */
  private awaitStandstill(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const { begun } = this
      return Effect.flatMap(Effect.sleep(this.settings.endTimeout), () =>
        begun === this.begun ? Effect.void : this.awaitStandstill()
      )
    })
  }

  // A write of a handler that came too late is no failure of the run, which ends as the connection does.
  private handle<E, R>(handler: Handler): Effect.Effect<void, WebSocketError | E, R> {
    const { concurrency, handlingHighWaterMark } = this.settings
    if (concurrency === 1) return this.handleInOrder(handler)
    const tolerant: Handler = (message) => this.tolerate(handler(message))
    return concurrency === "unbounded"
      ? atOnce(this.connection, tolerant, handlingHighWaterMark)
      : Run.sideBySide(this.connection, tolerant, concurrency)
  }

  // Goes on behind the message whose handler failed: that costs the others nothing.
  private handleInOrder<E, R>(handler: Handler): Effect.Effect<void, WebSocketError | E, R> {
    return Effect.catchAllCause(Run.inOrder<E, R>(this.connection, handler), (cause) =>
      this.isOfTold(cause) ? this.handleInOrder<E, R>(handler) : Exit.failCause(cause)
    )
  }

  private tolerate(handled: unknown): unknown {
    if (!Effect.isEffect(handled) || handled === Exit.void) return handled
    return Effect.catchAllCause(handled, (cause) => (this.isOfTold(cause) ? Exit.void : Exit.failCause(cause)))
  }

  // Also as a defect: there are those who write with `orDie`, since the stock sockets never fail.
  private isOfTold(cause: Cause.Cause<unknown>): boolean {
    const error = Option.orElse(Cause.failureOption(cause), () => Cause.dieOption(cause))
    return !Cause.isInterrupted(cause) && this.isTold(Option.getOrUndefined(error))
  }

  // An error that failed inside a span is another object.
  private isTold(error: unknown): boolean {
    const original = Cause.originalError(error)
    return original !== undefined && (original === this.toldEnd || original === this.toldClosing)
  }

  private get end(): Effect.Effect<void, Socket.SocketError> {
    return Effect.suspend(() => {
      const error = toSocketError(this.connection.failure!, "Read")
      return error.reason === "Close" && !this.settings.closeCodeIsError(error.code) ? Exit.void : Exit.fail(error)
    })
  }

  private errorOf(error: WebSocketError | SendRejected): Socket.SocketError {
    if (error._tag !== "SendRejected") return (this.toldEnd ??= toSocketError(error, "Write"))
    if (error.reason._tag === "QueueFull") return toSocketError(error, "Write")
    return (this.toldClosing ??= toSocketError(error, "Write"))
  }
}

/** Interrupts a fiber that goes on for too long when the connection has ended. */
class Guard {
  hasStruck = false
  private timer: Fiber.RuntimeFiber<void> | undefined = undefined
  private readonly forgetEnd: () => void

  constructor(
    connection: Connection,
    runtime: Runtime.Runtime<never>,
    tooLong: Effect.Effect<void>,
    fiber: Fiber.RuntimeFiber<unknown, unknown>
  ) {
    const strike = (): void => {
      this.hasStruck = true
      fiber.unsafeInterruptAsFork(FiberId.none)
    }
    this.forgetEnd = connection.ended.whenReached(() => {
      this.timer = Runtime.runFork(runtime)(Effect.interruptible(Effect.map(tooLong, strike)))
    })
  }

  get stop(): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.forgetEnd()
      return this.timer === undefined ? Effect.void : Fiber.interrupt(this.timer)
    })
  }
}

// 5.5: a control frame has room for so much. The text is for people, who rather have its beginning than nothing.
const cut = (reason: string): string => {
  if (reason.length * 3 <= CloseReason.maxReasonSize) return reason
  let size = 0
  let end = 0
  for (const character of reason) {
    size += new TextEncoder().encode(character).length
    if (size > CloseReason.maxReasonSize) break
    end += character.length
  }
  return reason.slice(0, end)
}
