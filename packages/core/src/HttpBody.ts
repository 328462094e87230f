/**
 * The body of a response that declines an upgrade: read incrementally, up to a cap. Where it ends is decided as strictly
 * as the head is read: whatever could be read in two ways is never called complete, so nobody goes on behind it. Nothing
 * is reserved for a length that is only announced, and the time is linear in the bytes. Codings other than `chunked` are
 * not undone.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9112#section-6.3
 * @since 0.1.0
 */
import * as HandshakeFault from "./HandshakeFault.ts"
import * as Headers from "./Headers.ts"
import * as HttpHead from "./HttpHead.ts"
import { classes, equalsIgnoreCase, isBlank, isDigit, TEXT, TOKEN, trimBlank } from "./internal/Ascii.ts"
import * as Latin1 from "./internal/Latin1.ts"

/**
 * The limits of a body.
 *
 * @since 0.1.0
 * @category models
 */
export interface Limits {
  /** Bytes of the body without its framing. Default 65536: what is said to people who may not connect is a page at most. */
  readonly maxSize?: number | undefined
}

/**
 * A body, or as much of it as came.
 *
 * @since 0.1.0
 * @category models
 */
export interface Body {
  /** The bytes, which nobody else holds. */
  readonly bytes: Uint8Array
  /**
   * Whether these are all bytes of the body. Not so when it is larger than the cap, broke off, or is malformed, nor when
   * the head announces its length in two ways.
   */
  readonly isComplete: boolean
}

/**
 * A body that has ended, or of which no more is read.
 *
 * @since 0.1.0
 * @category models
 */
export interface Decoded {
  /** The discriminant. */
  readonly _tag: "Decoded"
  /** The body. */
  readonly body: Body
  /** The bytes of the last chunk that follow the body: a copy. Empty when the body is not complete. */
  readonly leftover: Uint8Array
}

/**
 * A decoder for one body that comes in chunks.
 *
 * @since 0.1.0
 * @category models
 */
export interface Decoder {
  /**
   * Takes the next bytes; the chunk is read before this returns and not kept. A body of length 0 is complete with no byte
   * at all: push an empty chunk to ask.
   *
   * Once the body has ended, or `end` was called, the same body comes for ever, and each chunk is leftover.
   */
  push(chunk: Uint8Array): HttpHead.NeedMore | Decoded
  /**
   * Tells that no more will come, and returns what there is. `atEnd` says why: because the transport has ended, which is
   * where some bodies end too, or because nobody reads on, at a deadline for instance.
   */
  end(atEnd: boolean): Body
}

/**
 * Makes a decoder for the body of a response to a request for an upgrade.
 *
 * **Details**
 *
 * Extensions of chunks and trailers are read, dropped, and bounded to 8 KiB each; a trailer to 100 fields too.
 *
 * **Gotchas**
 *
 * Throws a `RangeError` for a limit that is not a whole number from 0 on.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9112#section-6.3
 * @since 0.1.0
 * @category constructors
 */
export const responseDecoder = (head: HttpHead.ResponseHead, limits: Limits = {}): Decoder => {
  const { maxSize = defaultMaxSize } = limits
  if (!Number.isSafeInteger(maxSize) || maxSize < 0) throw new RangeError("maxSize must be a whole number from 0 on")
  return new BodyDecoder(framingOf(head), new Held(maxSize))
}

/**
 * Says whether the connection can take another request once the body has been read: HTTP/1.1 or later, no `close` among
 * the connection options, and a body that ends before the transport does.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9112#section-9.3
 * @since 0.1.0
 * @category predicates
 */
export const keepsAlive = (head: HttpHead.ResponseHead): boolean => {
  const { isSure, length } = framingOf(head)
  // RFC 9110 15.2.2: behind a 101 there is no HTTP any more.
  if (!isSure || length === "end" || head.version === "1.0" || head.status === 101) return false
  const options = Headers.tokens(head.fields, "Connection")
  return !HandshakeFault.is(options) && !Headers.includes(options, "close")
}

interface Framing {
  /** Bytes, or what else the end is found by: the last chunk, the end of the transport. */
  readonly length: number | "chunked" | "end"
  /** False when the fields contradict each other: then nothing that is found is relied on. */
  readonly isSure: boolean
}

const framingOf = ({ fields, status, version }: HttpHead.ResponseHead): Framing => {
  // 6.3 item 1: these have no body, whatever their fields say.
  if (status < 200 || status === 204 || status === 304) return { length: 0, isSure: true }
  const hasLength = Headers.has(fields, "Content-Length")
  if (Headers.has(fields, "Transfer-Encoding")) {
    const length = codedLength(fields)
    // 6.3 item 3: both fields may be an attempt to smuggle a response. 6.1: HTTP/1.0 has no codings.
    return { length: length ?? "end", isSure: length !== undefined && !hasLength && version !== "1.0" }
  }
  if (!hasLength) return { length: "end", isSure: true }
  const length = contentLength(Headers.getAll(fields, "Content-Length"))
  return { length: length ?? "end", isSure: length !== undefined }
}

