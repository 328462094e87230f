/**
 * What compresses the messages of connections that have agreed on permessage-deflate (RFC 7692).
 *
 * @since 0.1.0
 */
import type { DeflateCodec } from "@effect-ws/core/DeflateCodec"
import * as Context from "effect/Context"

/**
 * The codec in force: none by default, since the language has none. The Layers of a platform provide one, and without it
 * permessage-deflate is neither offered nor accepted.
 *
 * @since 0.1.0
 * @category references
 */
export class Deflate extends Context.Reference<Deflate>()("@effect-ws/api/Deflate", {
  defaultValue: (): DeflateCodec | undefined => undefined
}) {}
