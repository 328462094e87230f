/**
 * A transport over a stream of Node: a TCP or unix socket, a TLS socket, or any other Duplex of bytes.
 *
 * It adds no queue of its own: bytes wait in the stream, and its marks are the stream's. It reads nothing before it is
 * started, and survives a reset at any time.
 *
 * @since 0.1.0
 */
import type { TlsInfo, Transport, TransportInfo, TransportSink } from "@effect-ws/api/Transport"
import { formatAddress, type TransportError } from "@effect-ws/api/TransportError"
import type { Address } from "@effect/platform/SocketServer"
import * as Net from "node:net"
import type { Duplex } from "node:stream"
import * as Tls from "node:tls"
import { markAsUntransferable } from "node:worker_threads"
import { lendReads, type Owned, owner } from "./internal/lentReads.ts"
import { fromStream } from "./internal/transportErrors.ts"

/**
 * Says what the stream doesn't know about itself.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Replaces what the socket says. A unix socket knows no path, for instance, and another Duplex knows nothing. */
  readonly info?: Partial<TransportInfo> | undefined
  /** The address that errors name. By default the peer's. */
  readonly address?: string | undefined
}

/**
 * Makes a transport of a stream, which belongs to the transport from then on.
 *
 * **Details**
 *
 * The chunks that a sink is given are the `Buffer`s that the stream read, without a copy; a `Buffer` is a `Uint8Array`. A
 * plain socket reads into memory that it uses again, and lends it to a sink that borrows; others get copies.
 * Several chunks of one `write` go out in one system call. Nagle's algorithm is switched off on a socket. The stream's own
 * writable high-water mark decides when `write` returns `false`, its readable one how much is read ahead while paused.
 *
 * The stream is made half-open (`allowHalfOpen`), whatever it was made as: the peer's end doesn't end our half. A socket
 * that has emitted `"end"` before can't be made so any more; what is written to it is dropped.
 *
 * **Gotchas**
 *
 * Nobody else may read from the stream, and nobody may have set an encoding. It has to emit `"close"`, as every stream
 * does that wasn't made with `emitClose: false`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (duplex: Duplex, options: Options = {}): Transport => new DuplexTransport(duplex, options)

class DuplexTransport implements Transport {
  readonly info: TransportInfo
  private readonly duplex: Duplex
  private readonly address: string | undefined
  private readonly isPlain: boolean
  private sink: TransportSink | undefined
  private error: TransportError | undefined
  private isPaused = false
  private isStarted = false
  private hasEnded = false
  private isOver = false
  private wasToldEnd = false
  private wasToldClosed = false
  private owesDrained = false
  /** A call into the stream is under way: what the stream tells during it is told later. */
  private isCalling = false
  private later: Array<() => void> | undefined = undefined
  /** In bytes: what was read since the other streams last had their turn. */
  private readAtOnce = 0
  private rest: NodeJS.Immediate | undefined

  constructor(duplex: Duplex, options: Options) {
    this.duplex = duplex
    this.isPlain = duplex instanceof Net.Socket && !(duplex instanceof Tls.TLSSocket)
    this.info = { ...infoOf(duplex), ...options.info }
    this.address = options.address ?? addressOf(this.info)
    this.hasEnded = duplex.readableEnded
    if (duplex.closed) {
      this.isOver = true
      this.fail(duplex.errored)
    } else {
      this.prepare(duplex)
    }
  }

  private prepare(duplex: Duplex): void {
    duplex.allowHalfOpen = true
    if (duplex.readableFlowing === true) duplex.pause()
    if (duplex instanceof Net.Socket) duplex.setNoDelay(true)
    const owned: Duplex & Partial<Owned> = duplex
    owned[owner] = this
    for (const [event, listener] of listeners) duplex.on(event, listener)
  }

  get writable(): number {
    return this.duplex.writableLength
  }

  start(sink: TransportSink): void {
    this.sink = sink
    this.wasToldEnd = false
    this.wasToldClosed = false
    if (this.hasEnded || this.isOver) process.nextTick(() => this.tellEnds())
    if (this.owesDrained && !this.duplex.writableNeedDrain) process.nextTick(() => this.onDrain())
    if (this.isStarted || this.isOver) return
    this.isStarted = true
    this.listen()
    if (!this.isPaused) this.call(() => this.duplex.resume())
  }

  write(chunks: ReadonlyArray<Uint8Array>): boolean {
    if (this.isOver || !this.duplex.writable) return true
    this.isCalling = true
    const hasRoom = chunks.length === 1 ? this.duplex.write(chunks[0]) : this.writeAll(chunks)
    this.isCalling = false
    if (!hasRoom) this.owesDrained = true
    return hasRoom
  }

  pause(): void {
    this.isPaused = true
    if (this.isStarted) this.duplex.pause()
  }

  resume(): void {
    this.isPaused = false
    if (this.isStarted && this.rest === undefined) this.call(() => this.duplex.resume())
  }

  end(): void {
    if (this.isOver || this.duplex.writableEnded) return
    this.call(() => this.duplex.end())
    // A stream that is ending doesn't emit "drain" any more.
    if (this.owesDrained) this.duplex.once("finish", onDrain)
  }

  destroy(): void {
    this.call(() => this.duplex.destroy())
  }

  private listen(): void {
    const { duplex } = this
    const isLending = duplex instanceof Net.Socket && lendReads(duplex as Net.Socket & Owned)
    // A socket may have begun to read ahead, and a listener alone would make a stream flow.
    if (this.isPaused) duplex.pause()
    if (!isLending) duplex.on("data", onData)
  }

  private writeAll(chunks: ReadonlyArray<Uint8Array>): boolean {
    const { duplex } = this
    let hasRoom = true
    duplex.cork()
    for (let i = 0; i < chunks.length; i++) hasRoom = duplex.write(chunks[i])
    duplex.uncork()
    return hasRoom
  }

  /** Takes what was read into memory that will be used again. */
  lend(bytes: Uint8Array): void {
    // Node may begin to read once more by itself after a pause, and wouldn't stop again.
    if (this.isPaused || this.rest !== undefined) this.duplex.pause()
    this.count(bytes.length)
    const sink = this.sink!
    if (sink.borrows === true) sink.chunk(bytes, true)
    else sink.chunk(new Uint8Array(bytes))
  }

  onData(chunk: Uint8Array): void {
    if (this.mustWait()) this.tellLater(() => this.give(chunk))
    else this.give(chunk)
  }

  private give(chunk: Uint8Array): void {
    this.count(chunk.length)
    // Several messages may lie in it: who transfers the memory of one would take that of the others.
    markAsUntransferable(chunk.buffer)
    this.sink!.chunk(chunk)
  }

  // Node reads the same stream again and again while there is something, and does all that follows from it, before it looks
  // at another one. Of a plain socket it knows by a read that doesn't fill its buffer that there is no more for now.
  private count(size: number): void {
    this.readAtOnce = this.isPlain && size < readBuffer ? 0 : this.readAtOnce + size
    if (this.readAtOnce >= mostAtOnce) this.giveWay()
  }

  private giveWay(): void {
    this.readAtOnce = 0
    if (this.rest !== undefined) return
    this.duplex.pause()
    this.rest = setImmediate(() => {
      this.rest = undefined
      if (!this.isPaused) this.call(() => this.duplex.resume())
    })
  }

  onEnd(): void {
    this.hasEnded = true
    this.tellEnds()
  }

  onDrain(): void {
    if (this.mustWait()) return this.tellLater(() => this.onDrain())
    if (!this.owesDrained || this.sink === undefined) return
    this.owesDrained = false
    this.sink.drained()
  }

  onError(cause: unknown): void {
    this.fail(cause)
    this.duplex.destroy()
  }

  onClose(): void {
    this.isOver = true
    this.owesDrained = false
    clearImmediate(this.rest)
    for (const [event, listener] of listeners) this.duplex.off(event, listener)
    this.duplex.off("finish", onDrain)
    this.duplex.off("data", onData)
    this.tellEnds()
  }

  private fail(cause: unknown): void {
    if (cause !== null && cause !== undefined) this.error ??= fromStream(cause, this.address)
  }

  /** Tells the end of one half or both, once to each sink; a callback may hand delivery over to the next. */
  private tellEnds(): void {
    if (this.mustWait()) return this.tellLater(() => this.tellEnds())
    const sink = this.sink
    if (sink === undefined) return
    if (this.hasEnded && !this.wasToldEnd) {
      this.wasToldEnd = true
      sink.end()
    }
    if (this.isOver && !this.wasToldClosed && this.sink === sink) {
      this.wasToldClosed = true
      sink.closed(this.error)
    }
  }

  private call(use: () => void): void {
    this.isCalling = true
    use()
    this.isCalling = false
  }

  private mustWait(): boolean {
    return this.isCalling || this.later !== undefined
  }

  /** Some streams answer inside the call, a PassThrough for instance: that is kept, in order, for the next turn. */
  private tellLater(event: () => void): void {
    if (this.later !== undefined) return void this.later.push(event)
    this.later = [event]
    process.nextTick(() => this.tellNow())
  }

  private tellNow(): void {
    const events = this.later!
    this.later = undefined
    for (const event of events) event()
  }
}

