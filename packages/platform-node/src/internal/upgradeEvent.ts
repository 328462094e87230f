/**
 * What a `node:http` server hands out in its `"upgrade"` event, as a connection that wants its opening handshake.
 */
import type { Incoming } from "@effect-ws/api/Listener"
import type * as Headers from "@effect-ws/core/Headers"
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

const toFields = (rawHeaders: ReadonlyArray<string>): Headers.Headers => {
  const fields: Array<Headers.Field> = []
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) fields.push([rawHeaders[i]!, rawHeaders[i + 1]!])
  return fields
}
