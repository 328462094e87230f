/**
 * The URLs of RFC 6455 3, as an endpoint to connect to and what the request says of it.
 */
import * as Either from "effect/Either"
import type { Endpoint } from "../Connector.ts"
import type { InvalidUrl } from "../HandshakeError.ts"

export interface Location {
  readonly endpoint: Endpoint
  /** The value of the `Host` field. */
  readonly host: string
  /** The path and the query. */
  readonly target: string
}

export const parse = (text: string, unixPath: string | undefined): Either.Either<Location, InvalidUrl> =>
  Either.flatMap(parseUrl(text), (url) => {
    const secure = url.protocol === "wss:"
    // RFC 6455 3: fragments have no meaning, and must not be used.
    if (!secure && url.protocol !== "ws:") return invalid("The URL of a WebSocket begins with ws: or wss:")
    if (url.hash !== "" || text.includes("#")) return invalid("The URL of a WebSocket has no fragment")
    if (url.username !== "" || url.password !== "") return invalid("Credentials in the URL are not supported")
    const port = url.port === "" ? (secure ? 443 : 80) : Number(url.port)
    const endpoint = { secure, hostname: url.hostname.replace(/^\[(.*)\]$/, "$1"), port, unixPath }
    return Either.right({ endpoint, host: url.host, target: url.pathname + url.search })
  })

const parseUrl = (text: string): Either.Either<URL, InvalidUrl> =>
  Either.try({ try: () => new URL(text), catch: () => notAUrl })

const invalid = (detail: string): Either.Either<never, InvalidUrl> => Either.left({ _tag: "InvalidUrl", detail })

const notAUrl: InvalidUrl = { _tag: "InvalidUrl", detail: "The text is not an absolute URL" }
