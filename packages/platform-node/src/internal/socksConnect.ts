/**
 * The talk with a SOCKS 5 proxy: a greeting, a password if the proxy wants one, and one request (RFC 1928, 1929).
 */
import type { Endpoint } from "@effect-ws/api/Connector"
import * as Redacted from "effect/Redacted"
import type { Proxy, ProxyErrorReason, SocksFault } from "../Proxy.ts"
import type { Negotiation, NegotiationEvents } from "./proxyTunnel.ts"
import * as Socks5 from "./socks5.ts"

/** Makes the negotiation. */
export const make = (proxy: Proxy, target: Endpoint, events: NegotiationEvents): Negotiation =>
  new SocksConnect(proxy, target, events)

class SocksConnect implements Negotiation {
  private readonly proxy: Proxy
  private readonly target: Endpoint
  private readonly events: NegotiationEvents
  private awaited: Socks5.Answer = "method"
  private decoder = Socks5.decoder("method")

  constructor(proxy: Proxy, target: Endpoint, events: NegotiationEvents) {
    this.proxy = proxy
    this.target = target
    this.events = events
  }

  start(): void {
    // What can't be asked for isn't worth a greeting.
    const request = Socks5.encodeConnect(this.target.hostname, this.target.port)
    if (Socks5.isFault(request)) return this.events.failed({ _tag: "InvalidRequest", fault: request })
    const { noAuthentication, passwordAuthentication } = Socks5
    const canAuthenticate = this.proxy.credentials !== undefined
    const methods = canAuthenticate ? [noAuthentication, passwordAuthentication] : [noAuthentication]
    this.events.send(Socks5.encodeGreeting(methods))
  }

  push(chunk: Uint8Array): void {
    const step = this.decoder.push(chunk)
    if (Socks5.isFault(step)) this.events.failed({ _tag: "InvalidAnswer", fault: step })
    else if (step._tag === "Decoded") this.take[this.awaited](step)
  }

  private readonly take: Record<Socks5.Answer, (answer: Socks5.Decoded) => void> = {
    method: ({ code, leftover }) => {
      const { credentials } = this.proxy
      if (code === Socks5.noAuthentication) this.request(leftover)
      else if (code === Socks5.noAcceptableMethod) this.events.failed({ _tag: "NoAcceptableMethod" })
      else if (code !== Socks5.passwordAuthentication || credentials === undefined) this.events.failed(unofferedMethod)
      else {
        const { password, username } = credentials
        const message = Socks5.encodeCredentials(Redacted.value(username), Redacted.value(password))
        this.ask(message, "authentication", leftover)
      }
    },
    authentication: ({ code, leftover }) => {
      if (code === Socks5.succeeded) this.request(leftover)
      else this.events.failed({ _tag: "AuthenticationFailed" })
    },
    reply: ({ code, leftover }) => {
      if (code === Socks5.succeeded) this.events.opened(leftover)
      else this.events.failed({ _tag: "Socks", reply: Socks5.nameOf(code), code })
    }
  }

  private request(leftover: Uint8Array): void {
    this.ask(Socks5.encodeConnect(this.target.hostname, this.target.port), "reply", leftover)
  }

  /** What a proxy says too early counts as said in time: else it would matter how its bytes are cut. */
  private ask(message: Uint8Array | SocksFault, awaited: Socks5.Answer, leftover: Uint8Array): void {
    if (Socks5.isFault(message)) return this.events.failed({ _tag: "InvalidRequest", fault: message })
    this.awaited = awaited
    this.decoder = Socks5.decoder(awaited)
    this.events.send(message)
    this.push(leftover)
  }
}

const unofferedMethod: ProxyErrorReason = { _tag: "InvalidAnswer", fault: Socks5.fault("SocksMethod") }
