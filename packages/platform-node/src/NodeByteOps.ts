/**
 * The work on bytes that Node does faster than plain JavaScript: UTF-8 by simdutf, memory without zeroing.
 *
 * Everything behaves as in `ByteOps.portable`, whatever kind of `Uint8Array` is given.
 *
 * @since 0.1.0
 */
import { type ByteOps, mask } from "@effect-ws/core/ByteOps"
import * as NodeBuffer from "node:buffer"
import { markAsUntransferable } from "node:worker_threads"
import * as ReadMemory from "./internal/readMemory.ts"

/**
 * The functions of Node for the codec of a connection.
 *
 * **Details**
 *
 * Memory is a plain `Uint8Array` that wasn't zeroed, since the codec writes every byte before it hands one out. It never
 * comes from the pool of `Buffer`, of which a small message would keep 8 KiB alive.
 *
 * @since 0.1.0
 * @category instances
 */
export const nodeByteOps: ByteOps = {
  allocate: (size) => allocate(size),
  allocateShared: (size) => {
    const bytes = allocate(size)
    markAsUntransferable(bytes.buffer)
    return bytes
  },
  mask: (bytes, start, end, key, phase) => {
    if (end - start < vectorsPayFrom || !ReadMemory.isLast(bytes) || ReadMemory.mask === undefined) {
      return mask(bytes, start, end, key, phase)
    }
    return ReadMemory.mask(start, end, key, phase) === 1
  },
  isUtf8: (bytes, start, end) => NodeBuffer.isUtf8(viewOf(bytes, start, end)),
  decodeText: (bytes, start, end) =>
    end - start >= asciiPaysFrom && NodeBuffer.isAscii(viewOf(bytes, start, end))
      ? methods.latin1Slice.call(bytes, start, end)
      : methods.utf8Slice.call(bytes, start, end),
  decodeAscii: (bytes, start, end) => methods.latin1Slice.call(bytes, start, end),
  textByteLength: (text) => NodeBuffer.Buffer.byteLength(text, "utf8"),
  writeText: (text, target, offset) => methods.utf8Write.call(target, text, offset, target.length - offset)
}

const viewOf = (bytes: Uint8Array, start: number, end: number): Uint8Array =>
  start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end)

const allocate = (size: number): Uint8Array =>
  size <= inlineUpTo ? new Uint8Array(size) : new Uint8Array(NodeBuffer.Buffer.allocUnsafeSlow(size).buffer)

/** What `toString` and `write` of a Buffer are made of. They take any Uint8Array, and save the choice of an encoding. */
interface Methods {
  readonly latin1Slice: (this: Uint8Array, start: number, end: number) => string
  readonly utf8Slice: (this: Uint8Array, start: number, end: number) => string
  readonly utf8Write: (this: Uint8Array, text: string, offset: number, length: number) => number
}

const methods = NodeBuffer.Buffer.prototype as unknown as Methods

// Below this many bytes the call costs more than it saves, as measured on Node 20.
const vectorsPayFrom = 128

// Below this many bytes the look for ASCII costs more than it saves, as measured on Node 20.
const asciiPaysFrom = 1024

// Up to this many bytes V8 keeps an array's bytes in the array itself, and zeroing them costs nothing.
const inlineUpTo = 64
