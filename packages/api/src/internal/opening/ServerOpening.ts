/**
 * A transport on a server until it is a connection: request after request, and the answers to those that aren't accepted.
 */
import * as HttpHead from "@effect-ws/core/HttpHead"
import type * as Refusal from "@effect-ws/core/Refusal"
import * as UpgradeRequest from "@effect-ws/core/UpgradeRequest"
import type { ConnectionOptions } from "../../ConnectionOptions.ts"
import type { IncomingRequest } from "../../Decorator.ts"
import type { Incoming } from "../../Listener.ts"
import type { Transport } from "../../Transport.ts"
import type { AcceptOptions } from "../../AcceptOptions.ts"
import type { Engine } from "../Engine.ts"
import * as HeadLimits from "./headLimits.ts"
import { Opening } from "./Opening.ts"
import * as Refusals from "./refusals.ts"

/** What holds for every request on the transport; `accept` may say otherwise for its own. */
export interface Settings {
  readonly connection: ConnectionOptions
  readonly accept: AcceptOptions
  readonly maxAttempts: number
}

export class ServerOpening {
  readonly engine: Engine
  readonly settings: Settings
  readonly opening: Opening<HttpHead.RequestHead>
  /** Whether an attempt is over that leaves the transport open for another. */
  isResting = false
  /** What a decorator threw: the answer was sent without it. */
  defect: unknown = undefined

  private attempts = 0

  /** Goes on where another one rests, if there is one, which has nothing to say about the transport any more. */
  constructor(transport: Transport, engine: Engine, settings: Settings, resting?: ServerOpening) {
    this.engine = engine
    this.settings = settings
    const { maxHeadFields: maxFields, maxHeadSize: maxSize } = settings.connection
    const decoder = HttpHead.requestDecoder({ maxSize, maxFields })
    this.opening = resting?.opening ?? new Opening(transport, decoder, engine.deadlines, settings.connection)
    if (resting === undefined) return
    resting.isResting = false
    this.attempts = resting.attempts
    this.opening.renew(decoder, engine.deadlines, settings.connection)
  }

  /** Whether the peer, who was refused, has not begun to ask again. */
  get isIdle(): boolean {
    return this.attempts > 1 && this.opening.held === 0
  }

  /** Begins to read the first request, or the next. Somebody else may have read it. */
  begin({ leftover, request }: Partial<Omit<Incoming, "transport">> = {}): void {
    this.isResting = false
    this.attempts++
    const given = request === undefined ? undefined : HeadLimits.check(request, this.settings.connection)
    if (this.attempts === 1) this.opening.start(given, leftover)
    else this.opening.next(given, leftover)
  }

  /**
   * Answers with a refusal. The transport rests then where HTTP lets it carry another request: returns whether it does.
   * Without a head the request could not be read, and where another would begin is unknown.
   */
  refuse(refusal: Refusal.Refusal, head: IncomingRequest | undefined, mayRest = true): boolean {
    const rests = mayRest && head !== undefined && this.keepsAlive(head)
    const { bytes, defect } = Refusals.encode(refusal, this.settings.accept, head, rests)
    this.defect = defect
    this.isResting = rests
    if (rests) this.opening.rest(bytes)
    else this.opening.refuse(bytes)
    return rests
  }

  /** The transport, if nobody has taken it, ends with whoever waited for it, and not before the answer has gone out. */
  release(): void {
    if (!this.isResting) return
    this.isResting = false
    this.opening.leave()
  }

  private keepsAlive(head: IncomingRequest): boolean {
    return this.attempts < this.settings.maxAttempts && UpgradeRequest.keepsAlive(head)
  }
}
