/**
 * Who really asks, when proxies stand between: the fields `Forwarded` (RFC 7239) and `X-Forwarded-For`, `-Host` and
 * `-Proto`, read from the right for as long as those who wrote them are trusted.
 *
 * Anybody can send these fields, so they say nothing unless the peer of the transport is trusted, and then no more than
 * that peer and those it trusts can know.
 *
 * @see https://www.rfc-editor.org/rfc/rfc7239#section-8.1
 * @since 0.1.0
 */
import * as Forwarded from "@effect-ws/core/Forwarded"
import * as HandshakeFault from "@effect-ws/core/HandshakeFault"
import * as Headers from "@effect-ws/core/Headers"
import Ipaddr from "ipaddr.js"
import type { TransportInfo } from "./Transport.ts"

/**
 * The proxies that are believed.
 *
 * @since 0.1.0
 * @category models
 */
export interface TrustedProxies {
  /** Whether peers over a unix socket are among them. */
  readonly unix: boolean
  /** Says whether an address is among them: IPv4 or IPv6, without port and brackets. */
  readonly includes: (address: string) => boolean
}

/**
 * Who asks.
 *
 * @since 0.1.0
 * @category models
 */
export interface Client {
  /**
   * The address, spelled in one way: an IPv6 address shortened, in small letters; an IPv4 address never as an IPv6 one.
   *
   * Undefined when nobody knows it: a peer over a unix socket, or behind a trusted proxy when the fields hide the address,
   * are malformed, or contradict each other. No address stands in for it, since that of a proxy would pass for an inner
   * one. All such clients together are one: a limit per address counts undefined as an address like any other, so none of
   * them gets around it.
   */
  readonly address: string | undefined
  /** The host with its port, if any, that the client asked for. */
  readonly host: string
  /** Whether the client's bytes travel over TLS, as far as the nearest proxy to it at least; not when that is unclear. */
  readonly isSecure: boolean
}

/**
 * Makes them from addresses such as `10.0.0.1` and `::1`, ranges such as `10.0.0.0/8` and `fd00::/8`, and `unix` for all
 * peers over a unix socket. An IPv4 address equals the IPv6 address it is mapped to.
 *
 * Throws a `RangeError` that names the option and the entry that is none of these: that is a mistake of the program.
 *
 * **Gotchas**
 *
 * Name the proxies and nothing more: who is inside of a range may claim to be anyone.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (entries: ReadonlyArray<string>): TrustedProxies => {
  const ranges = entries.filter((entry) => entry !== unix).map(parseEntry)
  return {
    unix: entries.includes(unix),
    includes: (text) => {
      const address = parseAddress(text)
      return address !== undefined && ranges.some((range) => isWithin(address, range))
    }
  }
}

/**
 * Returns who asks.
 *
 * **Details**
 *
 * Unless the peer of the transport is trusted, that is the peer, with the `Host` and the TLS of its request. Otherwise it
 * is the first address from the right that is not trusted, or the leftmost if all are; where none is told, the peer. An
 * address that can't be read ends the walk, and is undefined. The host and the scheme are those told beside that address;
 * in lists of `X-Forwarded-Host` and `X-Forwarded-Proto` that aren't as long as `X-Forwarded-For`, the rightmost. A host
 * that is none, and a scheme other than `https`, `http`, `wss` and `ws` count as absent.
 *
 * A proxy that writes one of the two families lets the other through, from anyone. So where both are there, what only one
 * of them tells doesn't count, and where they contradict each other neither does: then the address is undefined, the host
 * that of the request, and nothing secure. So it is when the walk meets a malformed element of `Forwarded`, or a malformed
 * line with a quote in it, where a client may have swallowed what the proxy wrote behind. What is malformed further to the
 * left doesn't matter.
 *
 * **Gotchas**
 *
 * Let your proxy remove the fields that it doesn't write, and overwrite `X-Forwarded-Host` and `X-Forwarded-Proto`: they
 * count whoever wrote them, once the proxy is trusted.
 *
 * @since 0.1.0
 * @category getters
 */
