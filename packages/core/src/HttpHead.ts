/**
 * One HTTP/1.1 head, request or response: read incrementally under limits, or written. The grammar is strict, the time
 * linear in the bytes, and the memory what came, never beyond the limit. Reads no bodies: what follows the head is
 * handed back. Text has one character per byte (latin1), so nothing is lost and nothing can fail to decode.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9112#section-2.1
 * @since 0.1.0
 */
import * as HandshakeFault from "./HandshakeFault.ts"
import * as Headers from "./Headers.ts"
import { classes, isText, isToken, isVisible, trimBlank } from "./internal/Ascii.ts"
import * as CommonStrings from "./internal/CommonStrings.ts"
import * as HeadGrammar from "./internal/HeadGrammar.ts"
import * as Latin1 from "./internal/Latin1.ts"

/**
 * The head of a request.
 *
 * @since 0.1.0
 * @category models
 */
export interface RequestHead {
  /** The discriminant. */
  readonly _tag: "RequestHead"
  /** The method, case included. */
  readonly method: string
  /** The request target as it was sent. */
  readonly target: string
  /** The HTTP version without its name: `1.1`. */
  readonly version: string
  /** The field lines. */
  readonly fields: Headers.Headers
}

/**
 * The head of a response.
 *
 * @since 0.1.0
 * @category models
 */
export interface ResponseHead {
  /** The discriminant. */
  readonly _tag: "ResponseHead"
  /** The status: three digits. */
  readonly status: number
  /** The text behind the status; it may be empty. */
  readonly reasonPhrase: string
  /** The HTTP version without its name: `1.1`. */
  readonly version: string
  /** The field lines. */
  readonly fields: Headers.Headers
}

/**
 * The limits of a head.
 *
 * @since 0.1.0
 * @category models
 */
export interface Limits {
  /** Bytes from the first one to the empty line, that included. Default 8192: browsers with large cookies fit. */
  readonly maxSize?: number | undefined
  /** Field lines. Default 100: a browser sends 15. */
  readonly maxFields?: number | undefined
}

/**
 * Says that the head has not ended yet.
 *
 * @since 0.1.0
 * @category models
 */
export interface NeedMore {
  /** The discriminant. */
  readonly _tag: "NeedMore"
}

/**
 * A complete head.
 *
 * @since 0.1.0
 * @category models
 */
export interface Decoded<Head> {
  /** The discriminant. */
  readonly _tag: "Decoded"
  /** The head. Its strings may share one text of the size of the whole head. */
  readonly head: Head
  /** The bytes of the last chunk that follow the head: a copy, which nobody else holds. */
  readonly leftover: Uint8Array
}

/**
 * A decoder for heads that come in chunks.
 *
 * @since 0.1.0
 * @category models
 */
export interface Decoder<Head> {
  /**
   * Takes the next bytes; the chunk is read before this returns and not kept.
   *
   * After a head the decoder is ready for the next one: give it the leftover bytes first. After a fault it returns that
   * fault for ever.
   */
  push(chunk: Uint8Array): NeedMore | Decoded<Head> | HandshakeFault.HeadFault
  /** The bytes of the unfinished head so far: 0 when nothing of it came. */
  readonly held: number
}

/**
 * Makes a decoder for request heads.
 *
 * **Gotchas**
 *
 * Throws a `RangeError` for a limit that is not a positive whole number.
 *
 * @since 0.1.0
 * @category constructors
 */
export const requestDecoder = (limits?: Limits): Decoder<RequestHead> =>
  new HeadDecoder(HeadGrammar.request, parseRequest, limits)

/**
 * Makes a decoder for response heads.
 *
 * **Gotchas**
 *
 * Throws a `RangeError` for a limit that is not a positive whole number.
 *
 * @since 0.1.0
 * @category constructors
 */
export const responseDecoder = (limits?: Limits): Decoder<ResponseHead> =>
  new HeadDecoder(HeadGrammar.response, parseResponse, limits)

