/**
 * The opening handshake of a client (RFC 6455 4.1), once or again on the same transport.
 */
import * as AcceptKey from "@effect-ws/core/AcceptKey"
import type { HandshakeFault } from "@effect-ws/core/HandshakeFault"
import * as HttpBody from "@effect-ws/core/HttpBody"
import type { Deflate } from "@effect-ws/core/Protocol"
import * as UpgradeRequest from "@effect-ws/core/UpgradeRequest"
import * as UpgradeResponse from "@effect-ws/core/UpgradeResponse"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import type { ConnectionOptions } from "../../ConnectionOptions.ts"
import type { RequestDecorator } from "../../Decorator.ts"
import { HandshakeError, type HandshakeReason, type NotReusable } from "../../HandshakeError.ts"
import type { Transport } from "../../Transport.ts"
import type { WebSocket } from "../../WebSocket.ts"
import { type Answer, AnswerReader } from "./AnswerReader.ts"
import * as Compression from "./compression.ts"
import { Connection } from "../connection/Connection.ts"
import * as Engine from "../Engine.ts"
import * as Handle from "../connection/handle.ts"
import { type Loss, Opening } from "./Opening.ts"
import * as SpanAttributes from "../observing/spanAttributes.ts"
import * as Tracing from "../observing/tracingClient.ts"
import * as TracingContext from "../observing/tracingContext.ts"
import * as TransportUse from "./transportUse.ts"

/** What goes into the request, but for the key. */
export interface Ask extends Omit<UpgradeRequest.Options, "key"> {
  readonly decorate: RequestDecorator | undefined
}

/** On a transport that a program brought: it stays open for another attempt where HTTP allows it. */
export const handshake = (
  transport: Transport,
  options: ConnectionOptions,
  ask: Ask
): Effect.Effect<WebSocket, HandshakeError, Scope.Scope> =>
  Tracing.opening(
    () => SpanAttributes.ofTransport(ask.host, ask.target, transport.info.tls !== undefined),
    Handle.scoped((restore) =>
      Effect.gen(function* () {
        const engine = yield* Engine.make
        const opening = yield* Effect.mapError(claim(transport, engine, options), failure)
        yield* Effect.addFinalizer(() => Effect.sync(() => opening.release()))
        return yield* opening.attempt(restore, ask)
      })
    )
  )

/** Looks and takes in one step: of two fibers that come for the same transport, one gets it. */
const claim = (
  transport: Transport,
  engine: Engine.Engine,
  options: ConnectionOptions
): Effect.Effect<ClientOpening, NotReusable> =>
  Effect.suspend(() =>
    Either.map(TransportUse.find(transport, ClientOpening), (resting) => {
      const opening = new ClientOpening(transport, engine, options, resting?.giveUp())
      TransportUse.occupy(transport, opening)
      return opening
    })
  )

/** On a transport that is made for it: when there is no connection at the end, there is no transport any more either. */
export const open = (
  restore: Handle.Restore,
  transport: Transport,
  engine: Engine.Engine,
  options: ConnectionOptions,
  ask: Ask
): Effect.Effect<Handle.Opened, HandshakeError> =>
  Effect.suspend(() => {
    const opening = new ClientOpening(transport, engine, options)
    return Effect.mapError(opening.attempt(restore, ask), ({ reason }) => {
      opening.release()
      return failure(reason)
    })
  })

/** The error of a client. */
export const failure = (reason: HandshakeReason): HandshakeError =>
  new HandshakeError({ role: "client", reason, answer: undefined, reusable: false })

class ClientOpening implements TransportUse.User {
  isResting = false
  private readonly engine: Engine.Engine
  private readonly options: ConnectionOptions
  private readonly opening: Opening<Answer>
  private readonly obstacle: HandshakeReason | undefined

  /** Another attempt is given what came in its way since the last one. */
  constructor(transport: Transport, engine: Engine.Engine, options: ConnectionOptions, obstacle?: HandshakeReason) {
    this.obstacle = obstacle
    this.engine = engine
    this.options = options
    this.opening = new Opening(transport, new AnswerReader(options), engine.deadlines, options)
  }

