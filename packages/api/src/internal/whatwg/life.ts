/**
 * The life of a WHATWG WebSocket: the connection below it, from the attempt to its end, as states and events.
 *
 * @see https://websockets.spec.whatwg.org/#feedback-from-the-protocol
 */
import type { CloseReason } from "@effect-ws/core/CloseReason"
import * as Headers from "@effect-ws/core/Headers"
import type { Message } from "@effect-ws/core/Message"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import type { HandshakeError } from "../../HandshakeError.ts"
import type { WebSocket } from "../../WebSocket.ts"
import type { Connection } from "../connection/Connection.ts"
import * as Handle from "../connection/handle.ts"
import * as Run from "../connection/run.ts"
import type { SendData } from "./arguments.ts"
import { type CloseInit, closeEvent, ErrorEvent } from "./events.ts"
import { Sends } from "./sends.ts"

/** What all that one class makes have in common. */
export interface House {
  readonly connect: (
    url: string,
    subprotocols: ReadonlyArray<string>
  ) => Effect.Effect<WebSocket, HandshakeError, Scope.Scope>
  /** Runs the effect, not before the call has returned, until the house closes. */
  readonly fork: (effect: Effect.Effect<void, unknown>) => Fiber.RuntimeFiber<void, unknown>
  /** Waits for the next task of the event loop: what listeners have set going goes on until it has to wait. */
  readonly nextTask: Effect.Effect<void>
  readonly maxBufferedAmount: number
}

export const states = { CONNECTING: 0, OPEN: 1, CLOSING: 2, CLOSED: 3 } as const

export type ReadyState = (typeof states)[keyof typeof states]

export class Life {
  readyState: ReadyState = states.CONNECTING
  subprotocol = ""
  extensions = ""
  binaryType: "blob" | "arraybuffer" = "blob"

  private readonly house: House
  private readonly target: EventTarget
  private readonly url: URL
  private readonly sends: Sends
  private readonly fiber: Fiber.RuntimeFiber<void, unknown>
  private connection: Connection | undefined = undefined
  // What we have ended the connection for.
  private fault: unknown = undefined

  /** Begins to connect. */
  constructor(house: House, target: EventTarget, url: URL, subprotocols: ReadonlyArray<string>) {
    this.house = house
    this.target = target
    this.url = url
    this.sends = new Sends(house.maxBufferedAmount, (error) => this.fail(error))
    const connect = house.connect(url.href, subprotocols)
    const live = Effect.flatMap(connect, (socket) => this.live(socket, subprotocols))
    this.fiber = house.fork(Effect.scoped(live))
    this.fiber.addObserver((exit) => this.end(exit))
  }

  get bufferedAmount(): number {
    return this.sends.buffered
  }

  send(data: SendData): void {
    if (this.readyState === states.OPEN) this.sends.add(data)
    else this.sends.lose(data)
  }

  close(reason: CloseReason): void {
    if (this.readyState === states.CONNECTING) this.giveUp()
    else if (this.readyState === states.OPEN) this.sends.close(reason)
    if (this.readyState < states.CLOSING) this.readyState = states.CLOSING
  }

  private giveUp(): void {
    this.fault = new DOMException("The connection was closed before it was established", "AbortError")
    this.fiber.unsafeInterruptAsFork(this.fiber.id())
  }

  private live(socket: WebSocket, offered: ReadonlyArray<string>): Effect.Effect<void, unknown> {
    // Stricter than RFC 6455 4.1, as the specification of the class is: who offers subprotocols needs one of them.
    if (offered.length > 0 && socket.subprotocol === undefined) {
      return Effect.zipRight(
        socket.destroy,
        Effect.fail(new Error("The server chose none of the subprotocols offered"))
      )
    }
    const connection = Handle.connectionOf(socket)
    return Effect.suspend(() => this.open(socket, connection)).pipe(
      Effect.zipRight(Run.inOrder<never, never>(connection, (message) => this.receive(connection, message))),
      Effect.ignore,
      // The peer has closed, or the connection was lost, or the house closes: nothing more comes.
      Effect.ensuring(Effect.sync(() => this.leaveOpen())),
      Effect.andThen(Effect.asVoid(connection.ended.await))
    )
  }

  private open(socket: WebSocket, connection: Connection): Effect.Effect<void> {
    this.connection = connection
    this.subprotocol = socket.subprotocol ?? ""
    this.extensions = Headers.get(socket.response.fields, "Sec-WebSocket-Extensions") ?? ""
    this.sends.attach(connection, this.extensions !== "")
    this.readyState = states.OPEN
    this.target.dispatchEvent(new Event("open"))
    return this.breathe(connection)
  }

  private receive(connection: Connection, message: Message): Effect.Effect<void> {
    // What comes after `close` is dropped.
    if (this.readyState !== states.OPEN) return Exit.void
    this.target.dispatchEvent(new MessageEvent("message", { data: this.dataOf(message), origin: this.url.origin }))
    return this.breathe(connection)
  }

  // Each event is a task of its own, so whoever has awaited one is back for the next.
  private breathe({ inbox, status }: Connection): Effect.Effect<void> {
    return inbox.hasNext || status.state !== "open" ? this.house.nextTask : Exit.void
  }

  private dataOf(message: Message): unknown {
    if (message._tag === "Text") return message.text
    const { bytes } = message
    if (this.binaryType === "blob") return new Blob([bytes])
    return bytes.byteLength === bytes.buffer.byteLength ? bytes.buffer : new Uint8Array(bytes).buffer
  }

  private leaveOpen(): void {
    if (this.readyState === states.OPEN) this.readyState = states.CLOSING
  }

  private fail(fault: unknown): void {
    this.fault = fault
    this.leaveOpen()
    this.connection?.destroy()
  }

  private end(exit: Exit.Exit<void, unknown>): void {
    const outcome = this.fault === undefined ? outcomeOf(this.connection) : undefined
    this.sends.finish(outcome?.wasClean === true)
    this.readyState = states.CLOSED
    if (outcome === undefined) this.target.dispatchEvent(new ErrorEvent(this.fault ?? this.reasonOf(exit)))
    this.target.dispatchEvent(closeEvent(outcome ?? abnormal))
  }

  private reasonOf(exit: Exit.Exit<void, unknown>): unknown {
    return this.connection?.failure ?? (Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined)
  }
}

// A connection without a Close frame of the peer has failed (RFC 6455 7.1.7, 7.2.1), and so has one that we gave up.
const outcomeOf = (connection: Connection | undefined): CloseInit | undefined => {
  const failure = connection?.failure
  if (failure?._tag !== "ConnectionClosed" || failure.received === undefined) return undefined
  return { ...failure.received, wasClean: failure.sent !== undefined }
}

const abnormal: CloseInit = { code: 1006, reason: "", wasClean: false }
