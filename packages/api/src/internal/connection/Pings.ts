/**
 * The Pings that wait for their Pong.
 *
 * A peer may answer only the newest of several Pings (RFC 6455 5.5.3), so a Pong answers all that were sent before its own.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { WebSocketError } from "../../WebSocketError.ts"

type Resume = (exit: Exit.Exit<Duration.Duration, WebSocketError>) => void

interface Waiting {
  readonly payload: Uint8Array
  readonly sentAt: number
  readonly resume: Resume
}

export class Pings {
  private readonly waiting = new Set<Waiting>()
  private count = 0

  /** Returns a payload that differs from those of the other Pings: a counter of four bytes. */
  nextPayload(): Uint8Array {
    this.count = (this.count + 1) >>> 0
    return Uint8Array.of(this.count >>> 24, (this.count >>> 16) & 0xff, (this.count >>> 8) & 0xff, this.count & 0xff)
  }

  /** Resumes with the time until the Pong with this payload; times are in milliseconds. Returns how to give that up. */
  add(payload: Uint8Array, sentAt: number, resume: Resume): Effect.Effect<void> {
    const ping: Waiting = { payload, sentAt, resume }
    this.waiting.add(ping)
    return Effect.sync(() => void this.waiting.delete(ping))
  }

  /** Takes a Pong. One that nobody waits for is ignored. */
  answer(payload: Uint8Array, now: () => number): void {
    const waiting = Array.from(this.waiting)
    const last = waiting.findIndex((ping) => equals(ping.payload, payload))
    for (const ping of waiting.slice(0, last + 1)) {
      this.waiting.delete(ping)
      ping.resume(Exit.succeed(Duration.millis(now() - ping.sentAt)))
    }
  }

  fail(error: WebSocketError): void {
    for (const ping of this.waiting) ping.resume(Exit.fail(error))
    this.waiting.clear()
  }
}

const equals = (left: Uint8Array, right: Uint8Array): boolean =>
  left.length === right.length && left.every((byte, i) => byte === right[i])
