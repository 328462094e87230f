/**
 * The memory that plain sockets are read into, one after the other: nothing in it outlives the call that it is given to.
 */
import * as VectorMask from "./vectorMask.ts"

const vectors = VectorMask.make()

/** As much as Node reads at once otherwise. */
export const bytes: Buffer =
  vectors === undefined ? Buffer.allocUnsafeSlow(VectorMask.size) : Buffer.from(vectors.memory.buffer)

/** Masks in it from `start` to `end`, as `ByteOps.mask` does, where there is a faster way to do that. */
export const mask: VectorMask.VectorMask["mask"] | undefined = vectors?.mask
