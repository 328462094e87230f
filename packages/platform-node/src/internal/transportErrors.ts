/**
 * Turns what Node's streams emit as errors into the typed error of a transport.
 */
import { TransportError, type TransportOperation } from "@effect-ws/api/TransportError"

/**
 * Makes the typed error of an open stream. A stream fails unasked while it reads, so what tells nothing else is a
 * failure of reading.
 */
export const fromStream = (cause: unknown, address: string | undefined): TransportError =>
  new TransportError({ operation: operationOf(cause), address, cause })

const operationOf = (cause: unknown): TransportOperation => {
  const { code = "", library, syscall = "" } = (cause ?? {}) as SystemError
  if (syscall === "getaddrinfo") return "resolve"
  if (syscall === "connect") return "connect"
  if (library !== undefined || tlsCode.test(code)) return "tls"
  return writingCalls.has(syscall) || writingCode.test(code) ? "write" : "read"
}

interface SystemError {
  readonly code?: string
  readonly syscall?: string
  /** The part of OpenSSL that failed. */
  readonly library?: string
}

const tlsCode = /^(ERR_SSL_|ERR_TLS_|EPROTO$)/
const writingCode = /^(EPIPE|ERR_STREAM_(DESTROYED|WRITE_AFTER_END|ALREADY_FINISHED))$/
const writingCalls = new Set(["write", "writev", "shutdown"])
