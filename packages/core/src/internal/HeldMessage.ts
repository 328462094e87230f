/**
 * The messages as they are held: in the block that they were received in, among others, or in pieces of their own.
 *
 * A view of a block is made when somebody asks for the bytes: a message that is only passed on never needs one.
 */
import type { ByteOps } from "../ByteOps.ts"
import * as Frame from "../Frame.ts"
import type { BinaryMessage, Message, TextMessage } from "../Message.ts"
import { copyAll } from "./Copying.ts"

type DataOpcode = typeof Frame.Text | typeof Frame.Binary

/** How a message is held. Where it has no pieces yet it lies in its block. */
export interface Held {
  readonly byteLength: number
  readonly block: Uint8Array | undefined
  /** Where the payload begins in the block. */
  readonly start: number
  /**
   * How many bytes in front of it belong to nobody any more: there the header of the frame goes in which the message is passed
   * on.
   */
  readonly headroom: number
  made: ReadonlyArray<Uint8Array> | undefined
}

// What Node's console and Effect's logger ask for, so that they show what a message says and not how it is held.
const inspect: unique symbol = Symbol.for("nodejs.util.inspect.custom")

class Text implements TextMessage, Held {
  readonly _tag = "Text"
  readonly byteLength: number
  readonly block: Uint8Array | undefined
  readonly start: number
  readonly headroom: number
  made: ReadonlyArray<Uint8Array> | undefined
  private readonly byteOps: ByteOps
  // Whether that is known.
  private readonly isAscii: boolean
  private decoded: string | undefined = undefined

  constructor(
    made: ReadonlyArray<Uint8Array> | undefined,
    block: Uint8Array | undefined,
    start: number,
    byteLength: number,
    headroom: number,
    byteOps: ByteOps,
    isAscii: boolean
  ) {
    this.made = made
    this.block = block
    this.start = start
    this.byteLength = byteLength
    this.headroom = headroom
    this.byteOps = byteOps
    this.isAscii = isAscii
  }

  get pieces(): ReadonlyArray<Uint8Array> {
    return this.made ?? view(this)
  }

  get bytes(): Uint8Array {
    return join(this)
  }

  get text(): string {
    return (this.decoded ??= this.decode())
  }

  toJSON(): unknown {
    return { _tag: this._tag, text: this.text }
  }

  toString(): string {
    return this.text
  }

  [inspect](): unknown {
    return this.toJSON()
  }

  private decode(): string {
    const { block, byteOps, start } = this
    if (this.made !== undefined || block === undefined) return byteOps.decodeText(this.bytes, 0, this.byteLength)
    const end = start + this.byteLength
    return this.isAscii ? byteOps.decodeAscii(block, start, end) : byteOps.decodeText(block, start, end)
  }
}

class Binary implements BinaryMessage, Held {
  readonly _tag = "Binary"
  readonly byteLength: number
  readonly block: Uint8Array | undefined
  readonly start: number
  readonly headroom: number
  made: ReadonlyArray<Uint8Array> | undefined

  constructor(
    made: ReadonlyArray<Uint8Array> | undefined,
    block: Uint8Array | undefined,
    start: number,
    byteLength: number,
    headroom: number
  ) {
    this.made = made
    this.block = block
    this.start = start
    this.byteLength = byteLength
    this.headroom = headroom
  }

  get pieces(): ReadonlyArray<Uint8Array> {
    return this.made ?? view(this)
  }

  get bytes(): Uint8Array {
    return join(this)
  }

  toJSON(): unknown {
    return { _tag: this._tag, byteLength: this.byteLength }
  }

  toString(): string {
    return `${this.byteLength} bytes`
  }

  [inspect](): unknown {
    return this.toJSON()
  }
}

/** Makes a message of text from bytes that are all of it. */
export const text = (bytes: Uint8Array, byteOps: ByteOps): TextMessage =>
  new Text([bytes], undefined, 0, bytes.length, 0, byteOps, false)

/** Makes a message of bytes. */
export const binary = (bytes: Uint8Array): BinaryMessage => new Binary([bytes], undefined, 0, bytes.length, 0)

/** Makes a message from pieces of a payload that was checked already. */
export const inPieces = (
  opcode: DataOpcode,
  pieces: ReadonlyArray<Uint8Array>,
  byteLength: number,
  byteOps: ByteOps
): Message =>
  opcode === Frame.Text
    ? new Text(pieces, undefined, 0, byteLength, 0, byteOps, false)
    : new Binary(pieces, undefined, 0, byteLength, 0)

/**
 * Makes a message from a payload that was checked already and lies in a block, from `start` on; see `Held`. `isAscii` says
 * whether it is known to be nothing but ASCII.
 */
export const inBlock = (
  opcode: DataOpcode,
  block: Uint8Array,
  start: number,
  byteLength: number,
  headroom: number,
  byteOps: ByteOps,
  isAscii: boolean
): Message =>
  opcode === Frame.Text
    ? new Text(undefined, block, start, byteLength, headroom, byteOps, isAscii)
    : new Binary(undefined, block, start, byteLength, headroom)

/** Whether a value is a message that was made here. */
export const isHeld = (value: unknown): value is Message & Held => value instanceof Text || value instanceof Binary

// Not `subarray`, which keeps the class: what is made of a Buffer of Node is a plain Uint8Array like any other.
const view = (held: Held): ReadonlyArray<Uint8Array> => {
  const { block, byteLength, start } = held as { readonly block: Uint8Array } & Held
  return (held.made = [new Uint8Array(block.buffer, block.byteOffset + start, byteLength)])
}

const join = (held: Held): Uint8Array => {
  const pieces = held.made ?? view(held)
  if (pieces.length === 1) return pieces[0]!
  const whole = new Uint8Array(held.byteLength)
  copyAll(pieces, whole, 0)
  held.made = [whole]
  return whole
}
