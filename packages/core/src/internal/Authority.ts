/**
 * `uri-host [ ":" port ]` (RFC 9112 3.2, RFC 3986 3.2): what a `Host` field may hold, and the same in an absolute target.
 */
import { isDigit } from "./Ascii.ts"
import { isIPv6 } from "./IpAddress.ts"

/** Says whether a text names a host. It must not be empty, and userinfo has no place in it. */
export const isHost = (text: string): boolean => {
  const end = text.startsWith("[") ? literalEnd(text) : nameEnd(text)
  return end > 0 && isPort(text, end)
}

/** The index behind an address in brackets, or -1. */
const literalEnd = (text: string): number => {
  const end = text.indexOf("]")
  const literal = text.slice(1, Math.max(end, 1))
  return isAddress(literal) || ipFuture.test(literal) ? end + 1 : -1
}

/** RFC 6874 2: with a zone, at which interface of ours the address is. */
const isAddress = (literal: string): boolean => {
  const mark = literal.indexOf("%25")
  return mark < 0 ? isIPv6(literal) : isIPv6(literal.slice(0, mark)) && zone.test(literal.slice(mark + 3))
}

/** The index behind a name or an IPv4 address, or -1. */
const nameEnd = (text: string): number => {
  let at = 0
  while (at < text.length && isNameCharacter(text, at)) at++
  return at
}

/** RFC 3986 3.2.2: `unreserved / pct-encoded / sub-delims`. */
const isNameCharacter = (text: string, at: number): boolean => {
  if (text.charAt(at) === "%") return isHex(text.charCodeAt(at + 1)) && isHex(text.charCodeAt(at + 2))
  return isAlphanumeric(text.charCodeAt(at)) || "-._~!$&'()*+,;=".includes(text.charAt(at))
}

const isPort = (text: string, start: number): boolean => {
  if (start === text.length) return true
  if (text.charAt(start) !== ":") return false
  for (let at = start + 1; at < text.length; at++) if (!isDigit(text.charCodeAt(at))) return false
  return Number(text.slice(start + 1)) <= 65535
}

const isAlphanumeric = (code: number): boolean => isDigit(code) || isBetween(code | 0x20, "a", "z")

const isHex = (code: number): boolean => isDigit(code) || isBetween(code | 0x20, "a", "f")

const isBetween = (code: number, first: string, last: string): boolean =>
  code >= first.charCodeAt(0) && code <= last.charCodeAt(0)

// RFC 3986 3.2.2: what may come behind the sixth version.
const ipFuture = /^v[0-9a-f]+\.[a-z0-9\-._~!$&'()*+,;=:]+$/i

const zone = /^(?:[a-z0-9\-._~]|%[0-9a-f]{2})+$/i
