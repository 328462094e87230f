/**
 * The opening handshake of a client (RFC 6455 4.1).
 */
import * as AcceptKey from "@effect-ws/core/AcceptKey"
import type { HandshakeFault } from "@effect-ws/core/HandshakeFault"
import * as HttpHead from "@effect-ws/core/HttpHead"
import * as UpgradeRequest from "@effect-ws/core/UpgradeRequest"
import * as UpgradeResponse from "@effect-ws/core/UpgradeResponse"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import type { ConnectionOptions } from "../ConnectionOptions.ts"
import { type Declined, HandshakeError, type HandshakeReason } from "../HandshakeError.ts"
import type { Transport } from "../Transport.ts"
import type { WebSocket } from "../WebSocket.ts"
import { Connection } from "./Connection.ts"
import * as Engine from "./Engine.ts"
import * as Handle from "./handle.ts"
import { Opening } from "./Opening.ts"

/** What goes into the request, but for the key. */
export type Ask = Omit<UpgradeRequest.Options, "key">

export const handshake = (
  transport: Transport,
  options: ConnectionOptions,
  ask: Ask
): Effect.Effect<WebSocket, HandshakeError, Scope.Scope> =>
  Handle.scoped((restore) => Effect.flatMap(Engine.make, (engine) => open(restore, transport, engine, options, ask)))

/** Asks and waits for the answer. When there is no connection at the end, there is no transport any more either. */
export const open = (
  restore: Handle.Restore,
  transport: Transport,
  engine: Engine.Engine,
  options: ConnectionOptions,
  ask: Ask
): Effect.Effect<Handle.Opened, HandshakeError> =>
  Effect.suspend(() => {
    const asked = encodeRequest({ ...ask, key: AcceptKey.fromNonce(engine.entropy.bytes(16)) })
    if (!("bytes" in asked)) {
      transport.destroy()
      return Exit.fail(failure(asked))
    }
    const opening = begin(transport, engine, options)
    transport.write([asked.bytes])
    return restore(opening.readHead).pipe(
      Effect.flatMap((head) => check(head, asked.request)),
      Effect.onError(() => Effect.sync(() => opening.destroy())),
      Effect.mapBoth({
        onFailure: failure,
        onSuccess: (response) => ({
          connection: takeOver(opening, engine, options),
          request: asked.request,
          response
        })
      })
    )
  })

/** The error of a client. */
export const failure = (reason: HandshakeReason): HandshakeError =>
  new HandshakeError({ role: "client", reason, answer: undefined })

const encodeRequest = (
  options: UpgradeRequest.Options
): { readonly request: UpgradeRequest.UpgradeRequest; readonly bytes: Uint8Array } | HandshakeFault => {
  const request = UpgradeRequest.make(options)
  if (request._tag !== "UpgradeRequest") return request
  const bytes = UpgradeRequest.encode(request)
  return bytes instanceof Uint8Array ? { request, bytes } : bytes
}

const begin = (
  transport: Transport,
  engine: Engine.Engine,
  options: ConnectionOptions
): Opening<HttpHead.ResponseHead> => {
  const decoder = HttpHead.responseDecoder({ maxSize: options.maxHeadSize, maxFields: options.maxHeadFields })
  const opening = new Opening(transport, decoder, engine.deadlines, options, UpgradeResponse.isInterim)
  opening.start()
  return opening
}

const check = (
  head: HttpHead.ResponseHead,
  request: UpgradeRequest.UpgradeRequest
): Exit.Exit<UpgradeResponse.UpgradeResponse, HandshakeFault | Declined> => {
  const response = UpgradeResponse.validate(head, request)
  if (response._tag === "UpgradeResponse") return Exit.succeed(response)
  if (response._tag !== "Status") return Exit.fail(response)
  return Exit.fail({ _tag: "Declined", status: head.status, fields: head.fields })
}

const takeOver = (
  opening: Opening<HttpHead.ResponseHead>,
  engine: Engine.Engine,
  options: ConnectionOptions
): Connection => {
  const connection = new Connection(opening.transport, "client", engine, options)
  connection.start(opening.takeOver())
  return connection
}
