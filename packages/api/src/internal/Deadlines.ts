/**
 * All deadlines on one Clock behind one fiber, which sleeps until the earliest and exists only while there is one.
 *
 * A deadline never fires early. It fires in time unless another one fired less than `rest` ago, and then as soon as the
 * rest is over: so those that lie close together share a wake-up.
 */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"

export interface Deadline {
  readonly at: number
  expired: () => void
  cancelled: boolean
}

/** The deadlines on the Clock in force: all who share the Clock share them. */
export const current: Effect.Effect<Deadlines> = Effect.map(Effect.clock, (clock) => {
  const existing = byClock.get(clock)
  if (existing !== undefined) return existing
  const deadlines = new Deadlines(clock)
  byClock.set(clock, deadlines)
  return deadlines
})

export class Deadlines {
  private readonly clock: Clock.Clock
  // Sorted, the earliest first.
  private waiting: Array<Deadline> = []
  private live = 0
  private sleeper: Fiber.RuntimeFiber<void> | undefined = undefined
  private wakesAt = Infinity
  private restsUntil = -Infinity

  constructor(clock: Clock.Clock) {
    this.clock = clock
  }

  /** The time in milliseconds on a clock that doesn't jump. */
  now(): number {
    return Number(this.clock.unsafeCurrentTimeNanos()) / 1_000_000
  }

  /** Calls `expired` in `millis` milliseconds, unless it is cancelled before. */
  after(millis: number, expired: () => void): Deadline {
    const deadline: Deadline = { at: this.now() + millis, expired, cancelled: false }
    this.insert(deadline)
    this.live++
    if (deadline.at < this.wakesAt) this.sleepAgain()
    return deadline
  }

  cancel(deadline: Deadline | undefined): void {
    if (deadline === undefined || deadline.cancelled) return
    deadline.cancelled = true
    // It waits on to be swept, and what it would have called may hold all of a connection.
    deadline.expired = ignore
    this.live--
    if (this.live === 0) this.stop()
    else if (this.waiting.length > 2 * this.live + sweepFrom) this.sweep()
  }

  private insert(deadline: Deadline): void {
    let low = 0
    let high = this.waiting.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.waiting[middle]!.at > deadline.at) high = middle
      else low = middle + 1
    }
    this.waiting.splice(low, 0, deadline)
  }

  private sweep(): void {
    this.waiting = this.waiting.filter((deadline) => !deadline.cancelled)
  }

  private stop(): void {
    this.waiting = []
    this.wakesAt = Infinity
    this.interruptSleeper()
  }

  private sleepAgain(): void {
    this.interruptSleeper()
    // One that was cancelled may be long past: a sleep of no time could be over, and another begun, before this one is noted.
    while (this.waiting[0]!.cancelled) this.waiting.shift()
    this.wakesAt = this.waiting[0]!.at
    this.sleeper = Effect.runFork(Effect.withClock(this.sleep, this.clock))
  }

  private interruptSleeper(): void {
    this.sleeper?.unsafeInterruptAsFork(FiberId.none)
    this.sleeper = undefined
  }

  private readonly sleep: Effect.Effect<void> = Effect.suspend(() =>
    // Timers cut off fractions of a millisecond: those would be woken too early, and once more.
    Effect.sleep(Math.ceil(Math.max(0, this.wakesAt - this.now(), this.restsUntil - this.now())))
  ).pipe(Effect.andThen(Effect.sync(() => this.fire())))

  private fire(): void {
    this.sleeper = undefined
    this.wakesAt = Infinity
    const now = this.now()
    const due = this.waiting.findIndex((deadline) => deadline.at > now)
    const expired = this.waiting.splice(0, due === -1 ? this.waiting.length : due)
    // Who was woken a little too early may be in time nevertheless.
    if (expired.length > 0) this.restsUntil = now + rest
    for (const deadline of expired) this.expire(deadline)
    if (this.live > 0 && this.sleeper === undefined) this.sleepAgain()
  }

  private expire(deadline: Deadline): void {
    if (deadline.cancelled) return
    deadline.cancelled = true
    this.live--
    deadline.expired()
  }
}

/** In milliseconds: thousands of deadlines cost a few wake-ups a second. */
export const rest = 20

/** How much later than promised a time may be over, in milliseconds. */
export const toleranceOf = (millis: number): number => Math.max(50, millis / 20)

const sweepFrom = 64

const ignore = (): void => {}

const byClock = new WeakMap<Clock.Clock, Deadlines>()
