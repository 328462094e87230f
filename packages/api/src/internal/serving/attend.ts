/**
 * Accepts a connection and leaves it to an attendant.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { HandshakeError } from "../../HandshakeError.ts"
import type { UpgradeExchange } from "../../UpgradeExchange.ts"
import type { Handlers } from "../../WebSocketServer.ts"
import * as Accept from "../opening/accept.ts"
import { Attendant } from "./Attendant.ts"
import { Exchange } from "../opening/Exchange.ts"
import * as Handle from "../connection/handle.ts"

export const attend = <A, R>(
  exchange: UpgradeExchange,
  handlers: Handlers<A, R>
): Effect.Effect<Attendant<A, R>, unknown, R> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      const data = yield* restore(Effect.suspend(() => handlers.onUpgrade?.(exchange) ?? nothing<A>()))
      const opened = yield* open(restore, exchange, handlers)
      return new Attendant(opened.connection, Handle.make(opened), data, handlers)
    })
  )

const open = <A, R>(
  restore: Handle.Restore,
  exchange: UpgradeExchange,
  { accept = {} }: Handlers<A, R>
): Effect.Effect<Handle.Opened, HandshakeError, R> =>
  exchange instanceof Exchange
    ? Accept.accept(restore, exchange, accept)
    : Effect.die(new Error("The exchange was not made by a server"))

// Without `onUpgrade` nothing belongs to a connection.
const nothing = <A>(): Effect.Effect<A> => Exit.succeed(undefined as A)
