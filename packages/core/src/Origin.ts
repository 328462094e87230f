/**
 * Which web page asks: the `Origin` field, against pages of other sites that use a visitor's cookies (RFC 6455 10.2).
 *
 * @see https://www.rfc-editor.org/rfc/rfc6454#section-6.1
 * @since 0.1.0
 */

/**
 * Returns whether the origin is the host that the request was sent to: the same name and the same port.
 *
 * **Details**
 *
 * `host` is the value of the `Host` field. The scheme is left out, since TLS may end at a proxy in front; where the host
 * names no port, the default port of the origin's scheme is meant. `null` and whatever is no serialized origin is nobody's.
 *
 * @since 0.1.0
 * @category predicates
 */
export const isSame = (origin: string, host: string): boolean => {
  const parsed = parse(origin)
  if (parsed === undefined) return false
  const { name, port } = splitHost(host)
  return parsed.name === name && parsed.port === (port ?? parsed.defaultPort)
}

interface Parsed {
  readonly name: string
  readonly port: number
  readonly defaultPort: number
}

// RFC 6454 6.1: scheme "://" host [ ":" port ], and nothing else.
const parse = (origin: string): Parsed | undefined => {
  const separator = origin.indexOf("://")
  if (separator === -1) return undefined
  const defaultPort = defaultPorts[origin.slice(0, separator).toLowerCase()]
  const rest = origin.slice(separator + 3)
  if (defaultPort === undefined || rest === "" || /[/?#@\s]/.test(rest)) return undefined
  const { name, port = defaultPort } = splitHost(rest)
  return { name, port, defaultPort }
}

// The port is behind the last colon, unless that one is inside the brackets of an IPv6 address.
const splitHost = (host: string): { readonly name: string; readonly port: number | undefined } => {
  const colon = host.lastIndexOf(":")
  if (colon <= host.lastIndexOf("]")) return { name: host.toLowerCase(), port: undefined }
  const digits = host.slice(colon + 1)
  return { name: host.slice(0, colon).toLowerCase(), port: digits === "" ? undefined : Number(digits) }
}

const defaultPorts: { readonly [scheme: string]: number | undefined } = Object.assign(Object.create(null), {
  http: 80,
  https: 443,
  ws: 80,
  wss: 443
})
