/**
 * The service that makes connections for `WebSocket.connect`.
 *
 * @since 0.1.0
 */
import * as Headers from "@effect-ws/core/Headers"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as ConnectionOptions from "./ConnectionOptions.ts"
import type { Connector, Endpoint } from "./Connector.ts"
import * as Fields from "./Fields.ts"
import type { HandshakeError } from "./HandshakeError.ts"
import * as ClientHandshake from "./internal/opening/clientHandshake.ts"
import * as Engine from "./internal/Engine.ts"
import * as Handle from "./internal/connection/handle.ts"
import * as Options from "./internal/options.ts"
import * as Redirects from "./internal/opening/redirects.ts"
import * as SpanAttributes from "./internal/observing/spanAttributes.ts"
import * as Tracing from "./internal/observing/tracingClient.ts"
import * as WebSocketUrl from "./internal/opening/webSocketUrl.ts"
import type { Transport } from "./Transport.ts"
import type { ConnectOptions } from "./ConnectOptions.ts"
import type { WebSocket } from "./WebSocket.ts"

/**
 * What the service does.
 *
 * @since 0.1.0
 * @category models
 */
export interface Service {
  /** Connects to a `ws:` or `wss:` URL; see `WebSocket.connect`. */
  readonly connect: (url: string, options?: ConnectOptions) => Effect.Effect<WebSocket, HandshakeError, Scope.Scope>
}

/**
 * The service: provided by `NodeWebSocketClient.layer`.
 *
 * @since 0.1.0
 * @category services
 */
export class WebSocketClient extends Context.Tag("@effect-ws/api/WebSocketClient")<WebSocketClient, Service>() {}

/**
 * Makes the service from what connects, with defaults for the options of each call.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (connector: Connector, defaults: ConnectOptions = {}): Service => ({
  connect: (url, options) =>
    Effect.suspend(() => {
      const merged = Options.merge(defaults, options ?? {})
      return Tracing.opening(() => attributesOf(url, merged), connect(connector, url, merged))
    })
})

const attributesOf = (url: string, { unixPath }: ConnectOptions): SpanAttributes.Attributes =>
  Either.match(WebSocketUrl.parse(url, unixPath), { onLeft: () => ({}), onRight: SpanAttributes.ofLocation })

/** What all attempts of one `connect` share, redirects included. */
interface Journey {
  readonly restore: Handle.Restore
  readonly connector: Connector
  readonly engine: Engine.Engine
  /** The settings, but for the handshake timeout, which is what is left of it. */
  readonly settings: () => ConnectionOptions.ConnectionOptions
}

const connect = (
  connector: Connector,
  url: string,
  options: ConnectOptions
): Effect.Effect<WebSocket, HandshakeError, Scope.Scope> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      const settings = ConnectionOptions.make("client", options)
      checkRedirects(options)
      const location = yield* Either.mapLeft(WebSocketUrl.parse(url, options.unixPath), ClientHandshake.failure)
      const engine = yield* Engine.make
      const left = remaining(engine, settings)
      return yield* follow({ restore, connector, engine, settings: left }, Redirects.first(location, options))
    })
  )

const remaining = (engine: Engine.Engine, settings: ConnectionOptions.ConnectionOptions): Journey["settings"] => {
  const deadline = engine.deadlines.now() + Duration.toMillis(settings.handshakeTimeout)
  // Whole milliseconds: people read them in the error.
  return () => ({ ...settings, handshakeTimeout: Math.max(1, Math.round(deadline - engine.deadlines.now())) })
}

const checkRedirects = ({ maxRedirects = 0 }: ConnectOptions): void => {
  if (Number.isSafeInteger(maxRedirects) && maxRedirects >= 0) return
  throw new RangeError(`The option maxRedirects must be an integer that is not negative, and is ${maxRedirects}`)
}

const follow = (journey: Journey, step: Redirects.Step): Effect.Effect<WebSocket, HandshakeError, Scope.Scope> =>
  Effect.catchAll(attempt(journey, step), (error) => {
    if (!Redirects.isRedirect(error.reason, step.options)) return Effect.fail(error)
    const next = Either.mapLeft(Redirects.next(step, error.reason), ClientHandshake.failure)
    return Effect.flatMap(next, (step) => follow(journey, step))
  })

const attempt = (journey: Journey, step: Redirects.Step): Effect.Effect<WebSocket, HandshakeError, Scope.Scope> =>
  Effect.gen(function* () {
    // The transport must outlive the closing handshake, also when the finalizers of the outer scope run side by side.
    const scope = yield* Scope.fork(yield* Effect.scope, ExecutionStrategy.sequential)
    return yield* open(journey, step).pipe(
      Scope.extend(scope),
      Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause)))
    )
  })

const open = (
  { connector, engine, restore, settings }: Journey,
  { location, options }: Redirects.Step
): Effect.Effect<WebSocket, HandshakeError, Scope.Scope> =>
  Effect.gen(function* () {
    const transport = yield* restore(openTransport(connector, location.endpoint, settings()))
    const opened = yield* ClientHandshake.open(restore, transport, engine, settings(), ask(location, options))
    return yield* Handle.own(opened)
  })

const openTransport = (
  connector: Connector,
  endpoint: Endpoint,
  settings: ConnectionOptions.ConnectionOptions
): Effect.Effect<Transport, HandshakeError, Scope.Scope> => {
  const duration = Duration.decode(settings.handshakeTimeout)
  return connector(endpoint).pipe(
    Effect.mapError((error) => ClientHandshake.failure({ _tag: "Transport", error })),
    Effect.timeoutFail({
      duration,
      onTimeout: () => ClientHandshake.failure({ _tag: "Timeout", phase: "connect", duration })
    })
  )
}

const ask = (location: WebSocketUrl.Location, options: ConnectOptions): ClientHandshake.Ask => ({
  host: location.host,
  target: location.target,
  subprotocols: options.subprotocols,
  origin: options.origin,
  fields: authorized(Fields.toHeaders(options.headers), location.authorization),
  decorate: options.decorate
})

const authorized = (headers: Headers.Headers, authorization: string | undefined): Headers.Headers =>
  authorization === undefined || Headers.has(headers, "Authorization")
    ? headers
    : Headers.append(headers, "Authorization", authorization)
