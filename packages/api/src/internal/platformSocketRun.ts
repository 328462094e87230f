/**
 * One connection as what a `Socket.Socket` of `@effect/platform` reads from and writes to.
 */
import * as Socket from "@effect/platform/Socket"
import * as CloseReason from "@effect-ws/core/CloseReason"
import type { Message } from "@effect-ws/core/Message"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type { SendRejected } from "../SendRejected.ts"
import type { WebSocketError } from "../WebSocketError.ts"
import type { Connection } from "./Connection.ts"
import { toSocketError } from "./platformSocketErrors.ts"
import { atOnce } from "./platformSocketFibers.ts"
import * as Run from "./run.ts"
import { toData } from "./sendable.ts"

/** What was decided for all runs of a socket. */
export interface Settings {
  readonly closeCodeIsError: (code: number) => boolean
  readonly concurrency: number | "unbounded"
}

/** What a writer takes. */
export type Outgoing = Uint8Array | string | Socket.CloseEvent

/** Returns nothing or an effect. What that fails with and requires is for the public signature to tell. */
export type Handler = (message: Message) => unknown

export class PlatformSocketRun {
  private readonly connection: Connection
  private readonly settings: Settings
  // What writers were told, to know it again when a handler passes it on.
  private toldEnd: Socket.SocketError | undefined = undefined
  private toldClosing: Socket.SocketError | undefined = undefined

  constructor(connection: Connection, settings: Settings) {
    this.connection = connection
    this.settings = settings
  }

  run<E, R>(handler: Handler, onOpen: Effect.Effect<void> | undefined): Effect.Effect<void, Socket.SocketError | E, R> {
    const running = Effect.matchEffect(this.handle<E, R>(handler), {
      onFailure: (error): Effect.Effect<void, Socket.SocketError | E> =>
        error === this.connection.failure ? this.end : Exit.fail(error as E),
      onSuccess: () => this.end
    })
    return Effect.interruptible(onOpen === undefined ? running : whileOpening(onOpen, running))
  }

  write(chunk: Outgoing): Effect.Effect<void, Socket.SocketError> {
    if (typeof chunk === "object" && Socket.isCloseEvent(chunk)) return this.close(chunk)
    const sent = this.connection.sending.send(toData(chunk))
    return sent === Exit.void ? Exit.void : Effect.mapError(sent, (error) => this.errorOf(error))
  }

  private close({ code, reason }: Socket.CloseEvent): Effect.Effect<void> {
    const closeReason = { code, reason: cut(reason ?? "") }
    const fault = CloseReason.validate(closeReason)
    if (fault !== undefined) return Exit.die(new RangeError(fault.message))
    this.connection.beginClose(closeReason)
    return Exit.void
  }

  // A write of a handler that came too late is no failure of the run, which ends as the connection does.
  private handle<E, R>(handler: Handler): Effect.Effect<void, WebSocketError | E, R> {
    const { concurrency } = this.settings
    if (concurrency === 1) return this.handleInOrder(handler)
    const tolerant: Handler = (message) => this.tolerate(handler(message))
    return concurrency === "unbounded"
      ? atOnce(this.connection, tolerant)
      : Run.sideBySide(this.connection, tolerant, concurrency)
  }

  // Goes on behind the message whose handler failed: that costs the others nothing.
  private handleInOrder<E, R>(handler: Handler): Effect.Effect<void, WebSocketError | E, R> {
    return Effect.catchAll(Run.inOrder<E, R>(this.connection, handler), (error) =>
      this.wasTold(error) ? this.handleInOrder<E, R>(handler) : Exit.fail(error)
    )
  }

  private tolerate(handled: unknown): unknown {
    if (!Effect.isEffect(handled) || handled === Exit.void) return handled
    return Effect.catchAll(handled, (error) => (this.wasTold(error) ? Exit.void : Exit.fail(error)))
  }

  private wasTold(error: unknown): boolean {
    return error !== undefined && (error === this.toldEnd || error === this.toldClosing)
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

// Messages are handled meanwhile, so that it may wait for one.
const whileOpening = <E, R>(
  onOpen: Effect.Effect<void>,
  running: Effect.Effect<void, E, R>
): Effect.Effect<void, E, R> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(Effect.fork(restore(running)), (fiber) =>
      Effect.ensuring(restore(Effect.zipRight(onOpen, Fiber.join(fiber))), Fiber.interrupt(fiber))
    )
  )

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
