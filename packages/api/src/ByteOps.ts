/**
 * Which functions on bytes the connections use: plain JavaScript, unless a Layer of a platform provides faster ones.
 *
 * @since 0.1.0
 */
import * as Core from "@effect-ws/core/ByteOps"
import * as Context from "effect/Context"

/**
 * The functions in force; by default the portable ones, which need nothing but the language.
 *
 * @since 0.1.0
 * @category references
 */
export class ByteOps extends Context.Reference<ByteOps>()("@effect-ws/api/ByteOps", {
  defaultValue: (): Core.ByteOps => Core.portable
}) {}
