/** Schedulers that make a program stop where a real one would hardly ever, and interruption at each such point. */
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Scheduler from "effect/Scheduler"
import type * as Scope from "effect/Scope"
import { leavesNothing } from "./leaks.ts"

/** Counts tasks, and makes fibers yield every few operations. */
export class CountingScheduler implements Scheduler.Scheduler {
  /** The tasks that were begun. */
  tasks = 0
  /** Is called before each task. */
  onTask: () => void = () => {}
  /** Is asked at each operation whether the fiber has to yield there. */
  onOperation: (fiber: Fiber.RuntimeFiber<unknown, unknown>) => boolean = () => false
  private readonly base = new Scheduler.MixedScheduler(2048)
  private readonly opsPerTurn: number

  /** A yield takes nine operations itself: below 10 for each turn nothing else would ever be done. */
  constructor(opsPerTurn = Infinity) {
    this.opsPerTurn = opsPerTurn
  }

  scheduleTask(task: Scheduler.Task, priority: number): void {
    this.base.scheduleTask(() => {
      this.tasks++
      this.onTask()
      task()
    }, priority)
  }

  shouldYield(fiber: Fiber.RuntimeFiber<unknown, unknown>): number | false {
    const count = (fiber as unknown as { readonly currentOpCount: number }).currentOpCount
    return this.onOperation(fiber) || count > this.opsPerTurn ? 0 : false
  }
}

/** Where a fiber is disturbed. */
export interface Points {
  /** What is counted: the tasks of all, or the operations of the fiber. */
  readonly each: "task" | "operation"
  /** After how many operations a fiber has to yield; by default it never has to. */
  readonly opsPerTurn?: number
  /** How often the fiber has to yield at the point, so that others run meanwhile. */
  readonly pause?: number
  /** Whether it is interrupted there. */
  readonly interrupt: boolean
}

/** All the ways in which a fiber that is to be interrupted anywhere is interrupted. */
export const interruptions: ReadonlyArray<Points> = [
  ...[11, 13, 16].map((opsPerTurn) => ({ each: "task" as const, opsPerTurn, interrupt: true })),
  { each: "operation", interrupt: true },
  { each: "operation", pause: 1, interrupt: true },
  { each: "operation", pause: 60, interrupt: true }
]

/** The ways in which a fiber is held up anywhere, while others go on. */
export const pauses: ReadonlyArray<Points> = [
  { each: "operation", pause: 1, interrupt: false },
  { each: "operation", pause: 60, interrupt: false }
]

/** In short, for the title of a test. */
export const describePoints = ({ each, interrupt, opsPerTurn, pause }: Points): string =>
  [
    interrupt ? "interrupted" : "held up",
    `at every ${each}`,
    opsPerTurn === undefined ? "" : `of ${opsPerTurn} operations`,
    pause === undefined ? "" : `for ${pause} turns`
  ]
    .filter((part) => part !== "")
    .join(" ")

/** Runs an effect in a fiber of its own that is disturbed, does `meanwhile` beside it, and returns how it ended. */
export type Disturbed = <A, E, R, R2 = never>(
  effect: Effect.Effect<A, E, R>,
  meanwhile?:
    | Effect.Effect<unknown, never, R2>
    | ((fiber: Fiber.RuntimeFiber<A, E>) => Effect.Effect<unknown, never, R2>)
) => Effect.Effect<Exit.Exit<A, E>, never, R | R2>

/**
 * Runs the scenario again and again; each time what it marks is disturbed one point later, until it ends undisturbed.
 * Nothing may be left behind, any time. Returns how often it was disturbed.
 */
export const atEveryPoint = <E, R>(
  points: Points,
  scenario: (disturbed: Disturbed) => Effect.Effect<void, E, R>
): Effect.Effect<number, E, Exclude<R, Scope.Scope>> =>
  Effect.gen(function* () {
    for (let point = 0; ; point++) {
      const attempt = new Attempt(points, point)
      yield* leavesNothing(Effect.withScheduler(scenario(attempt.disturbed), attempt.scheduler)).pipe(
        Effect.annotateLogs("point", point),
        Effect.tapErrorCause(() => Effect.sync(() => console.error(`${describePoints(points)}, point ${point}`)))
      )
      if (!attempt.hasFired) return point
    }
  })

class Attempt {
  readonly scheduler: CountingScheduler
  hasFired = false
  private fiber: Fiber.RuntimeFiber<unknown, unknown> | undefined
  private count = 0
  private pausesLeft: number
  private readonly points: Points
  private readonly point: number

  constructor(points: Points, point: number) {
    this.points = points
    this.point = point
    this.pausesLeft = points.pause ?? 0
    this.scheduler = new CountingScheduler(points.opsPerTurn)
    if (points.each === "task") this.scheduler.onTask = () => void (this.fiber !== undefined && this.reach())
    else this.scheduler.onOperation = (fiber) => fiber === this.fiber && this.reach()
  }

  readonly disturbed: Disturbed = (effect, meanwhile = Effect.void) =>
    Effect.gen(this, function* () {
      const fiber = yield* Effect.fork(effect)
      this.fiber = fiber
      fiber.addObserver(() => (this.fiber = undefined))
      yield* typeof meanwhile === "function" ? meanwhile(fiber) : meanwhile
      return yield* Fiber.await(fiber)
    })

  private reach(): boolean {
    if (this.count++ < this.point) return false
    if (!this.hasFired && this.points.interrupt) this.fiber!.unsafeInterruptAsFork(FiberId.none)
    this.hasFired = true
    return this.pausesLeft-- > 0
  }
}
