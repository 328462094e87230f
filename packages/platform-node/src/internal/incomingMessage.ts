/**
 * The upgrade request as `node:http` would show it, for programs that look at its fields or its addresses.
 */
import type { TransportInfo } from "@effect-ws/api/Transport"
import type { UpgradeExchange } from "@effect-ws/api/UpgradeExchange"
import type { Headers } from "@effect-ws/core/Headers"
import type { Address } from "@effect/platform/SocketServer"
import * as Http from "node:http"
import type * as Net from "node:net"

/** Makes a message without a body. Of its socket there are the addresses, and whether it is `encrypted`. */
export const fromExchange = ({ info, request }: UpgradeExchange): Http.IncomingMessage => {
  const message = new Http.IncomingMessage(toSocket(info))
  const [major, minor] = request.version.split(".").map(Number)
  Object.assign(message, {
    method: request.method,
    url: request.target,
    httpVersion: request.version,
    httpVersionMajor: major,
    httpVersionMinor: minor,
    rawHeaders: request.fields.flat(),
    headers: toHeaders(request.fields),
    complete: true
  })
  message.push(null)
  return message
}

const toSocket = ({ localAddress, remoteAddress, tls }: TransportInfo): Net.Socket => {
  const local = toNames(localAddress)
  const remote = toNames(remoteAddress)
  return {
    localAddress: local.address,
    localPort: local.port,
    remoteAddress: remote.address,
    remotePort: remote.port,
    ...(tls === undefined ? {} : { encrypted: true, authorized: tls.authorized, servername: tls.serverName })
  } as unknown as Net.Socket
}

const toNames = (address: Address | undefined): { readonly address?: string; readonly port?: number } =>
  address?._tag === "TcpAddress" ? { address: address.hostname, port: address.port } : {}

/** RFC 9110 5.3: a field that comes more than once is one list. RFC 6265 5.4 has another separator. */
const toHeaders = (fields: Headers): Http.IncomingHttpHeaders => {
  const headers: Record<string, string> = Object.create(null)
  for (const [name, value] of fields) {
    const key = name.toLowerCase()
    const earlier = headers[key]
    headers[key] = earlier === undefined ? value : `${earlier}${key === "cookie" ? "; " : ", "}${value}`
  }
  return headers
}
