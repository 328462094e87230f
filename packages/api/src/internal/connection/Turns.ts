/**
 * One at a time, in order of arrival.
 *
 * The turn is with whoever stands in front: it is never handed over, so nobody that is interrupted can take it along.
 */
import * as Effect from "effect/Effect"

/** A place in the line. */
export interface Place {
  resume: (() => void) | undefined
}

export class Turns {
  // The oldest first.
  private readonly line: Array<Place> = []

  /** Takes a place at the end of the line. `leave` must follow. */
  enter(): Place {
    const place: Place = { resume: undefined }
    this.line.push(place)
    return place
  }

  /** Waits until the place is in front. */
  await(place: Place): Effect.Effect<void> {
    return Effect.async<void>((resume) => {
      if (this.line[0] === place) return resume(Effect.void)
      place.resume = () => resume(Effect.void)
      return Effect.sync(() => {
        place.resume = undefined
      })
    })
  }

  /** Gives up the place, whether it is in front or not. Does nothing the second time. */
  leave(place: Place): void {
    const at = this.line.indexOf(place)
    if (at === -1) return
    this.line.splice(at, 1)
    if (at === 0) this.line[0]?.resume?.()
  }
}
