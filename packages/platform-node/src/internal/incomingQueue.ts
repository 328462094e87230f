/**
 * Holds the connections that come before a listener is started, up to a bound.
 */
import type { Incoming } from "@effect-ws/api/Listener"

/** Hands connections to the handler, or holds them until there is one. */
export class IncomingQueue {
  private readonly bound: number
  private handler: ((incoming: Incoming) => void) | undefined
  private held: Array<Incoming> = []
  private isStopped = false

  /** `bound` is the number of connections held; further ones are destroyed, as by a full backlog of the system. */
  constructor(bound: number) {
    this.bound = bound
  }

  offer(incoming: Incoming): void {
    if (this.isStopped) incoming.transport.destroy()
    else if (this.handler !== undefined && this.held.length === 0) this.handler(incoming)
    else if (this.held.length < this.bound) this.held.push(incoming)
    else incoming.transport.destroy()
  }

  /** Hands out what was held, in order and in a later turn. */
  start(handler: (incoming: Incoming) => void): void {
    this.handler = handler
    process.nextTick(() => this.flush())
  }

  /** Destroys what is held and whatever still comes. */
  stop(): void {
    this.isStopped = true
    this.handler = undefined
    for (const { transport } of this.held.splice(0)) transport.destroy()
  }

  private flush(): void {
    while (this.handler !== undefined && this.held.length > 0) this.handler(this.held.shift()!)
  }
}