/** 6.3 item 4: chunks if `chunked` is the last coding, else all there is. 7: it is applied once, and has no parameters. */
const codedLength = (fields: Headers.Headers): "chunked" | "end" | undefined => {
  const codings = Headers.elements(fields, "Transfer-Encoding")
  if (HandshakeFault.is(codings)) return undefined
  const isChunked = ({ name }: Headers.Element): boolean => equalsIgnoreCase(name, "chunked")
  const [last] = codings.slice(-1)
  const isFramed = last?.parameters.length === 0 && codings.findIndex(isChunked) === codings.length - 1
  return isFramed ? "chunked" : "end"
}

/** RFC 9110 8.6: a value that is repeated is one, if it is spelled alike each time; any other list is malformed. */
const contentLength = (lines: ReadonlyArray<string>): number | undefined => {
  const [first, ...others] = lines.flatMap((line) => line.split(",")).map(trimBlank)
  return /^[0-9]+$/.test(first) && others.every((other) => other === first) ? Number(first) : undefined
}

/** The index behind the body in the chunk, or why there is none: the body goes on, or no more of it can be read. */
type Progress = number | "more" | "stop"

interface Reader {
  readonly read: (chunk: Uint8Array, held: Held) => Progress
}

class BodyDecoder implements Decoder {
  readonly #framing: Framing
  readonly #reader: Reader
  readonly #held: Held
  #body: Body | undefined

  constructor(framing: Framing, held: Held) {
    this.#framing = framing
    this.#reader = readerOf(framing)
    this.#held = held
    // What is complete without a byte is complete now.
    this.push(nothing)
  }

  push(chunk: Uint8Array): HttpHead.NeedMore | Decoded {
    if (this.#body !== undefined) return decoded(this.#body, chunk, 0)
    const end = this.#reader.read(chunk, this.#held)
    if (end === "more") return needMore
    return decoded(this.#finish(end !== "stop" && this.#framing.isSure), chunk, end === "stop" ? 0 : end)
  }

  end(atEnd: boolean): Body {
    const { isSure, length } = this.#framing
    return this.#body ?? this.#finish(atEnd && isSure && length === "end")
  }

  #finish(isComplete: boolean): Body {
    this.#body = { bytes: this.#held.take(), isComplete }
    return this.#body
  }
}

const readerOf = ({ length }: Framing): Reader => {
  if (length === "end") return untilEnd
  return length === "chunked" ? new ChunkedReader() : new CountedReader(length)
}

const decoded = (body: Body, chunk: Uint8Array, end: number): Decoded => ({
  _tag: "Decoded",
  body,
  leftover: body.isComplete && end < chunk.length ? new Uint8Array(chunk.subarray(end)) : nothing
})

/** What came of the body, up to the cap. */
class Held {
  readonly #maxSize: number
  #bytes: Uint8Array = nothing
  #size = 0

  constructor(maxSize: number) {
    this.#maxSize = maxSize
  }

  get isFull(): boolean {
    return this.#size === this.#maxSize
  }

