/**
 * What a server answers when there will be no connection.
 */
import type { HandshakeFault } from "@effect-ws/core/HandshakeFault"
import * as Headers from "@effect-ws/core/Headers"
import * as Message from "@effect-ws/core/Message"
import * as Refusal from "@effect-ws/core/Refusal"
import { HandshakeError } from "../../HandshakeError.ts"
import type { HandshakeReason } from "../../HandshakeError.ts"

export const make = (status: number, headers: Headers.Headers, body: string | Uint8Array): Refusal.Refusal => ({
  _tag: "Refusal",
  status,
  fields: headers,
  body: typeof body === "string" ? Message.text(body).bytes : body
})

/** A refusal with a line of plain text and nothing else. */
const plain = (status: number, text: string): Refusal.Refusal => make(status, Headers.empty, `${text}\n`)

/** The handler failed, or ended without an answer: the peer isn't told more. */
export const internalError: Refusal.Refusal = plain(500, "the request could not be answered")

/** The server goes down, is full, or took too long. */
export const unavailable: Refusal.Refusal = plain(503, "the server can't take the connection now")

const requestTimeout = plain(408, "the request did not come in time")

/** The error of a server that did not get a request which it could accept, with the answer to it. */
export const serverError = (reason: HandshakeReason): HandshakeError =>
  new HandshakeError({ role: "server", reason, answer: answerOf(reason), reusable: false })

/** The error of a handler that decided against the connection. */
export const rejected = (answer: Refusal.Refusal): HandshakeError =>
  new HandshakeError({ role: "server", reason: { _tag: "Reject", status: answer.status }, answer, reusable: false })

const answerOf = (reason: HandshakeReason): Refusal.Refusal | undefined => {
  switch (reason._tag) {
    case "PeerGone":
    case "Transport":
    case "NotReusable":
    // Of a client only:
    case "Declined":
    case "RedirectRefused":
    case "InvalidUrl":
      return undefined
    case "ShuttingDown":
    case "Overloaded":
      return unavailable
    case "Timeout":
      return reason.phase === "head" ? requestTimeout : unavailable
    case "Reject":
      return plain(reason.status, "rejected")
    default:
      return Refusal.fromFault(reason satisfies HandshakeFault)
  }
}