type Listening = Duplex & { readonly [owner]: DuplexTransport }

// The same functions for all transports, which a stream calls as its own: of many connections that are idle, each would hold
// one for each event.
function onData(this: Listening, chunk: Uint8Array): void {
  this[owner].onData(chunk)
}

function onEnd(this: Listening): void {
  this[owner].onEnd()
}

function onDrain(this: Listening): void {
  this[owner].onDrain()
}

function onError(this: Listening, cause: unknown): void {
  this[owner].onError(cause)
}

function onClose(this: Listening): void {
  this[owner].onClose()
}

const listeners = [
  ["error", onError],
  ["end", onEnd],
  ["drain", onDrain],
  ["close", onClose]
] as const

/** In bytes: the buffer that Node reads a socket into. */
const readBuffer = 64 * 1024

/** In bytes: what a stream may read before it gives way to the others. With less, giving way would cost large messages too much. */
const mostAtOnce = 256 * 1024

const addressOf = ({ remoteAddress }: TransportInfo): string | undefined =>
  remoteAddress === undefined ? undefined : formatAddress(remoteAddress)

const infoOf = (duplex: Duplex): TransportInfo => ({
  localAddress: duplex instanceof Net.Socket ? tcpAddress(duplex.localAddress, duplex.localPort) : undefined,
  remoteAddress: duplex instanceof Net.Socket ? tcpAddress(duplex.remoteAddress, duplex.remotePort) : undefined,
  tls: duplex instanceof Tls.TLSSocket ? tlsInfo(duplex) : undefined
})

const tcpAddress = (hostname: string | undefined, port: number | undefined): Address | undefined =>
  hostname === undefined || port === undefined
    ? undefined
    : { _tag: "TcpAddress", hostname: hostname.replace(mappedPrefix, ""), port }

const tlsInfo = (socket: Tls.TLSSocket): TlsInfo => ({
  protocol: socket.getProtocol() ?? undefined,
  // Before the handshake is over there is no cipher, whatever the types say.
  cipher: (socket.getCipher() as Tls.CipherNameAndProtocol | undefined)?.name,
  serverName: (socket as { readonly servername?: string | false | null }).servername || undefined,
  alpnProtocol: socket.alpnProtocol || undefined,
  authorized: socket.authorized
})

// What a socket that listens on IPv6 and IPv4 at once puts before an IPv4 address: the same peer, under one name.
const mappedPrefix = /^::ffff:(?=\d+\.)/
