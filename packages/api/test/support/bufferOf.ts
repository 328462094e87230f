/** Bytes as those of Node are, which callers have everywhere: what `slice` gives of them is a view. */
class BufferLike extends Uint8Array<ArrayBuffer> {
  override slice(start?: number, end?: number): Uint8Array<ArrayBuffer> {
    return this.subarray(start, end)
  }
}

export const bufferOf = (size: number, value: number): Uint8Array<ArrayBuffer> =>
  new BufferLike(new ArrayBuffer(size)).fill(value)
