/** Both ways to compress on Node, and messages in and out of them. */
import type { DeflateCodec, Deflater, Inflater } from "@effect-ws/core/DeflateCodec"
import * as NodeDeflate from "@effect-ws/platform-node/NodeDeflate"
import * as Module from "node:module"
import * as V8 from "node:v8"
import * as Vm from "node:vm"
import * as Zlib from "node:zlib"
import ZlibModule from "node:zlib"

export const ways: ReadonlyArray<readonly [title: string, make: (options?: NodeDeflate.Options) => DeflateCodec]> = [
  ["by handles", NodeDeflate.make],
  ["by documented calls", NodeDeflate.makeDocumented]
]

export const takeovers: ReadonlyArray<readonly [title: string, takeover: boolean]> = [
  ["with takeover", true],
  ["without takeover", false]
]

/** As zlib itself compresses up to a byte boundary. */
export const deflated = (bytes: Uint8Array | string, options: Zlib.ZlibOptions = {}): Buffer =>
  Zlib.deflateRawSync(bytes, { finishFlush: Zlib.constants.Z_SYNC_FLUSH, ...options })

/** As zlib itself decompresses what may go on. */
export const inflated = (bytes: Uint8Array, options: Zlib.ZlibOptions = {}): Buffer =>
  Zlib.inflateRawSync(bytes, { finishFlush: Zlib.constants.Z_SYNC_FLUSH, ...options })

/** Compresses a message in these parts, and ends it. */
export const deflateAll = (deflater: Deflater, ...parts: ReadonlyArray<Uint8Array | string>): Buffer => {
  const all = parts.map((part) => deflater.deflate(Buffer.from(part)))
  deflater.finish()
  return Buffer.concat(all)
}

/** Decompresses a message from chunks, each in the middle of its memory, and ends it whether it is good or bad. */
export const inflateAll = (
  inflater: Inflater,
  chunks: ReadonlyArray<Uint8Array>,
  limit: number = Number.MAX_SAFE_INTEGER
): Buffer | "oversized" | "corrupt" => {
  const pieces: Array<Uint8Array> = []
  let left = limit
  for (const [index, chunk] of chunks.entries()) {
    const inside = Buffer.concat([Buffer.from([0x06]), chunk, Buffer.from([0x06])])
    const step = inflater.inflate(inside, 1, inside.length - 1, left, index === chunks.length - 1)
    inside.fill(0xee)
    if (typeof step === "string") {
      inflater.finish()
      return step
    }
    pieces.push(...step)
    for (const piece of step) left -= piece.length
  }
  inflater.finish()
  return Buffer.concat(pieces)
}

/** Cuts bytes at these places, given as any numbers. */
export const cutAt = (bytes: Uint8Array, places: ReadonlyArray<number>): Array<Uint8Array> => {
  const edges = places.map((place) => place % (bytes.length + 1)).sort((a, b) => a - b)
  return [...edges, bytes.length].map((edge, index) => bytes.slice(edges[index - 1] ?? 0, edge))
}

/** The bytes that are held outside the heap of V8, buffers above all, without what nobody needs any longer. */
export const external = (): number => {
  V8.setFlagsFromString("--expose-gc")
  ;(Vm.runInNewContext("gc") as () => void)()
  return process.memoryUsage().external
}

type Stream = Zlib.DeflateRaw | Zlib.InflateRaw

/** Alters all streams of zlib that are made from here on, and keeps them, until it is told to restore what was. */
export const withStreams = (alter: (stream: Stream) => void) => {
  const { createDeflateRaw, createInflateRaw } = ZlibModule
  const made: Array<Stream> = []
  const altered = <S extends Stream>(stream: S): S => {
    made.push(stream)
    alter(stream)
    return stream
  }
  const put = (functions: Pick<typeof Zlib, "createDeflateRaw" | "createInflateRaw">) => {
    // They are read only, though they may be defined anew.
    for (const [name, value] of Object.entries(functions)) Object.defineProperty(ZlibModule, name, { value })
    Module.syncBuiltinESMExports()
  }
  put({
    createDeflateRaw: (options) => altered(createDeflateRaw(options)),
    createInflateRaw: (options) => altered(createInflateRaw(options))
  })
  return { made, restore: () => put({ createDeflateRaw, createInflateRaw }) }
}

/** How many of them hold memory. */
export const alive = (streams: ReadonlyArray<Stream>): number => streams.filter(({ destroyed }) => !destroyed).length