export const clientOf = (
  trusted: TrustedProxies,
  info: TransportInfo,
  request: { readonly host: string; readonly fields: Headers.Headers }
): Client => {
  const peer = peerOf(info)
  const itself = { address: peer, host: request.host, isSecure: info.tls !== undefined }
  if (!isTrusted(trusted, info)) return itself
  const told = combine(toldByForwarded(trusted, request.fields), toldByXForwarded(trusted, request.fields, peer))
  if (told === undefined) return itself
  const { address, host = itself.host, isSecure = itself.isSecure } = told
  return { address, host, isSecure }
}

/** What one family of fields says of the client. */
interface Told {
  readonly address: string | undefined
  readonly host: string | undefined
  readonly isSecure: boolean | undefined
}

const isTrusted = (trusted: TrustedProxies, { localAddress, remoteAddress }: TransportInfo): boolean => {
  // A zone says by which interface, and not who.
  if (remoteAddress?._tag === "TcpAddress") return trusted.includes(remoteAddress.hostname.split("%", 1)[0])
  // A TCP socket that was reset early has lost the address of its peer, and is no unix socket for that.
  return trusted.unix && localAddress?._tag !== "TcpAddress"
}

const peerOf = ({ remoteAddress }: TransportInfo): string | undefined => {
  if (remoteAddress?._tag !== "TcpAddress") return undefined
  return canonical(remoteAddress.hostname) ?? remoteAddress.hostname
}

const combine = (left: Told | undefined, right: Told | undefined): Told | undefined => {
  if (left === undefined || right === undefined || left === unclear) return left ?? right
  if (left.address !== right.address) return unclear
  if (isContradiction(left.host?.toLowerCase(), right.host?.toLowerCase())) return unclear
  if (isContradiction(left.isSecure, right.isSecure)) return unclear
  return { address: left.address, host: shared(left.host, right.host), isSecure: shared(left.isSecure, right.isSecure) }
}

/** What is left of two that don't contradict each other: nothing when only one is told. */
const shared = <A>(left: A | undefined, right: A | undefined): A | undefined => (right === undefined ? undefined : left)

const isContradiction = (left: unknown, right: unknown): boolean =>
  left !== undefined && right !== undefined && left !== right

const toldByForwarded = (trusted: TrustedProxies, fields: Headers.Headers): Told | undefined => {
  const hops = Headers.getAll(fields, "Forwarded").flatMap(piecesOf).flatMap(hopsOf)
  if (hops.length === 0) return undefined
  const addressOf = (index: number): string | undefined => canonical(Forwarded.node(hops[index].for ?? "").address)
  const { address, index } = walk(trusted, hops.length, addressOf)
  const { host, proto } = hops[index]
  return hops[index] === malformed ? unclear : { address, host: validHost(host), isSecure: secureOf(proto) }
}

/** Where an element begins is certain when no quote is in the line; otherwise a string may run across elements. */
const piecesOf = (line: string): ReadonlyArray<string> => (line.includes('"') ? [line] : line.split(","))

const hopsOf = (piece: string): ReadonlyArray<Forwarded.Hop> => {
  const hops = Forwarded.parse([["Forwarded", piece]])
  return HandshakeFault.is(hops) ? [malformed] : hops
}

const toldByXForwarded = (
  trusted: TrustedProxies,
  fields: Headers.Headers,
  peer: string | undefined
): Told | undefined => {
  const hops = valuesOf(fields, "X-Forwarded-For")
  const hosts = valuesOf(fields, "X-Forwarded-Host")
  const protos = valuesOf(fields, "X-Forwarded-Proto")
  const { address, index } =
    hops.length === 0 ? { address: peer, index: 0 } : walk(trusted, hops.length, (index) => addressIn(hops[index]))
  const beside = (values: ReadonlyArray<string>): string | undefined =>
    values.length === hops.length ? values[index] : values.at(-1)
  const told = { address, host: validHost(beside(hosts)), isSecure: secureOf(beside(protos)) }
  return hops.length === 0 && told.host === undefined && told.isSecure === undefined ? undefined : told
}

