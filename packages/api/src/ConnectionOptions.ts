/**
 * The limits and times of a connection, with a default for each.
 *
 * @since 0.1.0
 */
import type { Role } from "@effect-ws/core/Role"
import * as Config from "effect/Config"
import * as Duration from "effect/Duration"
import * as OptionConfig from "./internal/optionConfig.ts"
import * as PermessageDeflate from "./PermessageDeflate.ts"

/**
 * How a connection is bounded. Users give those that they want to change.
 *
 * **Details**
 *
 * Times are those of the Clock that was in force when the server, or the connection of a client, was made. Each fires not
 * before its time, and at most 50 milliseconds or a twentieth of it later, whichever is more. When one of them ends a
 * connection, a Close frame is tried before the transport is destroyed, a second later at most. Those that may be turned off
 * are by `Infinity`.
 *
 * @since 0.1.0
 * @category models
 */
export interface ConnectionOptions {
  /**
   * The largest message that is taken, in bytes of payload. 16 MiB: room for nearly every application, and a bound on
   * what a peer can make us hold. A larger one is answered with 1009.
   */
  readonly maxMessageSize: number
  /**
   * The largest message that `receiveStream` takes, in bytes of payload, at least `maxMessageSize` and by default the same. A
   * larger one is answered with 1009; one that is larger than `maxMessageSize` too, as soon as it is taken as a whole.
   */
  readonly maxStreamedSize: number | undefined
  /**
   * The largest payload of a frame that is sent, in bytes. By default a message is one frame: nothing is gained by more of
   * them, but for peers or proxies that bound what they take.
   */
  readonly fragmentSize: number | undefined
  /**
   * Whether the text of the peer is checked to be UTF-8, as RFC 6455 8.1 demands. Only a peer that is trusted may go without:
   * what it sends wrong is then read with U+FFFD in it.
   */
  readonly validateText: boolean
  /**
   * Whether and how messages are compressed, if the peer can. They are not by default; see `PermessageDeflate` for why, and
   * for what it costs. Needs a platform that provides a codec.
   */
  readonly permessageDeflate: PermessageDeflate.Setting
  /**
   * How much may wait to be received before reading pauses, in bytes of payload and 128 for each message. 256 KiB: a few
   * reads of a fast socket.
   */
  readonly inboxHighWaterMark: number
  /**
   * How much may wait to be sent before `send` suspends, in bytes. 256 KiB: enough to keep a fast link busy between two
   * turns of the event loop.
   */
  readonly sendHighWaterMark: number
  /**
   * What `send` does above the mark. It suspends by default, until there is room. `"drop"` completes without sending, for
   * what is out of date soon, and counts that (see `status`); `"fail"` fails with `SendRejected`. A message behind one that
   * somebody else sends with `sendStream` waits for its turn whatever this says.
   */
  readonly whenFull: "suspend" | "drop" | "fail"
  /**
   * How long the closing handshake may take, from our Close frame to the end of the transport. 5 seconds: several round
   * trips on a bad link.
   */
  readonly closeTimeout: Duration.DurationInput
  /**
   * How long the opening handshake may take, from the first byte or from the connection attempt to the 101. 10 seconds.
   */
  readonly handshakeTimeout: Duration.DurationInput
  /**
   * How long the peer may say nothing at all: any byte is life. 5 minutes for a server, so that peers which are gone don't
   * stay for ever; off for a client, since most servers see to it. Doesn't count while reading is paused.
   */
  readonly idleTimeout: Duration.DurationInput
  /**
   * After which silence of the peer a Ping is sent, again and again while it lasts. Half of the `idleTimeout` for a server,
   * so that a peer which only has nothing to say answers in time; off for a client. Doesn't count while reading is paused.
   */
  readonly pingInterval: Duration.DurationInput
  /**
   * How long after such a Ping the peer may still say nothing at all. Off: the `idleTimeout` sees to it. For those who need to
   * know sooner.
   */
  readonly pongTimeout: Duration.DurationInput
  /**
   * How long the transport may take nothing of what waits to be sent, when it is full. A minute: a peer that doesn't read
   * must not hold what is meant for it, and those who send it, for ever.
   */
  readonly writeTimeout: Duration.DurationInput
  /**
   * How long a message may take from its first frame to its last. 5 minutes: a peer that sends it byte by byte must not hold
   * its memory for ever. Doesn't count while reading is paused, nor for what `receiveStream` takes.
   */
  readonly messageTimeout: Duration.DurationInput
  /** How long a connection may last. Off. For those who want credentials to be shown again, or load to be spread anew. */
  readonly maxLifetime: Duration.DurationInput
  /** The largest head of a request or a response, in bytes. 8 KiB, as in most HTTP servers. */
  readonly maxHeadSize: number
  /** The largest number of fields in a head. 100: a browser sends some 15. */
  readonly maxHeadFields: number
  /** How much a client keeps of the body of an answer that declines, in bytes. 64 KiB: a page that tells why. */
  readonly maxBodySize: number
}

/**
 * The options that a user gives: those that differ from the defaults.
 *
 * @since 0.1.0
 * @category models
 */
export type Input = { readonly [K in keyof ConnectionOptions]?: ConnectionOptions[K] | undefined }

const common = {
  maxMessageSize: 16 * 1024 * 1024,
  maxStreamedSize: undefined,
  fragmentSize: undefined,
  validateText: true,
  permessageDeflate: false,
  inboxHighWaterMark: 256 * 1024,
  sendHighWaterMark: 256 * 1024,
  whenFull: "suspend",
  closeTimeout: "5 seconds",
  handshakeTimeout: "10 seconds",
  pongTimeout: Infinity,
  writeTimeout: "1 minute",
  messageTimeout: "5 minutes",
  maxLifetime: Infinity,
  maxHeadSize: 8 * 1024,
  maxHeadFields: 100,
  maxBodySize: 64 * 1024
} as const

