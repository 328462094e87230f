/**
 * Subprotocols: the tokens a client offers in `Sec-WebSocket-Protocol`, in order of preference, and the one a server
 * chooses. They compare exactly, case included. What a subprotocol means is the application's matter.
 *
 * @see https://www.rfc-editor.org/rfc/rfc6455#section-1.9
 * @since 0.1.0
 */
import * as HandshakeFault from "./HandshakeFault.ts"
import * as Headers from "./Headers.ts"
import { isToken } from "./internal/Ascii.ts"

/**
 * Says whether a text can name a subprotocol: a token of HTTP.
 *
 * @since 0.1.0
 * @category guards
 */
export const isValid = (subprotocol: string): boolean => isToken(subprotocol)

/**
 * Returns a list of subprotocols if it can be offered: all of them tokens, none of them twice.
 *
 * @see https://www.rfc-editor.org/rfc/rfc6455#section-4.1
 * @since 0.1.0
 * @category validation
 */
export const validate = (
  subprotocols: ReadonlyArray<string>
): ReadonlyArray<string> | HandshakeFault.Of<"InvalidSubprotocol"> => {
  const seen = new Set<string>()
  for (const subprotocol of subprotocols) {
    if (!isValid(subprotocol)) return HandshakeFault.make("InvalidSubprotocol", { subprotocol, detail: "malformed" })
    if (seen.has(subprotocol)) return HandshakeFault.make("InvalidSubprotocol", { subprotocol, detail: "duplicate" })
    seen.add(subprotocol)
  }
  return subprotocols
}

/**
 * Reads the offers of a request in the client's order of preference, all lines combined; none when there is no
 * `Sec-WebSocket-Protocol` field.
 *
 * @see https://www.rfc-editor.org/rfc/rfc6455#section-11.3.4
 * @since 0.1.0
 * @category decoding
 */
export const parseOffers = (
  fields: Headers.Headers
): ReadonlyArray<string> | HandshakeFault.Of<"InvalidSubprotocolOffer"> => {
  if (!Headers.has(fields, "Sec-WebSocket-Protocol")) return []
  const offers = Headers.tokens(fields, "Sec-WebSocket-Protocol")
  if (HandshakeFault.is(offers)) return HandshakeFault.make("InvalidSubprotocolOffer", { detail: "malformed" })
  // 4.3: the field is `1#token`, so one that is there names something.
  if (offers.length === 0) return HandshakeFault.make("InvalidSubprotocolOffer", { detail: "empty" })
  // 4.1 item 10: the values must be unique.
  if (new Set(offers).size < offers.length) {
    return HandshakeFault.make("InvalidSubprotocolOffer", { detail: "duplicate" })
  }
  return offers
}

/**
 * Chooses the first of the server's preferences that the client offers; undefined when there is none.
 *
 * @since 0.1.0
 * @category negotiation
 */
export const select = (preferences: ReadonlyArray<string>, offers: ReadonlyArray<string>): string | undefined =>
  preferences.find((preference) => offers.includes(preference))

/**
 * Writes a list of subprotocols as a field value.
 *
 * @since 0.1.0
 * @category encoding
 */
export const format = (subprotocols: ReadonlyArray<string>): string => subprotocols.join(", ")
