/**
 * The opening handshake of a client (RFC 6455 4.1), once or again on the same transport.
 */
import * as AcceptKey from "@effect-ws/core/AcceptKey"
import type { HandshakeFault } from "@effect-ws/core/HandshakeFault"
import * as HttpBody from "@effect-ws/core/HttpBody"
import * as UpgradeRequest from "@effect-ws/core/UpgradeRequest"
import * as UpgradeResponse from "@effect-ws/core/UpgradeResponse"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import type { ConnectionOptions } from "../ConnectionOptions.ts"
import type { RequestDecorator } from "../Decorator.ts"
import { HandshakeError, type HandshakeReason } from "../HandshakeError.ts"
import type { Transport } from "../Transport.ts"
import type { WebSocket } from "../WebSocket.ts"
import { type Answer, AnswerReader } from "./AnswerReader.ts"
import { Connection } from "./Connection.ts"
import * as Engine from "./Engine.ts"
import * as Handle from "./handle.ts"
import { Opening } from "./Opening.ts"
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
  Handle.scoped((restore) =>
    Effect.gen(function* () {
      const engine = yield* Engine.make
      const resting = yield* Effect.mapError(TransportUse.find(transport, ClientOpening), failure)
      const opening = resting ?? new ClientOpening(transport, engine, options)
      TransportUse.occupy(transport, opening)
      yield* Effect.addFinalizer(() => Effect.sync(() => opening.release()))
      return yield* opening.attempt(restore, ask)
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
  private isStarted = false
  private readonly engine: Engine.Engine
  private readonly options: ConnectionOptions
  private readonly opening: Opening<Answer>

  constructor(transport: Transport, engine: Engine.Engine, options: ConnectionOptions) {
    this.engine = engine
    this.options = options
    this.opening = new Opening(transport, new AnswerReader(options), engine.deadlines, options)
  }

  /** Asks and waits for the answer. */
  attempt(restore: Handle.Restore, ask: Ask): Effect.Effect<Handle.Opened, HandshakeError> {
    return Effect.suspend(() => {
      this.isResting = false
      // What came unasked would be taken for the answer to what is asked now.
      if (this.opening.hasLeftover) return this.give({ _tag: "NotReusable" })
      const asked = encodeRequest({ ...ask, key: AcceptKey.fromNonce(this.engine.entropy.bytes(16)) }, ask.decorate)
      if (!("bytes" in asked)) return this.give(asked)
      this.begin()
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

  private begin(): void {
    if (this.isStarted) return this.opening.next()
    this.isStarted = true
    this.opening.start()
  }

  private judge(
    { body, head }: Answer,
    request: UpgradeRequest.UpgradeRequest
  ): Exit.Exit<Handle.Opened, HandshakeError> {
    const response = UpgradeResponse.validate(head, request)
    if (response._tag === "UpgradeResponse") return Exit.succeed({ connection: this.takeOver(), request, response })
    if (body === undefined) return this.give(response as HandshakeFault)
    // Bytes behind the answer to our only request belong to nothing that we asked for.
    this.isResting = body.isComplete && HttpBody.keepsAlive(head) && !this.opening.hasLeftover
    this.opening.rest()
    const { fields: headers, status } = head
    const reason = { _tag: "Declined", status, headers, body: body.bytes, isComplete: body.isComplete } as const
    return Exit.fail(new HandshakeError({ role: "client", reason, answer: undefined, reusable: this.isResting }))
  }

  private give(reason: HandshakeReason): Exit.Exit<never, HandshakeError> {
    return Exit.fail(failure(reason))
  }

  private takeOver(): Connection {
    const connection = new Connection(this.opening.transport, "client", this.engine, this.options)
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
