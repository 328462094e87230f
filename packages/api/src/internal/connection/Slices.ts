/**
 * A large message that is compressed: slice by slice, one in each turn of the event loop, so that the others get theirs.
 */
import * as Message from "@effect-ws/core/Message"
import type { Protocol } from "@effect-ws/core/Protocol"
import { OutgoingStream } from "./OutgoingStream.ts"

export class Slices {
  readonly of: OutgoingStream

  private readonly protocol: Protocol
  private readonly bytes: Uint8Array
  private at = 0

  /** The bytes are copied, since their owner may use them before the last slice is sent. */
  constructor(protocol: Protocol, data: string | Uint8Array | Message.Message) {
    const message = Message.isMessage(data) ? data : typeof data === "string" ? Message.text(data) : copyOf(data)
    this.protocol = protocol
    this.of = new OutgoingStream(message._tag)
    this.bytes = message.bytes
  }

  /** Sends the next slice, as a fragment of the message. Returns whether there are more. */
  next(): boolean {
    const end = Math.min(this.at + sliceSize, this.bytes.length)
    const isLast = end === this.bytes.length
    // Nothing is left to do where nothing can be sent any more.
    if (!this.protocol.sendFragment(this.of.type, this.bytes.subarray(this.at, end), isLast)) return false
    this.at = end
    return !isLast
  }
}

const copyOf = (bytes: Uint8Array): Message.Message => Message.binary(new Uint8Array(bytes))

/** In bytes: takes about a millisecond. */
export const sliceSize = 64 * 1024
