/**
 * The talk with an HTTP proxy: `CONNECT`, and one answer (RFC 9110 9.3.6).
 */
import type { Endpoint } from "@effect-ws/api/Connector"
import { formatAddress } from "@effect-ws/api/TransportError"
import * as HandshakeFault from "@effect-ws/core/HandshakeFault"
import type { Headers } from "@effect-ws/core/Headers"
import * as HttpHead from "@effect-ws/core/HttpHead"
import * as Redacted from "effect/Redacted"
import type { Credentials, Proxy } from "../Proxy.ts"
import type { Negotiation, NegotiationEvents } from "./proxyTunnel.ts"

/** Makes the negotiation. */
export const make = (proxy: Proxy, target: Endpoint, events: NegotiationEvents): Negotiation =>
  new HttpConnect(proxy, target, events)

class HttpConnect implements Negotiation {
  private readonly proxy: Proxy
  private readonly target: Endpoint
  private readonly events: NegotiationEvents
  private readonly decoder = HttpHead.responseDecoder()
  private interimAnswers = 0

  constructor(proxy: Proxy, target: Endpoint, events: NegotiationEvents) {
    this.proxy = proxy
    this.target = target
    this.events = events
  }

  start(): void {
    const request = encode(this.proxy, this.target)
    if (HandshakeFault.is(request)) this.events.failed({ _tag: "InvalidRequest", fault: request })
    else this.events.send(request)
  }

  push(chunk: Uint8Array): void {
    const step = this.decoder.push(chunk)
    if (HandshakeFault.is(step)) this.events.failed({ _tag: "InvalidAnswer", fault: step })
    else if (step._tag === "Decoded") this.take(step)
  }

  private take({ head, leftover }: HttpHead.Decoded<HttpHead.ResponseHead>): void {
    const { fields, status } = head
    // RFC 9110 9.3.6: any 2xx opens the tunnel, and a length that it announces means nothing.
    if (status >= 200 && status <= 299) this.events.opened(leftover)
    else if (status >= 200) this.refuse(status, fields)
    else if (++this.interimAnswers > maxInterimAnswers) {
      this.events.failed({ _tag: "TooManyInterimAnswers", limit: maxInterimAnswers })
    } else this.push(leftover)
  }

  private refuse(status: number, fields: Headers): void {
    this.events.failed({ _tag: "Refused", status, fields: withoutEcho(fields, this.proxy) })
  }
}

const encode = ({ credentials }: Proxy, { hostname, port }: Endpoint): Uint8Array | HttpHead.EncodeFault => {
  // RFC 9110 7.2, 9.3.6: host and port, the default one too.
  const authority = formatAddress({ _tag: "TcpAddress", hostname, port })
  const host: Headers = [["Host", authority]]
  const fields = credentials === undefined ? host : [...host, authorization(credentials)]
  return HttpHead.encodeRequest({ method: "CONNECT", target: authority, version: "1.1", fields })
}

const authorization = (credentials: Credentials): readonly [name: string, value: string] => [
  "Proxy-Authorization",
  `Basic ${userPass(credentials).toString("base64")}`
]

/** RFC 7617 2. */
const userPass = ({ password, username }: Credentials): Buffer =>
  Buffer.from(`${Redacted.value(username)}:${Redacted.value(password)}`)

/** A proxy may send back what it was sent, and fields of an answer are shown and logged. */
const withoutEcho = (fields: Headers, { credentials }: Proxy): Headers => {
  if (credentials === undefined) return fields
  const bytes = userPass(credentials)
  const secrets = [bytes.toString("base64").replace(/=+$/, ""), bytes.toString("latin1")]
  return fields.filter((field) => !secrets.some((secret) => field.some((text) => text.includes(secret))))
}

// Answers before the answer. One is usual at most, and the bound ends what else might go on for ever.
const maxInterimAnswers = 16