  /** Asks and waits for the answer. */
  attempt(restore: Handle.Restore, ask: Ask): Effect.Effect<Handle.Opened, HandshakeError> {
    return Effect.withFiberRuntime<Handle.Opened, HandshakeError>((fiber) => {
      if (this.obstacle !== undefined) return this.give(this.obstacle)
      const extensions = Compression.offer(this.options.permessageDeflate, this.engine.deflate)
      const fields = TracingContext.append(fiber, ask.fields ?? [])
      const key = AcceptKey.fromNonce(this.engine.entropy.bytes(16))
      const asked = encodeRequest({ ...ask, key, extensions, fields }, ask.decorate)
      if (!("bytes" in asked)) return this.give(asked)
      this.opening.start()
      this.opening.transport.write([asked.bytes])
      return restore(this.opening.awaitRead).pipe(
        Effect.matchEffect({
          onFailure: (reason) => this.give(reason),
          onSuccess: (answer) => this.judge(answer, asked.request)
        })
      )
    }).pipe(Effect.onError(() => (this.isResting ? Effect.void : Effect.sync(() => this.opening.destroy()))))
  }

  /** Ends a transport that rests. */
  release(): void {
    if (!this.isResting) return
    this.isResting = false
    this.opening.destroy()
  }

  /** Leaves a transport that rests to another attempt, and tells what is in the way of that. */
  giveUp(): HandshakeReason | undefined {
    this.isResting = false
    let loss: Loss | undefined
    this.opening.whenLost((reason) => (loss = reason))
    // What came unasked would be taken for the answer to what is asked next.
    return this.opening.takeOver().length > 0 ? { _tag: "NotReusable" } : loss
  }

  private judge(
    { body, head }: Answer,
    request: UpgradeRequest.UpgradeRequest
  ): Exit.Exit<Handle.Opened, HandshakeError> {
    const response = UpgradeResponse.validate(head, request)
    if (response._tag === "UpgradeResponse") return this.accepted(request, response)
    if (body === undefined) return this.give(response as HandshakeFault)
    // Bytes behind the answer to our only request belong to nothing that we asked for.
    this.isResting = body.isComplete && HttpBody.keepsAlive(head) && !this.opening.hasLeftover
    this.opening.rest()
    const { fields: headers, status } = head
    const reason = { _tag: "Declined", status, headers, body: body.bytes, isComplete: body.isComplete } as const
    return Exit.fail(new HandshakeError({ role: "client", reason, answer: undefined, reusable: this.isResting }))
  }

  private accepted(
    request: UpgradeRequest.UpgradeRequest,
    response: UpgradeResponse.UpgradeResponse
  ): Exit.Exit<Handle.Opened, HandshakeError> {
    const deflate = Compression.agree(response.extensions, this.options.permessageDeflate, this.engine.deflate)
    if (deflate !== undefined && "_tag" in deflate) return this.give(deflate)
    return Exit.succeed({ connection: this.takeOver(deflate), request, response })
  }

  private give(reason: HandshakeReason): Exit.Exit<never, HandshakeError> {
    return Exit.fail(failure(reason))
  }

  private takeOver(deflate: Deflate | undefined): Connection {
    const connection = new Connection(this.opening.transport, "client", this.engine, this.options, deflate)
    connection.start(this.opening.takeOver())
    return connection
  }
}

const encodeRequest = (
  options: UpgradeRequest.Options,
  decorate: RequestDecorator | undefined
): { readonly request: UpgradeRequest.UpgradeRequest; readonly bytes: Uint8Array } | HandshakeFault => {
  const plain = UpgradeRequest.make(options)
  if (plain._tag !== "UpgradeRequest") return plain
  const request = decorate === undefined ? plain : UpgradeRequest.decorate(plain, decorate(plain))
  if (request._tag !== "UpgradeRequest") return request
  const bytes = UpgradeRequest.encode(request)
  return bytes instanceof Uint8Array ? { request, bytes } : bytes
}
