/**
 * The numbers by which connections are told apart in logs and spans.
 */

/** A number that no connection of this process has had. */
export const next = (): number => ++last

let last = 0
