/**
 * The URLs of RFC 6455 3, as an endpoint to connect to and what the request says of it.
 */
import * as Either from "effect/Either"
import * as Encoding from "effect/Encoding"
import type { Endpoint } from "../../Connector.ts"
import type { InvalidUrl } from "../../HandshakeError.ts"

export interface Location {
  readonly endpoint: Endpoint
  /** The value of the `Host` field. */
  readonly host: string
  /** The path and the query. */
  readonly target: string
  /** The value of the `Authorization` field, when the URL has credentials (RFC 7617). */
  readonly authorization: string | undefined
  /** The URL without credentials. */
  readonly href: string
}

export const parse = (text: string, unixPath: string | undefined): Either.Either<Location, InvalidUrl> =>
  Either.gen(function* () {
    const url = yield* parseUrl(text, undefined)
    const secure = url.protocol === "wss:"
    // RFC 6455 3: fragments have no meaning, and must not be used.
    if (!secure && url.protocol !== "ws:") return yield* invalid("The URL of a WebSocket begins with ws: or wss:")
    if (url.hash !== "" || text.includes("#")) return yield* invalid("The URL of a WebSocket has no fragment")
    const authorization = yield* authorize(url)
    const port = url.port === "" ? (secure ? 443 : 80) : Number(url.port)
    const endpoint = { secure, hostname: url.hostname.replace(/^\[(.*)\]$/, "$1"), port, unixPath }
    const target = url.pathname + url.search
    return { endpoint, host: url.host, target, authorization, href: `${url.protocol}//${url.host}${target}` }
  })

/** What a `Location` field names, from the URL that answered. It may be of HTTP, and may not bring credentials. */
export const resolve = (reference: string, base: string): Either.Either<Location, InvalidUrl> =>
  Either.gen(function* () {
    const url = yield* parseUrl(reference, base)
    if (url.username !== "" || url.password !== "") return yield* invalid("A redirect brings no credentials")
    return yield* parse(url.href.replace(/^http/, "ws"), undefined)
  })

const parseUrl = (text: string, base: string | undefined): Either.Either<URL, InvalidUrl> =>
  Either.try({ try: () => new URL(text, base), catch: () => notAUrl })

// RFC 7617 2: in UTF-8; a user's name has no colon, and neither has control characters.
const authorize = ({ password, username }: URL): Either.Either<string | undefined, InvalidUrl> => {
  if (username === "" && password === "") return Either.right(undefined)
  const decoded = Either.try(() => [decodeURIComponent(username), decodeURIComponent(password)] as const)
  if (Either.isLeft(decoded)) return invalid("The credentials in the URL are not percent-encoded UTF-8")
  const [name, secret] = decoded.right
  if (name.includes(":") || hasControl.test(name + secret)) return invalid("The credentials in the URL can't be sent")
  return Either.right(`Basic ${Encoding.encodeBase64(`${name}:${secret}`)}`)
}

const invalid = (detail: string): Either.Either<never, InvalidUrl> => Either.left({ _tag: "InvalidUrl", detail })

const notAUrl: InvalidUrl = {
  _tag: "InvalidUrl",
  detail: "The text is not an absolute URL with a host and a port that can be"
}
// oxlint-disable-next-line no-control-regex
const hasControl = /[\u0000-\u001f\u007f]/
