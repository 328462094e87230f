/**
 * The fields of a head: an ordered list of lines as they came, names spelled as they came, repeated lines kept. Names
 * compare without regard to ASCII case. The list is plain data and never changed: `set`, `append` and `remove` return
 * new ones. Reads the two list grammars that the handshake needs, strictly and in linear time.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-5
 * @since 0.1.0
 */
import * as HandshakeFault from "./HandshakeFault.ts"
import { equalsIgnoreCase, isText, isToken } from "./internal/Ascii.ts"
import * as FieldScanner from "./internal/FieldScanner.ts"

/**
 * One field line. The value has one character per byte (U+0000 to U+00FF) and no blanks around it.
 *
 * @since 0.1.0
 * @category models
 */
export type Field = readonly [name: string, value: string]

/**
 * The field lines of a head, in order.
 *
 * @since 0.1.0
 * @category models
 */
export type Headers = ReadonlyArray<Field>

/**
 * A parameter of a list element.
 *
 * @since 0.1.0
 * @category models
 */
export interface Parameter {
  /** The name as it was sent. */
  readonly name: string
  /** The value, unquoted; undefined when the parameter is a name alone. */
  readonly value?: string | undefined
}

/**
 * An element of a list whose elements are tokens with parameters.
 *
 * @since 0.1.0
 * @category models
 */
export interface Element {
  /** The token as it was sent. */
  readonly name: string
  /** The parameters in order, repeated ones kept. */
  readonly parameters: ReadonlyArray<Parameter>
}

/**
 * No fields.
 *
 * @since 0.1.0
 * @category constructors
 */
export const empty: Headers = []

/**
 * Copies fields from pairs of name and value. Nothing is checked: see {@link validate}.
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromEntries = (entries: Iterable<Field>): Headers => Array.from(entries, ([name, value]) => [name, value])

/**
 * Returns the values of all lines with a name, in order.
 *
 * @since 0.1.0
 * @category getters
 */
export const getAll = (headers: Headers, name: string): ReadonlyArray<string> => {
  const values: Array<string> = []
  for (const [key, value] of headers) if (equalsIgnoreCase(key, name)) values.push(value)
  return values
}

/**
 * Returns the value of the one line with a name.
 *
 * **Gotchas**
 *
 * Undefined also when there are several: a field that may appear once and doesn't has no value to rely on.
 *
 * @since 0.1.0
 * @category getters
 */
export const get = (headers: Headers, name: string): string | undefined => {
  const first = find(headers, name, 0)
  return first === -1 || find(headers, name, first + 1) !== -1 ? undefined : headers[first][1]
}

/**
 * Returns the value of a field that may appear once: undefined when it is absent, a fault when it is repeated.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-5.3
 * @since 0.1.0
 * @category getters
 */
export const single = (headers: Headers, name: string): string | undefined | HandshakeFault.Of<"RepeatedField"> => {
  const first = find(headers, name, 0)
  if (first === -1) return undefined
  return find(headers, name, first + 1) === -1
    ? headers[first][1]
    : HandshakeFault.make("RepeatedField", { field: name })
}

/**
 * Says whether there is a line with a name.
 *
 * @since 0.1.0
 * @category getters
 */
export const has = (headers: Headers, name: string): boolean => find(headers, name, 0) !== -1

/** The place of the first one with the name from `start` on, or -1. */
const find = (headers: Headers, name: string, start: number): number => {
  for (let at = start; at < headers.length; at++) if (equalsIgnoreCase(headers[at][0], name)) return at
  return -1
}

/**
 * Puts a value in the place of the first line with that name and drops the others; appends it where there is none.
 *
 * @since 0.1.0
 * @category combinators
 */
export const set = (headers: Headers, name: string, value: string): Headers => {
  const first = headers.findIndex(([key]) => equalsIgnoreCase(key, name))
  if (first < 0) return append(headers, name, value)
  return [...headers.slice(0, first), [name, value], ...remove(headers.slice(first + 1), name)]
}

/**
 * Adds a line at the end, whether or not there is one of that name.
 *
 * @since 0.1.0
 * @category combinators
 */
export const append = (headers: Headers, name: string, value: string): Headers => [...headers, [name, value]]

/**
 * Drops all lines with a name.
 *
 * @since 0.1.0
 * @category combinators
 */
export const remove = (headers: Headers, name: string): Headers =>
  headers.filter(([key]) => !equalsIgnoreCase(key, name))

