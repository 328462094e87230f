/**
 * The stage of a connection that gets through a proxy: what it is asked, and what its answers mean, is up to a
 * negotiation. The bytes behind the last answer belong to the tunnel and are put back.
 */
import { formatAddress, TransportError } from "@effect-ws/api/TransportError"
import type { Endpoint } from "@effect-ws/api/Connector"
import type * as Net from "node:net"
import { type Proxy, ProxyError, type ProxyErrorReason } from "../Proxy.ts"
import type { Stage, StageEvents } from "./connectionAttempt.ts"
import * as httpConnect from "./httpConnect.ts"
import * as socksConnect from "./socksConnect.ts"

/** What a negotiation does; it ends with `opened` or `failed`, once. */
export interface NegotiationEvents {
  readonly send: (bytes: Uint8Array) => void
  /** The tunnel is open, and these bytes came through it already. */
  readonly opened: (leftover: Uint8Array) => void
  readonly failed: (reason: ProxyErrorReason) => void
}

/** The talk with a proxy, free of sockets. */
export interface Negotiation {
  /** Says the first words. */
  readonly start: () => void
  /** Takes what the proxy says. */
  readonly push: (chunk: Uint8Array) => void
}

/** Makes the stage. `target` is where the tunnel leads to. */
export const make =
  (proxy: Proxy, target: Endpoint): Stage =>
  (socket, events) => {
    const tunnel = new ProxyTunnel(socket, proxy, target, events)
    tunnel.start()
    return () => tunnel.stop()
  }

/** Makes the error of an operation with the proxy. */
export const toError = (proxy: Proxy, cause: unknown): TransportError =>
  new TransportError({ operation: "proxy", address: formatAddress({ ...proxy, _tag: "TcpAddress" }), cause })

class ProxyTunnel {
  private readonly socket: Net.Socket
  private readonly proxy: Proxy
  private readonly events: StageEvents
  private readonly negotiation: Negotiation

  constructor(socket: Net.Socket, proxy: Proxy, target: Endpoint, events: StageEvents) {
    this.socket = socket
    this.proxy = proxy
    this.events = events
    const negotiate = proxy.protocol.startsWith("http") ? httpConnect.make : socksConnect.make
    this.negotiation = negotiate(proxy, target, {
      send: (bytes) => void socket.write(bytes),
      opened: (leftover) => this.onOpened(leftover),
      failed: (reason) => this.fail(new ProxyError({ reason }))
    })
  }

  start(): void {
    this.socket.on("data", this.onData)
    this.socket.on("end", this.onEnd)
    this.socket.on("error", this.fail)
    this.socket.on("close", this.onEnd)
    this.negotiation.start()
  }

  stop(): void {
    this.socket.off("data", this.onData)
    this.socket.off("end", this.onEnd)
    this.socket.off("error", this.fail)
    this.socket.off("close", this.onEnd)
  }

  private readonly onData = (chunk: Uint8Array): void => this.negotiation.push(chunk)

  private readonly onEnd = (): void => this.fail(new ProxyError({ reason: { _tag: "Closed" } }))

  private onOpened(leftover: Uint8Array): void {
    this.stop()
    // It flows without a listener too, and what flows before TLS or the transport listens is lost.
    this.socket.pause()
    if (leftover.length > 0) this.socket.unshift(leftover)
    this.events.done(this.socket)
  }

  private readonly fail = (cause: unknown): void => {
    this.stop()
    this.events.failed(toError(this.proxy, cause))
  }
}
