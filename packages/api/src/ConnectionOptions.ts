/**
 * The limits and times of a connection, with a finite default for each.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"

/**
 * How a connection is bounded. All fields have a value; users give those they want to change.
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
   * How long the closing handshake may take, from our Close frame to the end of the transport. 5 seconds: several round
   * trips on a bad link.
   */
  readonly closeTimeout: Duration.DurationInput
  /**
   * How long the opening handshake may take, from the first byte or from the connection attempt to the 101. 10 seconds.
   */
  readonly handshakeTimeout: Duration.DurationInput
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

/**
 * The value of every option that isn't given.
 *
 * @since 0.1.0
 * @category constants
 */
export const defaults: ConnectionOptions = {
  maxMessageSize: 16 * 1024 * 1024,
  inboxHighWaterMark: 256 * 1024,
  sendHighWaterMark: 256 * 1024,
  closeTimeout: "5 seconds",
  handshakeTimeout: "10 seconds",
  maxHeadSize: 8 * 1024,
  maxHeadFields: 100,
  maxBodySize: 64 * 1024
}

/**
 * Fills in the defaults, later inputs winning, and checks the result.
 *
 * Throws a `RangeError` that names the option when a limit is not a positive integer, or a duration not positive and
 * finite: that is a mistake of the program, no input of a peer.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (...inputs: ReadonlyArray<Input | undefined>): ConnectionOptions => {
  const options: Record<string, unknown> = { ...defaults }
  for (const input of inputs) {
    for (const key of Object.keys(defaults)) {
      const value = input?.[key as keyof ConnectionOptions]
      if (value !== undefined) options[key] = value
    }
  }
  validate(options as unknown as ConnectionOptions)
  return options as unknown as ConnectionOptions
}

const validate = (options: ConnectionOptions): void => {
  for (const key of sizes) {
    const value = options[key]
    if (!Number.isSafeInteger(value) || value < 1) {
      throw new RangeError(`The option ${key} must be a positive integer, and is ${value}`)
    }
  }
  for (const key of durations) {
    const millis = Duration.toMillis(options[key])
    if (!(millis > 0 && millis <= maxMillis)) {
      throw new RangeError(`The option ${key} must be between a millisecond and 24 days, and is ${millis} ms`)
    }
  }
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

// What the timers of JavaScript can count: 2^31 - 1 milliseconds.
const maxMillis = 2 ** 31 - 1
