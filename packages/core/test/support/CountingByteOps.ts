/** Counts what the codec asks of a `ByteOps`, so that cost and memory are asserted without a clock. */
import type { ByteOps } from "../../src/ByteOps.ts"

export class CountingByteOps implements ByteOps {
  allocations = 0
  allocatedBytes = 0
  maskedBytes = 0
  checkedBytes = 0
  decodedTexts = 0
  encodedTexts = 0
  private readonly inner: ByteOps

  constructor(inner: ByteOps) {
    this.inner = inner
  }

  readonly allocate = (size: number): Uint8Array => {
    this.allocations++
    this.allocatedBytes += size
    // Old content must never show: what is handed out was written by the codec.
    return this.inner.allocate(size).fill(0xee)
  }

  readonly allocateShared = (size: number): Uint8Array => this.allocate(size)

  readonly mask: ByteOps["mask"] = (bytes, start, end, key, phase) => {
    this.maskedBytes += end - start
    return this.inner.mask(bytes, start, end, key, phase)
  }

  readonly isUtf8: ByteOps["isUtf8"] = (bytes, start, end) => {
    this.checkedBytes += end - start
    return this.inner.isUtf8(bytes, start, end)
  }

  readonly decodeText: ByteOps["decodeText"] = (bytes, start, end) => {
    this.decodedTexts++
    return this.inner.decodeText(bytes, start, end)
  }

  readonly decodeAscii: ByteOps["decodeAscii"] = (bytes, start, end) => {
    this.decodedTexts++
    return this.inner.decodeAscii(bytes, start, end)
  }

  readonly textByteLength: ByteOps["textByteLength"] = (text) => this.inner.textByteLength(text)

  readonly writeText: ByteOps["writeText"] = (text, target, offset) => {
    this.encodedTexts++
    return this.inner.writeText(text, target, offset)
  }
}
