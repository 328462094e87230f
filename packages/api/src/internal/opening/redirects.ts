/**
 * Where a server that declines sends a client to (RFC 9110 15.4), and what the client takes along.
 *
 * Outside of the opening handshake, which knows of no redirects: each one is a new connection.
 */
import * as Headers from "@effect-ws/core/Headers"
import * as Either from "effect/Either"
import * as Fields from "../../Fields.ts"
import type { Declined, HandshakeReason, RedirectRefused } from "../../HandshakeError.ts"
import type { ConnectOptions } from "../../ConnectOptions.ts"
import * as WebSocketUrl from "./webSocketUrl.ts"

/** What is connected to, with which options, and what was before. */
export interface Step {
  readonly location: WebSocketUrl.Location
  readonly options: ConnectOptions
  readonly visited: ReadonlyArray<string>
}

export const first = (location: WebSocketUrl.Location, options: ConnectOptions): Step => ({
  location,
  options,
  visited: [location.href]
})

/** Whether a connection failed with a redirect that the options want followed. */
export const isRedirect = (reason: HandshakeReason, { maxRedirects = 0 }: ConnectOptions): reason is Declined =>
  reason._tag === "Declined" && maxRedirects > 0 && statuses.has(reason.status) && locationOf(reason) !== undefined

/** The next step, or why there is none. */
export const next = (step: Step, declined: Declined): Either.Either<Step, RedirectRefused> => {
  const refuse = (problem: RedirectRefused["problem"]) =>
    Either.left<RedirectRefused>({ _tag: "RedirectRefused", status: declined.status, problem })
  if (step.visited.length > (step.options.maxRedirects ?? 0)) return refuse("TooMany")
  const parsed = WebSocketUrl.resolve(locationOf(declined)!, step.location.href)
  if (Either.isLeft(parsed)) return refuse("InvalidLocation")
  const location = parsed.right
  if (step.location.endpoint.secure && !location.endpoint.secure) return refuse("Downgrade")
  if (step.visited.includes(location.href)) return refuse("Loop")
  const visited = [...step.visited, location.href]
  if (isSameOrigin(step.location, location)) return Either.right({ ...step, location: keep(step, location), visited })
  return Either.right({ location: estrange(location), options: withoutCredentials(step.options), visited })
}

const locationOf = ({ headers }: Declined): string | undefined => Headers.get(headers, "Location")

const isSameOrigin = ({ endpoint: a }: WebSocketUrl.Location, { endpoint: b }: WebSocketUrl.Location): boolean =>
  a.secure === b.secure && a.hostname === b.hostname && a.port === b.port

// The same host is reached the same way, with the same credentials.
const keep = ({ location }: Step, { endpoint, ...next }: WebSocketUrl.Location): WebSocketUrl.Location => {
  const { omitCredentials, unixPath } = location.endpoint
  return { ...next, endpoint: { ...endpoint, unixPath, omitCredentials }, authorization: location.authorization }
}

const estrange = ({ endpoint, ...next }: WebSocketUrl.Location): WebSocketUrl.Location => ({
  ...next,
  endpoint: { ...endpoint, omitCredentials: true }
})

/** RFC 9110 15.4: what was meant for one origin is not for another. */
const withoutCredentials = ({ headers, ...options }: ConnectOptions): ConnectOptions => ({
  ...options,
  headers: Fields.toHeaders(headers).filter(([name]) => !credentials.test(name)),
  unixPath: undefined
})

const credentials = /^(authorization|cookie|proxy-authorization)$/i
const statuses = new Set([301, 302, 303, 307, 308])
