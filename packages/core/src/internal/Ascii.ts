/**
 * Character classes of HTTP and comparisons that know ASCII only: nothing here depends on a locale or on Unicode case.
 */

/** RFC 9110 5.6.2: `tchar`. */
export const TOKEN = 1

/** RFC 5234 B.1: `VCHAR`, the printable characters without the space. */
export const VISIBLE = 2

/** RFC 9110 5.5: what a field value or a reason phrase may hold: tab, space, visible and bytes from 0x80. */
export const TEXT = 4

const table = (): Uint8Array => {
  const classes = new Uint8Array(256)
  for (let code = 0x20; code < 0x100; code++) if (code !== 0x7f) classes[code] = TEXT
  classes[0x09] = TEXT
  for (let code = 0x21; code < 0x7f; code++) classes[code] |= VISIBLE | TOKEN
  for (const delimiter of '"(),/:;<=>?@[\\]{}') classes[delimiter.charCodeAt(0)] &= ~TOKEN
  return classes
}

/** The classes of each byte, as bits. */
export const classes: Uint8Array = /* @__PURE__ */ table()

const every = (text: string, mask: number): boolean => {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code > 0xff || (classes[code] & mask) === 0) return false
  }
  return true
}

export const isToken = (text: string): boolean => text.length > 0 && every(text, TOKEN)

export const isVisible = (text: string): boolean => text.length > 0 && every(text, VISIBLE)

export const isText = (text: string): boolean => every(text, TEXT)

export const isDigit = (code: number): boolean => code >= 0x30 && code <= 0x39

/** Optional whitespace of HTTP: space and tab, and no others. */
export const isBlank = (code: number): boolean => code === 0x20 || code === 0x09

/** Removes spaces and tabs at both ends. `String.trim` would also take 0xa0, which is text here. */
export const trimBlank = (text: string): string => {
  let start = 0
  let end = text.length
  while (start < end && isBlank(text.charCodeAt(start))) start++
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--
  return text.slice(start, end)
}

const lowerCode = (code: number): number => (code >= 0x41 && code <= 0x5a ? code + 0x20 : code)

export const equalsIgnoreCase = (left: string, right: string): boolean => {
  if (left.length !== right.length) return false
  for (let i = 0; i < left.length; i++) {
    if (lowerCode(left.charCodeAt(i)) !== lowerCode(right.charCodeAt(i))) return false
  }
  return true
}

/** Cuts text that may be long, so that a fault stays small whatever its cause was. */
export const bounded = (text: string): string => (text.length <= 64 ? text : text.slice(0, 64))

/** Shows text of the caller on one line of printable ASCII. */
export const quoted = (text: string): string => {
  let shown = ""
  for (const unit of bounded(text)) shown += isPlain(unit) ? unit : `\\u{${unit.codePointAt(0)?.toString(16)}}`
  return `"${shown}"`
}

const isPlain = (unit: string): boolean => unit >= " " && unit <= "~" && unit !== '"' && unit !== "\\"
