/**
 * The life of an `UpgradeExchange`: pending, then accepted, refused or lost, exactly one of them.
 */
import type { HandshakeFault } from "@effect-ws/core/HandshakeFault"
import * as HttpHead from "@effect-ws/core/HttpHead"
import type * as Refusal from "@effect-ws/core/Refusal"
import * as Subprotocol from "@effect-ws/core/Subprotocol"
import * as UpgradeRequest from "@effect-ws/core/UpgradeRequest"
import * as UpgradeResponse from "@effect-ws/core/UpgradeResponse"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Inspectable from "effect/Inspectable"
import type { ConnectionOptions } from "../ConnectionOptions.ts"
import type { HandshakeError } from "../HandshakeError.ts"
import type { Incoming } from "../Listener.ts"
import type { TransportInfo } from "../Transport.ts"
import type { UpgradeExchange } from "../UpgradeExchange.ts"
import { Connection } from "./Connection.ts"
import type { Engine } from "./Engine.ts"
import type { Opened, Restore } from "./handle.ts"
import { type Loss, Opening } from "./Opening.ts"
import * as answers from "./answers.ts"

export type RequestOpening = Opening<HttpHead.RequestHead>

export class Exchange implements UpgradeExchange {
  readonly request: UpgradeRequest.UpgradeRequest
  readonly info: TransportInfo
  readonly options: ConnectionOptions
  state: "pending" | "accepted" | "refused" | "lost" = "pending"
  connection: Connection | undefined = undefined
  loss: Loss | undefined = undefined

  private readonly opening: RequestOpening
  private readonly engine: Engine

  constructor(
    request: UpgradeRequest.UpgradeRequest,
    opening: RequestOpening,
    engine: Engine,
    options: ConnectionOptions
  ) {
    this.request = request
    this.info = opening.transport.info
    this.opening = opening
    this.engine = engine
    this.options = options
  }

  /** Calls back when the peer goes away, or time runs out, while the exchange is pending: at once if it happened already. */
  whenLost(onLost: () => void): void {
    this.opening.whenLost((loss) => {
      this.loss = loss
      if (loss._tag === "Timeout" || loss._tag === "ShuttingDown") this.refuse(answers.unavailable)
      else this.lose()
      onLost()
    })
  }

  /** Answers with the 101 and makes the connection, or says why it can't be. Writes nothing in that case. */
  accept(
    response: UpgradeResponse.Options,
    options: ConnectionOptions,
    objection: HandshakeFault | undefined
  ): Effect.Effect<Opened, HandshakeError> {
    return Effect.suspend(() => {
      if (this.loss !== undefined) return Exit.fail(answers.serverError(this.loss))
      if (this.state !== "pending") return Exit.die(new Error(`The exchange was ${this.state} already: accept it once`))
      if (objection !== undefined) return Exit.fail(answers.serverError(objection))
      const accepted = UpgradeResponse.accept(this.request, response)
      if (accepted._tag !== "UpgradeResponse") return Exit.fail(answers.serverError(accepted))
      const head = UpgradeResponse.encode(accepted)
      if (!(head instanceof Uint8Array)) return Exit.fail(answers.serverError(head))
      this.state = "accepted"
      const connection = new Connection(this.opening.transport, "server", this.engine, options)
      this.connection = connection
      const leftover = this.opening.takeOver()
      this.opening.transport.write([head])
      connection.start(leftover)
      return Exit.succeed({ connection, request: this.request, response: accepted })
    })
  }

  /** Answers with a refusal, unless somebody has answered or nobody is there. */
  refuse(refusal: Refusal.Refusal): void {
    if (this.state !== "pending") return
    this.state = "refused"
    this.opening.refuse(answers.encode(refusal))
  }

  // What is shown of an exchange in a log: no field of the request, which may hold credentials, nor its query.
  toJSON(): unknown {
    return { _id: "UpgradeExchange", path: this.request.path, peer: this.info.remoteAddress, state: this.state }
  }

  toString(): string {
    return Inspectable.format(this.toJSON())
  }

  [Inspectable.NodeInspectSymbol](): unknown {
    return this.toJSON()
  }

  /** Drops the transport without an answer, if nobody has answered. */
  lose(): void {
    if (this.state !== "pending") return
    this.state = "lost"
    this.opening.destroy()
  }
}

/** Takes the transport and begins to read the request. */
export const begin = (incoming: Incoming, engine: Engine, options: ConnectionOptions): RequestOpening => {
  const decoder = HttpHead.requestDecoder({ maxSize: options.maxHeadSize, maxFields: options.maxHeadFields })
  const opening = new Opening(incoming.transport, decoder, engine.deadlines, options)
  opening.start(incoming.request, incoming.leftover)
  return opening
}

/**
 * Waits for the request and checks it. When that fails the answer has been written already; when it is interrupted, the
 * transport is gone. Only the waiting may be interrupted, by `restore`: so the caller's region is uninterruptible from
 * `begin` on, or the transport would be lost in between.
 */
export const open = (
  restore: Restore,
  opening: RequestOpening,
  engine: Engine,
  options: ConnectionOptions
): Effect.Effect<Exchange, HandshakeError> =>
  restore(opening.readHead).pipe(
    Effect.flatMap((head) => check(UpgradeRequest.validate(head))),
    Effect.map((request) => new Exchange(request, opening, engine, options)),
    Effect.mapError((reason) => refuse(opening, answers.serverError(reason))),
    Effect.onInterrupt(() => Effect.sync(() => opening.destroy()))
  )

const check = (
  result: UpgradeRequest.UpgradeRequest | HandshakeFault
): Exit.Exit<UpgradeRequest.UpgradeRequest, HandshakeFault> =>
  result._tag === "UpgradeRequest" ? Exit.succeed(result) : Exit.fail(result)

const refuse = (opening: RequestOpening, error: HandshakeError): HandshakeError => {
  if (error.answer === undefined) opening.destroy()
  else opening.refuse(answers.encode(error.answer))
  return error
}

/** The subprotocol that a server chooses: the first of its own that was offered. */
export const selectSubprotocol = (
  request: UpgradeRequest.UpgradeRequest,
  preferences: ReadonlyArray<string> | undefined
): string | undefined => (preferences === undefined ? undefined : Subprotocol.select(preferences, request.subprotocols))
