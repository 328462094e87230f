/**
 * Whether and how messages are compressed (RFC 7692).
 *
 * Off unless it is asked for: it costs time and memory on both sides, and what is compressed together with a secret tells
 * of it by its length.
 *
 * @see https://www.rfc-editor.org/rfc/rfc7692
 * @since 0.1.0
 */
import type * as Core from "@effect-ws/core/PermessageDeflate"

/**
 * How messages are compressed.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /**
   * From which size on a message is compressed, in bytes. 256 by default: a shorter one gets hardly shorter, and not much
   * fits into one packet more.
   */
  readonly threshold?: number | undefined
  /**
   * Whether the server remembers what it has sent, and compresses the better. Not by default: a connection that remembers
   * holds some 210 KiB, where otherwise all share the same.
   */
  readonly serverContextTakeover?: boolean | undefined
  /** Whether the client does. Not by default, since a server would hold some 70 KiB for each. */
  readonly clientContextTakeover?: boolean | undefined
  /** The bits of the largest window with which the server compresses, from 8 to 15. 15 by default. */
  readonly serverMaxWindowBits?: number | undefined
  /** The bits of the largest window with which the client compresses, from 8 to 15. 15 by default. */
  readonly clientMaxWindowBits?: number | undefined
}

/**
 * What an option may say: `true` for the defaults, `false` for none. A client may give alternatives, the preferred one
 * first; of a server the first one counts.
 *
 * @since 0.1.0
 * @category models
 */
export type Setting = boolean | Options | ReadonlyArray<Options>

/**
 * What a setting comes to: the alternatives, each with what it wishes. None when it is off.
 *
 * Throws a `RangeError` that names the option when a value can't be meant.
 *
 * @since 0.1.0
 * @category conversions
 */
export const alternatives = (setting: Setting | undefined): ReadonlyArray<Alternative> => {
  if (setting === undefined || setting === false) return []
  if (setting === true) return [alternative({})]
  return "length" in setting ? setting.map(alternative) : [alternative(setting)]
}

/**
 * One way to compress, complete.
 *
 * @since 0.1.0
 * @category models
 */
export interface Alternative extends Core.Wishes {
  /** From which size on a message is compressed, in bytes. */
  readonly threshold: number
}

const alternative = (options: Options): Alternative => {
  const { clientMaxWindowBits = 15, serverMaxWindowBits = 15, threshold = 256 } = options
  check("threshold", threshold, 0, Number.MAX_SAFE_INTEGER)
  check("serverMaxWindowBits", serverMaxWindowBits, 8, 15)
  check("clientMaxWindowBits", clientMaxWindowBits, 8, 15)
  return {
    threshold,
    serverNoContextTakeover: options.serverContextTakeover !== true,
    clientNoContextTakeover: options.clientContextTakeover !== true,
    serverMaxWindowBits,
    clientMaxWindowBits
  }
}

const check = (option: string, value: number, least: number, most: number): void => {
  if (Number.isSafeInteger(value) && value >= least && value <= most) return
  throw new RangeError(
    `The option permessageDeflate.${option} must be an integer from ${least} to ${most}, and is ${value}`
  )
}
