/**
 * Messages handled where they come in, as far as that needs no fiber.
 */
import type { Message } from "@effect-ws/core/Message"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import { identity } from "effect/Function"
import type { Inbox } from "./Inbox.ts"
import { Send } from "./Send.ts"

// What a handler fails with and requires is for the public signatures to tell.
type Handled = Effect.Effect<unknown, never, never>

export abstract class Handling {
  protected readonly inbox: Inbox

  constructor(inbox: Inbox) {
    this.inbox = inbox
  }

  protected abstract handleOne(message: Message): unknown

  /** Handles what is there, or so much of it that a fiber is needed: returns what for. A handler that throws needs one to die. */
  protected handleAll(): Handled | undefined {
    return Either.getOrElse(Either.try({ try: () => this.unsafeHandleAll(), catch: identity }), Effect.die)
  }

  /** The same for a fiber, which knows what to do with a handler that throws. */
  protected unsafeHandleAll(): Handled | undefined {
    for (;;) {
      const message = this.inbox.poll()
      if (message === undefined) return undefined
      const rest = unlessDone(this.handleOne(message))
      if (rest !== undefined) return rest
    }
  }
}

const unlessDone = (handled: unknown): Handled | undefined => {
  if (handled === undefined) return undefined
  const rest = handled instanceof Send ? handled.commit() : handled
  return rest === Exit.void || (Exit.isExit(rest) && Exit.isSuccess(rest)) ? undefined : (rest as Handled)
}
