/**
 * The code and the text in a Close frame: why an endpoint ends the connection (RFC 6455 5.5.1, 7.1.5, 7.1.6).
 *
 * @since 0.1.0
 */
import { type ByteOps, portable } from "./ByteOps.ts"
import * as CloseCode from "./CloseCode.ts"
import * as ProtocolFault from "./ProtocolFault.ts"

/**
 * Says why an endpoint closes. A text without a code can't be written, since a Close frame has no room for it.
 *
 * @since 0.1.0
 * @category models
 */
export interface CloseReason {
  /** The close code; 1005 when the Close frame held none (7.1.5). */
  readonly code: number
  /** The text for people and logs, at most 123 bytes of UTF-8; empty when there was none. */
  readonly reason: string
}

/**
 * A close reason as a program writes it: the text may be left out.
 *
 * @since 0.1.0
 * @category models
 */
export interface Input {
  /** The close code. */
  readonly code: number
  /** The text; none by default. */
  readonly reason?: string | undefined
}

/**
 * Says what is wrong with a close reason that was to be sent.
 *
 * @since 0.1.0
 * @category errors
 */
export type CloseReasonFault = ForbiddenCloseCode | CloseReasonTooLong

/**
 * Says that an endpoint must not send this code (7.4).
 *
 * @since 0.1.0
 * @category errors
 */
export interface ForbiddenCloseCode {
  /** The discriminator. */
  readonly _tag: "ForbiddenCloseCode"
  /** The code that was given. */
  readonly code: number
  /** What is wrong, with the section. */
  readonly message: string
}

/**
 * Says that the text doesn't fit into a control frame (5.5).
 *
 * @since 0.1.0
 * @category errors
 */
export interface CloseReasonTooLong {
  /** The discriminator. */
  readonly _tag: "CloseReasonTooLong"
  /** The length of the text in bytes of UTF-8. */
  readonly size: number
  /** The largest length, 123 bytes. */
  readonly limit: number
  /** What is wrong, with the section. */
  readonly message: string
}

/**
 * The empty payload: an endpoint closes and doesn't say why. It reads as 1005, as 7.1.5 has it.
 *
 * @since 0.1.0
 * @category instances
 */
export const none: CloseReason = { code: CloseCode.NoStatusReceived, reason: "" }

/**
 * Code 1000 without a text: what is sent when nobody says otherwise.
 *
 * @since 0.1.0
 * @category instances
 */
export const normal: CloseReason = { code: CloseCode.NormalClosure, reason: "" }

/**
 * The largest text, in bytes of UTF-8: a control frame holds 125 bytes, the code takes two (5.5, 5.5.1).
 *
 * @since 0.1.0
 * @category constants
 */
export const maxReasonSize = 123

/**
 * Makes a close reason, or says what is wrong with it. A lone surrogate in the text is sent as U+FFFD.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (code: number, reason: string = ""): CloseReason | CloseReasonFault =>
  validate({ code, reason }) ?? { code, reason }

/**
 * Returns what is wrong with a close reason, or `undefined` when it may be sent. `none` may.
 *
 * @since 0.1.0
 * @category predicates
 */
export const validate = ({ code, reason }: CloseReason): CloseReasonFault | undefined => {
  if (isNone({ code, reason })) return undefined
  if (!CloseCode.isAllowed(code)) return forbiddenCode(code)
  const size = portable.textByteLength(reason)
  return size > maxReasonSize ? reasonTooLong(size) : undefined
}

/**
 * Returns whether this is the empty payload.
 *
 * @since 0.1.0
 * @category predicates
 */
export const isNone = ({ code, reason }: CloseReason): boolean => code === CloseCode.NoStatusReceived && reason === ""

/**
 * Encodes the payload of a Close frame into bytes of its own. The reason must be a valid one.
 *
 * @since 0.1.0
 * @category encoding
 */
export const encode = (closeReason: CloseReason, byteOps: ByteOps): Uint8Array => {
  if (isNone(closeReason)) return new Uint8Array(0)
  const payload = new Uint8Array(2 + byteOps.textByteLength(closeReason.reason))
  payload[0] = closeReason.code >> 8
  payload[1] = closeReason.code & 0xff
  byteOps.writeText(closeReason.reason, payload, 2)
  return payload
}

/**
 * Decodes the payload of a received Close frame, or says how it breaks the protocol. The bytes are only read.
 *
 * @since 0.1.0
 * @category decoding
 */
export const decode = (payload: Uint8Array, byteOps: ByteOps): CloseReason | ProtocolFault.ProtocolFault => {
  if (payload.length === 0) return none
  // 5.5.1: if there is a body, its first two bytes are the code.
  if (payload.length === 1) return ProtocolFault.closePayloadTooShort()
  const code = (payload[0]! << 8) | payload[1]!
  // 7.4.1, 7.4.2: stricter than the letter, which reserves 1015 and up to 2999 without saying what a receiver does.
  if (!CloseCode.isAllowed(code)) return ProtocolFault.invalidCloseCode(code)
  // 8.1: the text is UTF-8.
  if (!byteOps.isUtf8(payload, 2, payload.length)) return ProtocolFault.invalidCloseReason()
  return { code, reason: payload.length === 2 ? "" : byteOps.decodeText(payload, 2, payload.length) }
}

const forbiddenCode = (code: number): ForbiddenCloseCode => ({
  _tag: "ForbiddenCloseCode",
  code,
  message: `Close code ${code} can't be sent: allowed are 1000 to 1003, 1007 to 1014 and 3000 to 4999 (RFC 6455 7.4)`
})

const reasonTooLong = (size: number): CloseReasonTooLong => ({
  _tag: "CloseReasonTooLong",
  size,
  limit: maxReasonSize,
  message: `The close reason is ${size} bytes of UTF-8, and ${maxReasonSize} fit into a Close frame (RFC 6455 5.5)`
})
