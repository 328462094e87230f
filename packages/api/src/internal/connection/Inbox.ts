/**
 * The messages that have come and nobody has taken, and the fibers that wait for one.
 *
 * A fiber is never handed a message: it is woken, looks again, and takes one as its last synchronous step. So a fiber
 * that is interrupted between the two has taken nothing. One waiter, the ordinary case, parks without a canceler, which
 * costs a third of parking with one; it is told apart by `alone`.
 *
 * A fiber may have to yield between any two of its steps. Whoever parks looks again in the very step that parks it.
 */
import * as Message from "@effect-ws/core/Message"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { WebSocketError } from "../../WebSocketError.ts"

type Resume = (effect: Effect.Effect<unknown, WebSocketError>) => void

interface Waiter {
  readonly ticket: number
  readonly resume: Resume
}

/** Who reads a message piece by piece: until that is done nobody else takes anything. */
export interface Holder {
  /** Whether it has nothing to do but to wait. */
  readonly isWaiting: boolean
  /** Looks again whether there is something. */
  readonly wake: () => void
}

/** Who is woken before anybody else, and takes what was just added on the spot. */
export interface Attending extends Holder {
  readonly deliver: () => void
}

/** What can take messages while its fiber waits, and only wakes the fiber for what needs one. */
export interface Taker {
  /** Takes what is there, or so much of it that it needs its fiber: returns what for. */
  readonly take: () => Effect.Effect<unknown, WebSocketError> | undefined
}

/** The effects of an inbox. */
interface Made {
  ready?: Effect.Effect<void, WebSocketError>
  receive?: Effect.Effect<Message.Message, WebSocketError>
  receiveLater?: Effect.Effect<Message.Message, WebSocketError>
  taken?: Effect.Effect<Message.Message, WebSocketError>
  waitAlone?: Effect.Effect<void, WebSocketError>
  waitInFront?: Effect.Effect<void, WebSocketError>
}

/** What an inbox tells. */
export interface InboxEvents {
  /** Something was taken. */
  readonly onTaken: () => void
  /** Somebody has come back for more and has to wait. */
  readonly onIdle: () => void
  /** The next message is too large to be taken as a whole. It is gone, and all that came behind it. */
  readonly onOversized: (size: number) => void
}

export class Inbox {
  /** What is held, in bytes: the payloads and `messageCost` for each message. */
  held = 0
  /** What ended the connection, when no message will come any more. */
  failure: WebSocketError | undefined = undefined
  /** How many messages are in the hands of those who handle several at once, and tell. */
  handling = 0

  private messages: Array<Message.Message> = []
  private head = 0
  private holder: Holder | undefined = undefined
  private attendant: Attending | undefined = undefined
  private alone: Resume | undefined = undefined
  // Of the fiber that waits alone.
  private taker: Taker | undefined = undefined
  // By ticket, the oldest first.
  private readonly parked: Array<Waiter> = []
  private tickets = firstTicket
  // Only where those may come that only a holder can take.
  private hasOversized = false
  private wasRead = false
  // Made once, and not before they are needed: most connections use one or two of them.
  private readonly made: Made = {}
  private readonly maxMessageSize: number
  private events: InboxEvents

  constructor(maxMessageSize: number, events: InboxEvents) {
    this.maxMessageSize = maxMessageSize
    this.events = events
  }

  get isEmpty(): boolean {
    return this.head === this.messages.length
  }

  /** Whether everything was taken and, as far as can be told, handled: somebody waits for more, or nobody ever did. */
  get isIdle(): boolean {
    if (!this.isEmpty || this.handling > 0) return false
    return !this.wasRead || this.isAwaited || this.holder?.isWaiting === true
  }

  /** Whether somebody waits for a whole message. */
  get isAwaited(): boolean {
    if (this.holder !== undefined) return false
    return this.alone !== undefined || this.parked.length > 0 || this.attendant?.isWaiting === true
  }

  /** Whether `poll` would find something. */
  get hasNext(): boolean {
    return !this.isEmpty && this.holder === undefined
  }

  /** Adds a message. `deliver` must follow, once for all that were added in one go. */
  push(message: Message.Message): void {
    this.messages.push(message)
    if (this.isOversized(message)) this.hasOversized = true
    this.held += message.byteLength + messageCost
  }

  /** No message will come any more: who waits, now or later, fails once the inbox is empty. */
  finish(failure: WebSocketError): void {
    this.failure = failure
    this.wake()
  }

  /** The connection is over, and nobody has to be told any more what becomes of the rest. */
  retire(): void {
    this.events = nobody
  }

