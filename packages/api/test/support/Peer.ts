/**
 * The other side of a connection, played by hand: raw bytes on one end of a pair of transports, with the manners of an
 * ordinary peer unless it is told to be silent.
 */
import type { Transport, TransportSink } from "@effect-ws/api/Transport"
import type { TransportError } from "@effect-ws/api/TransportError"
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { createHash } from "node:crypto"
import * as Frames from "./frames.ts"

export interface PeerOptions {
  /** Answers a Close frame with one, and an end with an end; true by default. */
  readonly polite?: boolean
}

/** The key of RFC 6455 1.3, and the accept value that belongs to it. */
export const sampleKey = "dGhlIHNhbXBsZSBub25jZQ=="
export const sampleAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

export class Peer {
  readonly role: "client" | "server"
  readonly transport: Transport
  /** The heads that came, without the empty line. */
  head: string | undefined = undefined
  /** What came behind the head: the body of a refusal, or the bytes of frames. */
  rest: Uint8Array = new Uint8Array(0)
  readonly frames: Array<Frames.Frame> = []
  hasEnded = false
  isClosed = false
  error: TransportError | undefined = undefined
  polite: boolean
  /** As a server: accepts the request as soon as it comes. */
  acceptsRequests = false

  private hasSentClose = false
  private readonly watchers = new Set<() => void>()

  constructor(transport: Transport, role: "client" | "server", options: PeerOptions = {}) {
    this.transport = transport
    this.role = role
    this.polite = options.polite ?? true
    transport.start(this.sink)
  }

  // --- what it says -------------------------------------------------------------------------------------------------

  /** Writes bytes, spaced hex, or several of them in one go. */
  send(...parts: ReadonlyArray<Uint8Array | string>): void {
    this.transport.write([Frames.concat(parts.map((part) => (typeof part === "string" ? Frames.hex(part) : part)))])
  }

  sendHead(...lines: ReadonlyArray<string>): void {
    this.send(headBytes(...lines))
  }

  /** The bytes of a frame as this role sends it. */
  frame(opcode: number, payload: Uint8Array | string = "", options: Frames.FrameOptions = {}): Uint8Array {
    const bytes = typeof payload === "string" ? Frames.utf8(payload) : payload
    return Frames.encode(opcode, bytes, { key: this.role === "client" ? maskingKey : undefined, ...options })
  }

  text(text: string): Uint8Array {
    return this.frame(Frames.opcodes.text, text)
  }

  binary(bytes: Uint8Array): Uint8Array {
    return this.frame(Frames.opcodes.binary, bytes)
  }

  close(code?: number, reason = ""): Uint8Array {
    return this.frame(Frames.opcodes.close, code === undefined ? "" : Frames.closePayload(code, reason))
  }

  sendText(...texts: ReadonlyArray<string>): void {
    this.send(...texts.map((text) => this.text(text)))
  }

  sendClose(code?: number, reason = ""): void {
    this.hasSentClose = true
    this.send(this.close(code, reason))
  }

  /** As a client: asks for an upgrade. */
  sendRequest(...fields: ReadonlyArray<string>): void {
    this.send(requestBytes(...fields))
  }

  /** As a server: waits for the request and accepts it. */
  acceptRequest(...fields: ReadonlyArray<string>): Effect.Effect<void> {
    return Effect.map(this.awaitHead, () => this.send(responseBytes(this.acceptValue, ...fields)))
  }

