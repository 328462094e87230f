/**
 * A decorator where somebody else writes the refusals: it sees either the 101 or the refusal, whichever comes first.
 */
import type { IncomingRequest, ResponseDecorator } from "../../Decorator.ts"
import { HandshakeError } from "../../HandshakeError.ts"
import * as answers from "./answers.ts"

export class Decorating {
  /** What decorates the 101. */
  readonly decorate: ResponseDecorator | undefined
  private readonly given: ResponseDecorator | undefined
  private hasDecorated = false

  constructor(given: ResponseDecorator | undefined) {
    this.given = given
    this.decorate =
      given === undefined
        ? undefined
        : (response, request) => {
            this.hasDecorated = true
            return given(response, request)
          }
  }

  /** Decorates the refusal that an error carries. */
  error(error: HandshakeError, request: IncomingRequest | undefined): HandshakeError {
    const { answer, reason, reusable, role } = error
    if (answer === undefined || this.given === undefined || this.hasDecorated) return error
    const { body, fields: headers, status } = answer
    const decorated = this.given({ status, headers, body }, request)
    return new HandshakeError({
      role,
      reason,
      answer: answers.make(decorated.status, decorated.headers, decorated.body),
      reusable
    })
  }
}
