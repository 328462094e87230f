/**
 * Reads a plain socket into memory that is used again and again: new memory for each chunk, as Node takes it otherwise, costs
 * more than all else about a small read.
 *
 * Node documents that for a socket that it connects, as `onread` of `net.connect`, and not for one that a server accepts. So
 * it is looked at first whether a socket has what is used here; without it, it is read in the ordinary way.
 */
import * as Net from "node:net"

/** A socket with who is given what is read. */
export interface Owned {
  [owner]: {
    /** Takes bytes, which belong to it from here on, or are only lent for the time of the call. */
    readonly read: (bytes: Uint8Array, isLent: boolean) => void
  }
}

/** Where a socket has its owner. */
export const owner: unique symbol = Symbol("owner")

/** What is used of a socket of Node, though it isn't documented: the members behind `onread`, and the handle below. */
type Undocumented = Net.Socket & {
  readonly _handle?: { readonly useUserBuffer?: (buffer: Uint8Array) => void } | null
} & Record<symbol, unknown>

/** In bytes: what is read at once, as Node does it. */
const readSize = 64 * 1024

/** What all sockets are read into that don't read much: nothing in it outlives the call that it is given to. */
const shared = Buffer.allocUnsafeSlow(readSize)

const symbolOf = (description: string): symbol | undefined =>
  Object.getOwnPropertySymbols(unused).find((symbol) => symbol.description === description)

const unused = new Net.Socket() as Undocumented
const kBuffer = symbolOf("kBuffer")!
const kBufferCb = symbolOf("kBufferCb")!
const kBufferGen = symbolOf("kBufferGen")!

/** Whether this Node reads as is expected of it. */
const isKnown = [kBuffer, kBufferCb, kBufferGen].every((symbol) => symbol !== undefined && unused[symbol] === null)

/** From now on the owner is given what is read. Returns whether that could be; the socket is as it was if not. */
export const lendReads = (socket: Net.Socket & Owned): boolean => {
  const own = socket as Net.Socket as Undocumented
  if (!isKnown || !isPlain(socket) || own[kBuffer] !== null || socket.readableLength > 0) return false
  if (typeof own._handle?.useUserBuffer !== "function") return false
  own[kBuffer] = shared
  own[kBufferCb] = onRead
  own._handle.useUserBuffer(shared)
  return true
}

const isPlain = (socket: Net.Socket): boolean => Object.getPrototypeOf(socket) === Net.Socket.prototype

/** Is called by Node with how many bytes it has read. */
function onRead(this: Undocumented & Owned, count: number, buffer: Buffer): boolean {
  this[kBufferGen] = null
  // What fills the buffer is a part of something large: the rest of it is read into memory that is given away.
  if (count === readSize) readNextInto(this, Buffer.allocUnsafeSlow(readSize))
  else if (buffer !== shared) readNextInto(this, shared)
  // Less than that isn't worth the memory that a view of it would keep alive.
  const isLent = buffer === shared || count < readSize / 4
  this[owner].read(buffer.subarray(0, count), isLent)
  return true
}

let next: Buffer = shared

// Node asks for it as soon as this read is done with.
const readNextInto = (socket: Undocumented, buffer: Buffer): void => {
  next = buffer
  socket[kBufferGen] = takeNext
}

const takeNext = (): Buffer => next
