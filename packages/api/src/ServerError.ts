/**
 * Why a server can't take connections: the failure of building its Layer. What happens to a connection later is never
 * a `ServerError`.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"

/**
 * Says why the address can't be listened on.
 *
 * **Details**
 *
 * - `AddressInUse`: something listens there already, or a file is where the unix socket should be.
 * - `AccessDenied`: the system doesn't allow it, for instance a port below 1024 for an ordinary user.
 * - `AddressNotAvailable`: the host is no address of this machine, or its name could not be resolved.
 * - `BadTlsMaterial`: the key, the certificate or another option of TLS is missing or can't be used.
 * - `Other`: anything else the platform said.
 *
 * `cause` is the error of the platform.
 *
 * @since 0.1.0
 * @category models
 */
export type ServerErrorReason =
  | { readonly _tag: "AddressInUse"; readonly cause: unknown }
  | { readonly _tag: "AccessDenied"; readonly cause: unknown }
  | { readonly _tag: "AddressNotAvailable"; readonly cause: unknown }
  | { readonly _tag: "BadTlsMaterial"; readonly cause: unknown }
  | { readonly _tag: "Other"; readonly cause: unknown }

/**
 * Says that a server can't listen, where, and why.
 *
 * @since 0.1.0
 * @category errors
 */
export class ServerError extends Data.TaggedError("ServerError")<{
  /** Why it can't. */
  readonly reason: ServerErrorReason
  /** Where it should have listened: `host:port`, or the path of a unix socket. */
  readonly address: string
}> {
  /** One line: where, and why not. */
  override get message(): string {
    const { cause, _tag } = this.reason
    const where = describeAddress(this.address)
    switch (_tag) {
      case "AddressInUse":
        return `${where} is already in use`
      case "AccessDenied":
        return `${where} may not be listened on: access denied`
      case "AddressNotAvailable":
        return `${where} can't be listened on: the host is not an address of this machine`
      case "BadTlsMaterial":
        return `${where} can't be served over TLS: ${describeCause(cause)}`
      case "Other":
        return `${where} can't be listened on: ${describeCause(cause)}`
    }
  }
}

// A path may have a colon in it, but a host has no slash or backslash.
const describeAddress = (address: string): string => {
  const parts = /^([^/\\]*):(\d+)$/.exec(address)
  return parts === null ? `The path ${address}` : `Port ${parts[2]} of ${parts[1]}`
}

const describeCause = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))
