/** A transport in the hands of a test: it delivers what is poured, and takes what is written, or keeps it for a peer that doesn't read. */
import { emptyInfo, type Transport, type TransportSink } from "@effect-ws/api/Transport"

export class Faucet implements Transport {
  readonly info = emptyInfo
  isPaused = false
  /** Whether the peer reads. */
  isRead = true
  writable = 0

  private sink: TransportSink | undefined
  private readonly written: Array<Uint8Array> = []

  start(sink: TransportSink): void {
    this.sink = sink
  }

  write(chunks: ReadonlyArray<Uint8Array>): boolean {
    if (this.isRead) return true
    for (const chunk of chunks) {
      this.written.push(chunk)
      this.writable += chunk.length
    }
    return this.writable < highWaterMark
  }

  pause(): void {
    this.isPaused = true
  }

  resume(): void {
    this.isPaused = false
  }

  end(): void {
    this.destroy()
  }

  destroy(): void {
    queueMicrotask(() => this.sink?.closed(undefined))
  }

  /** Delivers a copy of the bytes, at the front of a read buffer of the given size. */
  pour(bytes: Uint8Array, bufferSize: number = bytes.length): void {
    const chunk = new Uint8Array(new ArrayBuffer(bufferSize), 0, bytes.length)
    chunk.set(bytes)
    this.sink!.chunk(chunk)
  }
}

/** In bytes: that of a socket of Node 20. */
const highWaterMark = 16 * 1024
