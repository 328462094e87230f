/**
 * The times of an open connection: notices when the peer is silent, the transport stuck, or a message without an end.
 *
 * All of them share one deadline, the earliest. On the way of a chunk only the time is noted; whether that puts off the
 * deadline is looked at when it has come.
 */
import * as Duration from "effect/Duration"
import type { ConnectionOptions } from "../ConnectionOptions.ts"
import type { TimeoutPhase } from "../ConnectionTimeout.ts"
import type { Deadline, Deadlines } from "./Deadlines.ts"

/** Those options that a watch is about, in milliseconds; `Infinity` for none. */
export interface Times {
  readonly idle: number
  readonly ping: number
  readonly pong: number
  readonly write: number
  readonly message: number
  readonly lifetime: number
}

/** What a watch looks at, and tells. */
export interface Watched {
  /** Counts the bytes that the transport has taken so far. */
  readonly taken: number
  readonly keepAlive: () => void
  readonly expire: (phase: Exclude<TimeoutPhase, "close">, millis: number) => void
}

export class Watch {
  private readonly times: Times
  private readonly deadlines: Deadlines
  private readonly watched: Watched
  private readonly startedAt: number
  private deadline: Deadline | undefined = undefined
  private isStopped = false
  private heardAt: number
  private pingedAt = -Infinity
  private pausedAt: number | undefined = undefined
  private stuckAt: number | undefined = undefined
  private takenThen = 0
  private messageAt: number | undefined = undefined

  constructor(times: Times, deadlines: Deadlines, watched: Watched) {
    this.times = times
    this.deadlines = deadlines
    this.watched = watched
    this.startedAt = this.heardAt = deadlines.now()
    this.arm()
  }

  /** Notes that something has come, and whether a message is unfinished that is to be finished in time. */
  heard(isInMessage: boolean): void {
    this.heardAt = this.deadlines.now()
    if (!isInMessage) this.messageAt = undefined
    else if (this.messageAt === undefined) this.begin((this.messageAt = this.heardAt), this.times.message)
  }

  /** Stops to count what the peer can do nothing about: we don't read. */
  pause(): void {
    this.pausedAt ??= this.deadlines.now()
  }

  resume(): void {
    if (this.pausedAt === undefined) return
    const now = this.deadlines.now()
    if (this.messageAt !== undefined) this.messageAt += now - this.pausedAt
    this.heardAt = now
    this.pingedAt = -Infinity
    this.pausedAt = undefined
    this.arm()
  }

  /** Notes that the transport is full. */
  stuck(): void {
    this.takenThen = this.watched.taken
    this.begin((this.stuckAt = this.deadlines.now()), this.times.write)
  }

  /** Notes that the transport has room again. */
  unstuck(): void {
    this.stuckAt = undefined
  }

  /** Looks at nothing any more. */
  stop(): void {
    this.isStopped = true
    this.deadlines.cancel(this.deadline)
  }

  private begin(since: number, time: number): void {
    if (since + time < (this.deadline?.at ?? Infinity)) this.arm()
  }

  private arm(): void {
    this.deadlines.cancel(this.deadline)
    this.deadline = undefined
    if (this.isStopped) return
    const at = Math.min(...this.dues().map((due) => due.at), this.nextPing, this.nextLook)
    if (at !== Infinity) this.deadline = this.deadlines.after(at - this.deadlines.now(), this.check)
  }

  private readonly check = (): void => {
    this.deadline = undefined
    const now = this.deadlines.now()
    if (this.stuckAt !== undefined && this.watched.taken !== this.takenThen) {
      this.takenThen = this.watched.taken
      this.stuckAt = now
    }
    const over = this.dues().find((due) => due.at <= now)
    if (over !== undefined) return this.watched.expire(over.phase, over.millis)
    if (this.nextPing <= now) {
      this.pingedAt = now
      this.watched.keepAlive()
    }
    this.arm()
  }

  private dues(): ReadonlyArray<{
    readonly at: number
    readonly phase: Exclude<TimeoutPhase, "close">
    readonly millis: number
  }> {
    const { idle, lifetime, message, pong, write } = this.times
    const heardAt = this.pausedAt === undefined ? this.heardAt : Infinity
    const messageAt = this.pausedAt === undefined ? (this.messageAt ?? Infinity) : Infinity
    const pingedAt = this.pingedAt > heardAt ? this.pingedAt : Infinity
    return [
      { at: this.startedAt + lifetime, phase: "lifetime", millis: lifetime },
      { at: heardAt + idle, phase: "idle", millis: idle },
      { at: pingedAt + pong, phase: "pong", millis: pong },
      { at: messageAt + message, phase: "message", millis: message },
      { at: (this.stuckAt ?? Infinity) + write, phase: "write", millis: write }
    ]
  }

  private get nextPing(): number {
    if (this.pausedAt !== undefined) return Infinity
    return Math.max(this.heardAt, this.pingedAt) + this.times.ping
  }

  // The transport doesn't tell when it takes something, so it is asked from time to time.
  private get nextLook(): number {
    if (this.stuckAt === undefined || this.times.write === Infinity) return Infinity
    return this.deadlines.now() + this.times.write / 20
  }
}

export const timesOf = (options: ConnectionOptions): Times => ({
  idle: Duration.toMillis(options.idleTimeout),
  ping: Duration.toMillis(options.pingInterval),
  pong: Duration.toMillis(options.pongTimeout),
  write: Duration.toMillis(options.writeTimeout),
  message: Duration.toMillis(options.messageTimeout),
  lifetime: Duration.toMillis(options.maxLifetime)
})
