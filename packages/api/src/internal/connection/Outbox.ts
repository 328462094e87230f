/**
 * The way out: encoded bytes wait for the end of the turn and leave in one write, and senders wait above the high-water
 * mark, or while somebody else sends a message piece by piece.
 *
 * A sender that waits leaves its message here, and the message is queued for it, in order and whole, when there is room.
 * So a sender that is interrupted has either sent nothing or all.
 */
import type { DeflateCodec } from "@effect-ws/core/DeflateCodec"
import type { Message } from "@effect-ws/core/Message"
import type { PreparedMessage } from "@effect-ws/core/PreparedMessage"
import type { Protocol } from "@effect-ws/core/Protocol"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { SendRejected } from "../../SendRejected.ts"
import type { Transport } from "../../Transport.ts"
import type { WebSocketError } from "../../WebSocketError.ts"
import type { Fragment, OutgoingStream } from "./OutgoingStream.ts"
import { Slices, sliceSize } from "./Slices.ts"
import { atTurnEnd } from "./turnEnd.ts"

export type Data = string | Uint8Array | Message | PreparedMessage

type SendError = WebSocketError | SendRejected

interface Sender {
  readonly item: Data | Fragment
  readonly resume: Resume
}

type Resume = (exit: Exit.Exit<void, SendError>) => void

/** What an outbox tells of its transport. */
export interface OutboxEvents {
  readonly onFull: () => void
  readonly onRoom: () => void
  /** So many bytes were written, and in them the ends of so many messages. */
  readonly onWritten: (messages: number, bytes: number) => void
}

export class Outbox {
  private readonly protocol: Protocol
  private readonly transport: Transport
  private readonly highWaterMark: number
  private readonly events: OutboxEvents
  private senders: Set<Sender> | undefined = undefined
  // Whose fragments are on the way: no other message can be sent before the last one.
  private stream: OutgoingStream | undefined = undefined
  // The message that is compressed slice by slice.
  private slices: Slices | undefined = undefined
  private isFull = false
  private isScheduled = false
  private written = 0
  // The messages in what was encoded and not written.
  private messages = 0
  private readonly codec: DeflateCodec | undefined

  constructor(
    protocol: Protocol,
    transport: Transport,
    highWaterMark: number,
    events: OutboxEvents,
    codec?: DeflateCodec
  ) {
    this.codec = codec
    this.protocol = protocol
    this.transport = transport
    this.highWaterMark = highWaterMark
    this.events = events
  }

  /** What waits to be sent, in bytes. */
  get held(): number {
    return this.protocol.pendingOutput + this.transport.writable
  }

  /** What the transport has taken since it was first full, in bytes. */
  get taken(): number {
    return this.written - this.transport.writable
  }

  /** Queues the message if nobody waits and there is room. */
  offer(item: Data | Fragment): boolean {
    if (this.isAwaited && !this.continues(item)) return false
    if (!this.isFree(item) || !this.hasRoom(item)) return false
    this.encode(item)
    return true
  }

  /** Queues the message as soon as there is room, and resumes then. Returns how to give that up. */
  park(item: Data | Fragment, resume: Resume): Effect.Effect<void> {
    const sender: Sender = { item, resume }
    const senders = (this.senders ??= new Set())
    senders.add(sender)
    return Effect.sync(() => void senders.delete(sender))
  }

  /** Whether there is room for the message, and only one that is sent piece by piece is in its way. */
  awaitsTurn(item: Data): boolean {
    return !this.isFree(item) && this.hasRoom(item)
  }

  /** Writes what was encoded in this turn, when the turn is over. */
  schedule(): void {
    if (this.isScheduled || this.protocol.pendingOutput === 0) return
    this.isScheduled = true
    atTurnEnd(this)
  }

  /** Holds back what is encoded until `uncork`. */
  cork(): void {
    this.isScheduled = true
  }

  /** Writes what was encoded: at once, or when the turn is over because more may come. */
  uncork(isAll: boolean): void {
    if (isAll) return this.flush()
    this.isScheduled = false
    this.schedule()
  }

  flush(): void {
    this.isScheduled = false
    const pending = this.protocol.pendingOutput
    if (pending === 0) return
    this.written += pending
    this.events.onWritten(this.messages, pending)
    this.messages = 0
    if (this.transport.write(this.protocol.takeOutput()) || this.isFull) return
    this.isFull = true
    this.protocol.holdPongs()
    this.events.onFull()
  }

