/**
 * The face of a connection: what the application holds.
 */
import * as CloseReason from "@effect-ws/core/CloseReason"
import type { Message } from "@effect-ws/core/Message"
import type { Role } from "@effect-ws/core/Role"
import type { UpgradeRequest } from "@effect-ws/core/UpgradeRequest"
import type { UpgradeResponse } from "@effect-ws/core/UpgradeResponse"
import * as Cause from "effect/Cause"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Inspectable from "effect/Inspectable"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { ConnectionClosed } from "../../ConnectionClosed.ts"
import type { ConnectionStatus } from "../../ConnectionStatus.ts"
import type { HandshakeError } from "../../HandshakeError.ts"
import type { Incoming, MessageStream } from "../../MessageStream.ts"
import type { SendRejected } from "../../SendRejected.ts"
import type { TransportInfo } from "../../Transport.ts"
import type { ControlFrame, Sendable, WebSocket } from "../../WebSocket.ts"
import type { WebSocketError } from "../../WebSocketError.ts"
import type { Connection } from "./Connection.ts"
import { Send } from "./Send.ts"
import { messagesOf } from "./messagesOf.ts"
import * as connectionIds from "../observing/connectionIds.ts"
import { receiveStream } from "./receiveStream.ts"
import { sendStream } from "./sendStream.ts"

/** What the two sides said in the opening handshake. */
interface Heads {
  readonly request: UpgradeRequest
  readonly response: UpgradeResponse
}

class Handle implements WebSocket {
  readonly role: Role
  readonly request: UpgradeRequest
  readonly response: UpgradeResponse
  readonly subprotocol: string | undefined
  readonly info: TransportInfo
  readonly connection: Connection

  constructor(connection: Connection, { request, response }: Heads) {
    this.connection = connection
    this.role = connection.role
    this.request = request
    this.response = response
    this.subprotocol = response.subprotocol
    this.info = connection.transport.info
  }

  get id(): number {
    return (this.connection.id ||= connectionIds.next())
  }

  get receive(): Effect.Effect<Message, WebSocketError> {
    return this.connection.inbox.receive
  }

  get receiveAll(): Effect.Effect<ReadonlyArray<Message>, WebSocketError> {
    return this.connection.inbox.receiveAll
  }

  get receiveStream(): Effect.Effect<Incoming, WebSocketError, Scope.Scope> {
    return receiveStream(this.connection)
  }

  get messages(): Stream.Stream<Message, WebSocketError> {
    return messagesOf(this.connection.inbox)
  }

  send(data: Sendable): Effect.Effect<void, WebSocketError | SendRejected> {
    return new Send(this.connection.sending, data)
  }

  sendStream<E, R>(
    message: MessageStream<E, R>,
    { fragmentSize }: { readonly fragmentSize?: number | undefined } = {}
  ): Effect.Effect<void, WebSocketError | SendRejected | E, R> {
    return sendStream(this.connection, message, fragmentSize)
  }

  sendPing(payload?: Uint8Array): Effect.Effect<void, WebSocketError | SendRejected> {
    return this.connection.sending.sendPing(payload ?? empty)
  }

  get controlFrames(): Stream.Stream<ControlFrame> {
    return Stream.asyncPush<ControlFrame>(
      (emit) =>
        Effect.acquireRelease(
          Effect.sync(() => this.connection.listenToControl((frame) => (frame ? emit.single(frame) : emit.end()))),
          (stop) => Effect.sync(stop)
        ),
      { bufferSize: controlBuffer, strategy: "sliding" }
    )
  }

  get status(): Effect.Effect<ConnectionStatus> {
    return Effect.sync(() => this.connection.status)
  }

  get destroy(): Effect.Effect<void> {
    return Effect.sync(() => this.connection.destroy())
  }

  ping(payload?: Uint8Array): Effect.Effect<Duration.Duration, WebSocketError | SendRejected> {
    return this.connection.sending.ping(payload)
  }

  pong(payload?: Uint8Array): Effect.Effect<void, WebSocketError | SendRejected> {
    return this.connection.sending.pong(payload ?? empty)
  }

  close(
    { code, reason: text = "" }: CloseReason.Input = CloseReason.normal
  ): Effect.Effect<ConnectionClosed, WebSocketError> {
    return Effect.suspend(() => {
      const reason = { code, reason: text }
      const fault = CloseReason.validate(reason)
      if (fault !== undefined) return Exit.die(new RangeError(fault.message))
      this.connection.beginClose(reason)
      return Effect.flatMap(this.connection.ended.await, (end) =>
        end._tag === "ConnectionClosed" && end.received !== undefined ? Exit.succeed(end) : Exit.fail(end)
      )
    })
  }

