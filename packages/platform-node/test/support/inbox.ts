import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"

/** Keeps what callbacks tell, in order, until it is taken. */
export interface Inbox<A> {
  readonly push: (value: A) => void
  /** Takes the oldest value, or waits for one. The test's own time limit ends the waiting. */
  readonly next: Effect.Effect<A>
}

export const makeInbox = <A>(): Inbox<A> => {
  const queue = Effect.runSync(Queue.unbounded<A>())
  return { push: (value) => void queue.unsafeOffer(value), next: Queue.take(queue) }
}