/**
 * Writes the head of a request, or says which part of it can't be written. The bytes are the caller's.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9112#section-3
 * @since 0.1.0
 * @category encoding
 */
export const encodeRequest = (head: Omit<RequestHead, "_tag">): Uint8Array | EncodeFault => {
  if (!isToken(head.method)) return HandshakeFault.make("InvalidStartLine", { part: "method" })
  if (!isVisible(head.target)) return HandshakeFault.make("InvalidStartLine", { part: "target" })
  return encode(head.version, `${head.method} ${head.target} HTTP/${head.version}`, head.fields)
}

/**
 * Writes the head of a response, or says which part of it can't be written. The bytes are the caller's.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9112#section-4
 * @since 0.1.0
 * @category encoding
 */
export const encodeResponse = (head: Omit<ResponseHead, "_tag">): Uint8Array | EncodeFault => {
  if (!isStatus(head.status)) return HandshakeFault.make("InvalidStartLine", { part: "status" })
  if (!isText(head.reasonPhrase)) return HandshakeFault.make("InvalidStartLine", { part: "reason phrase" })
  return encode(head.version, `HTTP/${head.version} ${head.status} ${head.reasonPhrase}`, head.fields)
}

/**
 * What writing a head can end with.
 *
 * @since 0.1.0
 * @category models
 */
export type EncodeFault = HandshakeFault.Of<"InvalidStartLine" | "InvalidFieldName" | "InvalidFieldValue">

const isStatus = (status: number): boolean => Number.isInteger(status) && status >= 100 && status <= 999

const encode = (version: string, startLine: string, fields: Headers.Headers): Uint8Array | EncodeFault => {
  if (!/^1\.[0-9]$/.test(version)) return HandshakeFault.make("InvalidStartLine", { part: "version" })
  const valid = Headers.validate(fields)
  if (HandshakeFault.is(valid)) return valid
  const lines = valid.map(([name, value]) => `${name}: ${value}\r\n`)
  return Latin1.encode(`${startLine}\r\n${lines.join("")}\r\n`)
}

class HeadDecoder<Head> implements Decoder<Head> {
  readonly #start: HeadGrammar.State
  readonly #parse: (text: string) => Head
  readonly #maxSize: number
  readonly #maxFields: number
  #state: HeadGrammar.State
  #bytes: Uint8Array = nothing
  #size = 0
  #fields = 0
  #fault: HandshakeFault.HeadFault | undefined

  constructor(start: HeadGrammar.State, parse: (text: string) => Head, limits: Limits = {}) {
    this.#start = start
    this.#parse = parse
    this.#maxSize = limit("maxSize", limits.maxSize ?? defaultMaxSize)
    this.#maxFields = limit("maxFields", limits.maxFields ?? defaultMaxFields)
    this.#state = start
  }

  get held(): number {
    return this.#size
  }

