/**
 * Keeps a connection alive: one fiber that opens it, waits for its end, and for the time to open the next one.
 */
import * as CloseReason from "@effect-ws/core/CloseReason"
import type { Message } from "@effect-ws/core/Message"
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Inspectable from "effect/Inspectable"
import * as Option from "effect/Option"
import type * as Schedule from "effect/Schedule"
import * as ScheduleDecision from "effect/ScheduleDecision"
import * as ScheduleIntervals from "effect/ScheduleIntervals"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { ConnectionClosed } from "../../ConnectionClosed.ts"
import type { ReconnectingWebSocket, State } from "../../ReconnectingWebSocket.ts"
import type { SendRejected } from "../../SendRejected.ts"
import type { Sendable, WebSocket } from "../../WebSocket.ts"
import type { WebSocketError } from "../../WebSocketError.ts"
import { ReconnectLinks } from "./links.ts"

/** What is to be kept alive, and how. */
export interface Settings<E, R> {
  readonly open: Effect.Effect<WebSocket, E, R>
  readonly onOpen: ((socket: WebSocket) => Effect.Effect<unknown, E, R>) | undefined
  readonly schedule: Schedule.Schedule<unknown, E | WebSocketError, R>
  readonly while: (error: E | WebSocketError) => boolean
  readonly resetAfter: Duration.Duration
}

/** Begins at once, and ends with the scope. */
export const make = <E, R>(
  settings: Settings<E, R>
): Effect.Effect<ReconnectingWebSocket<E>, never, Exclude<R, Scope.Scope> | Scope.Scope> =>
  Effect.acquireRelease(
    Effect.suspend(() => {
      const links = new ReconnectLinks<E | WebSocketError>()
      const keeper = new Keeper(settings, links)
      // The fiber is made in a region that can't be interrupted, so that its end is always told.
      return Effect.map(Effect.forkDaemon(keeper.run), (fiber) => new Reconnecting(links, keeper, fiber))
    }),
    (reconnecting, exit) => reconnecting.release(exit)
  )

/** The face of it: what the application holds. */
class Reconnecting<E, R> implements ReconnectingWebSocket<E> {
  private readonly links: ReconnectLinks<E | WebSocketError>
  private readonly keeper: Keeper<E, R>
  private readonly fiber: Fiber.RuntimeFiber<void>

  constructor(links: ReconnectLinks<E | WebSocketError>, keeper: Keeper<E, R>, fiber: Fiber.RuntimeFiber<void>) {
    this.links = links
    this.keeper = keeper
    this.fiber = fiber
  }

  get receive(): Effect.Effect<Message, E | WebSocketError> {
    return this.links.take((socket) => socket.receive)
  }

  get receiveAll(): Effect.Effect<ReadonlyArray<Message>, E | WebSocketError> {
    return this.links.take((socket) => socket.receiveAll)
  }

  get messages(): Stream.Stream<Message, E | WebSocketError> {
    return Stream.repeatEffectChunkOption(
      Effect.matchCauseEffect(this.receiveAll, {
        onFailure: (cause) =>
          Effect.failCause(
            this.links.ending?.isClean === true ? Cause.fail(Option.none()) : Cause.map(cause, Option.some)
          ),
        onSuccess: (messages) => Effect.succeed(Chunk.unsafeFromArray(messages))
      })
    )
  }

  get current(): Effect.Effect<WebSocket, E | WebSocketError> {
    return this.links.current
  }

  get state(): Effect.Effect<State<E>> {
    return Effect.sync(() => this.links.state)
  }

  get states(): Stream.Stream<State<E>> {
    return Stream.asyncPush<State<E>>(
      (emit) =>
        Effect.acquireRelease(
          Effect.sync(() =>
            this.links.listen((state) => {
              emit.single(state)
              if (state._tag === "Closed") emit.end()
            })
          ),
          (stop) => Effect.sync(stop)
        ),
      { bufferSize: statesKept, strategy: "sliding" }
    )
  }

  send(data: Sendable): Effect.Effect<void, E | WebSocketError | SendRejected> {
    return this.links.send(data)
  }

  close(input: CloseReason.Input = CloseReason.normal): Effect.Effect<void> {
    return Effect.suspend(() => {
      const reason = { code: input.code, reason: input.reason ?? "" }
      const fault = CloseReason.validate(reason)
      if (fault !== undefined) return Exit.die(new RangeError(fault.message))
      this.keeper.leave({ reason, exit: Exit.void })
      return Effect.zipRight(Fiber.interruptFork(this.fiber), Fiber.await(this.fiber))
    })
  }

  // What is shown of it in a log: nothing that may hold credentials.
  toJSON(): unknown {
    return { _id: "ReconnectingWebSocket", state: this.links.state._tag }
  }

  toString(): string {
    return Inspectable.format(this.toJSON())
  }

  [Inspectable.NodeInspectSymbol](): unknown {
    return this.toJSON()
  }

  release(exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.keeper.leave({ reason: undefined, exit })
      return Fiber.interrupt(this.fiber)
    })
  }
}

/** How it is left: with a Close frame that says so, or as its scope is closed. */
interface Leaving {
  readonly reason: CloseReason.CloseReason | undefined
  readonly exit: Exit.Exit<unknown, unknown>
}

class Keeper<E, R> {
  private readonly settings: Settings<E, R>
  private readonly links: ReconnectLinks<E | WebSocketError>
  private leaving: Leaving | undefined = undefined
  /** The connection, from the opening handshake on, whoever knows of it. */
  private socket: WebSocket | undefined = undefined
  private attempt = 0
  /** How long the connection that has just ended was open, if it was. */
  private held: Duration.Duration | undefined = undefined
  private scheduleState: unknown

