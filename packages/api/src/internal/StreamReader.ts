/**
 * One message that is read piece by piece, while nobody else reads.
 */
import type { Message } from "@effect-ws/core/Message"
import type { MessageStart, PiecesReceived } from "@effect-ws/core/ProtocolEvent"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { WebSocketError } from "../WebSocketError.ts"
import type { Holder, Inbox } from "./Inbox.ts"

/** Where a message comes from when the inbox has none: that which is coming in just now. */
export interface MessageSource {
  readonly hasMessageBegun: boolean
  readonly streamMessage: () => MessageStart | undefined
  readonly dropMessage: () => void
}

export class StreamReader implements Holder {
  isWaiting = false

  private readonly inbox: Inbox
  private readonly source: MessageSource
  private readonly onIdle: () => void
  private pieces: Array<Uint8Array> = []
  private held = 0
  private hasBegun = false
  private hasEnded = false
  private resume: (() => void) | undefined = undefined

  /** Holds the reading from here on, until `release`. */
  constructor(inbox: Inbox, source: MessageSource, onIdle: () => void) {
    this.inbox = inbox
    this.source = source
    this.onIdle = onIdle
    inbox.hold(this)
  }

  /** Waits until a message begins, and takes it. */
  readonly begin: Effect.Effect<Message["_tag"], WebSocketError> = Effect.suspend(() => {
    if (!this.inbox.isEmpty) return Exit.succeed(this.takeWhole(this.inbox.take()))
    const start = this.source.streamMessage()
    if (start !== undefined) return Exit.succeed(this.takeStart(start))
    return this.inbox.failure === undefined ? Effect.zipRight(this.wait, this.begin) : Exit.fail(this.inbox.failure)
  })

  /** Waits for more of the message; `undefined` when it has ended. */
  readonly pull: Effect.Effect<ReadonlyArray<Uint8Array> | undefined, WebSocketError> = Effect.suspend(() => {
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
    if (this.hasBegun && !this.hasEnded) this.source.dropMessage()
    this.takePieces()
    this.inbox.release()
  }

  wake(): void {
    const { inbox, resume } = this
    const hasNews = this.hasBegun
      ? this.pieces.length > 0 || this.hasEnded
      : !inbox.isEmpty || this.source.hasMessageBegun
    if (resume === undefined || (!hasNews && inbox.failure === undefined)) return
    this.isWaiting = false
    this.resume = undefined
    resume()
  }

  private takeWhole(message: Message): Message["_tag"] {
    this.hasBegun = this.hasEnded = true
    for (const piece of message.pieces) if (piece.length > 0) this.add(piece)
    return message._tag
  }

  private takeStart({ pieces, type }: MessageStart): Message["_tag"] {
    this.hasBegun = true
    for (const piece of pieces) this.add(piece)
    return type
  }

  private add(piece: Uint8Array): void {
    this.pieces.push(piece)
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
    this.isWaiting = true
    this.resume = () => resume(Effect.void)
    this.onIdle()
    this.wake()
    return Effect.sync(() => {
      this.isWaiting = false
      this.resume = undefined
    })
  })
}
