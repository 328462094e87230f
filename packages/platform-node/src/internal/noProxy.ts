/**
 * The list of hosts that are reached without a proxy, as curl reads `NO_PROXY`. No name is resolved for it.
 */
import * as Net from "node:net"

/** Says whether a host is on the list; an IPv6 address comes without brackets. */
export type Exempts = (hostname: string, port: number) => boolean

/**
 * Reads a list of `*`, names, addresses and blocks of them (CIDR), each with an optional port, separated by commas or
 * blanks. A name stands for itself and all below it. What is none of these matches nothing.
 */
export const parse = (list: string): Exempts => {
  const entries = list
    .split(/[\s,]+/)
    .filter((entry) => entry !== "")
    .map(parseEntry)
  return (hostname, port) => entries.some((exempts) => exempts(hostname, port))
}

const parseEntry = (entry: string): Exempts => {
  if (entry === "*") return () => true
  const { host, port: only } = splitPort(entry)
  const exempts = Net.isIP(host.replace(/\/.*/, "")) === 0 ? nameMatch(host) : addressMatch(host)
  return (hostname, port) => (only === undefined || only === port) && exempts(hostname)
}

/** An IPv6 address is all colons: one with a port is in brackets. */
const splitPort = (entry: string): { readonly host: string; readonly port: number | undefined } => {
  if (Net.isIPv6(entry)) return { host: entry, port: undefined }
  const [, bracketed, plain, port] = /^(?:\[(.+)\]|(.*?))(?::(\d+))?$/.exec(entry)!
  return { host: bracketed ?? plain, port: port === undefined ? undefined : Number(port) }
}

const nameMatch = (entry: string): ((hostname: string) => boolean) => {
  const name = entry
    .toLowerCase()
    .replace(/^\*?\./, "")
    .replace(/\.$/, "")
  return (hostname) => {
    const host = hostname.toLowerCase().replace(/\.$/, "")
    return host === name || (Net.isIP(host) === 0 && host.endsWith(`.${name}`))
  }
}

/** Addresses compare as numbers: `::1` is `0:0:0:0:0:0:0:1`, and an IPv4 address the one that is mapped to IPv6. */
const addressMatch = (entry: string): ((hostname: string) => boolean) => {
  const [address, prefix] = entry.split("/")
  const list = new Net.BlockList()
  const family = familyOf(address)
  if (prefix === undefined) list.addAddress(address, family)
  else if (/^\d+$/.test(prefix) && Number(prefix) <= bits[family]) list.addSubnet(address, Number(prefix), family)
  return (hostname) => Net.isIP(hostname) !== 0 && list.check(hostname, familyOf(hostname))
}

const familyOf = (address: string): "ipv4" | "ipv6" => (Net.isIPv6(address) ? "ipv6" : "ipv4")

const bits = { ipv4: 32, ipv6: 128 }
