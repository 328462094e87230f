/**
 * Masking (RFC 6455 5.3) with words of 16 bytes, which JavaScript doesn't have and WebAssembly does: it takes a fifth of the
 * time. It works in memory of its own, so it is for what can be read into that.
 */
import * as Either from "effect/Either"

/** A page of memory, and the masking in it. */
export interface VectorMask {
  readonly memory: { readonly buffer: ArrayBuffer }
  /**
   * Masks from `start` to `end`; `key` and `phase` are as for `ByteOps.mask`. Returns 1 when what comes out is nothing but ASCII,
   * else 0.
   */
  readonly mask: (start: number, end: number, key: number, phase: number) => 0 | 1
}

/** In bytes: a page. */
export const size = 64 * 1024

/** Makes one, unless there is no WebAssembly, or not with such words, or a limit on addresses leaves no room for it. */
export const make = (): VectorMask | undefined =>
  Either.getOrUndefined(
    Either.try(() => {
      const { Instance, Module } = (globalThis as unknown as Globals).WebAssembly
      return new Instance(new Module(program())).exports
    })
  )

// The types of Node don't have it.
interface Globals {
  readonly WebAssembly: {
    readonly Module: new (bytes: Uint8Array) => object
    readonly Instance: new (module: object) => { readonly exports: VectorMask }
  }
}

// In the text format, as it is on the stack: the key four times, with its highest byte, which is the first, as the lowest; then
// 16 bytes at a time, and what is left byte by byte. Whether one of them was no ASCII is seen by the highest bits.
const code = `
  2 3 v128 2 i32
  local.get $key local.get $phase i32.const 3 i32.shl i32.rotl
  i32x4.splat local.tee $keys local.get $keys
  i8x16.shuffle 3 2 1 0 7 6 5 4 11 10 9 8 15 14 13 12 local.set $keys
  block loop
    local.get $start i32.const 16 i32.add local.get $end i32.gt_u br_if 1
    local.get $start local.get $start v128.load local.get $keys v128.xor local.tee $word v128.store
    local.get $seen local.get $word v128.or local.set $seen
    local.get $start i32.const 16 i32.add local.set $start
    br 0
  end end
  local.get $keys i32x4.extract_lane 0 local.set $key
  block loop
    local.get $start local.get $end i32.ge_u br_if 1
    local.get $start local.get $start i32.load8_u local.get $key i32.xor local.tee $byte i32.store8
    local.get $rest local.get $byte i32.or local.set $rest
    local.get $key i32.const 8 i32.rotr local.set $key
    local.get $start i32.const 1 i32.add local.set $start
    br 0
  end end
  local.get $seen i8x16.bitmask local.get $rest i32.const 128 1 i32.and i32.or i32.eqz
  end`

const words: Readonly<Record<string, ReadonlyArray<number>>> = {
  $start: [0],
  $end: [1],
  $key: [2],
  $phase: [3],
  $keys: [4],
  $word: [5],
  $seen: [6],
  $byte: [7],
  $rest: [8],
  block: [0x02, 0x40],
  loop: [0x03, 0x40],
  end: [0x0b],
  br: [0x0c],
  br_if: [0x0d],
  "local.get": [0x20],
  "local.set": [0x21],
  "local.tee": [0x22],
  "i32.load8_u": [0x2d, 0, 0],
  "i32.store8": [0x3a, 0, 0],
  "i32.const": [0x41],
  "i32.eqz": [0x45],
  "i32.gt_u": [0x4b],
  "i32.ge_u": [0x4f],
  "i32.add": [0x6a],
  "i32.and": [0x71],
  "i32.or": [0x72],
  "i32.xor": [0x73],
  "i32.shl": [0x74],
  "i32.rotl": [0x77],
  "i32.rotr": [0x78],
  v128: [0x7b],
  i32: [0x7f],
  "v128.load": [0xfd, 0x00, 0, 0],
  "v128.store": [0xfd, 0x0b, 0, 0],
  "i8x16.shuffle": [0xfd, 0x0d],
  "i32x4.splat": [0xfd, 0x11],
  "i32x4.extract_lane": [0xfd, 0x1b],
  "v128.or": [0xfd, 0x50],
  "v128.xor": [0xfd, 0x51],
  "i8x16.bitmask": [0xfd, 0x64]
}

const assemble = (text: string): ReadonlyArray<number> =>
  text.match(/\S+/g)!.flatMap((word) => words[word] ?? [Number(word)])

// A length takes two bytes, of seven bits each, where one would do.
const sized = (bytes: ReadonlyArray<number>): ReadonlyArray<number> => [
  (bytes.length & 0x7f) | 0x80,
  bytes.length >> 7,
  ...bytes
]

const section = (id: number, ...bytes: ReadonlyArray<number>): ReadonlyArray<number> => [id, ...sized(bytes)]

const named = (name: string): ReadonlyArray<number> => [name.length, ...Buffer.from(name)]

// The type of the function, the function, a page of memory, and the names of both.
const program = (): Uint8Array =>
  Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, 1, 0x60, 4, 0x7f, 0x7f, 0x7f, 0x7f, 1, 0x7f),
    ...section(3, 1, 0),
    ...section(5, 1, 1, 1, 1),
    ...section(7, 2, ...named("memory"), 2, 0, ...named("mask"), 0, 0),
    ...section(10, 1, ...sized(assemble(code)))
  ])
