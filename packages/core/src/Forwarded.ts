/**
 * What proxies say about those who asked them: the `Forwarded` field. The grammar is strict and the time linear. Anybody
 * can send this field, so it says something only where the peer is a proxy that one trusts; that is not decided here.
 *
 * @see https://www.rfc-editor.org/rfc/rfc7239
 * @since 0.1.0
 */
import * as HandshakeFault from "./HandshakeFault.ts"
import * as Headers from "./Headers.ts"
import * as FieldScanner from "./internal/FieldScanner.ts"
import { isIPv4, isIPv6 } from "./internal/IpAddress.ts"

/**
 * What one proxy says about the request it was sent.
 *
 * @since 0.1.0
 * @category models
 */
export interface Hop {
  /** Who sent it, unquoted: see {@link node}. */
  readonly for?: string | undefined
  /** The `Host` it was sent with, unquoted and not checked. */
  readonly host?: string | undefined
  /** The scheme it was sent by, as it was spelled: `http` or `https`, as a rule. */
  readonly proto?: string | undefined
}

/**
 * Who sent a request, as far as the proxy tells.
 *
 * @since 0.1.0
 * @category models
 */
export interface Node {
  /** An IPv4 address, or an IPv6 address without its brackets; undefined when it is hidden, unknown, or malformed. */
  readonly address?: string | undefined
  /** A number of up to five digits, or a name that begins with an underscore. */
  readonly port?: string | undefined
}

/**
 * Returns the hops of all lines combined, the leftmost first: the one that is nearest to the client, and that says least
 * for sure. None when there is no such field.
 *
 * **Details**
 *
 * Empty elements are skipped, parameters other than these three too. A parameter that is repeated within an element is
 * malformed, and so is a blank around a semicolon or an equals sign.
 *
 * @see https://www.rfc-editor.org/rfc/rfc7239#section-4
 * @since 0.1.0
 * @category decoding
 */
export const parse = (fields: Headers.Headers): ReadonlyArray<Hop> | HandshakeFault.Of<"MalformedField"> => {
  const hops: Array<Hop> = []
  // Line by line and not joined first: a quoted string must not run from one line into the next.
  for (const line of Headers.getAll(fields, field)) {
    if (!readLine(FieldScanner.make(line), hops)) return HandshakeFault.make("MalformedField", { field })
  }
  return hops
}

/**
 * Reads the `for` of a hop: an IPv4 address, an IPv6 address in brackets, `unknown`, or a name that begins with an
 * underscore, each with an optional port. Nothing is in the result when it is none of these.
 *
 * @see https://www.rfc-editor.org/rfc/rfc7239#section-6
 * @since 0.1.0
 * @category decoding
 */
export const node = (text: string): Node => {
  const end = text.startsWith("[") ? text.indexOf("]") + 1 : text.indexOf(":")
  const name = end < 0 ? text : text.slice(0, end)
  const port = text.slice(name.length)
  if (port !== "" && !/^:(\d{1,5}|_[\w.-]+)$/.test(port)) return noNode
  const address = isIPv4(name) ? name : bracketed(name)
  if (address === undefined && !/^(unknown|_[\w.-]+)$/i.test(name)) return noNode
  return { address, port: port.slice(1) || undefined }
}

const readLine = (scanner: FieldScanner.FieldScanner, hops: Array<Hop>): boolean => {
  do {
    FieldScanner.skipBlanks(scanner)
    // RFC 9110 5.6.1.2: empty elements are skipped.
    if (FieldScanner.isAtEnd(scanner) || scanner.text.charAt(scanner.at) === ",") continue
    const pairs = readElement(scanner)
    if (pairs === undefined) return false
    hops.push({ for: pairs.get("for"), host: pairs.get("host"), proto: pairs.get("proto") })
    FieldScanner.skipBlanks(scanner)
  } while (FieldScanner.skip(scanner, ","))
  return FieldScanner.isAtEnd(scanner)
}

const readElement = (scanner: FieldScanner.FieldScanner): Map<string, string> | undefined => {
  const pairs = new Map<string, string>()
  do {
    const name = FieldScanner.token(scanner).toLowerCase()
    // 4: a pair may be left out.
    if (name === "") continue
    const value = FieldScanner.skip(scanner, "=") ? readValue(scanner) : undefined
    // 4: each parameter once at most.
    if (value === undefined || pairs.has(name)) return undefined
    pairs.set(name, value)
  } while (FieldScanner.skip(scanner, ";"))
  return pairs
}

const readValue = (scanner: FieldScanner.FieldScanner): string | undefined =>
  FieldScanner.skip(scanner, '"') ? FieldScanner.quotedString(scanner) : FieldScanner.token(scanner) || undefined

const bracketed = (text: string): string | undefined => {
  const address = text.slice(1, -1)
  return text.startsWith("[") && text.endsWith("]") && isIPv6(address) ? address : undefined
}

const noNode: Node = { address: undefined, port: undefined }

const field = "Forwarded"
