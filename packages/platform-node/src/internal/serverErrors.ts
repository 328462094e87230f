/**
 * Turns what Node says about listening into the typed error of a server.
 */
import { ServerError, type ServerErrorReason } from "@effect-ws/api/ServerError"
import { formatAddress } from "@effect-ws/api/TransportError"
import type { Address } from "@effect/platform/SocketServer"
import type { AddressInfo } from "node:net"

/** Makes the error of a server that can't listen at `address`. */
export const fromListen = (cause: unknown, address: string): ServerError => {
  const tag = reasons[(cause as NodeJS.ErrnoException | null)?.code ?? ""] ?? "Other"
  return new ServerError({ reason: { _tag: tag, cause }, address })
}

/** Makes the error of a server whose key, certificate or TLS options can't be used. */
export const fromTls = (cause: unknown, address: string): ServerError =>
  new ServerError({ reason: { _tag: "BadTlsMaterial", cause }, address })

/** Returns the address that a server of Node listens on. */
export const toAddress = (address: AddressInfo | string | null): Address =>
  address === null || typeof address === "string"
    ? { _tag: "UnixAddress", path: address ?? "" }
    : { _tag: "TcpAddress", hostname: address.address, port: address.port }

/** Returns the address that an error of listening names: the only trace of it when somebody else called `listen`. */
export const addressOfCause = (cause: unknown): string => {
  const { address = "unknown", port = -1 } = cause as { readonly address?: string; readonly port?: number }
  return port < 0 ? address : formatAddress({ _tag: "TcpAddress", hostname: address, port })
}

const reasons: Record<string, ServerErrorReason["_tag"]> = {
  EADDRINUSE: "AddressInUse",
  EACCES: "AccessDenied",
  EPERM: "AccessDenied",
  EADDRNOTAVAIL: "AddressNotAvailable",
  ENOTFOUND: "AddressNotAvailable",
  EAI_AGAIN: "AddressNotAvailable"
}
