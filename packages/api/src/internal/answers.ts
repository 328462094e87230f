/**
 * What a server answers when there will be no connection.
 */
import type { HandshakeFault } from "@effect-ws/core/HandshakeFault"
import * as Headers from "@effect-ws/core/Headers"
import * as Message from "@effect-ws/core/Message"
import * as Refusal from "@effect-ws/core/Refusal"
import { HandshakeError } from "../HandshakeError.ts"
import type { HeadFailure } from "./Opening.ts"

export const make = (status: number, fields: Headers.Headers, body: string | Uint8Array): Refusal.Refusal => ({
  _tag: "Refusal",
  status,
  fields,
  body: typeof body === "string" ? Message.text(body).bytes : body
})

/** A refusal with a line of plain text and nothing else. */
const plain = (status: number, text: string): Refusal.Refusal => make(status, Headers.empty, `${text}\n`)

/** The handler failed, or ended without an answer: the peer isn't told more. */
export const internalError: Refusal.Refusal = plain(500, "the request could not be answered")

/** The server goes down, or took too long. */
export const unavailable: Refusal.Refusal = plain(503, "the server can't take the connection now")

const requestTimeout = plain(408, "the request did not come in time")

/** The error of a server that did not get a request which it could accept, with the answer to it. */
export const serverError = (reason: HeadFailure): HandshakeError =>
  new HandshakeError({ role: "server", reason, answer: answerOf(reason) })

/** The bytes of a refusal; those of a 500 when what the caller wants to send can't be written. */
export const encode = (refusal: Refusal.Refusal): Uint8Array => {
  const bytes = Refusal.encode(refusal)
  return bytes instanceof Uint8Array ? bytes : (Refusal.encode(internalError) as Uint8Array)
}

const answerOf = (reason: HeadFailure): Refusal.Refusal | undefined => {
  switch (reason._tag) {
    case "PeerGone":
    case "Transport":
      return undefined
    case "ShuttingDown":
      return unavailable
    case "Timeout":
      return reason.phase === "head" ? requestTimeout : unavailable
    default:
      return Refusal.fromFault(reason satisfies HandshakeFault)
  }
}