  /** Copies up to `count` bytes of the chunk, as many as are there and fit, and returns how many. */
  add(chunk: Uint8Array, start: number, count: number): number {
    const taken = Math.min(count, chunk.length - start, this.#maxSize - this.#size)
    this.#grow(this.#size + taken)
    this.#bytes.set(chunk.subarray(start, start + taken), this.#size)
    this.#size += taken
    return taken
  }

  /** Hands the bytes out, without the room behind them. */
  take(): Uint8Array {
    const bytes = this.#bytes.slice(0, this.#size)
    this.#bytes = nothing
    return bytes
  }

  #grow(size: number): void {
    if (size <= this.#bytes.length) return
    const grown = new Uint8Array(Math.min(this.#maxSize, Math.max(size, 2 * this.#bytes.length, smallest)))
    grown.set(this.#bytes.subarray(0, this.#size))
    this.#bytes = grown
  }
}

const untilEnd: Reader = {
  read: (chunk, held) => (held.add(chunk, 0, chunk.length) < chunk.length ? "stop" : "more")
}

class CountedReader implements Reader {
  #remaining: number

  constructor(length: number) {
    this.#remaining = length
  }

  read(chunk: Uint8Array, held: Held): Progress {
    const taken = held.add(chunk, 0, this.#remaining)
    this.#remaining -= taken
    if (this.#remaining === 0) return taken
    return held.isFull ? "stop" : "more"
  }
}

/** 7.1: sizes, extensions and line ends are read by states; the data between them is copied in runs. */
class ChunkedReader implements Reader {
  #state: State = sizeStart
  #size = 0
  #digits = 0
  #remaining = 0
  #extensions = 0
  readonly #trailer: HttpHead.Decoder<HttpHead.ResponseHead>

  constructor() {
    // 7.1.2: a trailer has the grammar of the fields of a head, so it is read as those of this one.
    this.#trailer = HttpHead.responseDecoder({ maxSize: trailerStart.length + maxTrailer })
    this.#trailer.push(trailerStart)
  }

  read(chunk: Uint8Array, held: Held): Progress {
    let at = 0
    while (this.#state !== trailer) {
      if (this.#remaining > 0) {
        const taken = held.add(chunk, at, this.#remaining)
        this.#remaining -= taken
        at += taken
        if (this.#remaining > 0) return held.isFull ? "stop" : "more"
      }
      if (at === chunk.length) return "more"
      if (!this.#enter(chunk[at++])) return "stop"
    }
    return this.#readTrailer(chunk, at)
  }

  /** Takes a byte that is no data: false when it can't come here. */
  #enter(byte: number): boolean {
    const next = this.#state(byte)
    if (next === undefined) return false
    this.#state = next
    if (next === size) return this.#addDigit(byte)
    if (next === data) this.#beginData()
    else if (next !== sizeStart && next !== sizeEnd && next !== dataEnd) return ++this.#extensions <= maxExtensions
    return true
  }

  #addDigit(byte: number): boolean {
    this.#size = this.#size * 16 + digitValue(byte)
    return ++this.#digits <= maxDigits
  }

  #beginData(): void {
    // 7.1: the last chunk has the size 0, and a trailer instead of data.
    if (this.#size === 0) this.#state = trailer
    this.#remaining = this.#size
    this.#size = 0
    this.#digits = 0
  }

  #readTrailer(chunk: Uint8Array, at: number): Progress {
    const step = this.#trailer.push(chunk.subarray(at))
    if (step._tag === "NeedMore") return "more"
    return step._tag === "Decoded" ? chunk.length - step.leftover.length : "stop"
  }
}

/** Where a byte leads; undefined when it can't come here. */
type State = (byte: number) => State | undefined

const CR = 0x0d
const LF = 0x0a
const QUOTE = 0x22
const SEMICOLON = 0x3b
const EQUALS = 0x3d
const BACKSLASH = 0x5c

const has = (byte: number, mask: number): boolean => (classes[byte] & mask) !== 0

const isHexDigit = (byte: number): boolean => isDigit(byte) || ((byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x66)

const digitValue = (byte: number): number => (isDigit(byte) ? byte - 0x30 : (byte | 0x20) - 0x57)

const sizeStart: State = (byte) => (isHexDigit(byte) ? size : undefined)

const size: State = (byte) => (isHexDigit(byte) ? size : behindExtension(byte))

const sizeEnd: State = (byte) => (byte === LF ? data : undefined)

/** What may follow a size, and a value of an extension. */
const behindExtension: State = (byte) => (byte === CR ? sizeEnd : nextExtension(byte))

const nextExtension: State = (byte) => {
  if (byte === SEMICOLON) return nameStart
  return isBlank(byte) ? nextExtension : undefined
}

const nameStart: State = (byte) => {
  if (isBlank(byte)) return nameStart
  return has(byte, TOKEN) ? name : undefined
}

const name: State = (byte) => {
  if (has(byte, TOKEN)) return name
  return byte === CR ? sizeEnd : nameEnd(byte)
}

const nameEnd: State = (byte) => {
  if (byte === EQUALS) return valueStart
  if (byte === SEMICOLON) return nameStart
  return isBlank(byte) ? nameEnd : undefined
}

const valueStart: State = (byte) => {
  if (isBlank(byte)) return valueStart
  if (byte === QUOTE) return quoted
  return has(byte, TOKEN) ? value : undefined
}

const value: State = (byte) => (has(byte, TOKEN) ? value : behindExtension(byte))

const quoted: State = (byte) => {
  if (byte === QUOTE) return behindExtension
  if (byte === BACKSLASH) return escaped
  return has(byte, TEXT) ? quoted : undefined
}

const escaped: State = (byte) => (has(byte, TEXT) ? quoted : undefined)

/** Entered before the data of a chunk, and left behind it. */
const data: State = (byte) => (byte === CR ? dataEnd : undefined)

const dataEnd: State = (byte) => (byte === LF ? sizeStart : undefined)

/** Not read by states. */
const trailer: State = () => undefined

const needMore: HttpHead.NeedMore = { _tag: "NeedMore" }
const nothing: Uint8Array = new Uint8Array(0)

/** In bytes. */
const defaultMaxSize = 64 * 1024

/** In bytes, of all chunks together: a bound for each would let a sender of small chunks pass many times the cap. */
const maxExtensions = 8192

/** In bytes: as much as a head may have. */
const maxTrailer = 8192

/** Of a size, in hexadecimal: up to 52 bits, which every number holds exactly. */
const maxDigits = 13

/** Bytes of the first buffer: a line of text fits. */
const smallest = 256

const trailerStart: Uint8Array = /* @__PURE__ */ Latin1.encode("HTTP/1.1 200 \r\n")
