/**
 * The life of one request: pending, then accepted, refused or lost, exactly one of them.
 */
import type { Refusal } from "@effect-ws/core/Refusal"
import type * as Scope from "effect/Scope"
import type { IncomingRequest } from "../../Decorator.ts"
import type { TransportInfo } from "../../Transport.ts"
import * as answers from "./answers.ts"
import type { Loss } from "./Opening.ts"
import type { ServerOpening } from "./ServerOpening.ts"

export class Attempt<Request extends IncomingRequest> {
  readonly request: Request
  readonly opening: ServerOpening
  state: "pending" | "accepted" | "refused" | "lost" = "pending"
  /** Why the peer, or the time, is gone while the request was pending. */
  loss: Loss | undefined = undefined
  /** The scope of the handler that is to answer, where a server has made one. */
  scope: Scope.Scope | undefined = undefined

  constructor(request: Request, opening: ServerOpening) {
    this.request = request
    this.opening = opening
  }

  get info(): TransportInfo {
    return this.opening.opening.transport.info
  }

  /** Calls back when the peer goes away, or time runs out, while the request is pending: at once if it happened already. */
  whenLost(onLost: (loss: Loss) => void): void {
    this.opening.opening.whenLost((loss) => {
      this.loss = loss
      if (loss._tag === "Timeout" || loss._tag === "ShuttingDown") this.refuse(answers.unavailable, false)
      else this.lose()
      onLost(loss)
    })
  }

  /** Answers with a refusal, unless somebody has answered or nobody is there. */
  refuse(refusal: Refusal, mayRest = true): void {
    if (this.state !== "pending") return
    this.state = "refused"
    this.opening.refuse(refusal, this.request, mayRest)
  }

  /** Drops the transport without an answer, if nobody has answered. */
  lose(): void {
    if (this.state !== "pending") return
    this.state = "lost"
    this.opening.opening.destroy()
  }
}
