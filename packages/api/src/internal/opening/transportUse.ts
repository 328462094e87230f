/**
 * Who uses a transport that a program brought, so that it never carries two opening handshakes at once, and carries another
 * one only where the last left it in a state to go on from.
 */
import * as Either from "effect/Either"
import type { NotReusable } from "../../HandshakeError.ts"
import type { Transport } from "../../Transport.ts"

export interface User {
  /** Whether an attempt is over that leaves the transport open for another. */
  readonly isResting: boolean
}

/** Returns what rests on the transport, `undefined` when nobody has used it yet. */
export const find = <A extends User>(
  transport: Transport,
  kind: abstract new (...args: never) => A
): Either.Either<A | undefined, NotReusable> => {
  const user = users.get(transport)
  if (user === undefined) return Either.right(undefined)
  return user instanceof kind && user.isResting ? Either.right(user) : Either.left({ _tag: "NotReusable" })
}

export const occupy = (transport: Transport, user: User): void => {
  users.set(transport, user)
}

const users = new WeakMap<Transport, User>()
