/**
 * The messages of SOCKS 5 (RFC 1928) and of its passwords (RFC 1929): those of the client are written, those of the proxy
 * read, however they are cut. Reading is strict, keeps at most the 262 bytes that the longest answer has, and has no text
 * of the proxy in its faults.
 */
import * as Net from "node:net"
import type { SocksFault, SocksReply } from "../Proxy.ts"

/** An answer of the proxy; one byte of it counts: the method that it chose, the status of the password, its reply. */
export type Answer = "method" | "authentication" | "reply"

/** Says that the answer has not ended yet. */
export interface NeedMore {
  readonly _tag: "NeedMore"
}

/** A complete answer. */
export interface Decoded {
  readonly _tag: "Decoded"
  /** The byte that counts. */
  readonly code: number
  /** What follows the answer: a view of the last chunk. */
  readonly leftover: Uint8Array
}

/** Reads one answer that comes in chunks, which it doesn't keep. After a fault it returns that fault for ever. */
export interface Decoder {
  push(chunk: Uint8Array): NeedMore | Decoded | SocksFault
}

/** No authentication (RFC 1928 3). */
export const noAuthentication = 0

/** Username and password (RFC 1928 3). */
export const passwordAuthentication = 2

/** What a proxy answers that takes none of the methods it is offered (RFC 1928 3). */
export const noAcceptableMethod = 0xff

/** The status of a password that was taken, and the reply of a proxy that is connected. */
export const succeeded = 0

/** Writes the first message: the methods that the client can do (RFC 1928 3). */
export const encodeGreeting = (methods: ReadonlyArray<number>): Uint8Array =>
  Uint8Array.of(version, methods.length, ...methods)

/** Writes the username and the password, each of which may be empty, unlike in RFC 1929 2: proxies know the one only. */
export const encodeCredentials = (username: string, password: string): Uint8Array | SocksFault => {
  const parts = [username, password].map((text) => Buffer.from(text))
  if (parts.some(({ length }) => length > maxLength)) return fault("SocksCredentials")
  return Uint8Array.of(authenticationVersion, ...parts.flatMap((part) => [part.length, ...part]))
}

/** Writes the request to connect to a name or an address, which comes without brackets (RFC 1928 4). */
export const encodeConnect = (hostname: string, port: number): Uint8Array | SocksFault => {
  const address = encodeAddress(hostname)
  if (address === undefined) return fault("SocksHost")
  return Uint8Array.of(version, connect, reserved, ...address, port >> 8, port & 0xff)
}

/** Makes a decoder for one answer. */
export const decoder = (answer: Answer): Decoder => new AnswerDecoder(grammars[answer])

/** Gives the name of a reply that is no success (RFC 1928 6). */
export const nameOf = (reply: number): SocksReply => replies[reply - 1] ?? "Unassigned"

/** Makes a fault from its tag. */
export const fault = (tag: SocksFault["_tag"]): SocksFault => {
  const [section, text] = faults[tag]
  return { _tag: tag, section, message: `${text} (${section})` }
}

/** Tells a fault from bytes or an answer. */
export const isFault = (value: Uint8Array | NeedMore | Decoded | SocksFault): value is SocksFault => "section" in value

/** Says how many bytes the answer has to have, as far as those that came tell: exactly that many when they are all. */
type Grammar = (bytes: Uint8Array) => number | SocksFault

class AnswerDecoder implements Decoder {
  private readonly grammar: Grammar
  private readonly held = new Uint8Array(maxAnswer)
  private size = 0

  constructor(grammar: Grammar) {
    this.grammar = grammar
  }

  push(chunk: Uint8Array): NeedMore | Decoded | SocksFault {
    for (let at = 0; ;) {
      const needed = this.grammar(this.held.subarray(0, this.size))
      if (typeof needed !== "number") return needed
      if (needed === this.size) return { _tag: "Decoded", code: this.held[1], leftover: chunk.subarray(at) }
      if (at === chunk.length) return needMore
      at += this.hold(chunk.subarray(at, at + needed - this.size))
    }
  }

  private hold(bytes: Uint8Array): number {
    this.held.set(bytes, this.size)
    this.size += bytes.length
    return bytes.length
  }
}

