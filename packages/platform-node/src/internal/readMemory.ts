/**
 * The memory that plain sockets are read into, one after the other: nothing in it outlives the call that it is given to.
 */
import * as VectorMask from "./vectorMask.ts"

const vectors = VectorMask.make()

/** As much as Node reads at once otherwise. */
export const all: Buffer =
  vectors === undefined ? Buffer.allocUnsafeSlow(VectorMask.size) : Buffer.from(vectors.memory.buffer)

/** Masks in it from `start` to `end`, as `ByteOps.mask` does, where there is a faster way to do that. */
export const mask: VectorMask.VectorMask["mask"] | undefined = vectors?.mask

// To ask a view for its buffer is a call into the runtime.
const { buffer } = all

let last: Uint8Array = all

/** What was read last, as a plain `Uint8Array`, which costs less than a Buffer all the way. */
export const read = (count: number): Uint8Array => (last = new Uint8Array(buffer, 0, count))

/** Whether this is what was read last, which begins where the memory does. */
export const isLast = (bytes: Uint8Array): boolean => bytes === last
