/**
 * Reads a plain socket into memory that is used again and again: new memory for each chunk, as Node takes it otherwise, costs
 * more than all else about a small read.
 *
 * Node documents that for a socket that it connects, as `onread` of `net.connect`, and not for one that a server accepts. So
 * it is looked at first whether a socket has what is used here; without it, it is read in the ordinary way.
 */
import * as Net from "node:net"
import * as ReadMemory from "./readMemory.ts"

/** A socket with who is lent what is read. */
export interface Owned {
  [owner]: {
    /** Takes bytes that are lent for the time of the call. */
    readonly lend: (bytes: Uint8Array) => void
  }
}

/** Where a socket has its owner. */
export const owner: unique symbol = Symbol("owner")

/** What is used of a socket of Node, though it isn't documented: the members behind `onread`, and the handle below. */
type Undocumented = Net.Socket & {
  readonly _handle?: { readonly useUserBuffer?: (buffer: Uint8Array) => void } | null
} & Record<symbol, unknown>

const symbolOf = (description: string): symbol | undefined =>
  Object.getOwnPropertySymbols(unused).find((symbol) => symbol.description === description)

const unused = new Net.Socket() as Undocumented
const kBuffer = symbolOf("kBuffer")!
const kBufferCb = symbolOf("kBufferCb")!

/** Whether this Node reads as is expected of it. */
const isKnown = [kBuffer, kBufferCb].every((symbol) => symbol !== undefined && unused[symbol] === null)

/** From now on the owner is lent what is read. Returns whether that could be; the socket is as it was if not. */
export const lendReads = (socket: Net.Socket & Owned): boolean => {
  const own = socket as Net.Socket as Undocumented
  if (!isKnown || !isPlain(socket) || own[kBuffer] !== null || socket.readableLength > 0) return false
  if (typeof own._handle?.useUserBuffer !== "function") return false
  own[kBuffer] = ReadMemory.all
  own[kBufferCb] = onRead
  own._handle.useUserBuffer(ReadMemory.all)
  return true
}

const isPlain = (socket: Net.Socket): boolean => Object.getPrototypeOf(socket) === Net.Socket.prototype

/** Is called by Node with how many bytes it has read. */
function onRead(this: Owned, count: number): boolean {
  this[owner].lend(ReadMemory.read(count))
  return true
}
