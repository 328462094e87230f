/**
 * The effect that sends a message: a class of its own, so that who holds it can run it without a fiber.
 */
import type { Effect } from "effect/Effect"
import * as Effectable from "effect/Effectable"
import type { SendRejected } from "../../SendRejected.ts"
import type { Sendable } from "../../WebSocket.ts"
import type { WebSocketError } from "../../WebSocketError.ts"
import { toData } from "./sendable.ts"
import type { Sending } from "./Sending.ts"

export class Send extends Effectable.Class<void, WebSocketError | SendRejected> {
  private readonly sending: Sending
  private readonly data: Sendable

  constructor(sending: Sending, data: Sendable) {
    super()
    this.sending = sending
    this.data = data
  }

  /** Sends, each time it is called, and returns an `Exit` unless it has to wait. */
  commit(): Effect<void, WebSocketError | SendRejected> {
    return this.sending.send(toData(this.data))
  }
}
