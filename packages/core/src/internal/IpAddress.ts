/**
 * The addresses of the Internet Protocol as texts, as RFC 3986 3.2.2 has them.
 */

/** Four numbers up to 255, without leading zeros. */
export const isIPv4 = (text: string): boolean => {
  const parts = text.split(".", 5)
  return parts.length === 4 && parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255)
}

/** Eight groups, of which an IPv4 address at the end is two and `::` one or more. */
export const isIPv6 = (text: string): boolean => {
  const tail = text.slice(text.lastIndexOf(":") + 1)
  const groups = isIPv4(tail) ? `${text.slice(0, text.length - tail.length)}0:0` : text
  const halves = groups.split("::", 3).map((half) => (half === "" ? [] : half.split(":")))
  const all = halves.flat()
  if (!all.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return false
  return halves.length === 1 ? all.length === 8 : halves.length === 2 && all.length <= 7
}
