/**
 * Copies of bytes, short ones as fast as long ones.
 */

// Below this many bytes a loop beats the call into the runtime.
const loopCopiesUpTo = 32

/** Copies bytes to `at` in `target`. */
export const copy = (source: Uint8Array, target: Uint8Array, at: number): void => {
  if (source.length > loopCopiesUpTo) return target.set(source, at)
  for (let i = 0; i < source.length; i++) target[at + i] = source[i]!
}

/** Copies bytes from `start` to `end`. */
export const copyRange = (source: Uint8Array, start: number, end: number, target: Uint8Array, at: number): void => {
  if (end - start > loopCopiesUpTo) return target.set(source.subarray(start, end), at)
  for (let i = start; i < end; i++) target[at + i - start] = source[i]!
}

/** Copies pieces, one behind the other. */
export const copyAll = (pieces: ReadonlyArray<Uint8Array>, target: Uint8Array, at: number): void => {
  let next = at
  for (const piece of pieces) {
    copy(piece, target, next)
    next += piece.length
  }
}