/** From the right past those that are trusted: each was seen by the one to its right, the last by the peer. */
const walk = (
  trusted: TrustedProxies,
  length: number,
  addressOf: (index: number) => string | undefined
): { readonly address: string | undefined; readonly index: number } => {
  for (let index = length - 1; ; index--) {
    const address = addressOf(index)
    if (index === 0 || address === undefined || !trusted.includes(address)) return { address, index }
  }
}

/** The elements of all lines, without empty ones. */
const valuesOf = (fields: Headers.Headers, name: string): ReadonlyArray<string> =>
  Headers.getAll(fields, name)
    .flatMap((line) => line.split(","))
    .map((value) => value.trim())
    .filter((value) => value !== "")

/** Some proxies write a port behind the address, and most an IPv6 address without brackets. */
const addressIn = (text: string): string | undefined => canonical(Forwarded.node(text).address ?? text)

/** RFC 3986 3.2: a name or an address with an optional port, as the `Host` field may hold. */
const validHost = (host = ""): string | undefined => {
  const [, name, port = ""] = hostGrammar.exec(host) ?? []
  if (name === undefined || Number(port) > 65535) return undefined
  return name.startsWith("[") && Forwarded.node(name).address === undefined ? undefined : host
}

/** Some proxies name the scheme of the WebSocket, as the client does. */
const secureOf = (proto = ""): boolean | undefined => {
  if (/^(https|wss)$/i.test(proto)) return true
  return /^(http|ws)$/i.test(proto) ? false : undefined
}

type Address = Ipaddr.IPv4 | Ipaddr.IPv6

type Range = readonly [address: Address, bits: number]

const isWithin = (address: Address, [start, bits]: Range): boolean =>
  address.kind() === start.kind() && address.match(start, bits)

const canonical = (text: string | undefined): string | undefined =>
  text === undefined ? undefined : parseAddress(text)?.toString()

const parseEntry = (entry: string): Range => {
  const slash = entry.indexOf("/")
  const text = slash < 0 ? entry : entry.slice(0, slash)
  const address = parseAddress(text)
  const bits = address === undefined ? undefined : bitsOf(address, text, slash < 0 ? undefined : entry.slice(slash + 1))
  if (address !== undefined && bits !== undefined) return [address, bits]
  throw new RangeError(`The option trustedProxies takes addresses, ranges and "unix", and has ${JSON.stringify(entry)}`)
}

/** The length of the prefix, counted in the form that the address is kept in. */
const bitsOf = (address: Address, text: string, prefix: string | undefined): number | undefined => {
  const size = address.kind() === "ipv4" ? 32 : 128
  if (prefix === undefined) return size
  const bits = Number(prefix) - (size === 32 && text.includes(":") ? mappedBits : 0)
  return /^\d{1,3}$/.test(prefix) && bits >= 0 && bits <= size ? bits : undefined
}

/** Reads the usual form alone: the library would also take numbers in octal and hexadecimal, and short forms of IPv4. */
const parseAddress = (text: string): Address | undefined => {
  const tail = text.slice(text.lastIndexOf(":") + 1)
  if (text.length > longest || text.includes("%")) return undefined
  if (tail.includes(".") && !Ipaddr.IPv4.isValidFourPartDecimal(tail)) return undefined
  if (tail === text) return tail.includes(".") ? Ipaddr.IPv4.parse(text) : undefined
  return Ipaddr.IPv6.isValid(text) ? unmapped(Ipaddr.IPv6.parse(text)) : undefined
}

const unmapped = (address: Ipaddr.IPv6): Address => (address.isIPv4MappedAddress() ? address.toIPv4Address() : address)

/** What somebody may have tampered with names nobody. */
const unclear: Told = { address: undefined, host: undefined, isSecure: false }

const malformed: Forwarded.Hop = {}

const unix = "unix"

const hostGrammar = /^(\[[^\]]*\]|(?:[\w.~!$&'()*+,;=-]|%[0-9a-f]{2})+)(?::(\d{0,5}))?$/i

/** RFC 4291 2.5.5.2: an IPv4 address in IPv6 has so many bits before it. */
const mappedBits = 96

/** In characters: eight groups of four, the last two as an IPv4 address. Longer text isn't even looked at. */
const longest = 45
