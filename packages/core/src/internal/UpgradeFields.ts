/**
 * What an upgrade request and its response have in common: the two fields that ask for and grant the upgrade, and the
 * fields that nobody but the handshake writes.
 */
import * as HandshakeFault from "../HandshakeFault.ts"
import * as Headers from "../Headers.ts"
import { equalsIgnoreCase } from "./Ascii.ts"

type UpgradeFault = HandshakeFault.Of<
  "MissingUpgrade" | "UpgradeWithoutWebsocket" | "MissingConnection" | "ConnectionWithoutUpgrade" | "MalformedField"
>

/** 1.1 and what 1.x may come. RFC 9110 2.5: a minor version only adds. */
export const checkVersion = (
  head: HandshakeFault.HeadKind,
  version: string
): HandshakeFault.Of<"HttpVersion"> | undefined =>
  version.startsWith("1.") && version !== "1.0" ? undefined : HandshakeFault.make("HttpVersion", { head, version })

export const checkUpgrade = (head: HandshakeFault.HeadKind, fields: Headers.Headers): UpgradeFault | undefined => {
  if (!Headers.has(fields, "Upgrade")) return HandshakeFault.make("MissingUpgrade", { head })
  const protocols = Headers.protocols(fields, "Upgrade")
  if (HandshakeFault.is(protocols)) return protocols
  // 4.1: a response names websocket and nothing else; 4.2.1: a request may name other protocols beside it.
  const named = Headers.includes(protocols, "websocket") && (head === "request" || protocols.length === 1)
  return named ? undefined : HandshakeFault.make("UpgradeWithoutWebsocket", { head, value: joined(fields, "Upgrade") })
}

export const checkConnection = (head: HandshakeFault.HeadKind, fields: Headers.Headers): UpgradeFault | undefined => {
  if (!Headers.has(fields, "Connection")) return HandshakeFault.make("MissingConnection", { head })
  const options = Headers.tokens(fields, "Connection")
  if (HandshakeFault.is(options)) return options
  if (Headers.includes(options, "upgrade")) return undefined
  return HandshakeFault.make("ConnectionWithoutUpgrade", { head, value: joined(fields, "Connection") })
}

const joined = (fields: Headers.Headers, name: string): string => Headers.getAll(fields, name).join(", ")

/** Refuses fields that would contradict what the handshake writes, or can't be written at all. */
export const checkOwn = (
  fields: Headers.Headers,
  reserved: ReadonlyArray<string>
): HandshakeFault.Of<"InvalidFieldName" | "InvalidFieldValue" | "ReservedField"> | undefined => {
  const valid = Headers.validate(fields)
  if (HandshakeFault.is(valid)) return valid
  const clash = valid.find(([name]) => isReserved(name, reserved))
  return clash === undefined ? undefined : HandshakeFault.make("ReservedField", { field: clash[0] })
}

/** Refuses fields in which one that the handshake wrote was changed, or that can't be written at all. */
export const checkKept = (
  before: Headers.Headers,
  after: Headers.Headers,
  reserved: ReadonlyArray<string>
): HandshakeFault.Of<"InvalidFieldName" | "InvalidFieldValue" | "ReservedField"> | undefined => {
  const valid = Headers.validate(after)
  if (HandshakeFault.is(valid)) return valid
  const changed = [...before, ...after].find(([name]) => isReserved(name, reserved) && !isKept(before, after, name))
  return changed === undefined ? undefined : HandshakeFault.make("ReservedField", { field: changed[0] })
}

const isKept = (before: Headers.Headers, after: Headers.Headers, name: string): boolean => {
  const values = Headers.getAll(before, name)
  const now = Headers.getAll(after, name)
  return values.length === now.length && values.every((value, index) => value === now[index])
}

const isReserved = (name: string, reserved: ReadonlyArray<string>): boolean =>
  equalsIgnoreCase(name.slice(0, prefix.length), prefix) || Headers.includes(reserved, name)

const prefix = "Sec-WebSocket-"
