/**
 * What connections work with on Node, unless a program provides something else.
 */
import { ByteOps } from "@effect-ws/api/ByteOps"
import { Deflate } from "@effect-ws/api/Deflate"
import type { DeflateCodec } from "@effect-ws/core/DeflateCodec"
import * as Effect from "effect/Effect"
import { nodeByteOps } from "../NodeByteOps.ts"
import * as NodeDeflate from "../NodeDeflate.ts"

export const provide = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.flatMap(Deflate, (given) =>
    effect.pipe(Effect.provideService(ByteOps, nodeByteOps), Effect.provideService(Deflate, given ?? shared()))
  )

// Made when it is first needed: nothing is compressed unless somebody asks for it.
const shared = (): DeflateCodec => (codec ??= NodeDeflate.make())

let codec: DeflateCodec | undefined = undefined
