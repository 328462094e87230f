/**
 * What compresses messages for permessage-deflate, by zlib as Node has it, on the spot.
 *
 * Where nothing is taken over from message to message, all connections share one compressor and one decompressor, so that an
 * idle connection holds no memory for them.
 *
 * @since 0.1.0
 */
import type { DeflateCodec, Deflater, Inflater } from "@effect-ws/core/DeflateCodec"
import { Deflate } from "@effect-ws/api/Deflate"
import * as Layer from "effect/Layer"
import type * as Zlib from "node:zlib"
import { DeflateContexts, RememberingDeflater, RememberingInflater } from "./internal/deflateContexts.ts"
import * as Handles from "./internal/zlibHandle.ts"
import * as OneShot from "./internal/zlibOneShot.ts"

/**
 * How zlib compresses, and how much it may remember.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** From 1, the fastest, to 9, the smallest; 1 by default: more costs much time and saves few bytes of short messages. */
  readonly level?: number | undefined
  /** From 1 to 9: how large the tables of a compressor are. 8 by default, as zlib's. */
  readonly memoryLevel?: number | undefined
  /**
   * How many connections may remember what they have sent, and as many what they have received, where takeover was agreed on.
   * 256 by default: some 280 KiB for both, so 70 MiB. Above that who was silent longest forgets what it has sent, and
   * new connections agree that the peer forgets.
   */
  readonly maxContexts?: number | undefined
}

/**
 * Makes a codec. Options that can't be meant throw a `RangeError`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): DeflateCodec =>
  makeWith(Handles.isAvailable() ? handles : oneShots, options)

/**
 * Makes a codec from documented calls of Node alone: what `make` falls back to where Node has changed.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeDocumented = (options: Options = {}): DeflateCodec => makeWith(oneShots, options)

/**
 * Lets connections be compressed by a codec with these options, in place of the default one.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options?: Options): Layer.Layer<never> =>
  Layer.sync(Deflate, () => make(options)) as Layer.Layer<never>

interface Way {
  readonly deflater: (options: Zlib.ZlibOptions, takeover: boolean) => Deflater
  readonly inflater: (options: Zlib.ZlibOptions, takeover: boolean) => Inflater
}

const handles: Way = {
  deflater: (options, takeover) => new Handles.HandleDeflater(options, takeover),
  inflater: (options, takeover) => new Handles.HandleInflater(options, takeover)
}

const oneShots: Way = {
  deflater: (options, takeover) => new OneShot.OneShotDeflater(options, takeover),
  inflater: (options, takeover) => new OneShot.OneShotInflater(options, takeover)
}

const makeWith = (way: Way, { level = 1, maxContexts = 256, memoryLevel = 8 }: Options): DeflateCodec => {
  check("level", level, 1, 9)
  check("memoryLevel", memoryLevel, 1, 9)
  check("maxContexts", maxContexts, 0, Number.MAX_SAFE_INTEGER)
  return new NodeCodec(way, { level, memLevel: memoryLevel }, maxContexts)
}

class NodeCodec implements DeflateCodec {
  private readonly way: Way
  private readonly options: Zlib.ZlibOptions
  private readonly maxContexts: number
  private readonly contexts: DeflateContexts
  private readonly deflaters = new Map<number, Deflater>()
  private readonly inflaters = new Map<number, Inflater>()
  private remembering = 0

  constructor(way: Way, options: Zlib.ZlibOptions, maxContexts: number) {
    this.way = way
    this.options = options
    this.maxContexts = maxContexts
    this.contexts = new DeflateContexts(maxContexts)
  }

  later(next: () => void): void {
    setImmediate(next)
  }

  get hasRoom(): boolean {
    return this.remembering < this.maxContexts
  }

  deflater(windowBits: number, takeover: boolean): Deflater {
    if (takeover) return new RememberingDeflater(this.contexts, () => this.makeDeflater(windowBits, true))
    return this.deflaters.get(windowBits) ?? kept(this.deflaters, windowBits, this.makeDeflater(windowBits, false))
  }

  inflater(windowBits: number, takeover: boolean): Inflater {
    if (!takeover) {
      return (
        this.inflaters.get(windowBits) ?? kept(this.inflaters, windowBits, this.way.inflater({ windowBits }, false))
      )
    }
    this.remembering++
    return new RememberingInflater(
      () => this.way.inflater({ windowBits }, true),
      () => this.remembering--
    )
  }

  private makeDeflater(windowBits: number, takeover: boolean): Deflater {
    return this.way.deflater({ ...this.options, windowBits }, takeover)
  }
}

const kept = <A>(all: Map<number, A>, windowBits: number, made: A): A => {
  all.set(windowBits, made)
  return made
}

const check = (option: string, value: number, least: number, most: number): void => {
  if (Number.isSafeInteger(value) && value >= least && value <= most) return
  throw new RangeError(`The option ${option} must be an integer from ${least} to ${most}, and is ${value}`)
}
