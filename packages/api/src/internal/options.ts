/**
 * Options that are given in two places.
 */
import * as ConnectionOptions from "../ConnectionOptions.ts"
import * as Fields from "../Fields.ts"

interface WithHeaders {
  readonly headers?: Fields.Fields | undefined
}

/** What a call gives wins over the defaults of its Layer; fields of both are sent, those of the call last. */
export const merge = <A extends WithHeaders>(defaults: A, options: A): A => {
  const given = Object.entries(options).filter(([, value]) => value !== undefined)
  if (given.length === 0) return defaults
  const headers = [...Fields.toHeaders(defaults.headers), ...Fields.toHeaders(options.headers)]
  return { ...defaults, ...Object.fromEntries(given), headers } as A
}

/** The options of a connection: those of its Layer, unless the call gives some of its own. */
export const ofConnection = (
  defaults: ConnectionOptions.ConnectionOptions,
  options: ConnectionOptions.Input
): ConnectionOptions.ConnectionOptions => {
  // In the ordinary case all connections share one object, that was checked when the Layer was made.
  for (const key in options) if (key in defaults) return ConnectionOptions.make("server", defaults, options)
  return defaults
}
