/**
 * A connection on its way to be made, in stages: each is given a connected socket and hands on that one, or another over
 * it. Stages follow one another within one event, so that there is no moment in which nobody listens to a socket.
 */
import type { Transport } from "@effect-ws/api/Transport"
import type { TransportError, TransportOperation } from "@effect-ws/api/TransportError"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Net from "node:net"

/** What a stage tells. It ends with `done` or `failed`, once, and has taken its listeners off the socket by then. */
export interface StageEvents {
  readonly done: (socket: Net.Socket) => void
  readonly failed: (error: TransportError) => void
}

/** Begins a stage; what it returns ends the stage early and may be called at any time. */
export type Stage = (socket: Net.Socket, events: StageEvents) => () => void

/** Makes the error of an operation that failed. */
export type ToError = (operation: TransportOperation, cause: unknown) => TransportError

/**
 * The socket of one connection, with listeners from the first moment on.
 *
 * TLS over a socket and that socket are as one: whichever is destroyed takes the other with it, and an error of the one
 * below is the business of the one above. Node sees to both.
 */
export class ConnectionAttempt {
  /** Waits for the transport. */
  readonly outcome: Effect.Effect<Transport, TransportError>
  private readonly toTransport: (socket: Net.Socket) => Transport
  private readonly stages: Array<Stage>
  /** What the last stage that is done has handed on. */
  private socket: Net.Socket
  private exit: Exit.Exit<Transport, TransportError> | undefined
  private resume: ((exit: Exit.Exit<Transport, TransportError>) => void) | undefined
  private stop: () => void = ignore

  constructor(socket: Net.Socket, stages: ReadonlyArray<Stage>, toTransport: (socket: Net.Socket) => Transport) {
    this.socket = socket
    this.stages = [...stages]
    this.toTransport = toTransport
    this.outcome = Effect.async((resume) => {
      if (this.exit === undefined) this.resume = resume
      else resume(this.exit)
      return Effect.sync(() => this.destroy())
    })
    this.advance(socket)
  }

  /** Ends the attempt, or the transport that came of it. */
  destroy(): void {
    this.stop()
    if (this.socket.destroyed) return
    ignoreErrors(this.socket)
    this.socket.destroy()
  }

  private advance(socket: Net.Socket): void {
    this.socket = socket
    const stage = this.stages.shift()
    if (stage === undefined) return this.settle(Exit.succeed(this.toTransport(socket)))
    this.stop = stage(socket, {
      done: (next) => this.advance(next),
      failed: (error) => this.fail(error)
    })
  }

  private fail(error: TransportError): void {
    // The scope may stay open for long.
    this.destroy()
    this.settle(Exit.fail(error))
  }

  private settle(exit: Exit.Exit<Transport, TransportError>): void {
    this.exit = exit
    this.resume?.(exit)
  }
}

/** A stage that waits until the socket is connected, and secure where it is a socket of TLS. */
export const connecting =
  (from: "connect" | "tls", isSecure: boolean, toError: ToError): Stage =>
  (socket, events) => {
    const waiting = new Connecting(socket, from, isSecure, toError, events)
    return () => waiting.stop()
  }

class Connecting {
  private readonly socket: Net.Socket
  private readonly isSecure: boolean
  private readonly toError: ToError
  private readonly events: StageEvents
  private phase: TransportOperation

  constructor(socket: Net.Socket, from: "connect" | "tls", isSecure: boolean, toError: ToError, events: StageEvents) {
    this.socket = socket
    this.isSecure = isSecure
    this.toError = toError
    this.events = events
    this.phase = from
    socket.on("lookup", this.onLookup)
    socket.on("connect", this.onConnect)
    socket.on("secureConnect", this.onReady)
    socket.on("error", this.onError)
    socket.on("close", this.onClose)
  }

  stop(): void {
    this.socket.off("lookup", this.onLookup)
    this.socket.off("connect", this.onConnect)
    this.socket.off("secureConnect", this.onReady)
    this.socket.off("error", this.onError)
    this.socket.off("close", this.onClose)
  }

  private readonly onLookup = (error: Error | null): void => {
    this.phase = error === null ? "connect" : "resolve"
  }

  private readonly onConnect = (): void => {
    this.phase = "tls"
    if (!this.isSecure) this.onReady()
  }

  private readonly onReady = (): void => {
    this.stop()
    this.events.done(this.socket)
  }

  private readonly onError = (cause: Error): void => {
    this.stop()
    this.events.failed(this.toError(this.phase, cause))
  }

  private readonly onClose = (): void => this.onError(new Error("the connection was closed"))
}

/** What is under way may still fail, and an error that nobody listens to ends the process. */
const ignoreErrors = (socket: Net.Socket): void => {
  socket.on("error", ignore)
  socket.once("close", () => socket.off("error", ignore))
}

const ignore = (): void => {}