  /** Hands out what was added: without a fiber to who can take it so. */
  deliver(): void {
    if (!this.hasNext) return this.wake()
    if (this.attendant?.isWaiting === true) this.attendant.deliver()
    else if (this.taker !== undefined) return this.handOver(this.taker)
    this.wake()
  }

  /** Resumes as many waiters as there is something for. */
  wake(): void {
    this.holder?.wake()
    if (this.state === undefined) return
    this.attendant?.wake()
    this.wakeAlone()
    if (this.parked.length > 0) this.wakeParked()
  }

  /** Takes the oldest message, if there is one and nobody holds the reading. */
  poll(): Message.Message | undefined {
    this.wasRead = true
    if (this.isEmpty || this.holder !== undefined) return undefined
    return this.hasOversized && this.isOversized(this.messages[this.head]!) ? this.refuse() : this.take()
  }

  /**
   * Takes the oldest message, which must be there, whatever its size, for the holder: its bytes still count, until `count`
   * says that they don't.
   */
  takeHeld(): Message.Message {
    const message = this.remove()
    this.held -= messageCost
    return message
  }

  /** Takes all messages, unless somebody holds the reading. */
  pollAll(): ReadonlyArray<Message.Message> {
    this.wasRead = true
    if (this.holder !== undefined) return nothing
    return this.hasOversized ? this.takeUpToOversized() : this.takeAll()
  }

  /** Wakes `attendant` whenever there is something, before anybody else. */
  attend(attendant: Attending): void {
    this.wasRead = true
    this.attendant = attendant
  }

  /** Waits as `ready` does. Meanwhile `taker` takes what comes, until it needs the fiber for something: that is done then. */
  readyFor(taker: Taker): Effect.Effect<unknown, WebSocketError> {
    return Effect.async((resume) => this.enter(resume, taker))
  }

  /** Lets `holder` alone take what comes, until `release`. */
  hold(holder: Holder): void {
    this.wasRead = true
    this.holder = holder
  }

  /** Lets everybody take what comes. */
  release(): void {
    this.holder = undefined
    if (this.isEmpty && this.isAwaited) this.events.onIdle()
    this.wake()
  }

  /** Counts bytes that the holder has, or, below zero, has no longer. */
  count(bytes: number): void {
    this.held += bytes
    if (bytes <= 0) this.events.onTaken()
  }

  private take(): Message.Message {
    const message = this.remove()
    this.held -= message.byteLength + messageCost
    this.events.onTaken()
    return message
  }

  private remove(): Message.Message {
    const message = this.messages[this.head]!
    // A large backlog must not keep alive what was taken from it.
    this.messages[this.head++] = gone
    if (this.isEmpty || this.head === compactFrom) this.compact()
    return message
  }

  private takeAll(): ReadonlyArray<Message.Message> {
    const all = this.head === 0 ? this.messages : this.messages.slice(this.head)
    this.messages = []
    this.head = 0
    this.held = 0
    this.events.onTaken()
    return all
  }

  // Those in front of one that is too large are still good.
  private takeUpToOversized(): ReadonlyArray<Message.Message> {
    const messages: Array<Message.Message> = []
    while (!this.isEmpty && !this.isOversized(this.messages[this.head]!)) messages.push(this.take())
    if (messages.length === 0) this.refuse()
    return messages
  }

  private isOversized(message: Message.Message): boolean {
    return message.byteLength > this.maxMessageSize
  }

  private refuse(): undefined {
    const { byteLength } = this.messages[this.head]!
    this.messages = []
    this.head = 0
    this.held = 0
    this.events.onOversized(byteLength)
    return undefined
  }

  /** Waits until there is a message, or fails with what ended the connection. Takes nothing. */
  get ready(): Effect.Effect<void, WebSocketError> {
    return (this.made.ready ??= Effect.suspend(() => this.state ?? this.waitAlone))
  }

  /** Waits until there is a message and takes all that are there. */
  get receiveAll(): Effect.Effect<ReadonlyArray<Message.Message>, WebSocketError> {
    return Effect.flatMap(this.ready, () => this.takenAll)
  }

  /** Waits for a message and takes it. */
  get receive(): Effect.Effect<Message.Message, WebSocketError> {
    return (this.made.receive ??= Effect.suspend(() =>
      this.isEmpty || this.holder !== undefined ? this.receiveLater : this.taken
    ))
  }

  private get receiveLater(): Effect.Effect<Message.Message, WebSocketError> {
    return (this.made.receiveLater ??= Effect.flatMap(this.ready, () => this.receive))
  }

