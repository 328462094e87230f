/**
 * The fields of a head as a program writes them.
 *
 * @since 0.1.0
 */
import * as Headers from "@effect-ws/core/Headers"

/**
 * Fields of a head: a record, or pairs when a name comes more than once.
 *
 * @since 0.1.0
 * @category models
 */
export type Fields = Readonly<Record<string, string>> | Iterable<readonly [name: string, value: string]>

/**
 * Turns them into the list that the core works on, in the order given. Nothing is checked here: what can't be sent is
 * refused when the head is made.
 *
 * @since 0.1.0
 * @category conversions
 */
export const toHeaders = (fields: Fields | undefined): Headers.Headers => {
  if (fields === undefined) return Headers.empty
  return Headers.fromEntries(isPairs(fields) ? fields : Object.entries(fields))
}

const isPairs = (fields: Fields): fields is Iterable<readonly [name: string, value: string]> =>
  Symbol.iterator in fields
