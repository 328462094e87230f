/**
 * The connections of one that is kept alive, one after the other, and those who wait for the next.
 *
 * All steps but the waiting are synchronous. A connection that has ended stays as long as there is something to receive
 * from it, up to a bound.
 */
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import type { State } from "../../ReconnectingWebSocket.ts"
import type { SendRejected } from "../../SendRejected.ts"
import type { Sendable, WebSocket } from "../../WebSocket.ts"
import type { WebSocketError } from "../../WebSocketError.ts"

interface Link {
  readonly socket: WebSocket
  /** Whether nothing more can be received from it. */
  isRead: boolean
  /** Whether nothing more can be sent over it. */
  isShut: boolean
}

/** How it all ended. */
export interface Ending<E> {
  readonly cause: Cause.Cause<E>
  /** Whether a stream of messages ends normally. */
  readonly isClean: boolean
}

/** What is received from one connection. */
export type Take<A> = (socket: WebSocket) => Effect.Effect<A, WebSocketError>

export class ReconnectLinks<E> {
  state: State<E> = { _tag: "Connecting", attempt: 1 }
  ending: Ending<E> | undefined = undefined

  /** Oldest first: those that have ended and have something to be received, and behind them the one that is open. */
  private readonly links: Array<Link> = []
  private open: Link | undefined = undefined
  /** Is done when there is a connection, or the end. */
  private next = Deferred.unsafeMake<void>(FiberId.none)
  private readonly listeners = new Set<(state: State<E>) => void>()

  /** Changes the state, and tells all who want to know. */
  tell(state: State<E>): void {
    this.state = state
    for (const listener of this.listeners) listener(state)
  }

  /** Tells the state that is, and every other from now on, until the function that is returned is called. */
  listen(listener: (state: State<E>) => void): () => void {
    this.listeners.add(listener)
    listener(this.state)
    return () => void this.listeners.delete(listener)
  }

  /** There is a connection: those who wait go on, in the order in which they came. */
  opened(socket: WebSocket): void {
    this.open = { socket, isRead: false, isShut: false }
    this.links.push(this.open)
    this.tell({ _tag: "Open", socket })
    const { next } = this
    this.next = Deferred.unsafeMake(FiberId.none)
    Deferred.unsafeDone(next, Exit.void)
  }

  /** The connection has ended. What came over it can still be received. */
  readonly lost: Effect.Effect<void> = Effect.suspend(() => {
    const link = this.open
    if (link === undefined) return Effect.void
    this.open = undefined
    if (link.isRead) this.remove(link)
    return this.forget
  })

  /** It is over: all who wait, now or later, are told why. */
  end(ending: Ending<E>): void {
    this.ending = ending
    this.tell({ _tag: "Closed", cause: ending.cause })
    Deferred.unsafeDone(this.next, Exit.void)
  }

  /**
   * Takes from the oldest connection that has something, or may still get it. There may be no step between the taking and who
   * asked for it: a fiber that is interrupted there would have taken something.
   */
  take<A>(from: Take<A>): Effect.Effect<A, E | WebSocketError> {
    return Effect.suspend(() => {
      const link = this.links.find(({ isRead }) => !isRead)
      if (link === undefined) return this.orNext(() => this.take(from))
      // Not `catchAll`, which has a step of its own for a success.
      return Effect.catchAllCause(from(link.socket), (cause) => {
        if (!Cause.isFailType(cause)) return Exit.failCause(cause)
        this.finishReading(link)
        return this.take(from)
      })
    })
  }

  /** Sends over the connection that is open, or the next one that takes it. */
  send(data: Sendable): Effect.Effect<void, E | SendRejected> {
    return Effect.suspend(() => {
      const link = this.open
      if (link === undefined || link.isShut) return this.orNext(() => this.send(data))
      return Effect.catchAll(link.socket.send(data), (error) => {
        if (error._tag === "SendRejected" && error.reason._tag === "QueueFull") return Exit.fail(error)
        // Whatever else it is, nothing of the message was sent, and nothing can be any more.
        link.isShut = true
        return this.send(data)
      })
    })
  }

  /** The connection that is open, or the next one. */
  readonly current: Effect.Effect<WebSocket, E> = Effect.suspend(() =>
    this.open === undefined ? this.orNext(() => this.current) : Exit.succeed(this.open.socket)
  )

  // Whoever waits has to have looked at what is waited for in one step.
  private orNext<A, E2>(again: () => Effect.Effect<A, E2>): Effect.Effect<A, E | E2> {
    if (this.ending !== undefined) return Exit.failCause(this.ending.cause)
    return Effect.flatMap(Deferred.await(this.next), again)
  }

  private finishReading(link: Link): void {
    link.isRead = true
    if (link !== this.open) this.remove(link)
  }

  private remove(link: Link): void {
    const index = this.links.indexOf(link)
    if (index !== -1) this.links.splice(index, 1)
  }

  // Without that, one that nobody reads would hold what all of its connections have ever brought.
  private readonly forget: Effect.Effect<void> = Effect.gen(this, function* () {
    const newest = this.links.at(-1)
    let kept = 0
    for (const link of [...this.links].reverse()) {
      const { incoming } = yield* link.socket.status
      kept += incoming
      if (incoming > 0 && (kept <= maxUnread || link === newest)) continue
      this.remove(link)
      if (incoming > 0) yield* Effect.logWarning(`Dropped unread: ${incoming} bytes of a connection that has ended`)
    }
  })
}

// In bytes, as the inbox of a connection counts them: four connections that had it full.
const maxUnread = 1024 * 1024
