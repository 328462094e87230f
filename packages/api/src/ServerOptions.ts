/**
 * The limits of a server on all its connections together, with a finite default for each but one.
 *
 * @since 0.1.0
 */
import type * as Config from "effect/Config"
import * as Either from "effect/Either"
import * as OptionConfig from "./internal/optionConfig.ts"
import * as TrustedProxies from "./TrustedProxies.ts"

/**
 * How a server is bounded. All fields have a value; users give those they want to change.
 *
 * @since 0.1.0
 * @category models
 */
export interface ServerOptions {
  /**
   * The most connections at once whose opening handshake isn't done. 4096: a server that decides in 10 ms takes 400 000 a
   * second. A connection above it is answered with 503 and ended, unread.
   *
   * Each may hold a head, up to `maxHeadSize`, so 32 MiB in all; and while its handler decides what came early behind the
   * head, which is up to one read of the transport, 64 KiB on Node, and what Node has read ahead: some 128 KiB, so 512 MiB
   * in all if every peer does its worst while handlers take their time.
   */
  readonly maxHandshakes: number
  /**
   * The most connections at once, those whose opening handshake isn't done included. 65 536: about what one process serves
   * well. A connection above it is answered with 503 and ended, unread.
   */
  readonly maxConnections: number
  /**
   * The most connections at once of one client address. No limit by default, since many people may be behind one address,
   * and all are behind a proxy: see `trustedProxies`. A connection above it is answered with 503.
   */
  readonly maxConnectionsPerAddress: number
  /**
   * How many requests are taken on one connection until one is accepted. 10: a refused client may correct itself where HTTP
   * keeps the connection alive (RFC 9112 9.3). The last refusal says `Connection: close`. Each attempt has its own
   * `handshakeTimeout`, from when the answer before has gone out, so one connection may be in its opening handshake that
   * many times as long.
   */
  readonly maxAttempts: number
  /**
   * Whom to believe what they say about the client: addresses and ranges of the proxies in front, as `"10.0.0.0/8"`, and
   * `"unix"` for whoever comes over a unix socket. Nobody by default. From them `Forwarded` and `X-Forwarded-*` count, and
   * decide about `exchange.client`, the same-origin policy and the limit for each address. So a proxy has to overwrite
   * `X-Forwarded-Host` and `X-Forwarded-Proto`, or remove them: else they are what the client says. See `TrustedProxies`.
   */
  readonly trustedProxies: ReadonlyArray<string>
}

/**
 * The options that a user gives: those that differ from the defaults.
 *
 * @since 0.1.0
 * @category models
 */
export type Input = { readonly [K in keyof ServerOptions]?: ServerOptions[K] | undefined }

const isProxy = (entry: string): boolean => Either.isRight(Either.try(() => TrustedProxies.make([entry])))

/**
 * Reads the options from the configuration: each under its own name in constant case, `maxConnections` as `MAX_CONNECTIONS`.
 *
 * **Details**
 *
 * What isn't there has its default. `MAX_CONNECTIONS_PER_ADDRESS` may be `Infinity`, and `TRUSTED_PROXIES` is a list. A value
 * that can't be meant fails with a `ConfigError` that names it. See `ConnectionOptions.config` for the options of each connection.
 *
 * @since 0.1.0
 * @category config
 */
export const config: Config.Config<Input> = OptionConfig.all<ServerOptions>({
  maxHandshakes: OptionConfig.size,
  maxConnections: OptionConfig.size,
  maxConnectionsPerAddress: OptionConfig.limit,
  maxAttempts: OptionConfig.size,
  trustedProxies: OptionConfig.list(isProxy, 'addresses, ranges and "unix"')
})

/**
 * The value of every option that isn't given.
 *
 * @since 0.1.0
 * @category constants
 */
export const defaults: ServerOptions = {
  maxHandshakes: 4096,
  maxConnections: 65_536,
  maxConnectionsPerAddress: Infinity,
  maxAttempts: 10,
  trustedProxies: []
}

/**
 * Fills in the defaults and checks the result. Throws a `RangeError` that names the option when a limit is not a positive
 * integer: that is a mistake of the program, no input of a peer.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (input: Input): ServerOptions => {
  const options = {
    maxHandshakes: input.maxHandshakes ?? defaults.maxHandshakes,
    maxConnections: input.maxConnections ?? defaults.maxConnections,
    maxConnectionsPerAddress: input.maxConnectionsPerAddress ?? defaults.maxConnectionsPerAddress,
    maxAttempts: input.maxAttempts ?? defaults.maxAttempts,
    trustedProxies: input.trustedProxies ?? defaults.trustedProxies
  }
  for (const key of limits) validate(key, options[key])
  return options
}

const validate = (key: string, value: number): void => {
  const isUnlimited = key === "maxConnectionsPerAddress" && value === Infinity
  if (isUnlimited || (Number.isSafeInteger(value) && value >= 1)) return
  throw new RangeError(`The option ${key} must be a positive integer, and is ${value}`)
}

const limits = ["maxHandshakes", "maxConnections", "maxConnectionsPerAddress", "maxAttempts"] as const
