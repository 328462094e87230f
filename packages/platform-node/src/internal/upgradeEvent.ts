/**
 * What a `node:http` server hands out in its `"upgrade"` event, as a connection that wants its opening handshake.
 */
import * as ConnectionOptions from "@effect-ws/api/ConnectionOptions"
import type { Incoming } from "@effect-ws/api/Listener"
import * as Headers from "@effect-ws/core/Headers"
import type { RequestHead } from "@effect-ws/core/HttpHead"
import type * as Http from "node:http"
import * as Net from "node:net"
import type { Duplex } from "node:stream"
import * as NodeTransport from "../NodeTransport.ts"

export const toIncoming = (request: Http.IncomingMessage, socket: Duplex, head: Uint8Array): Incoming => {
  // Whatever idle time the HTTP server set is not ours.
  if (socket instanceof Net.Socket) socket.setTimeout(0)
  return {
    // At once, since Node has just taken its own "error" listener from the socket.
    transport: NodeTransport.make(socket),
    request: toRequestHead(request),
    // A copy: the head is a view of what Node read for the HTTP parser.
    leftover: head.length === 0 ? undefined : new Uint8Array(head)
  }
}

export const toRequestHead = (request: Http.IncomingMessage): RequestHead => ({
  _tag: "RequestHead",
  method: request.method ?? "",
  target: request.url ?? "",
  version: request.httpVersion,
  fields: toFields(request.rawHeaders)
})

interface WithLimit {
  readonly maxHeadersCount?: number | null
}

/**
 * The option `maxHeadFields` below the limit of the server: what is beyond that Node drops in silence, so a head that
 * reaches it may lack a field that would have decided.
 */
export const maxHeadFields = (
  server: WithLimit | undefined,
  ours = ConnectionOptions.defaults.server.maxHeadFields
): number => {
  const limit = limitOf(server)
  return ours >= limit ? Math.max(1, limit - 1) : ours
}

/** Whether Node has dropped no field of the head for sure. */
export const isWhole = (server: WithLimit, { rawHeaders }: Http.IncomingMessage): boolean =>
  rawHeaders.length / 2 < limitOf(server)

// 0 is no limit.
const limitOf = (server: WithLimit | undefined): number => (server?.maxHeadersCount ?? defaultOfNode) || Infinity

/** The head as bytes that ask for no upgrade: without the field, `Connection: Upgrade` means nothing. */
export const withoutUpgrade = (request: Http.IncomingMessage): Buffer => {
  const { fields, method, target, version } = toRequestHead(request)
  const lines = Headers.remove(fields, "Upgrade").map(([name, value]) => `${name}: ${value}\r\n`)
  return Buffer.from(`${method} ${target} HTTP/${version}\r\n${lines.join("")}\r\n`, "latin1")
}

const toFields = (rawHeaders: ReadonlyArray<string>): Headers.Headers => {
  const fields: Array<Headers.Field> = []
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) fields.push([rawHeaders[i]!, rawHeaders[i + 1]!])
  return fields
}

// What `maxHeadersCount` is unless a program sets it; Node documents 2000, which are names and values.
const defaultOfNode = 1000
