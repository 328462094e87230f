/**
 * The way out: encoded bytes wait for the end of the turn and leave in one write, and senders wait above the high-water
 * mark.
 *
 * A sender that waits leaves its message here, and the message is queued for it, in order and whole, when there is room.
 * So a sender that is interrupted has either sent nothing or all.
 */
import type { Message } from "@effect-ws/core/Message"
import type { Protocol } from "@effect-ws/core/Protocol"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { SendRejected } from "../SendRejected.ts"
import type { Transport } from "../Transport.ts"
import type { WebSocketError } from "../WebSocketError.ts"

export type Data = string | Uint8Array | Message

type SendError = WebSocketError | SendRejected

interface Sender {
  readonly data: Data
  readonly resume: Resume
}

type Resume = (exit: Exit.Exit<void, SendError>) => void

export class Outbox {
  private readonly protocol: Protocol
  private readonly transport: Transport
  private readonly highWaterMark: number
  private readonly senders = new Set<Sender>()
  private isFull = false
  private isScheduled = false

  constructor(protocol: Protocol, transport: Transport, highWaterMark: number) {
    this.protocol = protocol
    this.transport = transport
    this.highWaterMark = highWaterMark
  }

  /** What waits to be sent, in bytes. */
  get held(): number {
    return this.protocol.pendingOutput + this.transport.writable
  }

  /** Queues the message if nobody waits and there is room. */
  offer(data: Data): boolean {
    if (this.senders.size > 0 || !this.hasRoom(data)) return false
    this.encode(data)
    return true
  }

  /** Queues the message as soon as there is room, and resumes then. Returns how to give that up. */
  park(data: Data, resume: Resume): Effect.Effect<void> {
    const sender: Sender = { data, resume }
    this.senders.add(sender)
    return Effect.sync(() => void this.senders.delete(sender))
  }

  /** Writes what was encoded in this turn, when the turn is over. */
  schedule(): void {
    if (this.isScheduled || this.protocol.pendingOutput === 0) return
    this.isScheduled = true
    queueMicrotask(this.flush)
  }

  readonly flush = (): void => {
    this.isScheduled = false
    if (this.protocol.pendingOutput === 0) return
    if (this.transport.write(this.protocol.takeOutput())) return
    this.isFull = true
    this.protocol.holdPongs()
  }

  /** The transport has room again: who waits goes first, in order of arrival. */
  drained(): void {
    this.isFull = false
    this.protocol.releasePongs()
    for (const sender of this.senders) {
      if (!this.hasRoom(sender.data)) break
      this.senders.delete(sender)
      this.encode(sender.data)
      sender.resume(Exit.void)
    }
    this.flush()
  }

  /** Nothing can be sent any more: who waits fails. */
  fail(error: SendError): void {
    for (const sender of this.senders) sender.resume(Exit.fail(error))
    this.senders.clear()
  }

  // A message above the mark is admitted when nothing else is held, else it could never be sent.
  private hasRoom(data: Data): boolean {
    const size = sizeOf(data)
    if (this.held === 0 || this.held + size <= this.highWaterMark) return true
    // What only waits for the end of the turn is written first: the transport may take all of it at once.
    this.flush()
    return !this.isFull || this.held + size <= this.highWaterMark
  }

  private encode(data: Data): void {
    if (typeof data === "string") this.protocol.sendText(data)
    else if (data instanceof Uint8Array) this.protocol.sendBinary(data)
    else this.protocol.sendMessage(data)
    this.schedule()
  }
}

// A character is counted as one byte: the mark bounds memory, it doesn't measure it.
const sizeOf = (data: Data): number => (typeof data === "string" ? data.length : data.byteLength)
