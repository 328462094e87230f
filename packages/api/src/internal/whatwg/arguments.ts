/**
 * What a WHATWG WebSocket makes of its arguments, as Web IDL and the specification have it: nearly anything is a string, and
 * what can't be used is a `DOMException` with the name that the specification gives it.
 *
 * @see https://websockets.spec.whatwg.org/#the-websocket-interface
 */
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import { portable } from "@effect-ws/core/ByteOps"
import * as CloseReason from "@effect-ws/core/CloseReason"
import * as Subprotocol from "@effect-ws/core/Subprotocol"
import { attached } from "../connection/attached.ts"

/** Reads a URL: that of HTTP stands for the one of WebSocket, a fragment or another scheme for nothing. */
export const urlOf = (url: unknown): URL => {
  const parsed = parse(`${url as string}`)
  if (parsed === undefined) throw syntaxError("The URL is not an absolute URL")
  const location = new URL(parsed.href.replace(/^http/, "ws"))
  if (location.protocol !== "ws:" && location.protocol !== "wss:") {
    throw syntaxError("The URL must begin with ws:, wss:, http: or https:")
  }
  if (location.href.includes("#")) throw syntaxError("The URL of a WebSocket has no fragment (RFC 6455 3)")
  return location
}

/** Reads the subprotocols to offer: a string is one, what can be iterated over is a list. */
export const subprotocolsOf = (protocols: unknown): ReadonlyArray<string> => {
  const list = isIterable(protocols) ? Array.from(protocols, (item) => `${item as string}`) : [`${protocols as string}`]
  const checked = Subprotocol.validate(list)
  if ("_tag" in checked) throw syntaxError(checked.message)
  return checked
}

/** Reads the arguments of `close`. */
export const closeReasonOf = (code: unknown, reason: unknown): CloseReason.CloseReason => {
  const clamped = code === undefined ? undefined : clamp(Number(code))
  const text = reason === undefined ? "" : `${reason as string}`
  if (clamped !== undefined && clamped !== 1000 && (clamped < 3000 || clamped > 4999)) {
    throw new DOMException(`The close code must be 1000 or from 3000 to 4999, and is ${clamped}`, "InvalidAccessError")
  }
  const size = portable.textByteLength(text)
  if (size > CloseReason.maxReasonSize) {
    throw syntaxError(`The close reason has ${size} bytes of UTF-8, and may have ${CloseReason.maxReasonSize}`)
  }
  // A reason needs a code in front of it (RFC 6455 5.5.1).
  if (clamped === undefined) return text === "" ? CloseReason.none : { code: 1000, reason: text }
  return { code: clamped, reason: text }
}

/** What can be sent. */
export type SendData = string | Uint8Array | Blob

/** Reads the argument of `send`: bytes, a `Blob`, or whatever else as a string. */
export const sendDataOf = (data: unknown): SendData => {
  if (data instanceof Blob) return data
  if (ArrayBuffer.isView(data)) {
    const { buffer, byteLength, byteOffset } = attached(data)
    return new Uint8Array(buffer, byteOffset, byteLength)
  }
  // Not only by `instanceof`: the buffers of other realms are as good.
  if (Object.prototype.toString.call(data) === "[object ArrayBuffer]") return new Uint8Array(data as ArrayBuffer)
  return `${data as string}`
}

/** How many bytes of payload that is. */
export const sizeOf = (data: SendData): number => {
  if (typeof data === "string") return portable.textByteLength(data)
  return data instanceof Uint8Array ? data.byteLength : data.size
}

const parse = (text: string): URL | undefined => Option.getOrUndefined(Either.getRight(Either.try(() => new URL(text))))

const isIterable = (value: unknown): value is Iterable<unknown> =>
  ((typeof value === "object" && value !== null) || typeof value === "function") && Symbol.iterator in value

// An `unsigned short` with [Clamp]: to the nearest integer, to the even one of two that are as near.
const clamp = (value: number): number => {
  if (Number.isNaN(value)) return 0
  const bounded = Math.min(Math.max(value, 0), 65_535)
  const below = Math.floor(bounded)
  const rest = bounded - below
  return rest > 0.5 || (rest === 0.5 && below % 2 === 1) ? below + 1 : below
}

const syntaxError = (message: string): DOMException => new DOMException(message, "SyntaxError")
