/**
 * A connection as the two streams of the WHATWG.
 *
 * They hold nothing themselves: what waits is in the connection, whose marks are those of the peer.
 */
import * as CloseReason from "@effect-ws/core/CloseReason"
import type { Message } from "@effect-ws/core/Message"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Runtime from "effect/Runtime"
import type { Sendable, WebSocket } from "../../WebSocket.ts"
import type { WebSocketError } from "../../WebSocketError.ts"
import type { Connection } from "../connection/Connection.ts"
import * as Handle from "../connection/handle.ts"
import { isClean } from "../connection/isClean.ts"
import { inNextTask } from "./nextTask.ts"
import { toData } from "../connection/sendable.ts"

type Data = string | Uint8Array

// What the streams hand us, as far as it is used. Not by their global names: not every set of types has all of those.
interface ReadController {
  readonly enqueue: (data: Data) => void
  readonly close: () => void
  readonly error: (reason: unknown) => void
}

interface WriteController {
  readonly signal: Signal
  readonly error: (reason: unknown) => void
}

interface Signal {
  readonly addEventListener: (type: "abort", listener: () => void) => void
  readonly removeEventListener: (type: "abort", listener: () => void) => void
}

export const toReadableStream = (socket: WebSocket): Effect.Effect<ReadableStream<Data>> =>
  Effect.map(Effect.runtime<never>(), (runtime) => {
    const source = new Source(Handle.connectionOf(socket), runtime)
    return new ReadableStream<Data>(source, { highWaterMark: 0 })
  })

export const toWritableStream = (socket: WebSocket): Effect.Effect<WritableStream<Sendable>> =>
  Effect.map(Effect.runtime<never>(), (runtime) => {
    const sink = new Sink(socket, Handle.connectionOf(socket), runtime)
    // One is on its way at a time, and it counts as long as it waits for room.
    return new WritableStream<Sendable>(sink as object, { highWaterMark: 1 })
  })

/** Takes a message when it is asked for one, and not before: so what nobody reads slows the peer. */
class Source {
  private readonly connection: Connection
  private readonly runtime: Runtime.Runtime<never>
  private waiting: Fiber.RuntimeFiber<void, WebSocketError> | undefined = undefined
  private isCancelled = false

  constructor(connection: Connection, runtime: Runtime.Runtime<never>) {
    this.connection = connection
    this.runtime = runtime
    readingOf(connection).begin()
  }

  // No method: it is handed over without its object.
  readonly pull = (controller: ReadController): void | Promise<void> => {
    const message = this.connection.inbox.poll()
    if (message !== undefined) return controller.enqueue(dataOf(message))
    return new Promise((resolve) => {
      this.waiting = Runtime.runFork(this.runtime)(Effect.interruptible(this.connection.inbox.ready))
      this.waiting.addObserver((exit) => resolve(this.continue(exit, controller)))
    })
  }

  // Somebody else may have taken the message that it was woken for.
  private continue(exit: Exit.Exit<void, WebSocketError>, controller: ReadController): void | Promise<void> {
    this.waiting = undefined
    if (this.isCancelled) return undefined
    if (Exit.isSuccess(exit)) return this.pull(controller)
    readingOf(this.connection).end()
    const { failure } = this.connection
    return failure !== undefined && isClean(failure) ? controller.close() : controller.error(Cause.squash(exit.cause))
  }

  readonly cancel = (reason: unknown): Promise<void> => {
    this.isCancelled = true
    readingOf(this.connection).end()
    this.waiting?.unsafeInterruptAsFork(FiberId.none)
    return end(this.connection, reason, CloseReason.normal)
  }
}

class Sink {
  private readonly socket: WebSocket
  private readonly connection: Connection
  private readonly runtime: Runtime.Runtime<never>
  private forgetEnd = ignore
  private isOver = false

  constructor(socket: WebSocket, connection: Connection, runtime: Runtime.Runtime<never>) {
    this.socket = socket
    this.connection = connection
    this.runtime = runtime
  }

  // Who waits for the stream, and writes nothing, learns too that nothing can be written any more.
  readonly start = (controller: WriteController): void => {
    this.forgetEnd = this.connection.ended.whenReached(() => this.endWith(controller))
  }

  readonly write = (data: Sendable, { signal }: WriteController): void | Promise<void> => {
    const sent = this.connection.sending.send(toData(data))
    return sent === Exit.void ? undefined : this.promise(sent, signal)
  }

  readonly close = (): Promise<void> => {
    this.finish()
    return this.promise(this.socket.close())
  }

  readonly abort = (reason: unknown): Promise<void> => {
    this.finish()
    return end(this.connection, reason, { code: 1011, reason: "" })
  }

  // What is piped from a connection into itself ends cleanly when the connection does: the end comes through the pipe, before the
  // next task. Who hasn't closed by then is fed by somebody else, who has to be told.
  private endWith(controller: WriteController): void {
    const { failure } = this.connection
    const fail = (): void => (this.isOver ? undefined : controller.error(failure))
    const reading = readings.get(this.connection)
    if (reading === undefined || failure === undefined || !isClean(failure)) return fail()
    reading.afterEnd(() => inNextTask(fail))
  }

  private finish(): void {
    this.isOver = true
    this.forgetEnd()
  }

  // Rejects with the error itself. A write that waits for room is given up when the stream is aborted: it is the only one.
  private promise(effect: Effect.Effect<unknown, unknown>, signal?: Signal): Promise<void> {
    return new Promise((resolve, reject) => {
      const fiber = Runtime.runFork(this.runtime)(Effect.interruptible(effect))
      const interrupt = (): void => fiber.unsafeInterruptAsFork(FiberId.none)
      signal?.addEventListener("abort", interrupt)
      fiber.addObserver((exit) => {
        signal?.removeEventListener("abort", interrupt)
        if (Exit.isSuccess(exit)) resolve()
        else reject(Cause.squash(exit.cause))
      })
    })
  }
}

/** The streams that read from a connection. */
class Reading {
  private open = 0
  private waiting: Array<() => void> = []

  begin(): void {
    this.open++
  }

  end(): void {
    this.open--
    if (this.open > 0) return
    for (const goOn of this.waiting) goOn()
    this.waiting = []
  }

  /** Calls back when the last one has ended, at once if it has. */
  afterEnd(goOn: () => void): void {
    if (this.open > 0) this.waiting.push(goOn)
    else goOn()
  }
}

const readings = new WeakMap<Connection, Reading>()

const readingOf = (connection: Connection): Reading => {
  const reading = readings.get(connection) ?? new Reading()
  readings.set(connection, reading)
  return reading
}

// Who gives up a stream may say why, in the words of a Close frame.
const end = (connection: Connection, reason: unknown, otherwise: CloseReason.CloseReason): Promise<void> =>
  new Promise((resolve) => {
    connection.shutdown(closeReasonOf(reason) ?? otherwise)
    connection.ended.whenReached(resolve)
  })

const closeReasonOf = (reason: unknown): CloseReason.CloseReason | undefined => {
  if (typeof reason !== "object" || reason === null || !("code" in reason)) return undefined
  const { code } = reason
  if (typeof code !== "number") return undefined
  const text = "reason" in reason && typeof reason.reason === "string" ? reason.reason : ""
  const closeReason = CloseReason.make(code, text)
  return "_tag" in closeReason ? undefined : closeReason
}

const dataOf = (message: Message): Data => (message._tag === "Text" ? message.text : message.bytes)

const ignore = (): void => {}
