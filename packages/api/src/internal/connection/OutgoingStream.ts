/**
 * A message that is sent piece by piece, as the outbox knows it.
 */
import type { Message } from "@effect-ws/core/Message"

/** What is known of the message: whether something of it was sent, and then whether all of it. */
export class OutgoingStream {
  readonly type: Message["_tag"]
  hasBegun = false
  hasEnded = false

  constructor(type: Message["_tag"]) {
    this.type = type
  }
}

/** A fragment of it, the last one being final. */
export interface Fragment {
  readonly _tag: "Fragment"
  readonly of: OutgoingStream
  readonly bytes: Uint8Array
  readonly byteLength: number
  readonly isFinal: boolean
}
