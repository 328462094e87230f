/**
 * The grammar of an HTTP/1.1 head (RFC 9112 2.1) as states: each says which bytes it keeps and where any other byte
 * leads. Strict: lines end in CRLF and nothing else, no blank before a colon, no folded lines. A byte that can't belong
 * to a head is refused when it comes, so a peer that speaks something else never gets to fill a buffer.
 */
import * as HandshakeFault from "../HandshakeFault.ts"
import { classes, isDigit, TEXT, TOKEN, VISIBLE } from "./Ascii.ts"

/** The state another byte leads to, or what is wrong with that byte. */
export type Next = State | string | HandshakeFault.Of<"HttpVersion">

export interface State {
  /** The class of bytes that stay here; 0 when none does. */
  readonly stay: number
  /** Where any other byte leads. */
  readonly next: (byte: number) => Next
}

const CR = 0x0d
const LF = 0x0a
const SPACE = 0x20
const COLON = 0x3a

const foldedLine = "a line begins with a blank; folded lines are obsolete"
const badFieldName = "a field name has a character that is not of a token"
const badVersion = "the HTTP version is malformed"
const bareCr = "a CR is not followed by LF"

const isTokenByte = (byte: number): boolean => (classes[byte] & TOKEN) !== 0

/** Nothing more to come: the head is complete. */
export const done: State = { stay: 0, next: () => "the head has ended" }

const lineFeed = (then: () => State): State => ({ stay: 0, next: (byte) => (byte === LF ? then() : bareCr) })

const headEnd = lineFeed(() => done)

const fieldEnd = lineFeed(() => fieldStart)

const fieldValue: State = {
  stay: TEXT,
  next: (byte) => {
    if (byte === CR) return fieldEnd
    return byte === LF ? "a line ends in LF without CR" : "a field value has a control character"
  }
}

/** Entered once for each field. */
export const fieldName: State = {
  stay: TOKEN,
  next: (byte) => {
    if (byte === COLON) return fieldValue
    // RFC 9112 5.1: a blank before the colon has been used to smuggle fields past proxies.
    return byte === SPACE ? "a blank stands before a colon" : badFieldName
  }
}

const fieldStart: State = {
  stay: 0,
  next: (byte) => {
    if (byte === CR) return headEnd
    if (isTokenByte(byte)) return fieldName
    // RFC 9112 5.2: a server refuses or replaces line folding; we refuse.
    return byte === SPACE || byte === 0x09 ? foldedLine : badFieldName
  }
}

const literal = (text: string, then: State, wrong: string): State =>
  Array.from(text).reduceRight<State>(
    (next, character) => ({ stay: 0, next: (byte) => (byte === character.charCodeAt(0) ? next : wrong) }),
    then
  )

/** RFC 9112 2.3: `HTTP/` and two digits. Another major version may go on in any way, so it is refused at once. */
const version = (head: HandshakeFault.HeadKind, then: State): State => {
  const minor = (major: string): State => ({
    stay: 0,
    next: (byte) => {
      if (!isDigit(byte)) return badVersion
      if (major === "1") return then
      return HandshakeFault.make("HttpVersion", { head, version: `${major}.${String.fromCharCode(byte)}` })
    }
  })
  const major: State = {
    stay: 0,
    next: (byte) => (isDigit(byte) ? literal(".", minor(String.fromCharCode(byte)), badVersion) : badVersion)
  }
  return literal("HTTP/", major, badVersion)
}

const requestVersion = version("request", literal("\r", fieldEnd, badVersion))

const target: State = {
  stay: VISIBLE,
  next: (byte) => {
    if (byte === SPACE) return requestVersion
    return byte === CR || byte === LF
      ? "the request line has no HTTP version"
      : "the request target has a bad character"
  }
}

const targetStart: State = {
  stay: 0,
  next: (byte) => ((classes[byte] & VISIBLE) === 0 ? "the request line has no target" : target)
}

const method: State = {
  stay: TOKEN,
  next: (byte) => (byte === SPACE ? targetStart : "the method has a character that is not of a token")
}

const notARequest = (byte: number): string =>
  byte === 0x16 ? "this is TLS, and the port expects plain HTTP" : "no request line begins like this"

const requestLine: State = { stay: 0, next: (byte) => (isTokenByte(byte) ? method : notARequest(byte)) }

/** Where a request begins. RFC 9112 2.2: one empty line before it is skipped. */
export const request: State = {
  stay: 0,
  next: (byte) => (byte === CR ? lineFeed(() => requestLine) : requestLine.next(byte))
}

const reasonPhrase: State = {
  stay: TEXT,
  next: (byte) => (byte === CR ? fieldEnd : "the reason phrase has a control character")
}

const digits = (count: number, then: State, wrong: string): State =>
  count === 0 ? then : { stay: 0, next: (byte) => (isDigit(byte) ? digits(count - 1, then, wrong) : wrong) }

const status = digits(
  3,
  literal(" ", reasonPhrase, "the status is not followed by a space"),
  "the status is not three digits"
)

/** Where a response begins. */
export const response: State = version("response", literal(" ", status, badVersion))