/**
 * Reads the options from the configuration: each under its own name in constant case, `maxMessageSize` as `MAX_MESSAGE_SIZE`.
 *
 * **Details**
 *
 * What isn't there has its default. Durations are texts such as `5 seconds`, and `Infinity` for those that may be turned off;
 * `PERMESSAGE_DEFLATE` is `true` or `false`. A value that can't be meant fails with a `ConfigError` that names it.
 *
 * @example
 * import * as ConnectionOptions from "@effect-ws/api/ConnectionOptions"
 * import * as Config from "effect/Config"
 *
 * // WEBSOCKET_MAX_MESSAGE_SIZE=65536 WEBSOCKET_IDLE_TIMEOUT="1 minute"
 * const options = Config.nested(ConnectionOptions.config, "WEBSOCKET")
 *
 * @since 0.1.0
 * @category config
 */
export const config: Config.Config<Input> = OptionConfig.all<ConnectionOptions>({
  maxMessageSize: OptionConfig.size,
  maxStreamedSize: OptionConfig.size,
  fragmentSize: OptionConfig.size,
  validateText: Config.boolean,
  permessageDeflate: Config.boolean,
  inboxHighWaterMark: OptionConfig.size,
  sendHighWaterMark: OptionConfig.size,
  whenFull: OptionConfig.oneOf("suspend", "drop", "fail"),
  closeTimeout: OptionConfig.duration,
  handshakeTimeout: OptionConfig.duration,
  idleTimeout: OptionConfig.optionalDuration,
  pingInterval: OptionConfig.optionalDuration,
  pongTimeout: OptionConfig.optionalDuration,
  writeTimeout: OptionConfig.optionalDuration,
  messageTimeout: OptionConfig.optionalDuration,
  maxLifetime: OptionConfig.optionalDuration,
  maxHeadSize: OptionConfig.size,
  maxHeadFields: OptionConfig.size,
  maxBodySize: OptionConfig.size
})

/**
 * The value of every option that isn't given, for each role.
 *
 * @since 0.1.0
 * @category constants
 */
export const defaults: { readonly [R in Role]: ConnectionOptions } = {
  server: { ...common, idleTimeout: "300 seconds", pingInterval: "150 seconds" },
  client: { ...common, idleTimeout: Infinity, pingInterval: Infinity }
}

/**
 * Fills in the defaults of the role, later inputs winning, and checks the result.
 *
 * Throws a `RangeError` that names the option when a limit is not a positive integer, or a duration not positive, or not
 * finite where it has to be: that is a mistake of the program, no input of a peer. An `idleTimeout` without a `pingInterval`
 * is given half of it as the latter.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (role: Role, ...inputs: ReadonlyArray<Input | undefined>): ConnectionOptions => {
  const options: Record<string, unknown> = { ...defaults[role] }
  for (const input of inputs) {
    if (input?.idleTimeout !== undefined) options.pingInterval = Duration.times(input.idleTimeout, 0.5)
    for (const key of Object.keys(defaults[role])) {
      const value = input?.[key as keyof ConnectionOptions]
      if (value !== undefined) options[key] = value
    }
  }
  validate(options as unknown as ConnectionOptions)
  return options as unknown as ConnectionOptions
}

const validate = (options: ConnectionOptions): void => {
  for (const key of sizes) checkSize(key, options[key], 1)
  if (options.fragmentSize !== undefined) checkSize("fragmentSize", options.fragmentSize, 1)
  const { maxMessageSize, maxStreamedSize = maxMessageSize } = options
  checkSize("maxStreamedSize", maxStreamedSize, maxMessageSize)
  if (!policies.has(options.whenFull)) {
    throw new RangeError(`The option whenFull must be one of ${[...policies].join(", ")}, and is ${options.whenFull}`)
  }
  PermessageDeflate.alternatives(options.permessageDeflate)
  for (const key of durations) checkDuration(key, options[key], false)
  for (const key of optionalDurations) checkDuration(key, options[key], true)
}

const checkSize = (key: string, size: number, least: number): void => {
  if (Number.isSafeInteger(size) && size >= least) return
  const allowed = least === 1 ? "a positive integer" : `an integer from ${least} on`
  throw new RangeError(`The option ${key} must be ${allowed}, and is ${size}`)
}

const checkDuration = (key: string, duration: Duration.DurationInput, isOptional: boolean): void => {
  const millis = Duration.toMillis(duration)
  if (millis > 0 && (millis <= maxMillis || (isOptional && millis === Infinity))) return
  const off = isOptional ? ", or Infinity for none" : ""
  throw new RangeError(`The option ${key} must be between a millisecond and 24 days${off}, and is ${millis} ms`)
}

const sizes = [
  "maxMessageSize",
  "inboxHighWaterMark",
  "sendHighWaterMark",
  "maxHeadSize",
  "maxHeadFields",
  "maxBodySize"
] as const
const durations = ["closeTimeout", "handshakeTimeout"] as const
const optionalDurations = [
  "idleTimeout",
  "pingInterval",
  "pongTimeout",
  "writeTimeout",
  "messageTimeout",
  "maxLifetime"
] as const
const policies: ReadonlySet<string> = new Set(["suspend", "drop", "fail"])

// What the timers of JavaScript can count: 2^31 - 1 milliseconds.
const maxMillis = 2 ** 31 - 1