  push(chunk: Uint8Array): NeedMore | Decoded<Head> | HandshakeFault.HeadFault {
    if (this.#fault !== undefined) return this.#fault
    const room = Math.min(chunk.length, this.#maxSize - this.#size)
    const end = this.#scan(chunk, room)
    if (typeof end !== "number") return this.#fail(end)
    if (this.#state === HeadGrammar.done) return this.#finish(chunk, end)
    this.#hold(chunk, end)
    if (this.#size < this.#maxSize) return needMore
    return this.#fail(HandshakeFault.make("HeadTooLarge", { limit: this.#maxSize }))
  }

  /** Runs the grammar over the first `room` bytes: how many of them belong to the head, or what is wrong. */
  #scan(chunk: Uint8Array, room: number): number | HandshakeFault.HeadFault {
    let at = 0
    while (at < room && this.#state !== HeadGrammar.done) {
      const { next, stay } = this.#state
      while (at < room && (classes[chunk[at]] & stay) !== 0) at++
      if (at === room) break
      const fault = this.#enter(next(chunk[at]), at)
      if (fault !== undefined) return fault
      at++
    }
    return at
  }

  #enter(next: HeadGrammar.Next, at: number): HandshakeFault.HeadFault | undefined {
    if (typeof next === "string") return HandshakeFault.make("MalformedHead", { detail: next, offset: this.#size + at })
    if (HandshakeFault.is(next)) return next
    if (next === HeadGrammar.fieldName && ++this.#fields > this.#maxFields) {
      return HandshakeFault.make("TooManyFields", { limit: this.#maxFields })
    }
    this.#state = next
    return undefined
  }

  #hold(chunk: Uint8Array, count: number): void {
    const size = this.#size + count
    if (size > this.#bytes.length) {
      const grown = new Uint8Array(Math.min(this.#maxSize, Math.max(size, 2 * this.#bytes.length, smallest)))
      grown.set(this.#bytes.subarray(0, this.#size))
      this.#bytes = grown
    }
    // A loop: heads come in small pieces, for which `set` of a `subarray` costs more than the copy.
    for (let i = 0; i < count; i++) this.#bytes[this.#size + i] = chunk[i]
    this.#size = size
  }

  #finish(chunk: Uint8Array, end: number): Decoded<Head> {
    const head = this.#parse(this.#text(chunk, end))
    this.#reset()
    return { _tag: "Decoded", head, leftover: copy(chunk, end) }
  }

  // Most heads come in one piece, of which no copy is needed.
  #text(chunk: Uint8Array, end: number): string {
    if (this.#size === 0) return Latin1.decode(chunk, end)
    this.#hold(chunk, end)
    return Latin1.decode(this.#bytes, this.#size)
  }

  #fail(fault: HandshakeFault.HeadFault): HandshakeFault.HeadFault {
    this.#reset()
    this.#fault = fault
    return fault
  }

  #reset(): void {
    this.#state = this.#start
    this.#bytes = nothing
    this.#size = 0
    this.#fields = 0
  }
}

const limit = (name: string, value: number): number => {
  if (!Number.isSafeInteger(value) || value < 1) throw new RangeError(`${name} must be a positive whole number`)
  return value
}

/** Not `slice`: where a chunk is a subclass of Uint8Array, as Node's are, that may return a view. */
const copy = (chunk: Uint8Array, start: number): Uint8Array => {
  if (start === chunk.length) return nothing
  const bytes = new Uint8Array(chunk.length - start)
  bytes.set(chunk.subarray(start))
  return bytes
}

/** The text has passed the grammar: it splits where its separators are. */
const lines = (text: string): readonly [startLine: string, fields: Headers.Headers] => {
  const [startLine, ...fields] = text.slice(text.startsWith("\r\n") ? 2 : 0, -4).split("\r\n")
  return [startLine, fields.map(parseField)]
}

const parseField = (line: string): Headers.Field => {
  const colon = line.indexOf(":")
  const value = trimBlank(line.slice(colon + 1))
  return [CommonStrings.shared(line.slice(0, colon)), CommonStrings.shared(value)]
}

const parseRequest = (text: string): RequestHead => {
  const [startLine, fields] = lines(text)
  const [method, target, version] = startLine.split(" ").map(CommonStrings.shared)
  return { _tag: "RequestHead", method, target, version: CommonStrings.shared(version.slice(5)), fields }
}

const parseResponse = (text: string): ResponseHead => {
  const [startLine, fields] = lines(text)
  return {
    _tag: "ResponseHead",
    status: Number(startLine.slice(9, 12)),
    reasonPhrase: startLine.slice(13),
    version: startLine.slice(5, 8),
    fields
  }
}

const needMore: NeedMore = { _tag: "NeedMore" }
const nothing: Uint8Array = new Uint8Array(0)

// Bytes. What common servers take by default, and several times what a handshake needs.
const defaultMaxSize = 8192
const defaultMaxFields = 100

// Bytes of the first buffer: a handshake without cookies fits.
const smallest = 256
