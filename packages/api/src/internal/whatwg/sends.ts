/**
 * What a WHATWG WebSocket is to send: `send` can't wait, so it waits here, in order, a `Blob` that has to be read first
 * included, and counts as buffered until the transport has taken it.
 */
import type { CloseReason } from "@effect-ws/core/CloseReason"
import * as Exit from "effect/Exit"
import { SendRejected } from "../../SendRejected.ts"
import type { Connection } from "../connection/Connection.ts"
import { sliceSize } from "../connection/Slices.ts"
import { type SendData, sizeOf } from "./arguments.ts"

interface Entry {
  /** In bytes of payload. */
  readonly size: number
  /** What is still to be sent. */
  data: SendData | undefined
  /** Where it ends on the wire, counted in bytes from the beginning; `Infinity` while that can't be told. */
  position: number
  next: Entry | undefined
}

export class Sends {
  private readonly limit: number
  /** Told when something can't be sent. */
  private readonly onFault: (error: unknown) => void
  private connection: Connection | undefined = undefined
  private isCompressed = false
  private amount = 0
  // The oldest that the transport has not taken, the oldest that was not sent, and the newest.
  private first: Entry | undefined = undefined
  private unsent: Entry | undefined = undefined
  private last: Entry | undefined = undefined
  private closing: CloseReason | undefined = undefined
  private isBusy = false
  private isOver = false
  private isScheduled = false

  constructor(limit: number, onFault: (error: unknown) => void) {
    this.limit = limit
    this.onFault = onFault
  }

  /** There is a connection now. */
  attach(connection: Connection, isCompressed: boolean): void {
    this.connection = connection
    this.isCompressed = isCompressed
  }

  /** How many bytes of payload the transport has not taken. */
  get buffered(): number {
    this.prune()
    return this.amount
  }

  /** Sends what was given, behind all that was before. */
  add(data: SendData): void {
    const entry: Entry = { size: sizeOf(data), data, position: Infinity, next: undefined }
    this.append(entry)
    this.pump()
    // The caller's bytes may change from here on.
    if (entry.data instanceof Uint8Array) entry.data = new Uint8Array(entry.data)
    if (this.amount > this.limit) this.refuseAbove(entry)
    this.schedule()
  }

  /** Counts what came too late to be sent. */
  lose(data: SendData): void {
    this.amount += sizeOf(data)
  }

  /** Begins the closing handshake behind what is to be sent. */
  close(reason: CloseReason): void {
    this.closing = reason
    this.pump()
  }

  /** The connection has ended: what was not taken stays buffered for ever. */
  finish(isClean: boolean): void {
    // A transport that was destroyed holds nothing any more, and has not taken it either.
    if (isClean) this.prune()
    this.isOver = true
    this.first = this.unsent = this.last = undefined
  }

  private append(entry: Entry): void {
    this.amount += entry.size
    if (this.last !== undefined) this.last.next = entry
    this.last = entry
    this.first ??= entry
    this.unsent ??= entry
  }

  private pump(): void {
    while (this.unsent !== undefined && !this.isBusy && !this.isOver) this.sendNext(this.unsent)
    if (this.unsent === undefined && this.closing !== undefined && !this.isOver) {
      this.connection!.beginClose(this.closing)
    }
  }

  private sendNext(entry: Entry): void {
    this.isBusy = true
    const { data } = entry
    if (typeof data !== "string" && !(data instanceof Uint8Array)) return this.read(entry, data!)
    let isNow = true
    this.connection!.sending.sendAndTell(data, (exit) => {
      // Where nothing can be sent any more, nothing else is tried.
      if (Exit.isFailure(exit)) return
      this.sent(entry)
      // Who tells later may be in the middle of its own admission.
      if (isNow) this.isBusy = false
      else queueMicrotask(this.goOn)
    })
    isNow = false
  }

  private read(entry: Entry, blob: Blob): void {
    blob.arrayBuffer().then(
      (buffer) => {
        entry.data = new Uint8Array(buffer)
        this.goOn()
      },
      (error) => this.fail(error)
    )
  }

  private sent(entry: Entry): void {
    const isSliced = this.isCompressed && entry.size > sliceSize
    entry.position = isSliced ? Infinity : this.encoded
    entry.data = undefined
    this.unsent = entry.next
  }

  private readonly goOn = (): void => {
    this.isBusy = false
    this.pump()
    this.schedule()
  }

  // One message above the limit is admitted when nothing else is held.
  private refuseAbove(entry: Entry): void {
    this.prune()
    if (this.amount <= this.limit || this.first === entry) return
    this.fail(new SendRejected({ reason: { _tag: "QueueFull", bytes: this.amount, limit: this.limit } }))
  }

  private fail(error: unknown): void {
    if (this.isOver) return
    this.finish(false)
    this.onFault(error)
  }

  // Behind the write that ends the turn: what the system has taken at once is not buffered.
  private schedule(): void {
    if (this.isScheduled || this.first === undefined) return
    this.isScheduled = true
    queueMicrotask(this.prune)
  }

  private readonly prune = (): void => {
    this.isScheduled = false
    if (this.isOver || this.first === undefined) return
    const taken = this.isIdle ? Infinity : this.connection!.taken
    while (this.first !== undefined && this.first !== this.unsent && this.first.position <= taken)
      this.shift(this.first)
  }

  private shift(entry: Entry): void {
    this.amount -= entry.size
    this.first = entry.next
    if (this.first === undefined) this.last = undefined
  }

  /** All that was encoded so far, in bytes. */
  private get encoded(): number {
    return this.connection!.taken + this.connection!.status.outgoing
  }

  /** Whether the transport has taken all of every message that was sent. */
  private get isIdle(): boolean {
    return this.connection!.status.outgoing === 0 && !this.connection!.sending.awaitsTurn(nothing)
  }
}

const nothing = new Uint8Array(0)
