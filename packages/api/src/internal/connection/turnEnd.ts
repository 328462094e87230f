/**
 * What is to be done when the turn is over, by as many as there are: one microtask for all of them, since each costs as much as
 * what is done in it.
 */

/** Who has something to do. */
export interface Waiting {
  readonly flush: () => void
}

let waiting: Array<Waiting> = []

/** Calls `flush` when the turn is over, in the order of the calls. */
export const atTurnEnd = (who: Waiting): void => {
  if (waiting.push(who) === 1) queueMicrotask(flushAll)
}

const flushAll = (): void => {
  const all = waiting
  waiting = []
  let done = 0
  try {
    for (const who of all) {
      done++
      who.flush()
    }
  } finally {
    // Of one that throws the others know nothing.
    for (; done < all.length; done++) atTurnEnd(all[done]!)
  }
}
