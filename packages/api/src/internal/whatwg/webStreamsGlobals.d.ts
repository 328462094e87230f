// The streams of the WHATWG, as far as api uses them: see globals.d.ts.
declare class ReadableStream<R> {
  constructor(source: object, strategy: { readonly highWaterMark: number })
  readonly locked: boolean
  private readonly _: R
}
declare class WritableStream<W> {
  constructor(sink: object, strategy: { readonly highWaterMark: number })
  readonly locked: boolean
  private readonly _: (chunk: W) => void
}
