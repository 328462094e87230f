/** Heads for the tests of the opening handshake, written the way the RFC shows them. */
import { assert } from "vitest"
import * as HandshakeFault from "@effect-ws/core/HandshakeFault"
import type * as Headers from "@effect-ws/core/Headers"
import * as HttpHead from "@effect-ws/core/HttpHead"
import * as UpgradeRequest from "@effect-ws/core/UpgradeRequest"
import * as UpgradeResponse from "@effect-ws/core/UpgradeResponse"

/** RFC 6455 1.3: the key of the sample handshake and its accept value. */
export const sampleKey = "dGhlIHNhbXBsZSBub25jZQ=="
export const sampleAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

/** RFC 6455 1.2: the head a client sends. */
export const sampleRequest = [
  "GET /chat HTTP/1.1",
  "Host: server.example.com",
  "Upgrade: websocket",
  "Connection: Upgrade",
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
  "Origin: http://example.com",
  "Sec-WebSocket-Protocol: chat, superchat",
  "Sec-WebSocket-Version: 13"
]

/** RFC 6455 1.2: the head the server answers. */
export const sampleResponse = [
  "HTTP/1.1 101 Switching Protocols",
  "Upgrade: websocket",
  "Connection: Upgrade",
  "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
  "Sec-WebSocket-Protocol: chat"
]

export const bytes = (text: string): Uint8Array => Uint8Array.from(text, (unit) => unit.charCodeAt(0))

export const text = (value: Uint8Array): string => Array.from(value, (byte) => String.fromCharCode(byte)).join("")

export const head = (lines: ReadonlyArray<string>): string => [...lines, "", ""].join("\r\n")

/** Lines of a sample with some replaced, dropped (no replacement) or appended (no line starts so). */
export const edit = (
  lines: ReadonlyArray<string>,
  name: string,
  ...replacement: ReadonlyArray<string>
): ReadonlyArray<string> => {
  const at = lines.findIndex((line) => line.startsWith(name))
  return at < 0 ? [...lines, ...replacement] : [...lines.slice(0, at), ...replacement, ...lines.slice(at + 1)]
}

export const assertFault: <T extends HandshakeFault.Tag>(
  value: unknown,
  tag: T,
  details?: Partial<HandshakeFault.Of<T>>
) => asserts value is HandshakeFault.Of<T> = (value, tag, details = {}) => {
  assert(HandshakeFault.is(value), `expected ${tag}, got ${JSON.stringify(value)}`)
  assert.strictEqual(value._tag, tag)
  assert.deepInclude(value as object, details)
  assertPresentable(value)
}

/** What holds for every fault: it names a section, is small, and is safe to print. */
export const assertPresentable = (fault: HandshakeFault.HandshakeFault): void => {
  assert.match(fault.section, /^RFC \d{4} [\d.]+$/)
  assert.include(fault.message, fault.section)
  assert.match(fault.message, /^[ -~]{1,400}$/)
  for (const value of Object.values(fault)) if (typeof value === "string") assert.isAtMost(value.length, 400)
}

export const assertOk: <A>(value: A) => asserts value is Exclude<A, HandshakeFault.HandshakeFault> = (value) =>
  assert(!HandshakeFault.is(value), JSON.stringify(value))

export const ok = <A>(value: A): Exclude<A, HandshakeFault.HandshakeFault> => {
  assertOk(value)
  return value
}

export const readRequest = (lines: ReadonlyArray<string>): HttpHead.RequestHead => {
  const step = HttpHead.requestDecoder().push(bytes(head(lines)))
  assert(step._tag === "Decoded", JSON.stringify(step))
  return step.head
}

export const readResponse = (lines: ReadonlyArray<string>): HttpHead.ResponseHead => {
  const step = HttpHead.responseDecoder().push(bytes(head(lines)))
  assert(step._tag === "Decoded", JSON.stringify(step))
  return step.head
}

export const validateRequest = (lines: ReadonlyArray<string>): ReturnType<typeof UpgradeRequest.validate> =>
  UpgradeRequest.validate(readRequest(lines))

export const requested = (options: Partial<UpgradeRequest.Options> = {}): UpgradeRequest.UpgradeRequest =>
  ok(UpgradeRequest.make({ host: "server.example.com", key: sampleKey, ...options }))

export const validateResponse = (
  lines: ReadonlyArray<string>,
  options: Partial<UpgradeRequest.Options> = { subprotocols: ["chat", "superchat"] }
): ReturnType<typeof UpgradeResponse.validate> => UpgradeResponse.validate(readResponse(lines), requested(options))

export const fields = (...lines: ReadonlyArray<Headers.Field>): Headers.Headers => lines