/**
 * Returns the fields if they can be written: names are tokens, values have no CR, LF, NUL or other control characters
 * but the tab, and nothing above U+00FF.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-5.5
 * @since 0.1.0
 * @category validation
 */
export const validate = (headers: Headers): Headers | HandshakeFault.Of<"InvalidFieldName" | "InvalidFieldValue"> => {
  for (const [name, value] of headers) {
    if (!isToken(name)) return HandshakeFault.make("InvalidFieldName", { field: name })
    if (!isText(value)) return HandshakeFault.make("InvalidFieldValue", { field: name })
  }
  return headers
}

/**
 * Returns the elements of a list of tokens, all lines of that name combined, empty elements skipped; none when there is
 * no such field.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-5.6.1
 * @since 0.1.0
 * @category lists
 */
export const tokens = (headers: Headers, name: string): ReadonlyArray<string> | HandshakeFault.Of<"MalformedField"> =>
  list(headers, name, token)

/**
 * Returns the elements of a list of protocols, such as `Upgrade` has: tokens that may have a version behind a slash.
 * Otherwise like {@link tokens}.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-7.8
 * @since 0.1.0
 * @category lists
 */
export const protocols = (
  headers: Headers,
  name: string
): ReadonlyArray<string> | HandshakeFault.Of<"MalformedField"> => list(headers, name, protocol)

/**
 * Returns the elements of a list of tokens with parameters, such as `a; b=1; c="x y", d`, all lines of that name
 * combined, empty elements skipped; none when there is no such field. Blanks may stand around commas, semicolons and
 * equals signs.
 *
 * @since 0.1.0
 * @category lists
 */
export const elements = (
  headers: Headers,
  name: string
): ReadonlyArray<Element> | HandshakeFault.Of<"MalformedField"> => list(headers, name, element)

/**
 * Says whether a list has an element, without regard to ASCII case.
 *
 * @since 0.1.0
 * @category lists
 */
export const includes = (list: ReadonlyArray<string>, item: string): boolean =>
  list.some((element) => equalsIgnoreCase(element, item))

type Read<A> = (scanner: FieldScanner.FieldScanner) => A | undefined

const list = <A>(
  headers: Headers,
  name: string,
  read: Read<A>
): ReadonlyArray<A> | HandshakeFault.Of<"MalformedField"> => {
  const found: Array<A> = []
  // Line by line and not joined first: a quoted string must not run from one line into the next.
  for (let at = find(headers, name, 0); at !== -1; at = find(headers, name, at + 1)) {
    if (!readLine(headers[at][1], read, found)) return HandshakeFault.make("MalformedField", { field: name })
  }
  return found
}

const readLine = <A>(line: string, read: Read<A>, found: Array<A>): boolean => {
  const scanner = FieldScanner.make(line)
  do {
    FieldScanner.skipBlanks(scanner)
    // RFC 9110 5.6.1.2: empty elements are skipped.
    if (FieldScanner.isAtEnd(scanner) || scanner.text.charAt(scanner.at) === ",") continue
    const item = read(scanner)
    if (item === undefined) return false
    found.push(item)
    FieldScanner.skipBlanks(scanner)
  } while (FieldScanner.skip(scanner, ","))
  return FieldScanner.isAtEnd(scanner)
}

const token: Read<string> = (scanner) => FieldScanner.token(scanner) || undefined

const protocol: Read<string> = (scanner) => {
  const name = token(scanner)
  if (name === undefined || !FieldScanner.skip(scanner, "/")) return name
  const version = token(scanner)
  return version === undefined ? undefined : `${name}/${version}`
}

const element: Read<Element> = (scanner) => {
  const name = token(scanner)
  if (name === undefined) return undefined
  const parameters: Array<Parameter> = []
  FieldScanner.skipBlanks(scanner)
  while (FieldScanner.skip(scanner, ";")) {
    const next = parameter(scanner)
    if (next === undefined) return undefined
    parameters.push(next)
    FieldScanner.skipBlanks(scanner)
  }
  return { name, parameters }
}

const parameter: Read<Parameter> = (scanner) => {
  FieldScanner.skipBlanks(scanner)
  const name = token(scanner)
  if (name === undefined) return undefined
  FieldScanner.skipBlanks(scanner)
  if (!FieldScanner.skip(scanner, "=")) return { name }
  FieldScanner.skipBlanks(scanner)
  const value = FieldScanner.skip(scanner, '"') ? FieldScanner.quotedString(scanner) : token(scanner)
  return value === undefined ? undefined : { name, value }
}
