/**
 * The two forms of a request target that an upgrade may have (RFC 9112 3.2): a path with an optional query, and an
 * absolute URI. Nothing is decoded or normalised: `//a/../b` stays what it is.
 */
import { equalsIgnoreCase, isVisible } from "./Ascii.ts"
import { isHost } from "./Authority.ts"

export interface RequestTarget {
  readonly path: string
  /** Without the question mark; undefined when there is none. */
  readonly query: string | undefined
  /** Only in the absolute form. */
  readonly host: string | undefined
}

/** Undefined: neither form. */
export const parse = (target: string): RequestTarget | undefined => {
  // RFC 9112 3.2: a fragment is never part of a target.
  if (!isVisible(target) || target.includes("#")) return undefined
  return target.startsWith("/") ? split(target, undefined) : parseAbsolute(target)
}

/** RFC 9112 3.2.2: a server accepts the absolute form, and takes the host from it. */
const parseAbsolute = (target: string): RequestTarget | undefined => {
  const scheme = schemes.find((scheme) => equalsIgnoreCase(target.slice(0, scheme.length), scheme))
  if (scheme === undefined) return undefined
  const rest = target.slice(scheme.length)
  const end = rest.search(/[/?]/)
  const host = end < 0 ? rest : rest.slice(0, end)
  const path = end < 0 ? "" : rest.slice(end)
  // RFC 9110 4.2.4: userinfo is an error, and no host has the sign for it.
  return isHost(host) ? split(path.startsWith("/") ? path : `/${path}`, host) : undefined
}

const split = (text: string, host: string | undefined): RequestTarget => {
  const mark = text.indexOf("?")
  if (mark < 0) return { path: text, query: undefined, host }
  return { path: text.slice(0, mark), query: text.slice(mark + 1), host }
}

const schemes = ["http://", "https://", "ws://", "wss://"]
