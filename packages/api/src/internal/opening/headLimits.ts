/**
 * The limits of a head that somebody else has read, who may have had others.
 */
import * as HandshakeFault from "@effect-ws/core/HandshakeFault"
import type { RequestHead } from "@effect-ws/core/HttpHead"
import type { ConnectionOptions } from "../../ConnectionOptions.ts"

type Limits = Pick<ConnectionOptions, "maxHeadFields" | "maxHeadSize">

/** Returns the head, or which limit it is beyond. */
export const check = (
  head: RequestHead,
  { maxHeadFields, maxHeadSize }: Limits
): RequestHead | HandshakeFault.Of<"HeadTooLarge" | "TooManyFields"> => {
  if (head.fields.length > maxHeadFields) return HandshakeFault.make("TooManyFields", { limit: maxHeadFields })
  return sizeOf(head) > maxHeadSize ? HandshakeFault.make("HeadTooLarge", { limit: maxHeadSize }) : head
}

/** In bytes, of which each is one character, as it is usually written. */
const sizeOf = ({ fields, method, target, version }: RequestHead): number =>
  fields.reduce(
    (size, [name, value]) => size + `${name}: ${value}\r\n`.length,
    `${method} ${target} HTTP/${version}\r\n\r\n`.length
  )
