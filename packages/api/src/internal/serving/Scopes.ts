/**
 * Scopes for handlers, made many at once: to make one takes a fiber, that costs more than the scope.
 */
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"

export class Scopes {
  private spare: Array<Scope.CloseableScope> = []

  /** Returns one that nobody else has. */
  take(): Scope.CloseableScope {
    if (this.spare.length === 0) this.spare = Effect.runSync(many)
    return this.spare.pop()!
  }
}

const many = Effect.replicateEffect(Scope.make(), 32)
