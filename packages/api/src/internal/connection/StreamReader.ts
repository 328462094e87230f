/**
 * One message that is read piece by piece, while nobody else reads.
 */
import type { Message } from "@effect-ws/core/Message"
import type { MessageStart, PiecesReceived } from "@effect-ws/core/ProtocolEvent"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { WebSocketError } from "../../WebSocketError.ts"
import type { Holder, Inbox } from "./Inbox.ts"

/** Where a message comes from when the inbox has none: that which is coming in just now. */
export interface MessageSource {
  readonly hasMessageBegun: boolean
  readonly awaitStream: (isAwaited: boolean) => void
  readonly streamMessage: () => MessageStart | undefined
  readonly dropMessage: () => void
}

export class StreamReader implements Holder {
  /** Whether nothing more is taken, since something of the message had to be dropped. */
  isTorn = false

  private readonly inbox: Inbox
  private readonly source: MessageSource
  private readonly onIdle: () => void
  private pieces: Array<Uint8Array> = []
  private held = 0
  private hasBegun = false
  private hasEnded = false
  private isReleased = false
  private resume: (() => void) | undefined = undefined

  /** Holds the reading from here on, until `release`. */
  constructor(inbox: Inbox, source: MessageSource, onIdle: () => void) {
    this.inbox = inbox
    this.source = source
    this.onIdle = onIdle
    inbox.hold(this)
    source.awaitStream(true)
  }

  /** Whether it has nothing to do but to wait. What has just come is still to be handled. */
  get isWaiting(): boolean {
    return this.resume !== undefined && !this.hasNews
  }

  /** Waits until there is a message. Takes nothing. */
  readonly ready: Effect.Effect<void, WebSocketError> = Effect.suspend(() => {
    if (this.hasNews) return Exit.void
    return this.inbox.failure === undefined ? Effect.zipRight(this.wait, this.ready) : Exit.fail(this.inbox.failure)
  })

  /** Takes the message, and returns its type; `undefined` when the connection has ended since it was there. */
  take(): Message["_tag"] | undefined {
    this.source.awaitStream(false)
    if (!this.inbox.isEmpty) return this.takeWhole(this.inbox.takeHeld())
    const start = this.source.streamMessage()
    return start === undefined ? undefined : this.takeStart(start)
  }

  /** Waits for more of the message; `undefined` when it has ended. */
  readonly pull: Effect.Effect<ReadonlyArray<Uint8Array> | undefined, WebSocketError> = Effect.suspend(() => {
    if (this.isReleased) return Exit.die(new Error(outside))
    if (this.pieces.length > 0) return Effect.sync(() => this.takePieces())
    if (this.hasEnded) return Exit.succeed(undefined)
    return this.inbox.failure === undefined ? Effect.zipRight(this.wait, this.pull) : Exit.fail(this.inbox.failure)
  })

  /** Takes what has come. */
  push({ ends, pieces }: PiecesReceived): void {
    for (const piece of pieces) this.add(piece)
    this.hasEnded = ends
  }

  /** Lets others read. What is still to come of the message is dropped. */
  release(): void {
    this.source.awaitStream(false)
    if (this.hasBegun && !this.hasEnded) this.source.dropMessage()
    this.isReleased = true
    this.takePieces()
    this.goOn()
    this.inbox.release()
  }

  wake(): void {
    if (this.hasNews || this.inbox.failure !== undefined) this.goOn()
  }

  private get hasNews(): boolean {
    if (this.hasBegun) return this.pieces.length > 0 || this.hasEnded
    return !this.inbox.isEmpty || this.source.hasMessageBegun
  }

  private goOn(): void {
    const { resume } = this
    this.resume = undefined
    resume?.()
  }

  // What was held by the inbox is held here from now on.
  private takeWhole({ _tag, byteLength, pieces }: Message): Message["_tag"] {
    this.hasBegun = this.hasEnded = true
    this.held = byteLength
    for (const piece of pieces) if (piece.length > 0) this.pieces.push(piece)
    return _tag
  }

  // Reading may have paused until somebody takes it, with nothing of it there yet.
  private takeStart({ pieces, type }: MessageStart): Message["_tag"] {
    this.hasBegun = true
    for (const piece of pieces) this.add(piece)
    this.inbox.count(0)
    return type
  }

  private add(piece: Uint8Array): void {
    const last = this.pieces.at(-1)
    if (last !== undefined && isBehind(last, piece)) this.pieces[this.pieces.length - 1] = joined(last, piece)
    else this.pieces.push(piece)
    this.held += piece.length
    this.inbox.count(piece.length)
  }

  private takePieces(): ReadonlyArray<Uint8Array> {
    const { held, pieces } = this
    this.pieces = []
    this.held = 0
    this.inbox.count(-held)
    return pieces
  }

  // Whoever is interrupted has taken nothing: what there is stays here.
  private readonly wait: Effect.Effect<void> = Effect.async<void>((resume) => {
    this.resume = () => resume(Effect.void)
    this.onIdle()
    this.wake()
    return Effect.sync(() => {
      this.resume = undefined
    })
  })
}

// Small pieces are copied one behind the other as they come: so a million of them, of a byte each, are a few.
const isBehind = (last: Uint8Array, piece: Uint8Array): boolean =>
  last.buffer === piece.buffer && last.byteOffset + last.length === piece.byteOffset

const joined = (last: Uint8Array, piece: Uint8Array): Uint8Array =>
  new Uint8Array(last.buffer, last.byteOffset, last.length + piece.length)

const outside = "The message was let go of when the scope of receiveStream closed: run its streams inside of that scope"
