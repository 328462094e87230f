/**
 * The end of a connection, and who waits for it.
 *
 * An object of its own that knows nothing of the connection: an effect that waits stays in memory for longer than the
 * connection (see CONTRIBUTING), and should keep no more than this.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { WebSocketError } from "../../WebSocketError.ts"

export class End {
  private cause: WebSocketError | undefined = undefined
  // Most connections have one waiter at most.
  private waiter: (() => void) | undefined = undefined
  private waiters: Set<() => void> | undefined = undefined

  get isReached(): boolean {
    return this.cause !== undefined
  }

  /** The transport has ended, because of `cause`: tells those who wait. */
  reach(cause: WebSocketError): void {
    if (this.isReached) return
    this.cause = cause
    const { waiter, waiters } = this
    this.waiter = this.waiters = undefined
    waiter?.()
    for (const wake of waiters ?? []) wake()
  }

  /** Waits until it is reached and returns why. */
  get await(): Effect.Effect<WebSocketError> {
    return Effect.suspend(() => (this.cause === undefined ? this.later : Exit.succeed(this.cause)))
  }

  /** Calls back when it is reached, at once if it is. Returns how to give that up. */
  whenReached(onEnd: () => void): () => void {
    if (this.isReached) {
      onEnd()
      return ignore
    }
    if (this.waiter === undefined) this.waiter = onEnd
    else (this.waiters ??= new Set()).add(onEnd)
    return () => {
      if (this.waiter === onEnd) this.waiter = undefined
      else this.waiters?.delete(onEnd)
    }
  }

  private get later(): Effect.Effect<WebSocketError> {
    return Effect.async<WebSocketError>((resume) => {
      const forget = this.whenReached(() => resume(Exit.succeed(this.cause!)))
      return Effect.sync(forget)
    })
  }
}

const ignore = (): void => {}
