/**
 * The grammar of `Sec-WebSocket-Extensions`: what a client offers and what a server answers have the same shape, names
 * with parameters. Knows no extension: what a parameter means, and whether an answer fits its offer, is theirs to say.
 *
 * @see https://www.rfc-editor.org/rfc/rfc6455#section-9.1
 * @since 0.1.0
 */
import * as HandshakeFault from "./HandshakeFault.ts"
import * as Headers from "./Headers.ts"
import { equalsIgnoreCase, isToken } from "./internal/Ascii.ts"

/**
 * A parameter of an extension; its value, if it has one, is a token.
 *
 * @since 0.1.0
 * @category models
 */
export type Parameter = Headers.Parameter

/**
 * An extension offer or response.
 *
 * @since 0.1.0
 * @category models
 */
export interface Extension extends Headers.Element {}

/**
 * Reads the extensions of a request or a response in order, all lines combined; none when there is no such field.
 *
 * **Details**
 *
 * Several offers of one name are alternatives, the preferred one first. A name or parameter nobody knows, `__proto__`
 * included, is an entry like any other.
 *
 * @see https://www.rfc-editor.org/rfc/rfc6455#section-9.1
 * @since 0.1.0
 * @category decoding
 */
export const parse = (fields: Headers.Headers): ReadonlyArray<Extension> | HandshakeFault.Of<"MalformedField"> => {
  const extensions = Headers.elements(fields, field)
  if (HandshakeFault.is(extensions)) return extensions
  // 9.1: the field is `1#extension`, and a quoted value must be a token once it is unquoted.
  const empty = extensions.length === 0 && Headers.has(fields, field)
  return empty || !extensions.every(isValid) ? HandshakeFault.make("MalformedField", { field }) : extensions
}

/**
 * Says whether an extension can be written: its name, the names of its parameters and their values are tokens.
 *
 * @since 0.1.0
 * @category guards
 */
export const isValid = (extension: Extension): boolean =>
  isToken(extension.name) &&
  extension.parameters.every(({ name, value }) => isToken(name) && (value === undefined || isToken(value)))

/**
 * Returns a list of extensions if all of them can be written.
 *
 * @since 0.1.0
 * @category validation
 */
export const validate = (
  extensions: ReadonlyArray<Extension>
): ReadonlyArray<Extension> | HandshakeFault.Of<"InvalidExtension"> => {
  const invalid = extensions.find((extension) => !isValid(extension))
  return invalid === undefined ? extensions : HandshakeFault.make("InvalidExtension", { extension: invalid.name })
}

/**
 * Returns the entries of a name in order, without regard to ASCII case.
 *
 * @since 0.1.0
 * @category getters
 */
export const named = (extensions: ReadonlyArray<Extension>, name: string): ReadonlyArray<Extension> =>
  extensions.filter((extension) => equalsIgnoreCase(extension.name, name))

/**
 * Writes a list of extensions as a field value. Values are tokens and need no quotes.
 *
 * @since 0.1.0
 * @category encoding
 */
export const format = (extensions: ReadonlyArray<Extension>): string => extensions.map(formatOne).join(", ")

const formatOne = ({ name, parameters }: Extension): string => [name, ...parameters.map(formatParameter)].join("; ")

const formatParameter = ({ name, value }: Parameter): string => (value === undefined ? name : `${name}=${value}`)

const field = "Sec-WebSocket-Extensions"
