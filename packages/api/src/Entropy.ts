/**
 * Bytes that nobody can guess: the keys of opening handshakes and the masking keys of clients (RFC 6455 4.1, 5.3, 10.3).
 *
 * Effect's own Random is seedable by design and is never used for them.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"

/**
 * A source of bytes that must come from a cryptographic generator. Tests provide a fixed one.
 *
 * @since 0.1.0
 * @category models
 */
export interface EntropySource {
  /** Fills the bytes, at most 65536 of them. */
  readonly fill: (bytes: Uint8Array) => void
}

/**
 * The source in force; by default the generator of the platform, `crypto.getRandomValues`.
 *
 * @example
 * import * as Entropy from "@effect-ws/api/Entropy"
 * import * as Effect from "effect/Effect"
 *
 * // A test that wants the same bytes in every run.
 * const fixed = Effect.provideService(Entropy.Entropy, { fill: (bytes) => void bytes.fill(7) })
 *
 * @since 0.1.0
 * @category references
 */
export class Entropy extends Context.Reference<Entropy>()("@effect-ws/api/Entropy", {
  defaultValue: (): EntropySource => ({ fill: (bytes) => void crypto.getRandomValues(bytes) })
}) {}
