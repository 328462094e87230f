/**
 * The times of an open connection: notices when the peer is silent, the transport stuck, or a message without an end.
 *
 * All of them share one deadline, the earliest. On the way of a chunk only the time is noted; whether that puts off the
 * deadline is looked at when it has come.
 */
import * as Duration from "effect/Duration"
import type { ConnectionOptions } from "../../ConnectionOptions.ts"
import type { TimeoutPhase } from "../../ConnectionTimeout.ts"
import { type Deadline, type Deadlines, rest, toleranceOf } from "../Deadlines.ts"

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
  readonly expire: (phase: Due["phase"], millis: number) => void
}

export class Watch {
  private readonly times: Times
  private readonly deadlines: Deadlines
  private readonly watched: Watched
  private readonly startedAt: number
  private deadline: Deadline | undefined = undefined
  private isStopped = false
  private heardAt: number
  // The newest Ping, and the first of those since something was heard.
  private pingedAt = -Infinity
  private askedAt: number | undefined = undefined
  private isPingStuck = false
  private pausedAt: number | undefined = undefined
  private stuckAt: number | undefined = undefined
  private takenThen = 0
  private lookedAt = -Infinity
  private messageAt: number | undefined = undefined
  private suspected: Due["phase"] | undefined = undefined

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
    this.askedAt = undefined
    if (!isInMessage) this.messageAt = undefined
    else if (this.messageAt === undefined) this.armBy((this.messageAt = this.heardAt) + this.times.message)
  }

  /** Notes that the message which was unfinished is whole, or has time from here on: the next one is another. */
  messageOver(): void {
    this.messageAt = undefined
  }

  /** Stops to count what the peer can do nothing about: we don't read. */
  pause(): void {
    this.pausedAt ??= this.deadlines.now()
  }

  resume(): void {
    if (this.pausedAt === undefined) return
    const now = this.deadlines.now()
    // The last chunk may have come after the pause.
    if (this.messageAt !== undefined) this.messageAt += now - Math.max(this.pausedAt, this.messageAt)
    this.heardAt = now
    this.askedAt = undefined
    this.pausedAt = undefined
    this.armBy(this.earliest)
  }

  /** Notes that the transport is full. */
  stuck(): void {
    this.takenThen = this.watched.taken
    this.stuckAt = this.lookedAt = this.deadlines.now()
    this.armBy(this.nextLook)
  }

  /** Notes that the transport has room again. */
  unstuck(): void {
    this.stuckAt = undefined
    if (!this.isPingStuck) return
    this.isPingStuck = false
    this.armBy(this.nextPing)
  }

  /** Looks at nothing any more. */
  stop(): void {
    this.isStopped = true
    this.deadlines.cancel(this.deadline)
  }

  private armBy(at: number): void {
    if (at < (this.deadline?.at ?? Infinity)) this.arm()
  }

  private arm(): void {
    this.deadlines.cancel(this.deadline)
    this.deadline = undefined
    const at = this.earliest
    if (this.isStopped || at === Infinity) return
    this.deadline = this.deadlines.after(at - this.deadlines.now(), this.check)
  }

  private readonly check = (): void => {
    this.deadline = undefined
    const now = this.deadlines.now()
    this.look(now)
    const over = this.firstOver(now)
    if (over !== undefined && this.isSure(over.phase)) return this.watched.expire(over.phase, over.millis)
    this.suspected = over?.phase
    if (over === undefined && this.nextPing <= now) this.ping(now)
    this.arm()
  }

  // The transport doesn't tell when it takes something, so it is asked from time to time.
  private look(now: number): void {
    if (this.stuckAt === undefined) return
    this.lookedAt = now
    if (this.watched.taken === this.takenThen) return
    this.takenThen = this.watched.taken
    this.stuckAt = now
  }

  private ping(now: number): void {
    this.pingedAt = now
    this.askedAt ??= now
    this.isPingStuck = this.stuckAt !== undefined
    this.watched.keepAlive()
  }

  // When all of the program was held up, what the peer said meanwhile is read only after its time seems to be over. So it is
  // believed the second time, when the deadlines have rested.
  private isSure(phase: Due["phase"]): boolean {
    return phase === "lifetime" || phase === "write" || phase === this.suspected
  }

  private firstOver(now: number): Due | undefined {
    const over = this.dues.filter((due) => due.at <= now)
    return over.find((due) => over.every((other) => due.at <= other.at))
  }

  private get earliest(): number {
    return Math.min(...this.dues.map((due) => due.at), this.nextPing, this.nextLook)
  }

  private get dues(): ReadonlyArray<Due> {
    const { idle, lifetime, message, pong, write } = this.times
    const counted = (at = Infinity): number => (this.pausedAt === undefined ? at : Infinity)
    return [
      { at: this.startedAt + lifetime, phase: "lifetime", millis: lifetime },
      { at: counted(this.heardAt) + idle, phase: "idle", millis: idle },
      { at: counted(this.askedAt) + pong, phase: "pong", millis: pong },
      { at: counted(this.messageAt) + message, phase: "message", millis: message },
      { at: (this.stuckAt ?? Infinity) + write, phase: "write", millis: write }
    ]
  }

  // Behind what the transport doesn't take one Ping is enough.
  private get nextPing(): number {
    if (this.pausedAt !== undefined || this.isPingStuck) return Infinity
    return Math.max(this.heardAt, this.pingedAt) + this.times.ping
  }

  // What was taken counts from when that is seen, which together with two rests has to be within the tolerance.
  private get nextLook(): number {
    if (this.stuckAt === undefined || this.times.write === Infinity) return Infinity
    return this.lookedAt + toleranceOf(this.times.write) - 2 * rest
  }
}

interface Due {
  readonly at: number
  readonly phase: Exclude<TimeoutPhase, "close">
  readonly millis: number
}

/** The times of the options; those of the same options are the same object. */
export const timesOf = (options: ConnectionOptions): Times => {
  const known = times.get(options)
  if (known !== undefined) return known
  const made = toTimes(options)
  times.set(options, made)
  return made
}

const times = new WeakMap<ConnectionOptions, Times>()

const toTimes = (options: ConnectionOptions): Times => ({
  idle: Duration.toMillis(options.idleTimeout),
  ping: Duration.toMillis(options.pingInterval),
  pong: Duration.toMillis(options.pongTimeout),
  write: Duration.toMillis(options.writeTimeout),
  message: Duration.toMillis(options.messageTimeout),
  lifetime: Duration.toMillis(options.maxLifetime)
})
