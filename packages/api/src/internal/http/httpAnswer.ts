/**
 * What an HTTP server answers with for us: the refusal that a `HandshakeError` carries, as a response of `@effect/platform`.
 */
import * as HandshakeFault from "@effect-ws/core/HandshakeFault"
import * as Headers from "@effect-ws/core/Headers"
import * as Refusal from "@effect-ws/core/Refusal"
import * as Cookies from "@effect/platform/Cookies"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import type { HandshakeError } from "../../HandshakeError.ts"

export const toHttpResponse = ({
  answer,
  reason,
  role
}: Pick<HandshakeError, "answer" | "reason" | "role">): HttpServerResponse.HttpServerResponse => {
  if (answer !== undefined) return isSound(answer) ? fromRefusal(answer) : HttpServerResponse.empty({ status: 500 })
  const isGone = role === "server" && (reason._tag === "PeerGone" || reason._tag === "Transport")
  // Nobody reads it, but traces and logs show what became of the request.
  return HttpServerResponse.empty({ status: isGone ? clientClosedRequest : 500 })
}

/** Whether the refusal can be sent: its fields may come from anywhere. */
const isSound = (answer: Refusal.Refusal): boolean => !HandshakeFault.is(Refusal.encode(answer, { server: false }))

const fromRefusal = ({ body, fields, status }: Refusal.Refusal): HttpServerResponse.HttpServerResponse => {
  const setCookies = fields.filter(([name]) => isSetCookie(name)).map(([, value]) => value)
  const options = { status, headers: toRecord(fields), cookies: Cookies.fromSetCookie(setCookies) }
  if (isBodiless(status)) return HttpServerResponse.empty(options)
  // Without a length the server would send it in chunks, even if there is nothing to send.
  if (body.length === 0 || status === 205)
    return HttpServerResponse.setHeader(HttpServerResponse.empty(options), "content-length", "0")
  const contentType = Headers.get(fields, "Content-Type") ?? "text/plain; charset=utf-8"
  return HttpServerResponse.uint8Array(body, { ...options, contentType })
}

const toRecord = (fields: Headers.Headers): Record<string, string> => {
  const record: Record<string, string> = {}
  for (const [name, value] of fields) {
    const key = name.toLowerCase()
    if (!isSetCookie(name)) record[key] = key in record ? `${record[key]}, ${value}` : value
  }
  // RFC 9110 7.8: who sends Upgrade names it in Connection; with that field, Node would keep what the client wants closed.
  return "upgrade" in record ? { ...record, connection: "Upgrade, close" } : record
}

const isSetCookie = (name: string): boolean => name.toLowerCase() === "set-cookie"

// RFC 9110 15.3.5, 15.4.5: nor have they a length. A 205 (15.3.6) says that it has none.
const isBodiless = (status: number): boolean => status === 204 || status === 304

// What `@effect/platform` calls it too.
const clientClosedRequest = 499
