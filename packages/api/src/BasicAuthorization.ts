/**
 * What a client says of itself by `Authorization: Basic`: a name and a password, for the handler of a server to check.
 * Over `ws:` both travel as plain text. A client sends them when they are in the URL given to `WebSocket.connect`, or by `headers`.
 *
 * @see https://www.rfc-editor.org/rfc/rfc7617
 * @since 0.1.0
 */
import { portable } from "@effect-ws/core/ByteOps"
import * as Headers from "@effect-ws/core/Headers"
import * as Either from "effect/Either"
import * as Encoding from "effect/Encoding"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"

/**
 * A name and the password that is to prove it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Credentials {
  /** The name, without a colon; it may be empty. */
  readonly username: string
  /** The password, which is not shown in logs; it may be empty. */
  readonly password: Redacted.Redacted
}

/**
 * Reads the credentials of a request, none when it has none that are well-formed: the answer is a 401 in either case.
 *
 * **Details**
 *
 * Strict, so that nobody in front reads another name than we do: one `Authorization` field; `Basic` in any case; canonical
 * base64, padded; UTF-8, which the challenge should ask for by `charset="UTF-8"`; no control characters. The first colon is
 * where the password begins.
 *
 * @example
 * import * as BasicAuthorization from "@effect-ws/api/BasicAuthorization"
 * import type { UpgradeExchange } from "@effect-ws/api/UpgradeExchange"
 * import * as WebSocket from "@effect-ws/api/WebSocket"
 * import * as Effect from "effect/Effect"
 * import * as Option from "effect/Option"
 * import * as Redacted from "effect/Redacted"
 *
 * const passwords = new Map([["alice", Redacted.make("wonderland")]])
 * const nobodys = Redacted.make("no such user")
 *
 * // Compares in any case, so that the time does not tell which names there are.
 * const isKnown = ({ password, username }: BasicAuthorization.Credentials) =>
 *   BasicAuthorization.isEqual(password, passwords.get(username) ?? nobodys) && passwords.has(username)
 *
 * const handler = (exchange: UpgradeExchange) =>
 *   Option.exists(BasicAuthorization.credentials(exchange.request), isKnown)
 *     ? WebSocket.accept(exchange)
 *     : WebSocket.reject({ status: 401, headers: { "WWW-Authenticate": 'Basic realm="chat", charset="UTF-8"' } })
 *
 * @see https://www.rfc-editor.org/rfc/rfc7617#section-2
 * @since 0.1.0
 * @category getters
 */
export const credentials = (request: { readonly fields: Headers.Headers }): Option.Option<Credentials> =>
  Option.gen(function* () {
    const field = yield* Option.fromNullable(Headers.get(request.fields, "Authorization"))
    const [, encoded] = yield* Option.fromNullable(scheme.exec(field))
    const text = yield* decode(encoded)
    const colon = text.indexOf(":")
    if (colon < 0 || controlCharacter.test(text)) return yield* Option.none()
    return { username: text.slice(0, colon), password: Redacted.make(text.slice(colon + 1)) }
  })

/**
 * Returns the field by which a client tells its credentials, for the option `headers`.
 *
 * **Details**
 *
 * Throws a `RangeError`, without the credentials in it, for a name with a colon and for control characters in either: nobody
 * could read them again (RFC 7617 2).
 *
 * @example
 * import * as BasicAuthorization from "@effect-ws/api/BasicAuthorization"
 * import * as WebSocket from "@effect-ws/api/WebSocket"
 * import * as Config from "effect/Config"
 * import * as Effect from "effect/Effect"
 *
 * const connect = Effect.gen(function* () {
 *   const password = yield* Config.redacted("PASSWORD")
 *   const headers = BasicAuthorization.headers({ username: "alice", password })
 *   return yield* WebSocket.connect("wss://chat.example.com/", { headers })
 * })
 *
 * @see https://www.rfc-editor.org/rfc/rfc7617#section-2
 * @since 0.1.0
 * @category constructors
 */
export const headers = ({ password, username }: Credentials): { readonly Authorization: string } => {
  const text = `${username}:${Redacted.value(password)}`
  if (!username.includes(":") && !controlCharacter.test(text))
    return { Authorization: `Basic ${Encoding.encodeBase64(text)}` }
  throw new RangeError(
    "A name for Basic authorization has no colon, and neither it nor the password a control character"
  )
}

/**
 * Says whether a secret that was given is the expected one, without telling by the time it takes how much of it is right.
 *
 * **Details**
 *
 * Every character that was given is compared with one of the expected secret, whose characters come again from the first
 * when there are fewer. So the steps are as many as the peer has sent characters, and depend neither on the text of either
 * nor on how long the expected one is. That holds for what the program does: how a runtime stores a string is its own matter.
 *
 * **Gotchas**
 *
 * The texts are compared as they are. A name or a password with accents can be written in two ways (RFC 7617 2.1): bring
 * what you expect into the form NFC, which is what clients send.
 *
 * @since 0.1.0
 * @category predicates
 */
export const isEqual = (given: Redacted.Redacted, expected: Redacted.Redacted): boolean => {
  const left = Redacted.value(given)
  const right = Redacted.value(expected)
  // An empty text has no character to compare with: the difference of the lengths is enough.
  const period = right.length || 1
  let difference = left.length ^ right.length
  for (let i = 0; i < left.length; i++) difference |= left.charCodeAt(i) ^ right.charCodeAt(i % period)
  return difference === 0
}

// The re-encoded bytes are compared, since lenient decoders take several texts for the same bytes (RFC 4648 3.5).
const decode = (encoded: string): Option.Option<string> =>
  Either.getRight(Encoding.decodeBase64(encoded)).pipe(
    Option.filter((bytes) => Encoding.encodeBase64(bytes) === encoded && portable.isUtf8(bytes, 0, bytes.length)),
    Option.map((bytes) => portable.decodeText(bytes, 0, bytes.length))
  )

// RFC 9110 11.4: the scheme in any case, spaces, and one token68.
const scheme = /^basic +([A-Za-z0-9+/=]+)$/i

// RFC 7617 2: neither part has any.
const controlCharacter = /\p{Cc}/u
