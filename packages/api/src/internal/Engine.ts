/**
 * What connections share: deadlines, entropy, functions on bytes.
 */
import type * as Core from "@effect-ws/core/ByteOps"
import type { DeflateCodec } from "@effect-ws/core/DeflateCodec"
import * as Effect from "effect/Effect"
import { ByteOps } from "../ByteOps.ts"
import { Deflate } from "../Deflate.ts"
import { Entropy } from "../Entropy.ts"
import * as Deadlines from "./Deadlines.ts"
import * as EntropyPool from "./EntropyPool.ts"

export interface Engine {
  readonly deadlines: Deadlines.Deadlines
  readonly entropy: EntropyPool.EntropyPool
  readonly byteOps: Core.ByteOps
  readonly deflate: DeflateCodec | undefined
}

/** Takes the Clock, the Entropy, the ByteOps and the Deflate that are in force. */
export const make: Effect.Effect<Engine> = Effect.gen(function* () {
  const deadlines = yield* Deadlines.current
  const entropy = EntropyPool.shared(yield* Entropy)
  const byteOps = yield* ByteOps
  const deflate = yield* Deflate
  return { deadlines, entropy, byteOps, deflate }
})