/** Two bytes, the first of which is the version of whom the answer belongs to. */
const pair =
  (expected: number, tag: SocksFault["_tag"]): Grammar =>
  (bytes) =>
    bytes.length > 0 && bytes[0] !== expected ? fault(tag) : 2

const replyGrammar: Grammar = (bytes) => {
  if (bytes.length > 0 && bytes[0] !== version) return fault("SocksVersion")
  if (bytes.length < 2) return 2
  // 6: the proxy closes the connection after a failure, and what it says behind the code matters to nobody.
  if (bytes[1] !== succeeded) return 2
  if (bytes.length > 2 && bytes[2] !== reserved) return fault("SocksReserved")
  return bytes.length < 4 ? 4 : boundedBy(bytes)
}

/** The address that the proxy connects from isn't read: it is of no use here, only its length is. */
const boundedBy: Grammar = (bytes) => {
  switch (bytes[3]) {
    case ipv4:
      return 4 + 4 + 2
    case ipv6:
      return 4 + 16 + 2
    case domainName:
      return bytes.length < 5 ? 5 : 5 + bytes[4] + 2
    default:
      return fault("SocksAddressType")
  }
}

const encodeAddress = (hostname: string): ReadonlyArray<number> | undefined => {
  if (Net.isIPv4(hostname)) return [ipv4, ...hostname.split(".").map(Number)]
  // There is no place for a zone in an address, but whoever looks names up may know it: then it is a name.
  if (Net.isIPv6(hostname) && !hostname.includes("%")) return [ipv6, ...bytesOfIpv6(hostname)]
  const name = Buffer.from(hostname)
  return name.length === 0 || name.length > maxLength ? undefined : [domainName, name.length, ...name]
}

const bytesOfIpv6 = (address: string): ReadonlyArray<number> => {
  // Of the many forms of an address the URL standard leaves one, in which no IPv4 address is left.
  const [before = "", after = ""] = new URL(`http://[${address}]`).hostname.slice(1, -1).split("::")
  const [first, last] = [groupsOf(before), groupsOf(after)]
  const zeros = Array.from({ length: 8 - first.length - last.length }, () => 0)
  return [...first, ...zeros, ...last].flatMap((group) => [group >> 8, group & 0xff])
}

const groupsOf = (text: string): ReadonlyArray<number> =>
  text === "" ? [] : text.split(":").map((group) => Number.parseInt(group, 16))

const needMore: NeedMore = { _tag: "NeedMore" }

const version = 5
const authenticationVersion = 1
const connect = 1
const reserved = 0

// The kinds of addresses: RFC 1928 5.
const ipv4 = 1
const domainName = 3
const ipv6 = 4

// What the byte of a length can say, and an answer with the longest name.
const maxLength = 255
const maxAnswer = 5 + maxLength + 2

const grammars: Record<Answer, Grammar> = {
  method: pair(version, "SocksVersion"),
  authentication: pair(authenticationVersion, "SocksAuthenticationVersion"),
  reply: replyGrammar
}

/** By code, from 1 on. */
const replies: ReadonlyArray<SocksReply> = [
  "GeneralFailure",
  "ConnectionNotAllowed",
  "NetworkUnreachable",
  "HostUnreachable",
  "ConnectionRefused",
  "TtlExpired",
  "CommandNotSupported",
  "AddressTypeNotSupported"
]

const faults: Record<SocksFault["_tag"], readonly [section: string, text: string]> = {
  SocksVersion: ["RFC 1928 3", "the proxy doesn't speak SOCKS 5"],
  SocksMethod: ["RFC 1928 3", "the proxy chose a method that wasn't offered"],
  SocksAuthenticationVersion: ["RFC 1929 2", "the answer to the password isn't of version 1"],
  SocksReserved: ["RFC 1928 6", "the reserved byte of the reply isn't 0"],
  SocksAddressType: ["RFC 1928 6", "the reply has an unknown type of address"],
  SocksHost: ["RFC 1928 5", "the host is empty or has more than 255 bytes"],
  SocksCredentials: ["RFC 1929 2", "the username or the password has more than 255 bytes"]
}
