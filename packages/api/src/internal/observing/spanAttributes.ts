/**
 * What spans say, in the words of the semantic conventions of OpenTelemetry where those have one. Never a query, a credential
 * or a field.
 */
import type { UpgradeResponse } from "@effect-ws/core/UpgradeResponse"
import type { Address } from "@effect/platform/SocketServer"
import type * as Tracer from "effect/Tracer"
import type { WebSocketError } from "../../WebSocketError.ts"
import type { Connection } from "../connection/Connection.ts"
import type { Exchange } from "../opening/Exchange.ts"
import type { Location } from "../opening/webSocketUrl.ts"

export type Attributes = Readonly<Record<string, string | number | boolean | undefined>>

/** Sets those that are known. */
export const set = (span: Tracer.Span, attributes: Attributes): void => {
  for (const [key, value] of Object.entries(attributes)) if (value !== undefined) span.attribute(key, value)
}

/** What a server knows of a request. */
export const ofExchange = ({ client, info, request }: Exchange): Attributes => ({
  ...common,
  ...ofPeer(info.remoteAddress),
  ...ofHost(client.host),
  "client.address": client.address,
  "network.protocol.version": request.version,
  "url.scheme": client.isSecure ? "wss" : "ws",
  "url.path": request.path,
  "websocket.role": "server"
})

/** What a client knows before it connects. */
export const ofLocation = ({ endpoint, target }: Pick<Location, "endpoint" | "target">): Attributes => ({
  ...ofRequest(target),
  "server.address": endpoint.unixPath ?? endpoint.hostname,
  "server.port": endpoint.unixPath === undefined ? endpoint.port : undefined,
  "url.scheme": endpoint.secure ? "wss" : "ws"
})

/** What a client knows that is given a transport. */
export const ofTransport = (host: string, target: string | undefined, isSecure: boolean): Attributes => ({
  ...ofRequest(target ?? "/"),
  ...ofHost(host),
  "url.scheme": isSecure ? "wss" : "ws"
})

export const ofPeer = (address: Address | undefined): Attributes => {
  if (address?._tag !== "TcpAddress") return { "network.peer.address": address?.path }
  return { "network.peer.address": address.hostname, "network.peer.port": address.port }
}

/** What was agreed on. */
export const ofResponse = ({ extensions, subprotocol }: UpgradeResponse): Attributes => ({
  "http.response.status_code": 101,
  "websocket.subprotocol": subprotocol,
  "websocket.extensions": extensions.length === 0 ? undefined : extensions.map(({ name }) => name).join(", ")
})

/** What every span about an open connection says of it. */
export const ofConnection = ({ id, role, transport }: Connection): Attributes => ({
  ...ofPeer(transport.info.remoteAddress),
  "websocket.id": id,
  "websocket.role": role
})

/** How a connection has ended. */
export const ofEnd = ({ protocol }: Connection, error: WebSocketError): Attributes => {
  const isClosed = error._tag === "ConnectionClosed"
  return {
    "error.type": isClosed && error.clean ? undefined : error._tag,
    "websocket.close.initiator": isClosed ? error.initiator : undefined,
    "websocket.close.received": protocol.closeReceived?.code,
    "websocket.close.sent": protocol.closeSent?.code
  }
}

const common: Attributes = { "http.request.method": "GET", "network.protocol.name": "http" }

const ofRequest = (target: string): Attributes => ({
  ...common,
  "network.protocol.version": "1.1",
  "url.path": target.split("?", 1)[0],
  "websocket.role": "client"
})

const ofHost = (host: string): Attributes => {
  const [, name, port] = /^(.*?)(?::(\d+))?$/s.exec(host)!
  return {
    "server.address": name?.replace(/^\[(.*)\]$/s, "$1"),
    "server.port": port === undefined ? undefined : Number(port)
  }
}
