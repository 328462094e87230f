/**
 * A request for a WebSocket that passed every check, and how it becomes a connection.
 */
import type { HandshakeFault } from "@effect-ws/core/HandshakeFault"
import type { Extension } from "@effect-ws/core/Extension"
import type * as HttpHead from "@effect-ws/core/HttpHead"
import type { Deflate } from "@effect-ws/core/Protocol"
import * as UpgradeRequest from "@effect-ws/core/UpgradeRequest"
import * as UpgradeResponse from "@effect-ws/core/UpgradeResponse"
import * as Exit from "effect/Exit"
import * as Inspectable from "effect/Inspectable"
import type { ConnectionOptions } from "../../ConnectionOptions.ts"
import type { OutgoingResponse } from "../../Decorator.ts"
import type { HandshakeError } from "../../HandshakeError.ts"
import * as Fields from "../../Fields.ts"
import * as TrustedProxies from "../../TrustedProxies.ts"
import type { UpgradeExchange } from "../../UpgradeExchange.ts"
import type { AcceptOptions } from "../../AcceptOptions.ts"
import * as answers from "./answers.ts"
import { Attempt } from "./Attempt.ts"
import * as Compression from "./compression.ts"
import { Connection } from "../connection/Connection.ts"
import type { Opened } from "../connection/handle.ts"
import { fromDecorated } from "./refusals.ts"
import type { ServerOpening } from "./ServerOpening.ts"

type Answering = Pick<AcceptOptions, "decorate" | "headers" | "server">

export class Exchange extends Attempt<UpgradeRequest.UpgradeRequest> implements UpgradeExchange {
  connection: Connection | undefined = undefined
  private readonly trusted: TrustedProxies.TrustedProxies

  constructor(
    request: UpgradeRequest.UpgradeRequest,
    opening: ServerOpening,
    trusted: TrustedProxies.TrustedProxies = nobody
  ) {
    super(request, opening)
    this.trusted = trusted
  }

  get client(): TrustedProxies.Client {
    return TrustedProxies.clientOf(this.trusted, this.info, this.request)
  }

  /** Answers with the 101 and makes the connection, or says why it can't be. Writes nothing in that case. */
  accept(
    subprotocol: string | undefined,
    accepting: Answering,
    options: ConnectionOptions
  ): Exit.Exit<Opened, HandshakeError> {
    const obstacle = this.obstacle()
    if (obstacle !== undefined) return obstacle
    const { engine } = this.opening
    const chosen = Compression.choose(this.request.extensions, options.permessageDeflate, engine.deflate)
    const response = this.respond(subprotocol, chosen.extensions, accepting)
    if (response._tag === "Refusal") return Exit.fail(answers.rejected(response))
    if (response._tag !== "UpgradeResponse") return Exit.fail(answers.serverError(response))
    const head = UpgradeResponse.encode(response, { continues: UpgradeRequest.expectsContinue(this.request) })
    if (!(head instanceof Uint8Array)) return Exit.fail(answers.serverError(head))
    return Exit.succeed({ connection: this.become(head, options, chosen.deflate), request: this.request, response })
  }

  // What is shown of an exchange in a log: no field of the request, which may hold credentials, nor its query.
  toJSON(): unknown {
    return { _id: "UpgradeExchange", path: this.request.path, peer: this.info.remoteAddress, state: this.state }
  }

  override toString(): string {
    return Inspectable.format(this.toJSON())
  }

  [Inspectable.NodeInspectSymbol](): unknown {
    return this.toJSON()
  }

  private obstacle(): Exit.Exit<never, HandshakeError> | undefined {
    if (this.loss !== undefined) return Exit.fail(answers.serverError(this.loss))
    if (this.state === "pending") return undefined
    return Exit.die(new Error(`The exchange was ${this.state} already: accept it once`))
  }

  private respond(
    subprotocol: string | undefined,
    extensions: ReadonlyArray<Extension>,
    { decorate, headers, server }: Answering
  ) {
    const fields = Fields.toHeaders(headers)
    if (decorate === undefined) {
      return UpgradeResponse.accept(this.request, { subprotocol, extensions, fields, server })
    }
    const accepted = UpgradeResponse.accept(this.request, { subprotocol, extensions, fields, server: false })
    if (accepted._tag !== "UpgradeResponse") return accepted
    const plain: OutgoingResponse = { status: 101, headers: accepted.fields, body: nothing }
    const decorated = decorate(plain, this.request)
    if (decorated.status !== 101) return fromDecorated(decorated)
    return UpgradeResponse.decorate(accepted, decorated.headers, { server })
  }

  private become(head: Uint8Array, options: ConnectionOptions, deflate: Deflate | undefined): Connection {
    this.state = "accepted"
    const { engine, opening } = this.opening
    const connection = new Connection(opening.transport, "server", engine, options, deflate)
    this.connection = connection
    const leftover = opening.takeOver()
    opening.transport.write([head])
    connection.start(leftover)
    return connection
  }
}

/** Checks a head that was read. */
export const check = (
  head: HttpHead.RequestHead,
  opening: ServerOpening,
  trusted?: TrustedProxies.TrustedProxies
): Exchange | HandshakeFault => {
  const request = UpgradeRequest.validate(head)
  return request._tag === "UpgradeRequest" ? new Exchange(request, opening, trusted) : request
}

const nobody = TrustedProxies.make([])
const nothing = new Uint8Array(0)