  // `sync` hands its value to the caller's continuation within one step of the fiber: there is no moment at which the
  // message is out of the inbox and not yet the caller's. Another fiber may have taken it since we looked, then a throw is
  // the only way back that costs nothing in the ordinary case.
  private get taken(): Effect.Effect<Message.Message, WebSocketError> {
    return (this.made.taken ??= Effect.catchAllCause(
      Effect.sync(() => {
        const message = this.poll()
        if (message === undefined) throw raced
        return message
      }),
      (cause) => (Cause.isDieType(cause) && cause.defect === raced ? this.receive : Effect.failCause(cause))
    ))
  }

  private get takenAll(): Effect.Effect<ReadonlyArray<Message.Message>, WebSocketError> {
    return Effect.catchAllCause(
      Effect.sync(() => {
        const messages = this.pollAll()
        if (messages.length === 0) throw raced
        return messages
      }),
      (cause) => (Cause.isDieType(cause) && cause.defect === raced ? this.receiveAll : Effect.failCause(cause))
    )
  }

  /** Why nobody has to wait, if nobody has to. */
  private get state(): Exit.Exit<void, WebSocketError> | undefined {
    if (!this.isEmpty) return this.holder === undefined ? Exit.void : undefined
    return this.failure === undefined ? undefined : Exit.fail(this.failure)
  }

  private get waitAlone(): Effect.Effect<void, WebSocketError> {
    return (this.made.waitAlone ??= Effect.async<void, WebSocketError>((resume) => this.enter(resume as Resume)))
  }

  private enter(resume: Resume, taker?: Taker): void {
    this.wasRead = true
    if (this.state === undefined && this.holder === undefined) this.events.onIdle()
    if (this.state !== undefined) return resume(this.state)
    if (this.alone !== undefined || this.parked.length > 0) return resume(this.waitAmongOthers(this.tickets++))
    this.alone = resume
    this.taker = taker
  }

  private handOver(taker: Taker): void {
    const resume = this.alone!
    this.alone = this.taker = undefined
    const effect = taker.take()
    if (effect !== undefined) resume(effect)
    else this.enter(resume, taker)
  }

  // Who was woken in vain, because somebody else was faster, keeps the place that goes with the ticket.
  private waitAmongOthers(ticket: number): Effect.Effect<void, WebSocketError> {
    return Effect.suspend(() => this.state ?? Effect.flatMap(this.park(ticket), () => this.waitAmongOthers(ticket)))
  }

  private park(ticket: number): Effect.Effect<void, WebSocketError> {
    return Effect.async<void, WebSocketError>((resume) => {
      if (this.state === undefined && this.holder === undefined) this.events.onIdle()
      if (this.state !== undefined) return resume(this.state)
      this.wakeAlone()
      const waiter: Waiter = { ticket, resume }
      const behind = this.parked.findIndex((other) => other.ticket > ticket)
      this.parked.splice(behind === -1 ? this.parked.length : behind, 0, waiter)
      return Effect.sync(() => this.leave(waiter))
    })
  }

  // The fiber that waited alone may have been interrupted since: when others come it is resumed to park again like them,
  // with a canceler and in front of them, and doesn't come back if it is gone.
  private wakeAlone(): void {
    const alone = this.alone
    this.alone = this.taker = undefined
    if (alone !== undefined) alone(this.isEmpty && this.state !== undefined ? this.state : this.waitInFront)
  }

  private get waitInFront(): Effect.Effect<void, WebSocketError> {
    return (this.made.waitInFront ??= this.waitAmongOthers(firstTicket - 1))
  }

  // A waiter that was woken and interrupted at once passes on what it was woken for.
  private leave(waiter: Waiter): void {
    const at = this.parked.indexOf(waiter)
    if (at !== -1) this.parked.splice(at, 1)
    this.wake()
  }

  // Who is woken may be interrupted before it takes something, without a trace. So the others are woken too unless the
  // messages are gone in the next turn.
  private wakeParked(): void {
    const count = this.failure === undefined ? this.messages.length - this.head : this.parked.length
    for (const waiter of this.parked.splice(0, count)) waiter.resume(Exit.void)
    if (this.parked.length > 0) queueMicrotask(() => this.wake())
  }

  // Lets go of the messages that were taken. In ordinary life that is all of them, and the array stays.
  private compact(): void {
    if (!this.isEmpty) this.messages = this.messages.slice(this.head)
    // To set the length costs a call into the runtime.
    else if (this.head === 1) this.messages.pop()
    else this.messages.length = 0
    this.head = 0
  }
}

/** What a held message costs besides its payload, in bytes: so that many empty ones fill the inbox too. */
export const messageCost = 128

const compactFrom = 1024

const nobody: InboxEvents = { onTaken: () => {}, onIdle: () => {}, onOversized: () => {} }

const firstTicket = 1

const gone = Message.binary(new Uint8Array(0))

const nothing: ReadonlyArray<Message.Message> = []

const raced = new Error("another fiber took the message")