  get closed(): Effect.Effect<WebSocketError> {
    return this.connection.ended.await
  }

  // What is shown of a connection in a log: no field of its heads, which may hold credentials.
  toJSON(): unknown {
    const { connection, id, info, role, subprotocol } = this
    return { _id: "WebSocket", id, role, subprotocol, peer: info.remoteAddress, end: connection.failure?.message }
  }

  toString(): string {
    return Inspectable.format(this.toJSON())
  }

  [Inspectable.NodeInspectSymbol](): unknown {
    return this.toJSON()
  }
}

/** A connection that has just been made. */
export interface Opened extends Heads {
  readonly connection: Connection
}

/** Makes an effect interruptible again, inside a region that is not. */
export type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

/** A connection that is nobody's resource: whoever has it sees to its end. */
export const make = (opened: Opened): WebSocket => new Handle(opened.connection, opened)

/** Makes the connection a resource of the scope: releasing is a closing handshake with a deadline. */
export const own = (opened: Opened): Effect.Effect<WebSocket, never, Scope.Scope> =>
  Effect.flatMap(Effect.scope, (scope) =>
    // Not `Effect.addFinalizer`, which keeps all that is in force here for a release that needs none of it.
    Effect.as(
      Scope.addFinalizerExit(scope, (exit) => opened.connection.release(releaseReason(exit))),
      make(opened)
    )
  )

/** A place in a scope for a connection that is yet to be opened. */
export class Hold {
  private readonly isAwaited: boolean
  private connection: Connection | undefined = undefined
  private exit: Exit.Exit<unknown, unknown> | undefined = undefined

  /** `isAwaited` says whether the scope waits for the end of the connection; else somebody else does. */
  constructor(isAwaited: boolean) {
    this.isAwaited = isAwaited
  }

  /** Makes it a resource of the scope in the same step in which it was opened, so that it isn't lost in between. */
  take(opened: Opened): WebSocket {
    this.connection = opened.connection
    if (this.exit !== undefined) opened.connection.shutdown(releaseReason(this.exit))
    return make(opened)
  }

  release(exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> {
    this.exit = exit
    const { connection } = this
    if (connection === undefined) return Exit.void
    if (this.isAwaited) return connection.release(releaseReason(exit))
    return Effect.sync(() => connection.shutdown(releaseReason(exit)))
  }
}

/**
 * Makes a place in the scope first, for what is opened in one step: that needs no region that can't be interrupted. The scope
 * `handlerScope` is that of a handler, whose server waits for the end of its connection without a fiber.
 */
export const held = <A, E, R>(
  open: (hold: Hold) => Effect.Effect<A, E, R>,
  handlerScope: Scope.Scope | undefined
): Effect.Effect<A, E, R | Scope.Scope> =>
  Effect.flatMap(Effect.scope, (scope) => {
    const hold = new Hold(scope !== handlerScope)
    const place = Scope.addFinalizerExit(scope, (exit) => hold.release(exit))
    return Effect.flatMap(place, () => open(hold))
  })

/**
 * Opens a connection and makes it a resource of the scope, so that none is lost in between. What waits for the peer is
 * wrapped in `restore`, so that it can be interrupted.
 */
export const scoped = <R>(
  open: (restore: Restore) => Effect.Effect<Opened, HandshakeError, R>
): Effect.Effect<WebSocket, HandshakeError, R | Scope.Scope> =>
  Effect.uninterruptibleMask((restore) => Effect.flatMap(open(restore), own))

/** The connection behind the face. */
export const connectionOf = (socket: WebSocket): Connection => {
  if (socket instanceof Handle) return socket.connection
  throw new Error("The WebSocket was not made by this library")
}

/** What the Close frame says when a scope closes. */
export const releaseReason = (exit: Exit.Exit<unknown, unknown>): CloseReason.CloseReason => {
  if (Exit.isSuccess(exit)) return CloseReason.normal
  return Cause.isInterruptedOnly(exit.cause) ? goingAway : internalError
}

const controlBuffer = 64
const empty = new Uint8Array(0)
/** What the Close frame says when we go away, as a server that is shut down (RFC 6455 7.4.1). */
export const goingAway: CloseReason.CloseReason = { code: 1001, reason: "" }
const internalError: CloseReason.CloseReason = { code: 1011, reason: "" }