  /** The accept value that belongs to the key in the request. */
  get acceptValue(): string {
    return createHash("sha1")
      .update(`${this.field("Sec-WebSocket-Key")}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
      .digest("base64")
  }

  end(): void {
    this.transport.end()
  }

  destroy(): void {
    this.transport.destroy()
  }

  // --- what it waits for --------------------------------------------------------------------------------------------

  /** The frames in short, each one that was sent to it. */
  get said(): Array<string> {
    return this.frames.map(Frames.describeFrame)
  }

  get statusLine(): string | undefined {
    return this.head?.split("\r\n")[0]
  }

  field(name: string): string | undefined {
    const line = this.head?.split("\r\n").find((text) => text.toLowerCase().startsWith(`${name.toLowerCase()}: `))
    return line?.slice(name.length + 2)
  }

  readonly awaitHead: Effect.Effect<string> = Effect.suspend(() =>
    Effect.map(
      this.until("a head", () => this.head !== undefined),
      () => this.head!
    )
  )

  awaitFrames(count: number): Effect.Effect<Array<string>> {
    return Effect.map(
      this.until(`${count} frames`, () => this.frames.length >= count),
      () => this.said
    )
  }

  readonly awaitEnd: Effect.Effect<void> = Effect.suspend(() => this.until("the end", () => this.hasEnded))

  readonly awaitClosed: Effect.Effect<void> = Effect.suspend(() => this.until("the close", () => this.isClosed))

  until(what: string, isReached: () => boolean): Effect.Effect<void> {
    return Effect.async<void>((resume) => {
      const check = (): void => {
        if (!isReached() && !this.isClosed) return
        this.watchers.delete(check)
        const lack = `the ${this.role} was closed before ${what} came, after ${this.said.length} frames: ${this.error?.message}`
        resume(isReached() ? Effect.void : Effect.dieMessage(lack))
      }
      this.watchers.add(check)
      check()
      return Effect.sync(() => this.watchers.delete(check))
    })
  }

  // --- what the transport tells -------------------------------------------------------------------------------------

  private readonly sink: TransportSink = {
    chunk: (bytes) => {
      this.rest = Frames.concat([this.rest, bytes])
      if (this.head === undefined) this.takeHead()
      if (this.head !== undefined && this.isUpgraded) this.takeFrames()
      this.notify()
    },
    end: () => {
      this.hasEnded = true
      if (this.polite) this.transport.end()
      this.notify()
    },
    drained: () => {},
    closed: (error) => {
      this.isClosed = true
      this.error = error
      this.notify()
    }
  }

  private takeHead(): void {
    const text = Array.from(this.rest, (byte) => String.fromCharCode(byte)).join("")
    const end = text.indexOf("\r\n\r\n")
    if (end === -1) return
    this.head = text.slice(0, end)
    this.rest = this.rest.subarray(end + 4)
    if (this.acceptsRequests) this.send(responseBytes(this.acceptValue))
  }

  private get isUpgraded(): boolean {
    return this.role === "server" || this.head!.startsWith("HTTP/1.1 101 ")
  }

  private takeFrames(): void {
    const { frames, rest } = Frames.decode(this.rest)
    this.rest = rest
    for (const frame of frames) {
      this.frames.push(frame)
      assert.strictEqual(frame.key !== undefined, this.role === "server", "a client masks, a server doesn't")
      if (frame.opcode === Frames.opcodes.close) this.answerClose(frame)
    }
  }

  // 5.5.1, 7.1.1: echoes the code, and the server ends the transport.
  private answerClose(frame: Frames.Frame): void {
    if (!this.polite) return
    if (!this.hasSentClose) this.send(this.frame(Frames.opcodes.close, frame.payload.slice(0, 2)))
    this.hasSentClose = true
    if (this.role === "server") this.transport.end()
  }

  private notify(): void {
    for (const check of [...this.watchers]) check()
  }
}

/** The lines of a head as bytes, with the empty line behind them. */
export const headBytes = (...lines: ReadonlyArray<string>): Uint8Array => Frames.utf8(`${lines.join("\r\n")}\r\n\r\n`)

/** A correct request, with fields besides those of the upgrade. */
export const requestBytes = (...fields: ReadonlyArray<string>): Uint8Array =>
  headBytes(
    "GET /chat?room=1 HTTP/1.1",
    "Host: server.example.com",
    "Upgrade: websocket",
    "Connection: Upgrade",
    `Sec-WebSocket-Key: ${sampleKey}`,
    "Sec-WebSocket-Version: 13",
    ...fields
  )

/** The response that accepts the request with `accept` as its accept value, and fields besides. */
export const responseBytes = (accept: string, ...fields: ReadonlyArray<string>): Uint8Array =>
  headBytes(
    "HTTP/1.1 101 Switching Protocols",
    "Upgrade: websocket",
    "Connection: Upgrade",
    `Sec-WebSocket-Accept: ${accept}`,
    ...fields
  )

const maskingKey = Uint8Array.of(0x37, 0xfa, 0x21, 0x3d)
