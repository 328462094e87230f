/**
 * The times that bound the end of a connection.
 */
import * as Duration from "effect/Duration"
import type { Deadline, Deadlines } from "../Deadlines.ts"

export class EndDeadlines {
  private readonly deadlines: Deadlines
  private readonly onExpired: (duration: Duration.Duration) => void
  private closing: Deadline | undefined = undefined
  private silence: Deadline | undefined = undefined
  private handling: Deadline | undefined = undefined
  private heardSinceCheck = false

  /** `onExpired` is told which time is over, and is to destroy the transport. */
  constructor(deadlines: Deadlines, onExpired: (duration: Duration.Duration) => void) {
    this.deadlines = deadlines
    this.onExpired = onExpired
  }

  /** Notes that something has come. */
  heard(): void {
    this.heardSinceCheck = true
  }

  /** From here on the transport has to end within the time. */
  awaitEnd(closeTimeout: Duration.DurationInput): void {
    if (this.closing !== undefined) return
    const duration = Duration.decode(closeTimeout)
    this.closing = this.deadlines.after(Duration.toMillis(duration), () => this.onExpired(duration))
  }

  /** From here on the peer may not be silent for long: nobody has an interest in what it would say later. */
  endSilence(): void {
    if (this.silence !== undefined) return
    this.heardSinceCheck = false
    this.silence = this.deadlines.after(maxSilence, () => {
      this.silence = undefined
      if (this.heardSinceCheck) this.endSilence()
      else this.onExpired(Duration.millis(maxSilence))
    })
  }

  /** Calls `onOver` when messages are not handled in time. */
  awaitHandling(onOver: () => void): void {
    this.handling = this.deadlines.after(maxHandling, onOver)
  }

  handled(): void {
    this.deadlines.cancel(this.handling)
  }

  cancel(): void {
    this.deadlines.cancel(this.closing)
    this.deadlines.cancel(this.silence)
    this.deadlines.cancel(this.handling)
  }
}

/** In milliseconds: how long a peer may say nothing at all while its connection is released. */
const maxSilence = 1000

/** In milliseconds: how long the answer to a Close frame waits for the messages in front of it to be handled. */
const maxHandling = 1000
