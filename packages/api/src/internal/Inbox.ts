/**
 * The messages that have come and nobody has taken, and the fibers that wait for one.
 *
 * A fiber is never handed a message: it is resumed with a lazy effect that takes one as its last synchronous step. So a
 * fiber that is interrupted between the two has taken nothing. One waiter, the ordinary case, parks without a canceler,
 * which costs a third of parking with one; it is told apart by `alone`.
 */
import type { Message } from "@effect-ws/core/Message"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { WebSocketError } from "../WebSocketError.ts"

type Resume = (effect: Effect.Effect<void, WebSocketError>) => void

export class Inbox {
  /** What is held, in bytes: the payloads and `messageCost` for each message. */
  held = 0

  private messages: Array<Message> = []
  private head = 0
  private failure: WebSocketError | undefined = undefined
  private alone: Resume | undefined = undefined
  private parked: Set<Resume> | undefined = undefined
  private readonly onTaken: () => void

  /** `onTaken` is called after each take. */
  constructor(onTaken: () => void) {
    this.onTaken = onTaken
  }

  get isEmpty(): boolean {
    return this.head === this.messages.length
  }

  /** Adds a message. `wake` must follow, once for all that were added in one go. */
  push(message: Message): void {
    this.messages.push(message)
    this.held += message.byteLength + messageCost
  }

  /** No message will come any more: who waits, now or later, fails once the inbox is empty. */
  finish(failure: WebSocketError): void {
    this.failure = failure
    this.wake()
  }

  /** Resumes as many waiters as there is something for. */
  wake(): void {
    if (this.isEmpty && this.failure === undefined) return
    const alone = this.alone
    this.alone = undefined
    if (alone !== undefined) alone(this.ready)
    if (this.parked !== undefined) this.wakeParked(this.parked)
  }

  /** Takes the oldest message, if there is one. */
  poll(): Message | undefined {
    if (this.isEmpty) return undefined
    const message = this.messages[this.head]!
    this.head++
    this.held -= message.byteLength + messageCost
    if (this.isEmpty || this.head === compactFrom) this.compact()
    this.onTaken()
    return message
  }

  /** Takes all messages. */
  pollAll(): ReadonlyArray<Message> {
    const all = this.head === 0 ? this.messages : this.messages.slice(this.head)
    this.messages = []
    this.head = 0
    this.held = 0
    this.onTaken()
    return all
  }

  /** Waits until there is a message, or fails with what ended the connection. Takes nothing. */
  readonly ready: Effect.Effect<void, WebSocketError> = Effect.suspend(() => {
    if (!this.isEmpty) return Exit.void
    if (this.failure !== undefined) return Exit.fail(this.failure)
    return this.alone === undefined && this.parked === undefined ? this.waitAlone : this.waitAmongOthers()
  })

  /** Waits for a message and takes it. */
  readonly receive: Effect.Effect<Message, WebSocketError> = Effect.suspend(() =>
    this.isEmpty ? this.receiveLater : this.taken
  )

  private readonly receiveLater: Effect.Effect<Message, WebSocketError> = Effect.flatMap(this.ready, () => this.receive)

  // `sync` hands its value to the caller's continuation within one step of the fiber: there is no moment at which the
  // message is out of the inbox and not yet the caller's. Another fiber may have taken it since we looked, then a throw is
  // the only way back that costs nothing in the ordinary case.
  private readonly taken: Effect.Effect<Message, WebSocketError> = Effect.catchAllCause(
    Effect.sync(() => {
      const message = this.poll()
      if (message === undefined) throw raced
      return message
    }),
    (cause) => (Cause.isDieType(cause) && cause.defect === raced ? this.receive : Effect.failCause(cause))
  )

  private readonly waitAlone: Effect.Effect<void, WebSocketError> = Effect.async<void, WebSocketError>((resume) => {
    this.alone = resume
  })

  // The fiber that waited alone may have been interrupted since: it is resumed to park again like the others, with a
  // canceler, and doesn't come back if it is gone.
  private waitAmongOthers(): Effect.Effect<void, WebSocketError> {
    const parked = (this.parked ??= new Set())
    const alone = this.alone
    this.alone = undefined
    if (alone !== undefined) alone(this.ready)
    return Effect.async<void, WebSocketError>((resume) => {
      parked.add(resume)
      return Effect.sync(() => this.leave(parked, resume))
    })
  }

  // A waiter that was woken and interrupted at once passes on what it was woken for.
  private leave(parked: Set<Resume>, resume: Resume): void {
    parked.delete(resume)
    this.forgetParked(parked)
    this.wake()
  }

  private wakeParked(parked: Set<Resume>): void {
    let count = this.failure === undefined ? this.messages.length - this.head : parked.size
    for (const resume of parked) {
      if (count-- === 0) break
      parked.delete(resume)
      resume(this.ready)
    }
    this.forgetParked(parked)
  }

  private forgetParked(parked: Set<Resume>): void {
    if (parked.size === 0 && this.parked === parked) this.parked = undefined
  }

  // Lets go of the messages that were taken. In ordinary life that is all of them, and the array stays.
  private compact(): void {
    if (this.isEmpty) this.messages.length = 0
    else this.messages = this.messages.slice(this.head)
    this.head = 0
  }
}

/** What a held message costs besides its payload, in bytes: so that many empty ones fill the inbox too. */
export const messageCost = 128

const compactFrom = 1024

const raced = new Error("another fiber took the message")
