/**
 * How the programs show what they handle: payloads, close reasons, and the outcome of a connection.
 */
import type { WebSocketError } from "@effect-ws/api/WebSocketError"
import * as CloseReason from "@effect-ws/core/CloseReason"
import type { Message } from "@effect-ws/core/Message"

/** The beginning of a text in quotes; what a terminal would act on is escaped. */
export const quote = (text: string, limit = 48): string =>
  text.length > limit ? `${escape(text.slice(0, limit))}...` : escape(text)

// JSON leaves the upper control characters as they are, and those that turn the direction of writing.
const escape = (text: string): string =>
  JSON.stringify(text).replace(
    /[\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`
  )

/** The beginning of the bytes, in hexadecimal. */
export const hex = (bytes: Uint8Array, limit = 16): string => {
  const digits = Array.from(bytes.subarray(0, limit), (byte) => byte.toString(16).padStart(2, "0")).join(" ")
  return bytes.length > limit ? `${digits} ...` : digits
}

/** What a message holds. */
export const message = (message: Message): string =>
  message._tag === "Text"
    ? `Text ${quote(message.text)}`
    : `Binary ${message.byteLength} bytes: ${hex(message.pieces[0] ?? new Uint8Array(0))}`

/** A close code, with the reason if there is one. */
export const closeReason = (reason: CloseReason.CloseReason | undefined): string => {
  if (reason === undefined) return "none"
  if (CloseReason.isNone(reason)) return "no code"
  return reason.reason === "" ? `${reason.code}` : `${reason.code} ${escape(reason.reason)}`
}

/** How a connection ended, as the value that the program gets. */
export const outcome = (error: WebSocketError): string => {
  if (error._tag !== "ConnectionClosed") return `${error._tag} { ${error.message} }`
  const { clean, discarded, initiator } = error
  const codes = `sent: ${closeReason(error.sent)}, received: ${closeReason(error.received)}`
  return `ConnectionClosed { ${codes}, initiator: ${initiator}, clean: ${clean}, discarded: ${discarded} }`
}
