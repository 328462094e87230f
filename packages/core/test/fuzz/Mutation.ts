/** Changes that turn a valid transcript into one that nearly is. */
import { concat } from "../support/Hex.ts"
import type { Random } from "./Random.ts"

/** Changes bytes up to so many times; a third of all transcripts stay as they are. */
export const mutate = (random: Random, bytes: Uint8Array, times: number): Uint8Array => {
  let changed = bytes
  if (random.chance(3)) return changed
  for (let count = 1 + random.below(times); count > 0; count--) changed = random.pick(changes)(random, changed)
  return changed
}

type Change = (random: Random, bytes: Uint8Array) => Uint8Array

/** Replaces what lies between two offsets. */
const splice = (bytes: Uint8Array, from: number, to: number, by: Uint8Array): Uint8Array =>
  concat([bytes.subarray(0, from), by, bytes.subarray(to)])

const somewhere: Change = (random, bytes) => {
  const from = random.below(bytes.length + 1)
  return bytes.subarray(from, from + 1 + random.small(64))
}

// What headers, lengths, close codes and UTF-8 turn on, and what heads do.
const telling = Uint8Array.of(
  ...[0x00, 0x01, 0x02, 0x03, 0x7d, 0x7e, 0x7f, 0x80, 0x81, 0x82, 0x88, 0x89, 0x8a, 0xbf, 0xc0, 0xc2, 0xe0, 0xe8, 0xed],
  ...[0xef, 0xf0, 0xf4, 0xfe, 0xff, 0x09, 0x0a, 0x0d, 0x20, 0x22, 0x2c, 0x3a, 0x3b, 0x3d]
)

const changes: ReadonlyArray<Change> = [
  // One bit.
  (random, bytes) => {
    const at = random.below(bytes.length)
    return splice(bytes, at, at + 1, Uint8Array.of((bytes[at] ?? 0) ^ (1 << random.below(8))))
  },
  // One byte, replaced or put between.
  (random, bytes) => {
    const at = random.below(bytes.length + 1)
    return splice(bytes, at, at + random.below(2), Uint8Array.of(random.pick([...telling])))
  },
  // Some bytes gone, doubled, moved, or made up.
  (random, bytes) => {
    const at = random.below(bytes.length + 1)
    return splice(bytes, at, at + 1 + random.small(32), new Uint8Array(0))
  },
  (random, bytes) => {
    const at = random.below(bytes.length + 1)
    return splice(bytes, at, at, somewhere(random, bytes))
  },
  (random, bytes) => {
    const at = random.below(bytes.length + 1)
    return splice(bytes, at, at, random.bytes(random.small(32)))
  },
  // The end cut off.
  (random, bytes) => bytes.subarray(0, random.below(bytes.length + 1)),
  // The same once more.
  (_, bytes) => (bytes.length > 4000 ? bytes : concat([bytes, bytes]))
]