  constructor(settings: Settings<E, R>, links: ReconnectLinks<E | WebSocketError>) {
    this.settings = settings
    this.links = links
    this.scheduleState = settings.schedule.initial
  }

  /** Says how it is to end; the fiber is then to be interrupted. */
  leave(leaving: Leaving): void {
    this.leaving ??= leaving
  }

  /** Until it is given up, or interrupted. Never fails: what ended it is told to those who use it. */
  readonly run: Effect.Effect<void, never, Exclude<R, Scope.Scope>> = Effect.suspend(() =>
    Effect.interruptible(Effect.forever(Effect.catchAll(this.connection, (error) => this.pause(error))))
  ).pipe(
    Effect.exit,
    Effect.flatMap((exit) => this.end(exit))
  )

  // One connection from the attempt to its end, in a scope that is its own.
  private readonly connection: Effect.Effect<never, E | WebSocketError, Exclude<R, Scope.Scope>> =
    Effect.acquireUseRelease(
      Scope.make(),
      (scope) => this.open(scope),
      (scope, exit) => this.close(scope, exit)
    )

  private open(scope: Scope.CloseableScope): Effect.Effect<never, E | WebSocketError, Exclude<R, Scope.Scope>> {
    return Effect.gen(this, function* () {
      this.held = undefined
      this.links.tell({ _tag: "Connecting", attempt: ++this.attempt })
      const socket = yield* Effect.tap(Scope.extend(this.settings.open, scope), (socket) => void (this.socket = socket))
      yield* this.prepare(socket, scope)
      this.links.opened(socket)
      const [held, error] = yield* Effect.timed(socket.closed)
      this.held = held
      return yield* Effect.fail(error)
    })
  }

  // It isn't always the connection that `onOpen` waits for, so it has to be told of its end.
  private prepare(
    socket: WebSocket,
    scope: Scope.Scope
  ): Effect.Effect<void, E | WebSocketError, Exclude<R, Scope.Scope>> {
    const { onOpen } = this.settings
    if (onOpen === undefined) return Effect.void
    return Effect.gen(function* () {
      let end: WebSocketError | undefined
      const hook = yield* Effect.forkIn(Scope.extend(onOpen(socket), scope), scope)
      const callOff = (error: WebSocketError) =>
        Effect.zipRight(
          Effect.sync(() => (end = error)),
          Fiber.interruptFork(hook)
        )
      const watch = yield* Effect.forkIn(Effect.flatMap(socket.closed, callOff), scope)
      const exit = yield* Fiber.await(hook)
      yield* Fiber.interruptFork(watch)
      if (end !== undefined && Exit.isInterrupted(exit)) return yield* Effect.fail(end)
      yield* exit
    })
  }

  private close(scope: Scope.CloseableScope, exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> {
    return Effect.suspend(() => {
      const { leaving, socket } = this
      const says = socket === undefined || leaving?.reason === undefined ? Effect.void : socket.close(leaving.reason)
      return Effect.ignore(says)
    }).pipe(
      Effect.zipRight(Effect.suspend(() => Scope.close(scope, this.leaving?.exit ?? exit))),
      // One that `open` had from elsewhere isn't a resource of this scope.
      Effect.zipRight(Effect.suspend(() => this.socket?.destroy ?? Effect.void)),
      Effect.zipRight(this.links.lost)
    )
  }

  private pause(error: E | WebSocketError): Effect.Effect<void, E | WebSocketError, Exclude<R, Scope.Scope>> {
    return Effect.gen(this, function* () {
      this.socket = undefined
      if (!this.settings.while(error)) return yield* Effect.fail(error)
      const delay = yield* this.nextDelay(error)
      this.links.tell({ _tag: "Away", error, delay })
      yield* Effect.sleep(delay)
    })
  }

  // The steps of the schedule are taken here, since a driver would sleep before it said for how long.
  private nextDelay(
    error: E | WebSocketError
  ): Effect.Effect<Duration.Duration, E | WebSocketError, Exclude<R, Scope.Scope>> {
    return Effect.gen(this, function* () {
      const { resetAfter, schedule } = this.settings
      if (this.held !== undefined && Duration.greaterThanOrEqualTo(this.held, resetAfter)) this.reset()
      const now = yield* Clock.currentTimeMillis
      const [state, , decision] = yield* Effect.scoped(schedule.step(now, error, this.scheduleState))
      this.scheduleState = state
      if (ScheduleDecision.isDone(decision)) return yield* Effect.fail(error)
      return Duration.millis(Math.max(0, ScheduleIntervals.start(decision.intervals) - now))
    })
  }

  private reset(): void {
    this.attempt = 0
    this.scheduleState = this.settings.schedule.initial
  }

  private end(exit: Exit.Exit<never, E | WebSocketError>): Effect.Effect<void> {
    return Effect.gen(this, function* () {
      if (this.leaving === undefined) return this.links.end({ cause: causeOf(exit), isClean: isClean(exit) })
      const error = this.socket === undefined ? closedWhileAway : yield* this.socket.closed
      this.links.end({ cause: Cause.fail(error), isClean: true })
    })
  }
}

const causeOf = <E>(exit: Exit.Exit<never, E>): Cause.Cause<E> => (Exit.isFailure(exit) ? exit.cause : Cause.empty)

const isClean = (exit: Exit.Exit<never, unknown>): boolean => {
  const error = Option.getOrUndefined(Cause.failureOption(causeOf(exit)))
  return error instanceof ConnectionClosed && error.clean
}

const closedWhileAway = new ConnectionClosed({
  received: undefined,
  sent: undefined,
  initiator: "local",
  discarded: 0
})

const statesKept = 64