  /** Sends what is left of a message that was queued, so that what comes next doesn't tear it. */
  complete(): void {
    while (this.slices !== undefined) {
      if (!this.slices.next()) this.slices = this.stream = undefined
    }
  }

  /** The transport has room again: who waits goes first, in order of arrival. */
  drained(): void {
    this.isFull = false
    this.events.onRoom()
    this.protocol.releasePongs()
    this.admit()
    this.flush()
  }

  /** Nothing can be sent any more: who waits fails. */
  fail(error: SendError): void {
    for (const sender of this.senders ?? []) sender.resume(Exit.fail(error))
    this.senders?.clear()
  }

  private get isAwaited(): boolean {
    return this.senders !== undefined && this.senders.size > 0
  }

  private admit(): void {
    const senders = this.senders ?? nobody
    for (const sender of senders) {
      // Behind a message that is being sent piece by piece waits everything but its next piece.
      if (!this.isFree(sender.item)) continue
      if (!this.hasRoom(sender.item)) break
      senders.delete(sender)
      const wasFree = this.stream === undefined
      this.encode(sender.item)
      sender.resume(Exit.void)
      // With the last piece of a message the turn of those comes who were passed over. That is another pass.
      if (!wasFree && this.stream === undefined) break
    }
  }

  private continues(item: Data | Fragment): boolean {
    return this.stream !== undefined && streamOf(item) === this.stream
  }

  private isFree(item: Data | Fragment): boolean {
    return this.stream === undefined || streamOf(item) === this.stream
  }

  // A message above the mark is admitted when nothing else is held, else it could never be sent.
  private hasRoom(item: Data | Fragment): boolean {
    const size = sizeOf(item)
    if (this.held === 0 || this.held + size <= this.highWaterMark) return true
    // What only waits for the end of the turn is written first: the transport may take all of it at once.
    this.flush()
    return !this.isFull || this.held + size <= this.highWaterMark
  }

  private encode(item: Data | Fragment): void {
    if (endsMessage(item)) this.messages++
    if (sizeOf(item) > sliceSize && isPlain(item) && this.protocol.compresses(sizeOf(item))) {
      return this.encodeSlices(item)
    }
    if (typeof item === "string") this.protocol.sendText(item)
    else if (item instanceof Uint8Array) this.protocol.sendBinary(item)
    else if (item._tag === "Fragment") this.encodeFragment(item)
    else if (item._tag === "Prepared") this.protocol.sendPrepared(item)
    else this.protocol.sendMessage(item)
    this.schedule()
  }

  private encodeSlices(item: string | Uint8Array | Message): void {
    this.slices = new Slices(this.protocol, item)
    this.stream = this.slices.of
    this.nextSlice()
  }

  private nextSlice(): void {
    if (this.slices === undefined) return
    const goesOn = this.slices.next()
    this.schedule()
    if (goesOn) return this.codec!.later(() => this.nextSlice())
    this.slices = this.stream = undefined
    // Not now: who calls may be in the middle of its own admission.
    if (this.isAwaited) queueMicrotask(() => this.admit())
  }

  private encodeFragment({ bytes, isFinal, of }: Fragment): void {
    this.protocol.sendFragment(of.type, bytes, isFinal)
    of.hasBegun = true
    of.hasEnded = isFinal
    this.stream = isFinal ? undefined : of
    // Not now: who calls may be in the middle of its own admission.
    if (isFinal && this.isAwaited) queueMicrotask(() => this.admit())
  }
}

const nobody: Set<Sender> = new Set()

const isPlain = (item: Data | Fragment): item is string | Uint8Array | Message =>
  typeof item === "string" || item instanceof Uint8Array || item._tag === "Text" || item._tag === "Binary"

const endsMessage = (item: Data | Fragment): boolean =>
  typeof item === "string" || item instanceof Uint8Array || item._tag !== "Fragment" || item.isFinal

const streamOf = (item: Data | Fragment): OutgoingStream | undefined =>
  typeof item === "object" && "_tag" in item && item._tag === "Fragment" ? item.of : undefined

// A character is counted as one byte: the mark bounds memory, it doesn't measure it.
const sizeOf = (item: Data | Fragment): number => (typeof item === "string" ? item.length : item.byteLength)
