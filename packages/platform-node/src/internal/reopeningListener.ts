/**
 * A listener that can be started again after it was stopped, since the `run` of a `SocketServer` may end and begin anew:
 * what comes in between waits. The listener below is stopped by its own scope.
 */
import type { Incoming, Listener } from "@effect-ws/api/Listener"
import * as Effect from "effect/Effect"
import { IncomingQueue } from "./incomingQueue.ts"

/** Starts the listener that is given, for as long as the scope lasts. */
export const make = (listener: Listener, bound: number) =>
  Effect.acquireRelease(
    Effect.sync(() => new ReopeningListener(listener, bound)),
    (reopening) => Effect.sync(() => reopening.end())
  )

class ReopeningListener implements Listener {
  readonly address: Listener["address"]
  private readonly bound: number
  private queue: IncomingQueue
  private isRunning = false

  constructor(listener: Listener, bound: number) {
    this.address = listener.address
    this.bound = bound
    this.queue = new IncomingQueue(bound)
    listener.start((incoming) => this.queue.offer(incoming))
  }

  start(onIncoming: (incoming: Incoming) => void): void {
    if (this.isRunning) throw new Error("The socket server runs already: end its run before another one begins")
    this.isRunning = true
    this.queue.start(onIncoming)
  }

  readonly stop = Effect.sync(() => {
    if (!this.isRunning) return
    this.isRunning = false
    // What the queue hasn't handed out yet is for the run that began it, which is shutting down and turns it away.
    this.queue = new IncomingQueue(this.bound)
  })

  end(): void {
    this.queue.stop()
  }
}
